"""The native call: reading Python's objects, walking the rows, the team of threads."""

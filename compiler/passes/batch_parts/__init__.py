"""The same computation of each part of a value, as one."""

"""The primitives: about fifty records, each with all of its rules in one place."""

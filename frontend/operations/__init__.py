"""NumPy's operations on variables, each lowered to primitives by one rule."""

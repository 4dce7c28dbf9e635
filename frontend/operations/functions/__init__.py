"""Functions of floats, elementwise, that are composed of the compiler's primitives.

Values are computed in float64, so that those of float32 are rounded once.  The largest errors in
float64, in units in the last place, which tests/operations/test_accuracy.py asserts: 3.5, but for
erfc (7), erfinv (8), lgamma (4) and digamma (10; both 12 below 0).  Those of the last two are units
of 1 where the value is smaller, since terms cancel beside their roots; beside 1 and 2 lgamma is
within 50 of its own.
"""

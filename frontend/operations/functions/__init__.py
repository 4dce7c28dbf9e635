"""Functions of floats, elementwise, that are composed of the compiler's primitives.

Values are computed in float64, so that those of float32 are rounded once.  The largest errors in
float64, which tests/operations/test_accuracy.py measures: 3 units in the last place, but for erfc
and erfinv (6), digamma (10) and lgamma (30), and the last two beside their roots below 0 and
digamma's at 1.46, where they are exact to some roundings of the terms that cancel there.
"""

"""The array API standard over diagrad: every call draws an expression, compiles and runs it.

A namespace for tests, and for the standard's own suite:

    ARRAY_API_TESTS_MODULE=tests.array_api pytest array_api_tests

`$DIAGRAD_ARRAY_API_TARGET` says on which target ("reference" by default).  `left_out` lists what of
the standard is not here, and why.
"""

from __future__ import annotations

import math
from types import FunctionType, ModuleType

from . import creation, elementwise, linalg, over_axes, places, shapes
from .arrays import Array
from .dtypes import DTYPES, Info, isdtype

__array_api_version__ = "2025.12"

__all__ = ["Array", "isdtype", "linalg"]

e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi


def __array_namespace_info__() -> Info:  # noqa: N807
    """What there is to be told of it."""
    return Info()


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """Those that a module defines."""
    found = {n: f for n, f in vars(module).items() if isinstance(f, FunctionType)}
    return {n: f for n, f in found.items() if f.__module__ == module.__name__ and n[0] != "_"}


for _module in (creation, elementwise, over_axes, shapes, places):
    globals().update(_functions(_module))
for _name in ("matmul", "matrix_transpose", "tensordot", "vecdot"):
    globals()[_name] = getattr(linalg, _name)
globals().update(DTYPES)

"""diagrad: single functions."""

from __future__ import annotations

from typing import Any

import diagrad as dg

from ...arrays import Arrays
from ...functions import FUNCTIONS, placed
from ..common import Job
from .jobs import compiled, operation

_FUNCTIONS: dict[str, Any] = {
    "sort": dg.sort,
    "topk": lambda x: dg.topk(x, 8)[0],
    "median": lambda x: dg.median(x, -1),
    "cumprod": dg.cumprod,
    "take_along_axis": dg.take_along_axis,
    "cholesky": dg.cholesky,
}


def build(name: str, arrays: Arrays) -> Job:
    """The function as a program that gives its result."""
    given = [dg.observed(key, array.shape, array.dtype) for key, array in arrays.items()]
    value = _FUNCTIONS[FUNCTIONS[name].kind](*given)
    program = compiled(dg.Diagram("function", {"value": value}))
    return operation(program, arrays, lambda held: placed(held["value"]))

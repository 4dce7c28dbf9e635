"""Python's integers beside integers of a dtype that cannot hold them, where the answer is known.

    i < 2**40              for i of int32      true everywhere, as in mathematics and NumPy 2
    minimum(i, 2**40)                          i

Arithmetic with such a number is a mistake: `broadcasting.as_variables` says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.dtypes import computed
from ..variables.variable import Variable

MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def within_reach(op: str, operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """A comparison or extremum with a number out of reach as one with a number that is not."""
    if op not in ("lt", "le", "gt", "ge", "eq", "ne", "minimum", "maximum"):
        return op, operands
    x, y = operands
    for number, other, turned in ((y, x, False), (x, y, True)):
        whole = _whole(number)
        if whole is None or not isinstance(other, Variable) or other.mistakes or other.weak:
            continue
        dtype = computed(other.dtype)
        if dtype not in ("int32", "int64", "uint32"):
            continue
        limits = np.iinfo(dtype)
        if limits.min <= whole <= limits.max:
            continue
        above = whole > limits.max
        if op in ("minimum", "maximum"):
            kept = above == (op == "minimum")
            return op, (other, limits.max if above else limits.min) if kept else operands
        said = MIRRORED.get(op, op) if turned else op
        true = said == "ne" or (said != "eq" and above == (said in ("lt", "le")))
        return "le" if true else "gt", (other, limits.max)
    return op, operands


def _whole(value: Any) -> int | None:
    """The integer that a number of Python or NumPy is, or None."""
    if isinstance(value, Variable):
        value = value.value if value.weak and value.ndim == 0 else None
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""Storage dtypes: how small numbers lie in memory, and the dtype in which they are computed with.

A value of such a dtype is given, cast, moved and written; whatever computes reads it in the wider
dtype, which holds each of its numbers.  docs/dtypes.md has the table.

NumPy has no bfloat16: where one is drawn, the package ml_dtypes has registered it with NumPy.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

COMPUTED = MappingProxyType(
    {
        "int8": "int32", "uint8": "int32", "int16": "int32", "uint16": "int32",
        "float16": "float32", "bfloat16": "float32",
    }
)  # fmt: skip
"""The storage dtypes, each with the dtype in which it is computed with."""

INDICES = ("int32", "int64", *(name for name in COMPUTED if "int" in name))
"""The dtypes of numbers of elements, classes and symbols."""


def computed(dtype: str) -> str:
    """The dtype in which values of a dtype are computed with: its own, unless it is for storage."""
    return COMPUTED.get(dtype, dtype)


def kind_of(dtype: np.dtype[Any]) -> str:
    """NumPy's letter of a kind of numbers, which of a bfloat16 is that of floats too."""
    return "f" if dtype.name == "bfloat16" else dtype.kind


def to_float(x: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Numbers in a dtype of floats, rounded once, to the nearest; what is too large is infinite."""
    with np.errstate(all="ignore"):
        if dtype.name == "bfloat16" and x.dtype.itemsize > 2:
            x = _to_odd(x)
        return x.astype(dtype)


def _to_odd(x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The neighbour in float32 whose last bit is 1, of what is none: it is rounded as x would be.

    ml_dtypes rounds to float32 first, and again then.
    """
    if x.dtype.kind in "iu":
        # Of those that float64 does not hold, the last bits say that there is something, no more.
        whole, low = x.astype(np.int64), np.int64(0x7FF)
        long = (np.abs(whole) >= 2**53) & (whole & low != 0)
        x = np.where(long, (whole & ~low) | np.int64(0x400), whole)
    wide = x.astype(np.float64)
    near = np.asarray(wide.astype(np.float32))
    bits, again = near.view(np.int32), near.astype(np.float64)
    further = np.where(again < wide, 1, np.where(again > wide, -1, 0)) * np.where(wide < 0, -1, 1)
    bits = np.where(bits & 1, bits, bits + further.astype(np.int32)).astype(np.int32)
    return np.asarray(bits.view(np.float32))

"""Storage dtypes: how small numbers lie in memory, and the dtype in which they are computed with.

A value of such a dtype is given, cast, moved and written; whatever computes reads it in the wider
dtype, which holds each of its numbers.  docs/dtypes.md has the table.
"""

from __future__ import annotations

from types import MappingProxyType

COMPUTED = MappingProxyType(
    {"int8": "int32", "uint8": "int32", "int16": "int32", "uint16": "int32"}
)
"""The storage dtypes, each with the dtype in which it is computed with."""

INDICES = ("int32", "int64", *(name for name in COMPUTED if "int" in name))
"""The dtypes of numbers of elements, classes and symbols."""


def computed(dtype: str) -> str:
    """The dtype in which values of a dtype are computed with: its own, unless it is for storage."""
    return COMPUTED.get(dtype, dtype)

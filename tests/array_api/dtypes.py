"""Dtypes, what two of them come to, and what the standard asks to be told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name) for name in ("bool", "int32", "int64", "uint32", "float32", "float64")
}
"""Those of a variable that is observed."""

KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int32", "int64"),
    "unsigned integer": ("uint32",),
    "integral": ("int32", "int64", "uint32"),
    "real floating": ("float32", "float64"),
    "complex floating": (),
    "numeric": ("int32", "int64", "uint32", "float32", "float64"),
}

DEFAULT_FLOAT, DEFAULT_INT = DTYPES["float32"], DTYPES["int64"]


def kind_of(dtype: Any) -> str:
    """ "bool", "integral" or "real floating"."""
    return next(
        k for k in ("bool", "integral", "real floating") if np.dtype(dtype).name in KINDS[k]
    )


def promoted(dtypes: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that holds all of some of one kind, by the standard's tables.

    diagrad promotes nothing silently: the adapter casts, as its users do.

    Raises:
        TypeError: for dtypes of several kinds.
    """
    found = [np.dtype(dtype) for dtype in dtypes]
    if len({kind_of(dtype) for dtype in found}) != 1:
        raise TypeError(f"expected dtypes of one kind, got {', '.join(map(str, found))}")
    return np.result_type(*found)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is another, of a kind, or one of a tuple of these."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, item) for item in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"expected a kind among {', '.join(KINDS)}, got {kind!r}")
        return np.dtype(dtype).name in KINDS[kind]
    return bool(np.dtype(dtype) == kind)


class Info:
    """What `__array_namespace_info__` gives."""

    def capabilities(self) -> dict[str, Any]:
        """No masks, and no sizes that depend on values."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": None}

    def default_device(self) -> str:
        """The host."""
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        """The host alone."""
        return ("cpu",)

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Those of numbers without a dtype."""
        return {
            "real floating": DEFAULT_FLOAT,
            "complex floating": None,
            "integral": DEFAULT_INT,
            "indexing": DEFAULT_INT,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """All, or those of a kind, or of several."""
        return {n: d for n, d in DTYPES.items() if kind is None or isdtype(d, kind)}

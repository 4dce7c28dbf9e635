"""Sums, extrema and what runs along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import diagrad as dg

from .arrays import Array, draw
from .dtypes import DEFAULT_INT, kind_of

Axis = int | tuple[int, ...] | None


def reduced(x: Array, function: Callable[[Any], Any], dtype: Any) -> Any:
    """A sum or product: of small integers in the default dtype, of bools as that."""
    if dtype is None and kind_of(x.dtype) != "real floating":
        dtype = x.dtype if x.dtype.name == "uint32" else DEFAULT_INT
    return draw(lambda v: function(v if dtype is None else v.astype(np.dtype(dtype).name)), x)


def sum(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return reduced(x, lambda v: dg.sum(v, axis, keepdims), dtype)


def prod(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return reduced(x, lambda v: dg.prod(v, axis, keepdims), dtype)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.max(v, axis, keepdims), x)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.min(v, axis, keepdims), x)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.mean(v, axis, keepdims), x)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.variance(v, axis, keepdims, correction=correction), x)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.std(v, axis, keepdims, correction=correction), x)


def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.all(v.astype("bool"), axis, keepdims), x)


def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.any(v.astype("bool"), axis, keepdims), x)


def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Over axes."""
    return draw(lambda v: dg.count_nonzero(v, axis, keepdims), x)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The first of the greatest."""
    return draw(lambda v: _kept(dg.argmax(v, axis), v, axis, keepdims).astype("int64"), x)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The first of the least."""
    return draw(lambda v: _kept(dg.argmin(v, axis), v, axis, keepdims).astype("int64"), x)


def _kept(found: Any, v: Any, axis: int | None, keepdims: bool) -> Any:
    if not keepdims:
        return found
    return dg.reshape(found, (1,) * v.ndim) if axis is None else dg.expand_dims(found, axis)


def _running(x: Array, axis: int | None, dtype: Any, initial: bool, function: Any, one: int) -> Any:
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"expected an axis for an array of {x.ndim} axes")
        axis = 0
    place: int = axis

    def drawn(v: Any) -> Any:
        found = function(v, place)
        if not initial:
            return found
        shape = [n if i != place % v.ndim else 1 for i, n in enumerate(v.shape)]
        return dg.concatenate([dg.full(tuple(shape), one, dtype=found.dtype), found], place)

    return reduced(x, drawn, dtype)


def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Along an axis."""
    return _running(x, axis, dtype, include_initial, dg.cumsum, 0)


def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Along an axis."""
    return _running(x, axis, dtype, include_initial, dg.cumprod, 1)


def diff(
    x: Array,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Array | None = None,
    append: Array | None = None,
) -> Any:
    """Between neighbours."""
    held = [item for item in (prepend, x, append) if item is not None]
    return draw(lambda *v: dg.diff(dg.concatenate(v, axis), n, axis), *held)

"""Arrays that are made, and what their dtypes are."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import diagrad as dg

from .arrays import Array, draw
from .dtypes import DEFAULT_FLOAT, DEFAULT_INT, promoted

Shape = int | tuple[int, ...]


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Numbers, nested sequences of them, or an array."""
    if isinstance(obj, Array) and dtype in (None, obj.dtype) and not copy:
        return obj
    if copy is False:
        raise ValueError("expected an array of this dtype where nothing is copied")
    values = np.array(obj)
    if dtype is None and not isinstance(obj, (Array, np.ndarray, np.generic)):
        default = {"f": DEFAULT_FLOAT, "i": DEFAULT_INT, "b": np.dtype("bool")}
        dtype = default.get(values.dtype.kind)
    return Array(values if dtype is None else values.astype(dtype))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array of another library."""
    return Array(np.from_dlpack(x))


def _made(function: Any, dtype: Any) -> Any:
    return draw(lambda: function(dtype=np.dtype(dtype).name))


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


def zeros(shape: Shape, *, dtype: Any = None, device: Any = None) -> Any:
    """Of a shape."""
    return _made(lambda dtype: dg.zeros(_shape(shape), dtype=dtype), dtype or DEFAULT_FLOAT)


def ones(shape: Shape, *, dtype: Any = None, device: Any = None) -> Any:
    """Of a shape."""
    return _made(lambda dtype: dg.ones(_shape(shape), dtype=dtype), dtype or DEFAULT_FLOAT)


def empty(shape: Shape, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros: an expression has no element without a value."""
    return zeros(shape, dtype=dtype)


def full(shape: Shape, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One number everywhere."""
    if dtype is None:
        dtype = asarray(fill_value).dtype
    value = fill_value._scalar().item() if isinstance(fill_value, Array) else fill_value
    return _made(lambda dtype: dg.full(_shape(shape), value, dtype=dtype), dtype)


def zeros_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Of the shape of another."""
    return draw(lambda v: _cast(dg.zeros_like(v), dtype), x)


def ones_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Of the shape of another."""
    return draw(lambda v: _cast(dg.ones_like(v), dtype), x)


def empty_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros: an expression has no element without a value."""
    return zeros_like(x, dtype=dtype)


def full_like(x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One number, in the shape of another."""
    dtype = x.dtype if dtype is None else dtype
    return draw(lambda v: dg.full_like(v.astype(np.dtype(dtype).name), fill_value), x)


def _cast(variable: Any, dtype: Any) -> Any:
    return variable if dtype is None else variable.astype(np.dtype(dtype).name)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
) -> Any:
    """Numbers a step apart."""
    given = (0, start, step) if stop is None else (start, stop, step)
    if dtype is None:
        dtype = DEFAULT_INT if all(isinstance(item, int) for item in given) else DEFAULT_FLOAT
    return _made(lambda dtype: dg.arange(given[0], given[1], given[2], dtype=dtype), dtype)


def linspace(
    start: float,
    stop: float,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Any:
    """So many numbers, equally far apart."""
    return _made(
        lambda dtype: dg.linspace(start, stop, num, endpoint=endpoint, dtype=dtype),
        dtype or DEFAULT_FLOAT,
    )


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
) -> Any:
    """Ones on a diagonal."""
    return _made(lambda dtype: dg.eye(n_rows, n_cols, k, dtype=dtype), dtype or DEFAULT_FLOAT)


def meshgrid(*arrays: Array, indexing: Any = "xy") -> Any:
    """Vectors as the coordinates of a grid."""
    return tuple(draw(lambda *v: list(dg.meshgrid(*v, indexing=indexing)), *arrays))


def tril(x: Array, /, *, k: int = 0) -> Any:
    """What is on a diagonal and below it."""
    return draw(lambda v: dg.tril(v, k), x)


def triu(x: Array, /, *, k: int = 0) -> Any:
    """What is on a diagonal and above it."""
    return draw(lambda v: dg.triu(v, k), x)


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """In another dtype."""
    if not copy and x.dtype == dtype:
        return x
    return draw(lambda v: v.astype(np.dtype(dtype).name), x)


def result_type(*items: Any) -> Any:
    """What arrays, dtypes and numbers come to together; numbers take the dtype of the others."""
    held = [item.dtype if isinstance(item, Array) else item for item in items]
    dtypes = [item for item in held if not isinstance(item, (bool, int, float))]
    if not dtypes:
        raise ValueError("expected an array or a dtype among the arguments")
    return promoted(dtypes)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether a dtype goes into another: by the standard's tables, and from kind to kind."""
    found = from_.dtype if isinstance(from_, Array) else np.dtype(from_)
    return bool(np.can_cast(found, np.dtype(to)))


def finfo(type: Any, /) -> Any:
    """What is known of a dtype of floats."""
    found = np.finfo(type.dtype if isinstance(type, Array) else type)
    names = ("eps", "max", "min", "smallest_normal")
    numbers = {name: float(getattr(found, name)) for name in names}
    return SimpleNamespace(bits=found.bits, dtype=found.dtype, **numbers)


def iinfo(type: Any, /) -> Any:
    """What is known of a dtype of integers."""
    return np.iinfo(type.dtype if isinstance(type, Array) else type)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """What shapes come to beside one another."""
    return np.broadcast_shapes(*(tuple(shape) for shape in shapes))

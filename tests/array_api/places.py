"""Elements by their order and by their places; choices."""

from __future__ import annotations

from typing import Any

import diagrad as dg

from .arrays import Array, Scalar, alike, draw, draw_alike

Axis = int | tuple[int, ...] | None


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Along an axis."""
    return draw(lambda v: dg.sort(v, axis, descending), x)


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The places in the order of the elements."""
    return draw(lambda v: dg.argsort(v, axis, descending).astype("int64"), x)


def searchsorted(
    x1: Array, x2: Array | Scalar, /, *, side: str = "left", sorter: Array | None = None
) -> Any:
    """Where values belong among rising numbers."""
    if sorter is not None:
        x1 = take(x1, sorter, axis=0)
    return astype_index(draw_alike(lambda x, v: dg.searchsorted(x, v, side), x1, x2))


def astype_index(x: Array) -> Any:
    """In the dtype of places."""
    return draw(lambda v: v.astype("int64"), x)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Any:
    """Parts along an axis, by their places."""
    if axis is None and x.ndim != 1:
        raise ValueError(f"expected an axis for an array of {x.ndim} axes")
    return draw(lambda v, i: dg.take(v, i, axis=axis or 0), x, indices)


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Any:
    """Elements along an axis, by their places."""
    return draw(lambda v, i: dg.take_along_axis(v, i, axis), x, indices)


def where(condition: Array, x1: Array | Scalar, x2: Array | Scalar, /) -> Any:
    """One where a condition holds, and the other."""
    arrays = [item for item in (x1, x2) if isinstance(item, Array)]
    cast = alike(arrays)

    def drawn(c: Any, *variables: Any) -> Any:
        given = iter(cast(variables))
        return dg.where(c, *(next(given) if isinstance(x, Array) else x for x in (x1, x2)))

    return draw(drawn, condition, *arrays)


def isin(x1: Array | Scalar, x2: Array | Scalar, /, *, invert: bool = False) -> Any:
    """Whether each element is among others."""

    def drawn(x: Any, among: Any) -> Any:
        found = dg.isin(x, among)
        return ~found if invert else found

    return draw_alike(drawn, x1, x2)

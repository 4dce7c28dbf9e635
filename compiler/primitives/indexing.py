"""Gather and its transpose: elements chosen by an array of indices along one axis.

An index outside [0, n) gathers NaN (0 for integers, False for bool) and scatters nowhere; negative
indices do not wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...runtime.program import HOLDS
from ..graph import Node, Type
from .record import Array, Attrs, Primitive, expect, expect_dtype

if TYPE_CHECKING:
    from ..builder import Builder


def _gather(types: Sequence[Type], attrs: Attrs) -> Type:
    x, index = types
    axis = attrs["axis"]
    expect_dtype(index.dtype in ("int32", "int64"), f"expected integer indices, got {index.dtype}")
    expect(0 <= axis < x.rank, f"expected an axis below {x.rank}, got {axis}")
    return x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _scatter_add(types: Sequence[Type], attrs: Attrs) -> Type:
    index, updates = types
    axis = attrs["axis"]
    expect_dtype(index.dtype in ("int32", "int64"), f"expected integer indices, got {index.dtype}")
    expect_dtype(updates.dtype != "bool", "expected numbers to add, got bool")
    chosen = updates.shape[axis : axis + index.rank]
    expect(chosen == index.shape, f"expected updates for {index}, got {updates}")
    rest = updates.shape[axis + index.rank :]
    return updates.with_shape((*updates.shape[:axis], attrs["size"], *rest))


def _reference_gather(result: Type, attrs: Attrs, x: Array, index: Array) -> Array:
    axis, extent = attrs["axis"], x.shape[attrs["axis"]]
    missing = np.nan if result.is_float else 0
    if extent == 0:
        return np.full(result.extents, missing, x.dtype)
    value = np.take(x, np.clip(index, 0, extent - 1), axis)
    outside = (index < 0) | (index >= extent)
    outside = outside.reshape((1,) * axis + index.shape + (1,) * (x.ndim - axis - 1))
    return np.where(outside, np.asarray(missing, x.dtype), value)


def _reference_scatter_add(result: Type, attrs: Attrs, index: Array, updates: Array) -> Array:
    axis, extent = attrs["axis"], attrs["size"]
    out = np.zeros(result.extents, updates.dtype)
    inside = (index >= 0) & (index < extent)
    before = (slice(None),) * axis
    flat = updates.reshape((*updates.shape[:axis], index.size, *updates.shape[axis + index.ndim :]))
    keep = inside.reshape(-1)
    np.add.at(out, (*before, index.reshape(-1)[keep]), flat[(*before, keep)])
    return out


def _gather_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, x = n.attrs["axis"], n.inputs[0]
    return b.scatter_add(n.inputs[1], g, axis=axis, size=x.shape[axis]), None


def _scatter_add_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """What an update was added to; nothing flows to one that was added nowhere."""
    (index, updates), axis, size = n.inputs, n.attrs["axis"], n.attrs["size"]
    known = isinstance(size, int)
    end = b.constant(size, index.dtype) if known else b.size(size=size, dtype=index.dtype)
    above = b.ge(index, b.fill(0, index.type))
    inside = b.apply("and", above, b.lt(index, b.spread(end, index.shape)))
    axes = tuple(range(axis, axis + index.type.rank))
    inside = b.broadcast(inside, shape=updates.shape, axes=axes)
    return None, b.select(inside, b.gather(g, index, axis=axis), b.fill(0, updates.type))


def _first_outside(types: Sequence[Type], attrs: Attrs) -> Type:
    expect_dtype(types[0].dtype in ("int32", "int64"), f"expected integers, got {types[0].dtype}")
    return Type("int64")


def _reference_first_outside(result: Type, attrs: Attrs, x: Array) -> Array:
    outside = ((x < attrs["low"]) | (x >= attrs["high"])).reshape(-1)
    return np.asarray(np.argmax(outside) if outside.any() else HOLDS, np.int64)


PRIMITIVES = (
    Primitive("gather", "movement", _gather, _reference_gather, _gather_vjp),
    # Zeros of `size` elements along `axis`, with every update added where its index says.
    Primitive(
        "scatter_add",
        "movement",
        _scatter_add,
        _reference_scatter_add,
        _scatter_add_vjp,
        flops=1,
    ),
    # The flat index of the first element outside [low, high), or HOLDS.
    Primitive("first_outside", "movement", _first_outside, _reference_first_outside),
)

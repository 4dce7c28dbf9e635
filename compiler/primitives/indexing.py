"""Gather: elements chosen by an array of indices along one axis; and one element replaced.

An index outside [0, n) gathers NaN (0 for integers, False for bool) and replaces nothing; negative
indices do not wrap.  `scattering` has the transpose of a gather.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime.outcomes import HOLDS
from ..dtypes import INDICES
from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from .batch import repeated, turned
from .record import Array, Attrs, Builder, Primitive
from .scattering import rows_of_all


def _gather(types: Sequence[Type], attrs: Attrs) -> Type:
    x, index = types
    axis = attrs["axis"]
    if index.dtype not in INDICES:
        raise DtypeRuleError(f"expected integer indices, got {index.dtype}")
    if not 0 <= axis < x.rank:
        raise TypeRuleError(f"expected an axis below {x.rank}, got {axis}")
    return x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _reference_gather(result: Type, attrs: Attrs, x: Array, index: Array) -> Array:
    axis, extent = attrs["axis"], x.shape[attrs["axis"]]
    missing = np.nan if result.is_float else 0
    if extent == 0:
        return np.full(result.extents, missing, x.dtype)
    value = np.take(x, np.clip(index, 0, extent - 1), axis)
    outside = (index < 0) | (index >= extent)
    outside = outside.reshape((1,) * axis + index.shape + (1,) * (x.ndim - axis - 1))
    return np.where(outside, np.asarray(missing, x.dtype), value)


def _gather_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, x = n.attrs["axis"], n.inputs[0]
    return b.scatter_add(n.inputs[1], g, axis=axis, size=x.shape[axis]), None


def _put(types: Sequence[Type], attrs: Attrs) -> Type:
    x, index, row = types
    axis = attrs["axis"]
    if index.dtype not in INDICES:
        raise DtypeRuleError(f"expected an integer index, got {index.dtype}")
    if not 0 <= axis < x.rank:
        raise TypeRuleError(f"expected an axis below {x.rank}, got {axis}")
    if index.shape != ():
        raise TypeRuleError(f"expected one index, got {index}")
    wanted = x.with_shape((*x.shape[:axis], *x.shape[axis + 1 :]))
    if row.dtype != x.dtype:
        raise DtypeRuleError(f"expected a row of {x.dtype}, got {row.dtype}")
    if row != wanted:
        raise TypeRuleError(f"expected a row {wanted}, got {row}")
    return x


def _reference_put(result: Type, attrs: Attrs, x: Array, index: Array, row: Array) -> Array:
    out = np.array(x)
    if 0 <= index < x.shape[attrs["axis"]]:
        out[(slice(None),) * attrs["axis"] + (int(index),)] = row
    return out


def _put_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """What stays gets all but the row's part, which the row gets; nothing where it went nowhere."""
    x, index, row = n.inputs
    axis, index = n.attrs["axis"], b.widened(index)
    places = b.iota(axis=axis, shape=x.shape, dtype=index.dtype)
    chosen = b.eq(places, b.spread(index, x.shape))
    none = b.fill(0, g.type)
    return (
        b.put(g, index, b.fill(0, row.type.cotangent), axis=axis),
        None,
        b.reduce_sum(b.select(chosen, g, none), axes=(axis,)),
    )


def _put_batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """One index for all elements, or else a choice for each."""
    axis = n.attrs["axis"] + 1
    if not batched[1]:
        x, row = repeated(b, [operands[0], operands[2]], [batched[0], batched[2]])
        return b.put(x, operands[1], row, axis=axis)
    x, index, row = repeated(b, operands, batched)
    index = b.widened(index)
    places = b.iota(axis=axis, shape=x.shape, dtype=index.dtype)
    others = tuple(other for other in range(x.type.rank) if other != axis)
    chosen = b.eq(places, b.broadcast(index, shape=x.shape, axes=(0,)))
    return b.select(chosen, b.broadcast(row, shape=x.shape, axes=others), x)


def _first_outside(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].dtype not in INDICES:
        raise DtypeRuleError(f"expected integers, got {types[0].dtype}")
    return Type("int64")


def _reference_first_outside(result: Type, attrs: Attrs, x: Array) -> Array:
    outside = ((x < attrs["low"]) | (x >= attrs["high"])).reshape(-1)
    return np.asarray(np.argmax(outside) if outside.any() else HOLDS, np.int64)


def _gather_batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """One array for all elements, one array of indices for all, or an array of rows for both."""
    (x, index), axis = operands, n.attrs["axis"]
    if not batched[1]:
        return b.apply("gather", x, index, axis=axis + 1)
    if not batched[0]:
        found = b.gather(x, index, axis=axis)
        rest = range(axis + 1, found.type.rank)
        return turned(b, found, (axis, *range(axis), *rest))
    places = index.type.rank - 1
    x = b.transpose(x, axes=(0, axis + 1, *_others(x.type.rank, axis)))
    rows = b.reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))
    found = b.gather(rows, rows_of_all(b, index, x.shape[1]), axis=0)
    # [n, *index, *before, *after] -> [n, *before, *index, *after]
    before = range(1 + places, 1 + places + axis)
    after = range(1 + places + axis, found.type.rank)
    return turned(b, found, (0, *before, *range(1, 1 + places), *after))


def _others(rank: int, axis: int) -> tuple[int, ...]:
    """The axes of a batched node besides the leading one and `axis` below it."""
    return tuple(other for other in range(1, rank) if other != axis + 1)


def _first_outside_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    (x,), attrs = operands, n.attrs
    rows = b.reshape(x, shape=(x.shape[0], n.inputs[0].type.count))
    if rows.shape[1] == 0:
        return b.fill(HOLDS, n.type.with_shape(rows.shape[:1]))
    wide = b.cast(rows, dtype="int64")
    low, high = (
        b.spread(b.apply("size", size=attrs[name], dtype="int64"), rows.shape)
        for name in ("low", "high")
    )
    place = b.iota(axis=1, shape=rows.shape, dtype="int64")
    outside = b.apply("or", b.lt(wide, low), b.ge(wide, high))
    return b.reduce_min(b.select(outside, place, b.fill(HOLDS, wide.type)), axes=(1,))


PRIMITIVES = (
    Primitive(
        name="gather",
        kind="movement",
        infer=_gather,
        reference=_reference_gather,
        vjp=_gather_vjp,
        batch=_gather_batch,
        stored=True,
    ),
    # The first operand, but for one element along `axis`, which is replaced.
    Primitive(
        name="put",
        kind="movement",
        infer=_put,
        reference=_reference_put,
        vjp=_put_vjp,
        batch=_put_batch,
        stored=True,
    ),
    # The flat index of the first element outside [low, high), or HOLDS.
    Primitive(
        name="first_outside",
        kind="movement",
        infer=_first_outside,
        reference=_reference_first_outside,
        batch=_first_outside_batch,
        stored=True,
    ),
)

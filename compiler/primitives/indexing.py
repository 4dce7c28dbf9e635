"""Gather and its transpose: elements chosen by an array of indices along one axis; one replaced.

An index outside [0, n) gathers NaN (0 for integers, False for bool), scatters nowhere and replaces
nothing; negative indices do not wrap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime.outcomes import HOLDS
from ..dtypes import COMPUTED, INDICES
from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim
from .batch import repeated, turned
from .record import Array, Attrs, Builder, Primitive
from .summation import add_at


def _gather(types: Sequence[Type], attrs: Attrs) -> Type:
    x, index = types
    axis = attrs["axis"]
    if index.dtype not in INDICES:
        raise DtypeRuleError(f"expected integer indices, got {index.dtype}")
    if not 0 <= axis < x.rank:
        raise TypeRuleError(f"expected an axis below {x.rank}, got {axis}")
    return x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _scatter_add(types: Sequence[Type], attrs: Attrs) -> Type:
    index, updates = types
    axis = attrs["axis"]
    if index.dtype not in INDICES:
        raise DtypeRuleError(f"expected integer indices, got {index.dtype}")
    if updates.dtype == "bool" or updates.dtype in COMPUTED:
        raise DtypeRuleError(f"expected numbers to add, got {updates.dtype}")
    chosen = updates.shape[axis : axis + index.rank]
    if chosen != index.shape:
        raise TypeRuleError(f"expected updates for {index}, got {updates}")
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
    add_at(out, axis, index.reshape(-1)[keep], flat[(*before, keep)])
    return out


def _scatter_sums(types: Sequence[Type], attrs: Attrs) -> Type:
    found = _scatter_add(types, attrs)
    if not found.is_float:
        raise DtypeRuleError(f"expected floats to add, got {found}")
    return found.with_shape((attrs["parts"], *found.shape))


def _reference_scatter_sums(result: Type, attrs: Attrs, index: Array, updates: Array) -> Array:
    out = np.zeros(result.extents, updates.dtype)
    totals = result.with_shape(result.shape[1:])
    out[0] = _reference_scatter_add(totals, attrs, index, updates)
    return out


def _gather_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, x = n.attrs["axis"], n.inputs[0]
    return b.scatter_add(n.inputs[1], g, axis=axis, size=x.shape[axis]), None


def _scatter_add_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """What an update was added to; nothing flows to one that was added nowhere."""
    (index, updates), axis, size = n.inputs, n.attrs["axis"], n.attrs["size"]
    index, known = b.widened(index), isinstance(size, int)
    end = b.constant(size, index.dtype) if known else b.size(size=size, dtype=index.dtype)
    above = b.ge(index, b.fill(0, index.type))
    inside = b.apply("and", above, b.lt(index, b.spread(end, index.shape)))
    axes = tuple(range(axis, axis + index.type.rank))
    inside = b.broadcast(inside, shape=updates.shape, axes=axes)
    return None, b.select(inside, b.gather(g, index, axis=axis), b.fill(0, updates.type))


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
    found = b.gather(rows, _rows(b, index, x.shape[1]), axis=0)
    # [n, *index, *before, *after] -> [n, *before, *index, *after]
    before = range(1 + places, 1 + places + axis)
    after = range(1 + places + axis, found.type.rank)
    return turned(b, found, (0, *before, *range(1, 1 + places), *after))


def _scatter_add_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """Updates where the indices are the same for all elements, or else to an array of rows."""
    axis, size = n.attrs["axis"], n.attrs["size"]
    if not batched[0]:
        return b.apply("scatter_add", *operands, axis=axis + 1, size=size)
    index, updates = repeated(b, operands, batched)
    places, extent = index.type.rank - 1, index.shape[0]
    # [n, *before, *index, *after] -> [n, *index, *before, *after]
    chosen = range(1 + axis, 1 + axis + places)
    after = range(1 + axis + places, updates.type.rank)
    updates = turned(b, updates, (0, *chosen, *range(1, 1 + axis), *after))
    rows = b.scatter_add(_rows(b, index, size), updates, axis=0, size=extent * size)
    found = b.reshape(rows, shape=(extent, size, *rows.shape[1:]))
    return turned(b, found, (0, *range(2, 2 + axis), 1, *range(2 + axis, found.type.rank)))


def _scatter_sums_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """The sums of every element, beside which nothing is lost."""
    total = _scatter_add_batch(b, n, operands, batched)
    extent, rest = total.shape[0], total.shape[1:]
    one = b.reshape(total, shape=(extent, 1, *rest))
    ones, shape = (1,) * one.type.rank, (extent, n.attrs["parts"], *rest)
    found: Node = b.pad(one, low=(0,) * one.type.rank, inner=ones, shape=shape)
    return found


def _others(rank: int, axis: int) -> tuple[int, ...]:
    """The axes of a batched node besides the leading one and `axis` below it."""
    return tuple(other for other in range(1, rank) if other != axis + 1)


def _rows(b: Builder, index: Node, extent: Dim) -> Node:
    """Indices into `extent` rows of each element as indices into the rows of all; -1 outside."""
    index = b.cast(index, dtype="int64")
    end = b.spread(b.apply("size", size=extent, dtype="int64"), index.shape)
    inside = b.apply("and", b.ge(index, b.fill(0, index.type)), b.lt(index, end))
    element = b.iota(axis=0, shape=index.shape, dtype="int64")
    return b.select(inside, b.add(index, b.mul(element, end)), b.fill(-1, index.type))


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
    # Zeros of `size` elements along `axis`, with every update added where its index says.
    Primitive(
        name="scatter_add",
        kind="movement",
        infer=_scatter_add,
        reference=_reference_scatter_add,
        vjp=_scatter_add_vjp,
        flops=1,
        batch=_scatter_add_batch,
        stored=True,
    ),
    # The same in one or two `parts`: totals, and what their additions have rounded away.  Both add
    # up to what is asked for; made by `split_reductions` alone.
    Primitive(
        name="scatter_sums",
        kind="movement",
        infer=_scatter_sums,
        reference=_reference_scatter_sums,
        flops=5,
        batch=_scatter_sums_batch,
        stored=True,
    ),
    # The same, but for one element along `axis`, which is replaced.
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

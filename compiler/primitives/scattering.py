"""Scatters: updates combined at the places that an array of indices says along one axis.

    scatter_add(index, u)[k]     the sum of the updates whose index is k; 0 where there is none
    scatter_mul, _max, _min      their product, the greatest, the least; 1, -inf and inf for none

An index outside [0, size) scatters nowhere; negative indices do not wrap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dtypes import COMPUTED, INDICES
from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Graph, Node, Type
from ..sizes import Dim
from .batch import repeated, turned
from .record import Array, Attrs, Builder, Primitive, Vjp
from .reduction import extremum_of_none
from .summation import add_at

SCATTERS = ("scatter_add", "scatter_mul", "scatter_max", "scatter_min", "scatter_sums")
"""Primitives that combine updates at the places that an index says."""


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


def scatter_start(op: str, dtype: str) -> float:
    """What an element of a scatter is where nothing was scattered to."""
    if op in ("scatter_max", "scatter_min"):
        return extremum_of_none(dtype, op == "scatter_min")
    return 1 if op == "scatter_mul" else 0


def _inside(attrs: Attrs, index: Array, updates: Array) -> tuple[Array, Array]:
    """Flat indices that are places, and the updates that go there."""
    axis = attrs["axis"]
    before = (slice(None),) * axis
    flat = updates.reshape((*updates.shape[:axis], index.size, *updates.shape[axis + index.ndim :]))
    keep = ((index >= 0) & (index < attrs["size"])).reshape(-1)
    return index.reshape(-1)[keep], flat[(*before, keep)]


def _reference_scatter_add(result: Type, attrs: Attrs, index: Array, updates: Array) -> Array:
    out = np.zeros(result.extents, updates.dtype)
    add_at(out, attrs["axis"], *_inside(attrs, index, updates))
    return out


def _scatter(name: str, function: np.ufunc, vjp: Vjp) -> Primitive:
    """A scatter that combines by a function of two."""

    def reference(result: Type, attrs: Attrs, index: Array, updates: Array) -> Array:
        out = np.full(result.extents, scatter_start(name, updates.dtype.name), updates.dtype)
        places, chosen = _inside(attrs, index, updates)
        function.at(out, (*(slice(None),) * attrs["axis"], places), chosen)
        return out

    return Primitive(
        name=name,
        kind="movement",
        infer=_scatter_add,
        reference=reference,
        vjp=vjp,
        flops=1,
        batch=_scatter_add_batch,
        stored=True,
    )


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


def _lands(b: Builder, n: Node) -> Node:
    """Whether an update of a scatter has a place."""
    (index, updates), axis, size = n.inputs, n.attrs["axis"], n.attrs["size"]
    index, known = b.widened(index), isinstance(size, int)
    end = b.constant(size, index.dtype) if known else b.size(size=size, dtype=index.dtype)
    above = b.ge(index, b.fill(0, index.type))
    inside = b.apply("and", above, b.lt(index, b.spread(end, index.shape)))
    axes = tuple(range(axis, axis + index.type.rank))
    found: Node = b.broadcast(inside, shape=updates.shape, axes=axes)
    return found


def _scatter_add_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """What an update was added to; nothing flows to one that was added nowhere."""
    (index, updates), axis = n.inputs, n.attrs["axis"]
    return None, b.select(_lands(b, n), b.gather(g, index, axis=axis), b.fill(0, updates.type))


def _scatter_extremum_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Shared evenly among the updates that reach the extremum of their place."""
    (index, updates), axis = n.inputs, n.attrs["axis"]
    equal = b.eq(updates, b.gather(n, index, axis=axis))
    reached = b.apply("and", _lands(b, n), equal)
    ones = b.cast(reached, dtype=g.dtype)
    count = b.scatter_add(index, ones, axis=axis, size=n.attrs["size"])
    shares = b.div(g, b.maximum(count, b.fill(1, count.type)))
    found = b.gather(shares, index, axis=axis)
    return None, b.select(reached, found, b.fill(0, updates.type))


def _scatter_mul_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The product of the other updates of the place: of those before it, and of those behind it."""
    (index, updates), axis, size = n.inputs, n.attrs["axis"], n.attrs["size"]
    behind, rank = axis + index.type.rank, updates.type.rank
    chosen = (*range(axis, behind), *range(axis), *range(behind, rank))
    order = (axis, *range(axis), *range(axis + 1, n.type.rank))
    lands = turned(b, _lands(b, n), chosen)
    # One that goes nowhere is a factor of 1 elsewhere: nothing that is read of it is NaN.
    rows = b.select(lands, turned(b, updates, chosen), b.fill(1, lands.type.with_dtype(g.dtype)))
    line = _clipped(b, index, size)
    count, rest = index.type.count, rows.shape[index.type.rank :]
    line, rows = b.reshape(line, shape=(count,)), b.reshape(rows, shape=(count, *rest))
    others = b.mul(*(_products(b, line, rows, size, back) for back in (False, True)))
    slope = b.mul(b.gather(turned(b, g, order), line, axis=0), others)
    slope = b.reshape(slope, shape=lands.shape)
    found = b.select(lands, slope, b.fill(0, slope.type))
    return None, turned(b, found, tuple(chosen.index(i) for i in range(rank)))


def _clipped(b: Builder, index: Node, size: Dim) -> Node:
    """An index that is 0 where it is no place."""
    index = b.cast(index, dtype="int64")
    zeros = b.fill(0, index.type)
    end = b.spread(b.apply("size", size=size, dtype="int64"), index.shape)
    inside = b.apply("and", b.ge(index, zeros), b.lt(index, end))
    return b.select(inside, index, zeros)


def _products(b: Builder, line: Node, rows: Node, size: Dim, reverse: bool) -> Node:
    """For each row, the product of those before it (behind it) that have the same index."""
    inside = rows.type.with_shape(rows.shape[1:])
    row = b.input(name="row", type=inside, role="sequence")
    at = b.input(name="at", type=line.type.with_shape(()), role="sequence")
    total = b.input(name="total", type=inside.with_shape((size, *inside.shape)), role="carry")
    before = b.gather(total, at, axis=0)
    after = b.put(total, at, b.mul(before, row), axis=0)
    body = Graph("products", (row, at, total), (("before", before),), ((total, after),))
    found: Node = b.loop(
        rows,
        line,
        b.fill(1, total.type),
        body=body,
        steps=rows.shape[0],
        result="stack",
        of="before",
        reverse=reverse,
        keep="all",
    )
    return found


def _scatter_add_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """Updates where the indices are the same for all elements, or else to an array of rows."""
    axis, size = n.attrs["axis"], n.attrs["size"]
    op = n.op if n.op != "scatter_sums" else "scatter_add"
    if not batched[0]:
        return b.apply(op, *operands, axis=axis + 1, size=size)
    index, updates = repeated(b, operands, batched)
    places, extent = index.type.rank - 1, index.shape[0]
    # [n, *before, *index, *after] -> [n, *index, *before, *after]
    chosen = range(1 + axis, 1 + axis + places)
    after = range(1 + axis + places, updates.type.rank)
    updates = turned(b, updates, (0, *chosen, *range(1, 1 + axis), *after))
    rows = b.apply(op, rows_of_all(b, index, size), updates, axis=0, size=extent * size)
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


def rows_of_all(b: Builder, index: Node, extent: Dim) -> Node:
    """Indices into `extent` rows of each element as indices into the rows of all; -1 outside."""
    index = b.cast(index, dtype="int64")
    end = b.spread(b.apply("size", size=extent, dtype="int64"), index.shape)
    inside = b.apply("and", b.ge(index, b.fill(0, index.type)), b.lt(index, end))
    element = b.iota(axis=0, shape=index.shape, dtype="int64")
    return b.select(inside, b.add(index, b.mul(element, end)), b.fill(-1, index.type))


PRIMITIVES = (
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
    # Ones, with every update multiply where its index says.
    _scatter("scatter_mul", np.multiply, _scatter_mul_vjp),
    # What no number is greater (less) than, and at each place the greatest (least) update.
    _scatter("scatter_max", np.maximum, _scatter_extremum_vjp),
    _scatter("scatter_min", np.minimum, _scatter_extremum_vjp),
    # The sums in one or two `parts`: totals, and what their additions have rounded away.  Both add
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
)

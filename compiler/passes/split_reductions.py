"""split_reductions: large sums get two parts, the first of which can join what makes its terms.

    %2: [] = reduce_sum(%1: [B,512], axes=(0,1))     ->     %2: [B] = reduce_sum(%1, axes=(1))
                                                            %3: []  = reduce_sum(%2, axes=(0))
    %4: [C] = reduce_sum(%1: [B,C], axes=(0))        ->     %4: [B/64,C] = block_sum(%1)
                                                            %5: [C] = reduce_sum(%4, axes=(0))
    %6: [] = reduce_sum(%1: [90000], axes=(0))       ->     %6: [88] = stretch_sum(%1)
                                                            %7: []  = reduce_sum(%6, axes=(0))
    %8: [K] = scatter_add(%0: [N], %1: [N])          ->     %8: [2,K] = scatter_sums(%0, %1)
                                                            %9: [K] = add(%8[0], %8[1])

The first part stands on the same domain as a softmax or a normalisation of those rows, so that
they become one kernel; and it is made of independent parts, for any number of threads.  Where so
many floats are added at places that the array is small beside them, what each addition rounds away
is kept in a second part; where that depends on a name, so does the number of parts.
"""

from __future__ import annotations

import numpy as np

from ...runtime.program import CPU
from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.reductions import ONE_THREAD, SHORTEST_ROW
from ..graphs.rewrite import rewrite
from ..graphs.views import apply_view, base_of, resolve
from ..primitives.record import Builder, lookup
from ..primitives.reduction import BLOCK, block_count
from ..sizes import Dim, ceil_divide, exact_divide, floor_divide

FEW_VECTORS, MOST_VECTORS = 4, 64
"""Vectors of a row from which on it is long enough, and up to which rows are taken together."""

MOST_UPDATES = 2**40
"""More floats than are ever added into one array."""


@each_level
def split_reductions(graph: Graph) -> Graph:
    """An equal graph whose full reductions have two parts: Graph -> Graph."""
    plain: set[Node] = set()  # neither a reduction nor a product behind them

    def in_parts(node: Node, _: Node) -> Node:
        kind = lookup(node.op).kind
        if kind in ("view", "source", "elementwise") and plain.issuperset(node.inputs):
            plain.add(node)
        if node.op == "reduce_sum" and is_column_sum(node):
            return _columns(node)
        if node.op == "scatter_add" and (more := second_parts(node)) != 0:
            return _in_parts(node, more)
        if node.op in ("reduce_sum", "reduce_max", "reduce_min") and node.shape == ():
            return _full(node, node.inputs[0] in plain)
        return node

    return rewrite(graph, in_parts)


def _columns(node: Node) -> Node:
    """The sums of columns: of blocks of rows, and then of those.

    Rows shorter than a vector are taken together with those beside them.
    """
    (x,), b = node.inputs, Builder(node.origin)
    wide = _wider(b, x)
    total: Node = b.reduce_sum(b.block_sum(wide), axes=(0,))
    if wide is not x:
        count, rest = exact_divide(wide.shape[-1], x.shape[-1]), x.shape[-1]
        total = b.reduce_sum(b.reshape(total, shape=(count, rest)), axes=(0,))
    return total


def _wider(b: Builder, x: Node) -> Node:
    """An array in memory whose last axes are one, so that a row fills some vectors."""
    last, axis = x.shape[-1], x.type.rank - 1
    if not isinstance(last, int) or not 0 < last < CPU.lanes:
        return x
    width = last
    while width < FEW_VECTORS * CPU.lanes and axis > 1:
        extent = x.shape[axis - 1]
        if not isinstance(extent, int) or width * extent > MOST_VECTORS * CPU.lanes:
            break
        axis, width = axis - 1, width * extent
    wide: Node = b.reshape(x, shape=(*x.shape[:axis], width))
    one_block = block_count(wide.shape) == 1
    return x if width == last or one_block or apply_view(resolve(x), wide) is None else wide


def is_column_sum(node: Node) -> bool:
    """Whether a sum leaves the last axis alone, and has more than one block of rows."""
    x = node.inputs[0]
    leading = tuple(range(x.type.rank - 1))
    return node.attrs["axes"] == leading and node.shape[0] != 1 and block_count(x.shape) != 1


def second_parts(scatter: Node) -> Dim:
    """How many parts a scattered sum has for what its additions round away: 0 or 1.

    One if more than BLOCK floats may meet at one place, and they are at least as many as a quarter
    of the places: zeros for an array that few of them reach would cost more than they do.
    """
    index, places = scatter.inputs[0], scatter.attrs["size"]
    count, chosen = index.type.count, base_of(index)
    if not scatter.type.is_float:
        return 0
    if chosen.op == "constant" and chosen.type.count == count:
        counts = np.unique(chosen.attrs["value"], return_counts=True)[1]
        if counts.max(initial=0) <= BLOCK:
            return 0
    least = max(BLOCK + 1, places // 4 if isinstance(places, int) else 0)
    return ceil_divide(floor_divide(count, least), MOST_UPDATES)


def _in_parts(scatter: Node, more: Dim) -> Node:
    """A scattered sum as the sum of its one or two parts."""
    b = Builder(scatter.origin)
    both, rest = b.scatter_sums(*scatter.inputs, **scatter.attrs, parts=1 + more), scatter.shape

    def part(number: Dim) -> Node:
        found: Node = b.reshape(b.slice_axis(both, 0, number, number + 1), shape=rest)
        return found

    total: Node = part(0)
    if isinstance(more, int):
        lost = part(1)
    else:
        there = b.gt(b.size(size=more, dtype="int64"), b.constant(0, "int64"))
        lost = b.select(b.spread(there, rest), part(more), b.fill(0, total.type))
    return b.add(total, lost)


def _full(node: Node, plain: bool) -> Node:
    """A reduction to one number, by rows, by blocks of rows or by stretches if it is large.

    `plain` says whether its terms are made without reductions and products.
    """
    (x,), b = node.inputs, Builder(node.origin)
    real = [axis for axis, extent in enumerate(x.shape) if extent != 1]
    last = x.shape[real[-1]] if real else 0
    short = isinstance(last, int) and last < SHORTEST_ROW
    if len(real) > 1 and not short:
        parts = b.apply(node.op, x, axes=(real[-1],))
    elif node.op != "reduce_sum" or not _is_long(x, plain):
        return node
    else:
        if len(real) < x.type.rank:
            x = b.reshape(x, shape=tuple(x.shape[axis] for axis in real))
        parts = b.stretch_sum(x) if len(real) == 1 else b.block_sum(x)
    return b.apply(node.op, parts, axes=tuple(range(parts.type.rank)))


def _is_long(x: Node, plain: bool) -> bool:
    """Whether the elements of a short-rowed array or of a line are too many for one thread.

    Where a name is among the sizes, its terms decide: a line of names is mostly one number for
    each sample, made by a reduction or a product, and few; an array that lies in memory may be
    long.
    """
    count = x.type.count
    return count > ONE_THREAD if isinstance(count, int) else plain

"""expand_products: a product that uses each element of its larger operand once becomes elementwise.

    %2: [K,N] = contract(%0: [K], %1: [N])       ->   %2 = mul(broadcast(%0), broadcast(%1))
    %3: [K]   = contract(%0: [K,N], %1: [N])     ->   %4 = mul(%0, broadcast(%1))
                                                      %3 = reduce_sum(%4, axes=(1))

A routine for matrix products has nothing to gain there, and elementwise nodes join others: the
gradient of a weight that one row was multiplied with, its update, and the product with the
weight's transpose on the way back are then one kernel, which goes through the weight once.

A sum is taken apart only if it goes along a long axis that lies contiguously and whose length is
known; for the others the routine has ways of its own (`gemm_dot`).
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..graphs.views import resolve
from ..primitives.contraction import summed_labels
from ..primitives.record import Builder
from ..sizes import Dim

LONG = 128
"""Elements from which on a sum in lanes is as fast as columns turned in registers."""


@each_level
def expand_products(graph: Graph) -> Graph:
    """An equal graph whose products of lines are elementwise: Graph -> Graph."""
    return rewrite(graph, lambda node, _: _expanded(node) if node.op == "contract" else node)


def _expanded(n: Node) -> Node:
    summed, out = summed_labels(n), n.attrs["out"]
    if summed and not _is_long_line(n, summed):
        return n
    b = Builder(n.origin)
    order = (*out, *summed)
    extents = {**_extents(n, 0), **_extents(n, 1)}
    shape = tuple(extents[label] for label in order)
    terms = b.mul(*(_over(b, n, place, order, shape) for place in (0, 1)))
    return b.reduce_sum(terms, axes=(len(out),)) if summed else terms


def _extents(n: Node, place: int) -> dict[int, Dim]:
    return dict(zip(n.attrs["ab"[place]], n.inputs[place].shape, strict=True))


def _is_long_line(n: Node, summed: tuple[int, ...]) -> bool:
    """Whether the sum goes along lines of one operand, each of which is used once."""
    a, b = n.attrs["a"], n.attrs["b"]
    if len(summed) != 1 or not (set(a) <= set(b) or set(b) <= set(a)):
        return False
    larger, labels = (n.inputs[0], a) if len(a) > len(b) else (n.inputs[1], b)
    axis = labels.index(summed[0])
    extent = larger.shape[axis]
    return isinstance(extent, int) and extent >= LONG and _is_contiguous(larger, axis)


def _is_contiguous(item: Node, axis: int) -> bool:
    """Whether elements along an axis lie side by side, with no copy to be made first."""
    try:
        strides = resolve(item).strides
    except ValueError:
        return False
    return bool(strides[axis] == 1)


def _over(b: Builder, n: Node, place: int, order: tuple[int, ...], shape: tuple[Dim, ...]) -> Node:
    """An operand over all axes of the product, in their order."""
    item, labels = n.inputs[place], n.attrs["ab"[place]]
    wanted = tuple(label for label in order if label in labels)
    if wanted != labels:
        item = b.transpose(item, axes=tuple(labels.index(label) for label in wanted))
    if wanted == order:
        return item
    return b.broadcast(item, shape=shape, axes=tuple(order.index(label) for label in wanted))

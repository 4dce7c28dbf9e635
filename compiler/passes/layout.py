"""layout: what is computed from convolutions stays in their order of axes, channels last.

    x = transpose(conv(..), NHWC -> NCHW)               x' = conv(..)
    y = maximum(x, 0)                            ->     y' = maximum(x', 0)
    conv(transpose(y, NCHW -> NHWC), ..)                conv(y', ..)

Users see channels before space, convolutions have them last, with transpositions around.  Here
these sink through elementwise nodes, reductions, paddings, slices and pools, until they meet their
inverses, or what needs the order that was drawn: a flat vector, an output, a parameter.  A value
that comes in from elsewhere is read in the other order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.record import Builder, lookup
from ..primitives.reduction import kept_axes

ANCHORS = ("conv", "conv_input")
"""Primitives whose results lie in the order of axes that others then keep."""

POOLS = ("max_pool", "max_code", "pool_spread", "pool_take", "sum_pool", "sum_spread")

Order = tuple[int, ...]
"""Axis i of a value, as it was drawn, is axis order[i] of what is computed."""


@each_level
def layout(graph: Graph) -> Graph:
    """The same graph, in which what follows a convolution has its order: Graph -> Graph."""
    work = _Layout()
    return rewrite(graph, work.moved)


class _Layout:
    """`anchored` are convolutions and what is computed in their order."""

    def __init__(self) -> None:
        self.anchored: set[Node] = set()

    def moved(self, node: Node, old: Node) -> Node:
        """A node below the transposition that one of its operands is."""
        if node.op in ANCHORS:
            self.anchored.add(node)
            return node
        if node.op == "transpose":
            return self._composed(node)
        order = self._order(node)
        rule = _RULES.get(node.op) or (_elementwise if _is_elementwise(node) else None)
        if order is None or rule is None:
            return node
        result = rule(Builder(node.origin), node, order)
        if result is None:
            return node
        inner, outer = result
        self.anchored.add(inner)
        return _transposed(Builder(node.origin), inner, outer)

    def _composed(self, node: Node) -> Node:
        x, axes = node.inputs[0], node.attrs["axes"]
        if x.op == "transpose" and x.inputs[0] in self.anchored:
            order = tuple(x.attrs["axes"][axis] for axis in axes)
            return _transposed(Builder(node.origin), x.inputs[0], order)
        return node

    def _order(self, node: Node) -> Order | None:
        """The order in which the first anchored operand lies, if it is another than the drawn."""
        for item in node.inputs:
            if item.op == "transpose" and item.inputs[0] in self.anchored:
                order: Order = item.attrs["axes"]
                return order
        return None


def _is_elementwise(node: Node) -> bool:
    return lookup(node.op).kind == "elementwise"


def _transposed(b: Builder, x: Node, order: Order) -> Node:
    """Axis i of the result is axis order[i] of x."""
    result: Node = x if order == tuple(range(len(order))) else b.transpose(x, axes=order)
    return result


def _inverse(order: Order) -> Order:
    return tuple(order.index(axis) for axis in range(len(order)))


def _turned(b: Builder, x: Node, order: Order) -> Node:
    """An operand in the order of what is computed."""
    back = _inverse(order)
    if x.op == "transpose":
        inner: Order = tuple(x.attrs["axes"][axis] for axis in back)
        return _transposed(b, x.inputs[0], inner)
    if x.op == "broadcast":
        places = [order[axis] for axis in x.attrs["axes"]]
        sequence = sorted(range(len(places)), key=places.__getitem__)
        source = _transposed(b, x.inputs[0], tuple(sequence))
        shape = tuple(x.shape[axis] for axis in back)
        result: Node = b.broadcast(source, shape=shape, axes=tuple(sorted(places)))
        return result
    return _transposed(b, x, back)


Rule = Callable[[Builder, Node, Order], "tuple[Node, Order] | None"]
"""The node in the order of its operand, and the order in which its result then lies."""


def _elementwise(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
    operands = [_turned(b, item, order) for item in n.inputs]
    return b.apply(n.op, *operands, **n.attrs), order


def _reduction(b: Builder, n: Node, order: Order) -> tuple[Node, Order] | None:
    axes = n.attrs.get("axes")
    if axes is None:
        return None
    chosen = tuple(sorted(order[axis] for axis in axes))
    inner = b.apply(n.op, _turned(b, n.inputs[0], order), **{**n.attrs, "axes": chosen})
    left = [order[axis] for axis in kept_axes(len(order), axes)]
    return inner, tuple(sorted(left).index(axis) for axis in left)


def _by_axis(names: Sequence[str]) -> Rule:
    """Of a primitive whose attributes of these names have a value for each axis."""

    def rule(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
        back = _inverse(order)
        attrs = {name: tuple(n.attrs[name][axis] for axis in back) for name in names}
        return b.apply(n.op, _turned(b, n.inputs[0], order), **{**n.attrs, **attrs}), order

    return rule


def _flip(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
    axes = tuple(sorted(order[axis] for axis in n.attrs["axes"]))
    return b.flip(_turned(b, n.inputs[0], order), axes=axes), order


def _concatenate(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
    operands = [_turned(b, item, order) for item in n.inputs]
    return b.concatenate(*operands, axis=order[n.attrs["axis"]]), order


def _windows(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
    """An axis of positions with one of taps right behind it."""
    axis = n.attrs["axis"]
    place = order[axis]
    inner = b.windows(_turned(b, n.inputs[0], order), **{**n.attrs, "axis": place})
    return inner, _opened(order, axis)


def _overlap_add(b: Builder, n: Node, order: Order) -> tuple[Node, Order] | None:
    axis = n.attrs["axis"]
    if order[axis + 1] != order[axis] + 1:
        return None
    closed = tuple(
        place if place <= order[axis] else place - 1
        for i, place in enumerate(order)
        if i != axis + 1
    )
    x = _turned(b, n.inputs[0], order)
    return b.overlap_add(x, **{**n.attrs, "axis": order[axis]}), closed


def _opened(order: Order, axis: int) -> Order:
    """The order with one more axis behind one of them, here and there."""
    place = order[axis]
    wide = [other if other <= place else other + 1 for other in order]
    return (*wide[: axis + 1], place + 1, *wide[axis + 1 :])


def _pool(b: Builder, n: Node, order: Order) -> tuple[Node, Order]:
    """Axes, sizes and strides go together, so that the numbers of taps stay what they are."""
    axes = tuple(order[axis] for axis in n.attrs["axes"])
    operands = [_turned(b, item, order) for item in n.inputs]
    return b.apply(n.op, *operands, **{**n.attrs, "axes": axes}), order


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "argmax", "argmin"), _reduction),
    **dict.fromkeys(POOLS, _pool),
    "pad": _by_axis(("low", "inner", "shape")),
    "slice": _by_axis(("start", "stop", "step")),
    "flip": _flip,
    "concatenate": _concatenate,
    "windows": _windows,
    "overlap_add": _overlap_add,
}
"""For primitives other than elementwise ones, the node in another order of axes."""

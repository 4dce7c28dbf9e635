"""Reshapes that sink: what follows a value with axes in parts has these parts, too.

    %5 = reshape(contract(..), [N,H,W,C])               %5 = contract(..)
    %6 = maximum(%5, 0)                          ->     %6 = maximum(%5, 0)
                                                        %7 = reshape(%6, [N,H,W,C])

A pass may make a value with an axis in two parts: channels in groups, columns of an image in pairs.
The reshape that makes them one sinks through elementwise nodes and sums, so
that these can join the value's kernel.  What else they read is read in parts, where strides allow.
"""

from __future__ import annotations

from ..graph import Node
from ..primitives.record import Builder, lookup
from .views import Shape, axis_groups, view_of


class Sinking:
    """The values with axes in parts that a pass has made, and what follows them."""

    def __init__(self) -> None:
        self._parted: set[Node] = set()

    def noted(self, node: Node) -> Node:
        """The node itself; if it is a reshape, what it reshapes has axes in parts."""
        if node.op == "reshape":
            self._parted.add(node.inputs[0])
        return node

    def moved(self, node: Node) -> Node:
        """A node on such a value, made of the parts; any other node as it is."""
        if node.op == "reduce_sum":
            return _sum_of_parts(node, self._parted)
        if lookup(node.op).kind != "elementwise":
            return node
        shape = _parts(node, self._parted)
        if shape is None:
            return node
        b = Builder(node.origin)
        operands = [_in_parts(b, item, shape) for item in node.inputs]
        if any(item is None for item in operands):
            return node
        inner = b.apply(node.op, *(item for item in operands if item is not None), **node.attrs)
        return self.noted(b.reshape(inner, shape=node.shape))


def _sum_of_parts(node: Node, parted: set[Node]) -> Node:
    """A sum over whole axes is one over all of their parts."""
    x = node.inputs[0]
    if x.op != "reshape" or x.inputs[0] not in parted:
        return node
    groups = axis_groups(x.shape, x.inputs[0].shape)
    gone: list[int] = []
    for olds, news in groups or ():
        chosen = [axis for axis in olds if axis in node.attrs["axes"]]
        if chosen and chosen != olds:
            return node
        gone += news if chosen else []
    if groups is None:
        return node
    b = Builder(node.origin)
    inner = b.reduce_sum(x.inputs[0], axes=tuple(gone))
    result: Node = b.reshape(inner, shape=node.shape)
    return result


def _parts(node: Node, parted: set[Node]) -> Shape | None:
    """The axes of the first operand that is the reshape of such a value."""
    for item in node.inputs:
        if item.op == "reshape" and item.inputs[0] in parted:
            return item.inputs[0].shape
    return None


def _in_parts(b: Builder, x: Node, shape: Shape) -> Node | None:
    """An operand with other axes, as a view of what it is; None if that is none."""
    if x.op == "reshape" and x.inputs[0].shape == shape:
        return x.inputs[0]
    if x.op == "broadcast":
        return _broadcast(b, x, shape)
    parts: Node = b.reshape(x, shape=shape)
    return None if view_of(parts) is None else parts


def _broadcast(b: Builder, x: Node, shape: Shape) -> Node | None:
    """A repeated value: its own axes, each in its parts, among those of the result."""
    groups = axis_groups(x.shape, shape)
    if groups is None:
        return None
    source, axes, extents = x.inputs[0], [], []
    beside: int | None = None  # the last part of an axis along which the value is the same
    for olds, news in groups:
        own = [axis for axis in olds if axis in x.attrs["axes"]]
        if own and own != olds:
            return None
        if own:
            axes += news
            extents += [shape[axis] for axis in news]
        else:
            beside = news[-1] if len(news) > 1 else None
    if any(x.shape[axis] == 1 for axis in x.attrs["axes"]):
        return None
    inner = b.reshape(source, shape=tuple(extents))
    if view_of(inner) is None:
        return None
    if beside is not None and axes and axes[0] == beside + 1:
        # The parts beside each other are columns of one product, and so must these be.
        axes, extents = [beside, *axes], [shape[beside], *extents]
        inner = b.copy(b.broadcast(inner, shape=tuple(extents), axes=tuple(range(1, len(axes)))))
    result: Node = b.broadcast(inner, shape=shape, axes=tuple(axes))
    return result

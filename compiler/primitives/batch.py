"""What the batch rules of primitives share: operands with one more leading axis.

Element i along that axis of the result is the primitive of elements i of the operands; an operand
without the axis is the same for every element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import Node
from ..sizes import Dim
from .record import Attrs, Batch, Builder


def repeated(b: Builder, operands: Sequence[Node], batched: Sequence[bool]) -> list[Node]:
    """The operands, those without the leading axis repeated along one."""
    extent = next(x.shape[0] for x, has in zip(operands, batched, strict=True) if has)
    pairs = zip(operands, batched, strict=True)
    return [x if has else repeat(b, x, extent) for x, has in pairs]


def repeat(b: Builder, x: Node, extent: Dim) -> Node:
    """A node repeated along a new leading axis."""
    return b.broadcast(x, shape=(extent, *x.shape), axes=shift_axes(range(x.type.rank)))


def shift_axes(axes: Sequence[int]) -> tuple[int, ...]:
    """Axes as they are numbered below a new leading one."""
    return tuple(axis + 1 for axis in axes)


def elementwise(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """The same function of all elements."""
    return b.apply(n.op, *repeated(b, operands, batched), **n.attrs)


def along(change: Callable[[Attrs, Any], dict[str, Any]]) -> Batch:
    """The same primitive, its attributes changed: (attributes, extent of the axis) -> changes."""

    def rule(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
        inputs = repeated(b, operands, batched)
        return b.apply(n.op, *inputs, **{**n.attrs, **change(n.attrs, inputs[0].shape[0])})

    return rule


def turned(b: Builder, x: Node, axes: Sequence[int]) -> Node:
    """A node with its axes in another order; itself in the same one."""
    return x if list(axes) == list(range(len(axes))) else b.transpose(x, axes=tuple(axes))

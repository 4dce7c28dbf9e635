"""How the operands of a contraction lie: which of them has the columns, and the summed axes.

A product routine has one summed axis.  Where the summed axes do not read as one in both operands,
as the channels, rows and columns of a window, they may still read as `segments`: stretches of steps
that lie evenly in both, one stretch after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...runtime.program import CPU
from ..graph import Node
from ..primitives.contraction import summed_labels
from ..sizes import Dim, nominal, product
from .views import View, mergeable, merged_axis, resolve

FEWEST_STEPS = 3
"""Steps of a segment from which on it pays to read operands where they lie."""

SMALLER = 4
"""Times that the one operand must be as large as the other, so that the other may be copied."""

MOST_ROWS = 2048
"""Rows that a table of offsets has at most, for nominal sizes."""

Strides = tuple[Dim, Dim, Dim]
"""The extent of an axis, and its strides in two operands."""


def columns_in_first(node: Node, labels: Sequence[int]) -> bool:
    """Whether the labels that the first operand alone has are the columns of the product.

    They are if the last of all labels is one of them, or, where that is a batch label, so that no
    row of the result lies in one piece, if they have more elements than the second operand's.
    """
    a, b = node.attrs["a"], node.attrs["b"]
    if labels and labels[-1] in a and labels[-1] in b:
        extents = dict(zip(node.attrs["out"], node.shape, strict=True))
        own = [
            nominal(product(extents[k] for k in labels if k in text and k not in other))
            for text, other in ((a, b), (b, a))
        ]
        return own[0] > own[1]
    return bool(labels) and labels[-1] in a


@dataclass(frozen=True)
class Operands:
    """A contraction as rows times columns: `right` is the operand that has the columns.

    Attributes:
        left, right: how they lie.
        a, b: their labels.
        labels: the result's, but those of one element.
        swapped: whether `right` is the node's first operand.
    """

    left: View
    right: View
    a: tuple[int, ...]
    b: tuple[int, ...]
    labels: tuple[int, ...]
    swapped: bool


def operands_of(node: Node) -> Operands:
    """The operands of a contraction, in their roles."""
    a, b, out = (tuple(node.attrs[key]) for key in ("a", "b", "out"))
    left, right = map(resolve, node.inputs)
    pairs = zip(out, node.shape, strict=True)
    labels = tuple(label for label, extent in pairs if extent != 1)
    if columns_in_first(node, labels):
        return Operands(right, left, b, a, labels, True)
    return Operands(left, right, a, b, labels, False)


def one_depth(x: Operands, summed: Sequence[int]) -> Strides | None:
    """The summed axes as one in both operands, in an order of either; None if they are not."""
    for order in orders_of(x, summed):
        first, second = merged_axis(x.left, x.a, order), merged_axis(x.right, x.b, order)
        if first is not None and second is not None:
            return first[0], first[1], second[1]
    return None


def orders_of(x: Operands, summed: Sequence[int]) -> list[tuple[int, ...]]:
    """Orders in which the summed axes may read as one: as they stand in an operand, or lie in it.

    Those of the node's first operand come before those of the other.
    """
    pairs = [(x.a, x.left), (x.b, x.right)]
    if x.swapped:
        pairs.reverse()
    standing = [tuple(label for label in text if label in summed) for text, _ in pairs]
    lying = [
        tuple(sorted(order, key=lambda k: -abs(nominal(view.strides[text.index(k)]))))
        for order, (text, view) in zip(standing, pairs, strict=True)
    ]
    return [*standing, *lying]


def depth_axes(x: Operands, summed: Sequence[int]) -> list[Strides]:
    """The summed axes, outermost first, those as one that are one in both operands.

    The innermost, the steps of a segment, has the shortest way from step to step in the left one.
    """
    axes = []
    for label in summed:
        i, k = x.a.index(label), x.b.index(label)
        if x.left.shape[i] != 1:
            axes.append((x.left.shape[i], x.left.strides[i], x.right.strides[k]))
    axes.sort(key=lambda axis: -abs(nominal(axis[1])))
    return [(extent, first, second) for extent, first, second in merge_neighbours(axes)]


def merge_neighbours(axes: Sequence[tuple[Dim, ...]]) -> list[tuple[Dim, ...]]:
    """Axes (extent, stride in each of some arrays), neighbours as one where they are in all."""
    found: list[tuple[Dim, ...]] = []
    for axis in axes:
        if found and all(
            mergeable((found[-1][0], outer), (axis[0], inner))
            for outer, inner in zip(found[-1][1:], axis[1:], strict=True)
        ):
            axis = (found.pop()[0] * axis[0], *axis[1:])
        found.append(axis)
    return found


def reads_segments(node: Node) -> bool:
    """Whether a contraction that has no one summed axis reads its operands where they lie.

    The operand with the columns must have these side by side, or be the much smaller one, whose
    copy (`columns_last`) then has them so.
    """
    x, summed = operands_of(node), summed_labels(node)
    if not x.labels or (x.labels[-1] in x.a and x.labels[-1] in x.b):
        return False
    axes = depth_axes(x, summed)
    if len(axes) < 2 or nominal(axes[-1][0]) < FEWEST_STEPS:
        return False
    smaller = SMALLER * nominal(product(x.right.shape)) <= nominal(product(x.left.shape))
    return columns_lie(x) or smaller


def columns_lie(x: Operands) -> bool:
    """Whether columns lie side by side: all of them, or as many as make it worth while."""
    places = [x.b.index(label) for label in x.labels if label not in x.a]
    *_, (together, step) = merge_neighbours(
        [(x.right.shape[k], x.right.strides[k]) for k in places]
    )
    every = nominal(product(x.right.shape[k] for k in places))
    return step == 1 and nominal(together) >= min(every, CPU.lanes)


def columns_last(x: Operands, summed: Sequence[int]) -> tuple[int, ...]:
    """The labels of the right operand in the order in which its copy has the columns last."""
    batch = tuple(label for label in x.labels if label in x.a and label in x.b)
    own = tuple(label for label in x.b if label not in batch and label not in summed)
    own = (*(k for k in own if k not in x.labels), *(k for k in x.labels if k in own))
    left = [label for label in x.a if label in summed]
    order = sorted(left, key=lambda k: -abs(nominal(x.left.strides[x.a.index(k)])))
    return (*batch, *order, *own)

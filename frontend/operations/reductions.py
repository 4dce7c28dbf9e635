"""Reductions over axes, and running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import product
from ..arguments import flag
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables
from .structure import normal_axes, normal_axis

Axis = int | Sequence[int] | None


def _reduce(b: Builder, op: str, node: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    value = b.apply(op, node, axes=axes)
    if not keepdims:
        return value
    kept = tuple(1 if i in axes else extent for i, extent in enumerate(node.shape))
    return b.reshape(value, shape=kept)


def _reduction(op: str, label: str, x: Any, axis: Axis, keepdims: bool) -> Variable:
    keepdims = flag(label, "keepdims", keepdims)

    def rule(b: Builder, node: Node) -> Node:
        return _reduce(b, op, node, normal_axes(axis, node.type.rank), keepdims)

    result: Variable = apply(label, rule, as_variables(x))
    return result


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The sum over axes (all by default); 0 over no elements."""
    return _reduction("reduce_sum", "sum", x, axis, keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The greatest element over axes; -inf (the least integer) over no elements.

    The gradient is shared evenly among the elements that reach it.
    """
    return _reduction("reduce_max", "max", x, axis, keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The least element over axes; inf (the greatest integer) over none, otherwise as `max`."""
    return _reduction("reduce_min", "min", x, axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The mean over axes (all by default), of floats; NaN over no elements.

    Of bools it is the share of those that are true, as a float32: the accuracy of a classifier is
    dg.mean(dg.argmax(scores, axis=1) == labels).
    """
    keepdims = flag("mean", "keepdims", keepdims)

    def rule(b: Builder, node: Node) -> Node:
        if node.dtype == "bool":
            node = b.cast(node, dtype="float32")
        axes = normal_axes(axis, node.type.rank)
        total = _reduce(b, "reduce_sum", node, axes, keepdims)
        count = product(node.shape[i] for i in axes)
        size = b.apply("size", size=count, dtype=node.dtype)
        return b.div(total, b.spread(size, total.shape))

    result: Variable = apply("mean", rule, as_variables(x))
    return result


def variance(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The mean of squared distances from the mean (no Bessel correction)."""
    centred = x - mean(x, axis, keepdims=True)
    return mean(centred * centred, axis, keepdims)


def _index(op: str, x: Any, axis: int | None) -> Variable:
    def rule(b: Builder, node: Node) -> Node:
        if axis is None:
            return b.apply(op, b.reshape(node, shape=(node.type.count,)), axes=(0,))
        return b.apply(op, node, axes=(normal_axis(axis, node.type.rank),))

    result: Variable = apply(op, rule, as_variables(x))
    return result


def argmax(x: Any, axis: int | None = None) -> Variable:
    """The index (int64) of the first greatest element along an axis, or in row-major order.

    A NaN counts as the greatest, as in NumPy; over no elements the index is 0.
    """
    return _index("argmax", x, axis)


def argmin(x: Any, axis: int | None = None) -> Variable:
    """The index (int64) of the first least element along an axis, or in row-major order.

    A NaN counts as the least, as in NumPy; over no elements the index is 0.
    """
    return _index("argmin", x, axis)


def cumsum(x: Any, axis: int = -1, reverse: bool = False) -> Variable:
    """Running sums along an axis; from the end where `reverse`."""
    reverse = flag("cumsum", "reverse", reverse)

    def rule(b: Builder, node: Node) -> Node:
        return b.cumsum(node, axis=normal_axis(axis, node.type.rank), reverse=reverse)

    result: Variable = apply("cumsum", rule, as_variables(x))
    return result

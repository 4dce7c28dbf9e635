"""Reductions over axes, and running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.dtypes import COMPUTED
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import product
from ..arguments import flag, number
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
        axes = normal_axes(axis, node.type.rank)
        if op == "reduce_sum":
            return _reduce(b, op, summed(b, node), axes, keepdims)
        if node.dtype != "bool":
            return _reduce(b, op, b.widened(node), axes, keepdims)
        return _extremum_of_bools(b, op, node, axes, keepdims)

    result: Variable = apply(label, rule, as_variables(x), as_stored=True)
    return result


def summed(b: Builder, node: Node) -> Node:
    """A node in the dtype of its sums: int64 for bools and integers of a storage dtype."""
    small = node.dtype in COMPUTED and not node.type.is_float
    return b.cast(node, dtype="int64") if small or node.dtype == "bool" else b.widened(node)


def _extremum_of_bools(
    b: Builder, op: str, node: Node, axes: tuple[int, ...], keepdims: bool
) -> Node:
    """Whether one of some bools is true (the greatest), or all are (the least)."""
    found = _reduce(b, op, b.cast(node, dtype="int32"), axes, keepdims)
    return b.gt(found, b.fill(0, found.type))


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The sum over axes (all by default); 0 over no elements.

    Of x's dtype; of bools it is the number of those that are true, an int64, as in NumPy.  Of
    integers of a storage dtype it is an int64 too.
    """
    return _reduction("reduce_sum", "sum", x, axis, keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The greatest element over axes; -inf (the least integer, False) over no elements.

    The gradient is shared evenly among the elements that reach it.
    """
    return _reduction("reduce_max", "max", x, axis, keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The least element over axes; inf (the greatest integer, True) over none, else as `max`."""
    return _reduction("reduce_min", "min", x, axis, keepdims)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Whether an element over axes (all by default) is true, as bool; False over no elements.

    A number is true unless it is 0: NaN is, as in NumPy.
    """
    return _truth("reduce_max", "any", x, axis, keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Whether all elements over axes (all by default) are true; True over none, else as `any`."""
    return _truth("reduce_min", "all", x, axis, keepdims)


def _truth(op: str, label: str, x: Any, axis: Axis, keepdims: bool) -> Variable:
    keepdims = flag(label, "keepdims", keepdims)

    def rule(b: Builder, node: Node) -> Node:
        axes = normal_axes(axis, node.type.rank)
        return _extremum_of_bools(b, op, b.cast(node, dtype="bool"), axes, keepdims)

    result: Variable = apply(label, rule, as_variables(x))
    return result


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """How many elements over axes (all by default) are not 0, as int64; NaN is not, as in NumPy."""
    keepdims = flag("count_nonzero", "keepdims", keepdims)

    def rule(b: Builder, node: Node) -> Node:
        counted = b.cast(b.cast(node, dtype="bool"), dtype="int64")
        return _reduce(b, "reduce_sum", counted, normal_axes(axis, node.type.rank), keepdims)

    result: Variable = apply("count_nonzero", rule, as_variables(x))
    return result


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


def variance(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Variable:
    """The sum of squared distances from the mean, divided by their number less a correction.

    Args:
        x: floats.
        axis: over which; all by default.
        keepdims: whether axes that are gone stay, with one element.
        correction: 0 for the mean of the squares, NumPy's default; 1 for the estimate from a
            sample (Bessel), PyTorch's.

    Returns:
        Of x's dtype; NaN over no elements.  Where the correction leaves no number to divide by, it
        is NaN too, or infinite, as in NumPy.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no such axis.
        TypeError, ValueError: a correction that is no finite number.
    """
    correction = number("variance", "correction", correction)
    keepdims = flag("variance", "keepdims", keepdims)
    (x,) = as_variables(x)
    centred = x - mean(x, axis, keepdims=True)
    if correction == 0:
        return mean(centred * centred, axis, keepdims)
    total = sum(centred * centred, axis, keepdims)

    def rule(b: Builder, total: Node, node: Node) -> Node:
        count = product(node.shape[i] for i in normal_axes(axis, node.type.rank))
        size = b.apply("size", size=count, dtype=node.dtype)
        left = b.sub(size, b.fill(correction, size.type))
        divisor = b.maximum(left, b.fill(0, left.type))
        return b.div(total, b.spread(divisor, total.shape))

    result: Variable = apply("variance", rule, [total, x])
    return result


def std(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Variable:
    """The square root of `variance`, of which it has the arguments and errors.

    Where all elements are equal it is 0, and so is its gradient there, as in PyTorch.
    """
    return root(variance(x, axis, keepdims, correction))


def root(x: Variable) -> Variable:
    """The square root, with the derivative 0 at 0."""

    def rule(b: Builder, node: Node) -> Node:
        none = b.eq(node, b.fill(0, node.type))
        return b.zeros_where(none, b.sqrt(b.select(none, b.fill(1, node.type), node)))

    result: Variable = apply("sqrt", rule, [x])
    return result


def _index(op: str, x: Any, axis: int | None) -> Variable:
    def rule(b: Builder, node: Node) -> Node:
        node = b.cast(node, dtype="int32") if node.dtype == "bool" else node
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


def cumsum(x: Any, axis: int = -1, reverse: bool = False, exclusive: bool = False) -> Variable:
    """Running sums along an axis.

    Args:
        x: numbers, of one axis or more.
        axis: along which.
        reverse: from the end: element i is the sum of those from i on.
        exclusive: without the element itself, so that the first sum (the last one) is 0.
    """
    reverse = flag("cumsum", "reverse", reverse)
    exclusive = flag("cumsum", "exclusive", exclusive)

    def rule(b: Builder, node: Node) -> Node:
        place, node = normal_axis(axis, node.type.rank), summed(b, node)
        if not exclusive:
            return b.cumsum(node, axis=place, reverse=reverse)
        shape = tuple(n + (i == place) for i, n in enumerate(node.shape))
        low = tuple(int(i == place and not reverse) for i in range(len(shape)))
        longer = b.pad(node, low=low, inner=(1,) * len(shape), shape=shape)
        sums = b.cumsum(longer, axis=place, reverse=reverse)
        start = int(reverse)
        return b.slice_axis(sums, place, start, node.shape[place] + start)

    result: Variable = apply("cumsum", rule, as_variables(x), as_stored=True)
    return result

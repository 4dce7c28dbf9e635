"""Reductions over axes, and running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.primitives.reduction import extremum_of_none
from ...compiler.sizes import product
from ..arguments import flag, number
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables
from .masking import as_dtype, mask_over, only, operands, stored, wanted_dtype
from .structure import normal_axes, normal_axis

Axis = int | Sequence[int] | None


def _reduce(b: Builder, op: str, node: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    value = b.apply(op, node, axes=axes)
    if not keepdims:
        return value
    kept = tuple(1 if i in axes else extent for i, extent in enumerate(node.shape))
    return b.reshape(value, shape=kept)


def _extremum(label: str, x: Any, axis: Axis, keepdims: bool, where: Any) -> Variable:
    keepdims, op = flag(label, "keepdims", keepdims), f"reduce_{label}"

    def rule(b: Builder, node: Node, *mask: Node) -> Node:
        axes = normal_axes(axis, node.type.rank)
        node = b.widened(node)
        least = op == "reduce_min"
        none = least if node.dtype == "bool" else extremum_of_none(node.dtype, least)
        node = only(b, node, mask, none)
        if node.dtype == "bool":
            return _extremum_of_bools(b, op, node, axes, keepdims)
        return _reduce(b, op, node, axes, keepdims)

    result: Variable = apply(label, rule, operands(x, where), as_stored=True)
    return result


def _extremum_of_bools(
    b: Builder, op: str, node: Node, axes: tuple[int, ...], keepdims: bool
) -> Node:
    """Whether one of some bools is true (the greatest), or all are (the least)."""
    found = _reduce(b, op, b.cast(node, dtype="int32"), axes, keepdims)
    return b.gt(found, b.fill(0, found.type))


def sum(
    x: Any, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None, where: Any = None
) -> Variable:
    """The sum over axes (all by default); 0 over no elements.

    Args:
        x: numbers or bools.
        axis: over which.
        keepdims: whether axes that are gone stay, with one element.
        dtype: in which numbers are added.  By default x's own; of bools it is int64, for the number
            of those that are true, as in NumPy, and so it is of integers of a storage dtype.
        where: bools that broadcast to x's shape; only elements where they are true count.
    """
    keepdims, name = flag("sum", "keepdims", keepdims), wanted_dtype("sum", dtype)

    def rule(b: Builder, node: Node, *mask: Node) -> Node:
        node = only(b, as_dtype(b, node, name), mask, 0)
        total = _reduce(b, "reduce_sum", node, normal_axes(axis, node.type.rank), keepdims)
        return stored(b, total, name)

    result: Variable = apply("sum", rule, operands(x, where), as_stored=True)
    return result


def max(x: Any, axis: Axis = None, keepdims: bool = False, *, where: Any = None) -> Variable:
    """The greatest element over axes; -inf (the least integer, False) over no elements.

    The gradient is shared evenly among the elements that reach it.  With `where`, only elements
    where it is true count.
    """
    return _extremum("max", x, axis, keepdims, where)


def min(x: Any, axis: Axis = None, keepdims: bool = False, *, where: Any = None) -> Variable:
    """The least element over axes; inf (the greatest integer, True) over none, else as `max`."""
    return _extremum("min", x, axis, keepdims, where)


def any(x: Any, axis: Axis = None, keepdims: bool = False, *, where: Any = None) -> Variable:
    """Whether an element over axes (all by default) is true, as bool; False over no elements.

    A number is true unless it is 0: NaN is, as in NumPy.  With `where`, only elements where it is
    true count.
    """
    return _truth("max", "any", x, axis, keepdims, where)


def all(x: Any, axis: Axis = None, keepdims: bool = False, *, where: Any = None) -> Variable:
    """Whether all elements over axes (all by default) are true; True over none, else as `any`."""
    return _truth("min", "all", x, axis, keepdims, where)


def _truth(name: str, label: str, x: Any, axis: Axis, keepdims: bool, where: Any) -> Variable:
    keepdims, op = flag(label, "keepdims", keepdims), f"reduce_{name}"

    def rule(b: Builder, node: Node, *mask: Node) -> Node:
        axes = normal_axes(axis, node.type.rank)
        node = only(b, b.cast(node, dtype="bool"), mask, op == "reduce_min")
        return _extremum_of_bools(b, op, node, axes, keepdims)

    result: Variable = apply(label, rule, operands(x, where), as_stored=True)
    return result


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """How many elements over axes (all by default) are not 0, as int64; NaN is not, as in NumPy."""
    keepdims = flag("count_nonzero", "keepdims", keepdims)

    def rule(b: Builder, node: Node) -> Node:
        counted = b.cast(b.cast(node, dtype="bool"), dtype="int64")
        return _reduce(b, "reduce_sum", counted, normal_axes(axis, node.type.rank), keepdims)

    result: Variable = apply("count_nonzero", rule, as_variables(x))
    return result


def mean(x: Any, axis: Axis = None, keepdims: bool = False, *, where: Any = None) -> Variable:
    """The mean over axes (all by default), of floats; NaN over no elements.

    Of bools it is the share of those that are true, as a float32: the accuracy of a classifier is
    dg.mean(dg.argmax(scores, axis=1) == labels).  With `where`, only elements where it is true
    count.
    """
    keepdims = flag("mean", "keepdims", keepdims)

    def rule(b: Builder, node: Node, *mask: Node) -> Node:
        if node.dtype == "bool":
            node = b.cast(node, dtype="float32")
        axes = normal_axes(axis, node.type.rank)
        total = _reduce(b, "reduce_sum", only(b, node, mask, 0), axes, keepdims)
        return b.div(total, _count(b, node, axes, keepdims, mask))

    result: Variable = apply("mean", rule, operands(x, where))
    return result


def _count(
    b: Builder, node: Node, axes: tuple[int, ...], keepdims: bool, mask: Sequence[Node]
) -> Node:
    """How many elements over axes count, in the node's dtype and the shape of their sum."""
    if mask:
        ones = b.cast(mask_over(b, mask[0], node), dtype="int64")
        return b.cast(_reduce(b, "reduce_sum", ones, axes, keepdims), dtype=node.dtype)
    kept = tuple(1 if i in axes else n for i, n in enumerate(node.shape))
    shape = kept if keepdims else tuple(n for i, n in enumerate(kept) if i not in axes)
    size = b.apply("size", size=product(node.shape[i] for i in axes), dtype=node.dtype)
    return b.spread(size, shape)


def variance(
    x: Any,
    axis: Axis = None,
    keepdims: bool = False,
    correction: float = 0,
    *,
    where: Any = None,
) -> Variable:
    """The sum of squared distances from the mean, divided by their number less a correction.

    Args:
        x: floats.
        axis: over which; all by default.
        keepdims: whether axes that are gone stay, with one element.
        correction: 0 for the mean of the squares, NumPy's default; 1 for the estimate from a
            sample (Bessel), PyTorch's.
        where: bools that broadcast to x's shape; only elements where they are true count.

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
    if where is not None:  # what does not count has no gradient, be it NaN
        x = apply("where", lambda b, node, mask: only(b, node, [mask], 0), operands(x, where))
    centred = x - mean(x, axis, keepdims=True, where=where)
    if correction == 0:
        return mean(centred * centred, axis, keepdims, where=where)
    total = sum(centred * centred, axis, keepdims, where=where)

    def rule(b: Builder, total: Node, node: Node, *mask: Node) -> Node:
        count = _count(b, node, normal_axes(axis, node.type.rank), keepdims, mask)
        left = b.sub(count, b.fill(correction, count.type))
        return b.div(total, b.maximum(left, b.fill(0, left.type)))

    result: Variable = apply("variance", rule, [total, *operands(x, where)])
    return result


def std(
    x: Any,
    axis: Axis = None,
    keepdims: bool = False,
    correction: float = 0,
    *,
    where: Any = None,
) -> Variable:
    """The square root of `variance`, of which it has the arguments and errors.

    Where all elements are equal it is 0, and so is its gradient there, as in PyTorch.
    """
    return root(variance(x, axis, keepdims, correction, where=where))


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


def cumsum(
    x: Any,
    axis: int = -1,
    reverse: bool = False,
    exclusive: bool = False,
    *,
    dtype: Any = None,
) -> Variable:
    """Running sums along an axis.

    Args:
        x: numbers, of one axis or more; bools are counted.
        axis: along which.
        reverse: from the end: element i is the sum of those from i on.
        exclusive: without the element itself, so that the first sum (the last one) is 0.
        dtype: in which numbers are added; as of `sum`.
    """
    reverse = flag("cumsum", "reverse", reverse)
    exclusive = flag("cumsum", "exclusive", exclusive)
    name = wanted_dtype("cumsum", dtype)

    def rule(b: Builder, node: Node) -> Node:
        node = as_dtype(b, node, name)
        place = normal_axis(axis, node.type.rank)
        if not exclusive:
            return stored(b, b.cumsum(node, axis=place, reverse=reverse), name)
        shape = tuple(n + (i == place) for i, n in enumerate(node.shape))
        low = tuple(int(i == place and not reverse) for i in range(len(shape)))
        longer = b.pad(node, low=low, inner=(1,) * len(shape), shape=shape)
        sums = b.cumsum(longer, axis=place, reverse=reverse)
        start = int(reverse)
        return stored(b, b.slice_axis(sums, place, start, node.shape[place] + start), name)

    result: Variable = apply("cumsum", rule, as_variables(x), as_stored=True)
    return result

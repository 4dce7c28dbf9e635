"""Pooling: the greatest or mean element of each window of a map, and what other pools need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.pooling import PooledAxis
from ...compiler.primitives.record import Builder
from ..arguments import flag
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables
from .pool_windows import Numbers, Padding, Pooling, Size, adaptive_sizes, for_all, last_axes


def max_pool(
    x: Any,
    size: Size,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
) -> Variable:
    """The greatest element of each window of maps.

        max_pool(x, 2)              (N, C, H, W) -> (N, C, H // 2, W // 2)
        max_pool(x, (3,), 2, 1)     (N, C, n) -> (N, C, (n - 1) // 2 + 1)
        max_pool(x, "global")       (N, C, H, W) -> (N, C, 1, 1)

    Padding is never chosen: a window of nothing but -inf gives -inf, and so does one without any
    element.  A window with a NaN gives NaN.  The gradient goes to the element that was chosen: the
    first of several greatest ones, row by row, or the first NaN.  (Ranzato, Huang, Boureau and
    LeCun, Unsupervised learning of invariant feature hierarchies, 2007.)

    Args:
        x: floats.  Pooled are as many of the last axes as there are numbers in a tuple among the
            arguments, or else all but the first two; they may have named sizes.
        size: taps of a window, one number for all axes or one for each; "global" for one window of
            all elements, which gives one number a map.
        stride: how far apart windows begin; as far as they are long by default.
        padding: places before and behind each axis, into which windows may reach: a number, one
            for each axis, or a pair (before, behind) for each.
        dilation: how far apart the taps of a window are.
        ceil_mode: whether a last window that reaches beyond the padding counts, if it begins
            within the elements or the padding before them.

    Raises:
        ShapeError: an axis on which no window fits; fewer axes than numbers.
        DtypeError: integers or bools.
        TypeError, ValueError: numbers below 1, or a padding of as much as a window reaches over.
    """
    return greatest(x, Pooling("max_pool", size, stride, padding, dilation, ceil_mode))


def greatest(x: Any, pool: Pooling) -> Variable:
    """The greatest element of each window."""

    def rule(b: Builder, node: Node) -> Node:
        result: Node = b.max_pool(node, **_attributes(pool.axes(node)))
        return result

    result: Variable = apply("max_pool", rule, as_variables(x))
    return result


def avg_pool(
    x: Any,
    size: Size,
    stride: Numbers | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Variable:
    """The mean element of each window of maps; arguments and errors as for `max_pool`.

    Args:
        x: see `max_pool`.
        size: likewise.
        stride: likewise.
        padding: likewise.
        ceil_mode: likewise.
        count_include_pad: whether the zeros of the padding count as elements.  What a window
            reaches over beyond the padding, in ceil mode, never does.  (LeCun et al., 1989.)
    """
    with_padding = flag("avg_pool", "count_include_pad", count_include_pad)
    return mean(x, Pooling("avg_pool", size, stride, padding, 1, ceil_mode), with_padding)


def mean(x: Any, pool: Pooling, with_padding: bool) -> Variable:
    """The mean of each window, of which the padding may be a part."""

    def rule(b: Builder, node: Node) -> Node:
        axes = pool.axes(node)
        total = b.sum_pool(node, **_attributes(axes))
        result: Node = b.div(total, pool.counts(b, total, axes, with_padding))
        return result

    result: Variable = apply("avg_pool", rule, as_variables(x))
    return result


def total(x: Any, pool: Pooling) -> Variable:
    """The sum of each window."""

    def rule(b: Builder, node: Node) -> Node:
        result: Node = b.sum_pool(node, **_attributes(pool.axes(node)))
        return result

    result: Variable = apply("sum_pool", rule, as_variables(x))
    return result


def count(x: Any, pool: Pooling) -> Variable:
    """How many elements each window has, without the padding."""

    def rule(b: Builder, node: Node) -> Node:
        axes, shape = pool.axes(node), list(node.shape)
        for axis in axes:
            shape[axis.axis] = axis.count
        return pool.counts(b, b.fill(0, node.type.with_shape(shape)), axes, False)

    result: Variable = apply("count", rule, as_variables(x))
    return result


def taps(x: Any, pool: Pooling) -> Variable:
    """The elements of each window, -inf in the padding: an axis of taps for each axis, first."""

    def rule(b: Builder, node: Node) -> Node:
        axes, low, shape = pool.axes(node), [0] * node.type.rank, list(node.shape)
        for axis in axes:
            low[axis.axis], shape[axis.axis] = axis.low, axis.whole
        if tuple(shape) != node.shape:
            node = b.pad(node, low=tuple(low), inner=(1,) * len(low), shape=tuple(shape))
        for axis in axes:
            node = _without_padding(b, node, axis)
        places = []
        for before, axis in enumerate(axes):  # which rise
            places.append(axis.axis + before)
            if axis.size == axis.whole:
                parts = (1, axis.size)
                node = b.reshape(
                    node, shape=(*node.shape[: places[-1]], *parts, *node.shape[places[-1] + 1 :])
                )
            else:
                node = b.windows(
                    node, axis=places[-1], size=axis.size, stride=axis.stride, dilation=1
                )
        first = [place + 1 for place in places]
        rest = [place for place in range(node.type.rank) if place not in first]
        result: Node = b.transpose(node, axes=(*first, *rest))
        return result

    result: Variable = apply("windows", rule, as_variables(x))
    return result


def _without_padding(b: Builder, x: Node, axis: PooledAxis) -> Node:
    """Padded elements, those of the padding of one axis -inf."""
    line = b.iota(axis=0, shape=(axis.whole,), dtype="int32")
    place = b.broadcast(line, shape=x.shape, axes=(axis.axis,))
    if axis.low:
        inside = b.ge(place, b.fill(axis.low, place.type))
        x = b.select(inside, x, b.fill(-np.inf, x.type))
    if axis.high:
        end = b.apply("size", size=axis.extent + axis.low, dtype="int32")
        inside = b.lt(place, b.spread(end, x.shape))
        x = b.select(inside, x, b.fill(-np.inf, x.type))
    return x


def adaptive_avg_pool(x: Any, size: Numbers) -> Variable:
    """The means of so many windows of maps as are asked for, whatever their sizes: known ones.

        adaptive_avg_pool(x, 1)         (N, C, H, W) -> (N, C, 1, 1)
        adaptive_avg_pool(x, (2, 3))    (N, C, H, W) -> (N, C, 2, 3)

    Window i of m on an axis of n elements has those from i * n // m on and below
    ceil((i + 1) * n / m), as in PyTorch: neighbours share an element where m does not divide n.

    Args:
        x: floats, (..., *maps), as for `max_pool`.
        size: windows along each axis, one number for all or one for each.

    Raises:
        ShapeError: an axis of a named size, or without elements; fewer axes than numbers.
        DtypeError: integers or bools.
        TypeError, ValueError: numbers below 1.
    """
    space = len(size) if isinstance(size, (tuple, list)) else None
    sizes = adaptive_sizes("adaptive_avg_pool", size, space)

    def rule(b: Builder, node: Node) -> Node:
        if not node.type.is_float:
            raise DtypeRuleError(f"expects floats, not {node.dtype}: convert them with .astype")
        axes = last_axes(node, space)
        for axis, count in zip(axes, for_all(sizes, len(axes)), strict=True):
            node = _adapted(b, node, axis, count)
        return node

    result: Variable = apply("adaptive_avg_pool", rule, as_variables(x))
    return result


def _adapted(b: Builder, x: Node, axis: int, count: int) -> Node:
    """The means of `count` windows along an axis."""
    extent = x.shape[axis]
    if not isinstance(extent, int) or extent == 0:
        raise TypeRuleError(f"expects a known size of 1 or more on axis {axis}, not {extent}")
    first = np.arange(count) * extent // count
    end = -(-(np.arange(count) + 1) * extent // count)
    longest = int((end - first).max())
    places = first[:, None] + np.arange(longest)
    inside = places < end[:, None]
    if inside.all() and (count == 1 or (np.diff(first) == first[1]).all()):
        stride = int(first[1]) if count > 1 else 1
        total = b.sum_pool(x, **_attributes([PooledAxis(axis, extent, longest, stride, 1, 0, 0)]))
    else:
        index = b.constant(np.minimum(places, extent - 1), "int32")
        taken = b.gather(x, index, axis=axis)
        mask = b.broadcast(b.constant(inside, "bool"), shape=taken.shape, axes=(axis, axis + 1))
        total = b.reduce_sum(b.select(mask, taken, b.fill(0, taken.type)), axes=(axis + 1,))
    lengths = b.constant((end - first).astype(x.dtype), x.dtype)
    result: Node = b.div(total, b.broadcast(lengths, shape=total.shape, axes=(axis,)))
    return result


def _attributes(axes: Sequence[PooledAxis]) -> dict[str, Any]:
    """The attributes of a primitive that pools."""
    names = ("axis", "size", "stride", "dilation", "low", "high")
    columns = {name: tuple(getattr(axis, name) for axis in axes) for name in names}
    return {"axes": columns.pop("axis"), **columns}

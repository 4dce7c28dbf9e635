"""Windows: the overlapping pieces of a variable along one or several axes, as a view."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ...compiler.errors import TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.primitives.windows import window_reach
from ..location import user_location
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables
from .structure import normal_axis

Numbers = int | Sequence[int]


def windows(
    x: Any,
    size: Numbers,
    stride: Numbers = 1,
    dilation: Numbers = 1,
    axis: Numbers | None = None,
) -> Variable:
    """The windows of `size` elements along one or several axes, without a copy.

    An axis of n elements becomes one of (n - dilation * (size - 1) - 1) // stride + 1 positions,
    and the window's own axis, of `size` taps, comes last:

        windows(x, 3)             (B, n) -> (B, n - 2, 3); [b, i, t] is x[b, i + t]
        windows(x, (3, 5))        (B, C, H, W) -> (B, C, H - 2, W - 4, 3, 5)
        windows(x, 2, 2, axis=0)  (n, C) -> (n // 2, C, 2)

    With stride and dilation, [.., i, .., t] is x[.., i * stride + t * dilation, ..].  For windows
    that go beyond the ends, `dg.pad` x before.  With stride and dilation 1 the result is that of
    NumPy's `sliding_window_view`.

    Args:
        x: a variable or array; the axes may have named sizes.
        size: taps of a window, one number for each axis; a single one serves all axes.
        stride: how far apart the windows begin, likewise.
        dilation: how far apart the taps of a window are, likewise.
        axis: the axes, each once; by default the last ones, as many as there are sizes.  The axes
            of taps come in the same order.

    Raises:
        ShapeError: an axis that x does not have or that is shorter than a window.
        ValueError: numbers below 1, or not as many of them as axes.
    """
    axes = None if axis is None else _numbers("axis", axis)
    several = len(_numbers("size", size) if axes is None else axes)
    sizes, strides, dilations = (
        _for_axes(name, numbers, several)
        for name, numbers in (("size", size), ("stride", stride), ("dilation", dilation))
    )

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        chosen = _axes(axes, several, rank)
        _expect_room(node, chosen, sizes, dilations)
        order = sorted(range(several), key=chosen.__getitem__)
        for before, i in enumerate(order):
            node = b.windows(
                node,
                axis=chosen[i] + before,
                size=sizes[i],
                stride=strides[i],
                dilation=dilations[i],
            )
        # Each axis of taps is right behind its positions: they go to the end.
        place = {i: chosen[i] + before + 1 for before, i in enumerate(order)}
        taps = [place[i] for i in range(several)]
        rest = [a for a in range(rank + several) if a not in taps]
        return b.transpose(node, axes=(*rest, *taps))

    result: Variable = apply("windows", rule, as_variables(x), as_stored=True)
    return result


def _place(text: str) -> str:
    return f"windows ({user_location()}) {text}"


def _numbers(name: str, value: Numbers) -> tuple[int, ...]:
    try:
        return tuple(map(operator.index, value if isinstance(value, Sequence) else (value,)))
    except TypeError:
        raise TypeError(
            _place(f"expects {name} to be an integer or a tuple of them, got {value!r}")
        ) from None


def _for_axes(name: str, value: Numbers, count: int) -> tuple[int, ...]:
    """A number of 1 or more for each axis."""
    numbers = _numbers(name, value)
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count:
        raise ValueError(_place(f"expects a {name} for each of {count} axes, got {value}"))
    if min(numbers, default=1) < 1:
        raise ValueError(_place(f"expects {name} to be 1 or more, got {value}"))
    return numbers


def _axes(axes: tuple[int, ...] | None, count: int, rank: int) -> list[int]:
    """The axes counted from the front, in the order in which they were given."""
    if axes is None:
        if rank < count:
            raise TypeRuleError(f"expects {count} or more axes, not {rank}")
        return list(range(rank - count, rank))
    chosen = [normal_axis(item, rank) for item in axes]
    if len(set(chosen)) != count:
        raise TypeRuleError(f"expects each axis once, not {axes}")
    return chosen


def _expect_room(
    node: Node, axes: Sequence[int], sizes: Sequence[int], dilations: Sequence[int]
) -> None:
    """TypeRuleError where an axis is known to be shorter than a window."""
    for axis, size, dilation in zip(axes, sizes, dilations, strict=True):
        extent, reach = node.shape[axis], window_reach(size, dilation)
        if isinstance(extent, int) and extent < reach:
            taps = f"{size} taps" + (f" {dilation} apart" if dilation > 1 else "")
            raise TypeRuleError(
                f"expects {reach} or more elements on axis {axis} for a window of {taps}, not "
                f"{extent}: pad it with dg.pad"
            )

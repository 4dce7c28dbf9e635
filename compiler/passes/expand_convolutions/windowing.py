"""Windows over a padded array, for contractions: their places, labels, and groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....runtime.program import CPU
from ...graph import Node
from ...primitives.record import Builder
from ...primitives.windows import window_reach
from ...sizes import Dim, exact_divide, nominal, upper_bound

IMAGE, CHANNEL, RESULT, GROUP, NEIGHBOUR = range(5)
"""The first labels of the contractions; those of positions and of taps come after them."""


@dataclass(frozen=True)
class Windows:
    """Which windows of an axis: `count` from `begin` on, which may lie outside, of `taps` taps."""

    begin: int
    count: Dim
    taps: int
    stride: int
    dilation: int

    @property
    def length(self) -> Dim:
        """The elements from the first tap of the first window to the last tap of the last."""
        return (self.count - 1) * self.stride + window_reach(self.taps, self.dilation)


def windowed(b: Builder, x: Node, axes: Sequence[Windows | None]) -> Node:
    """Windows along axes of space: (N, *space, .., C) -> (N, position, tap, .., .., C).

    An axis for which there is None stays as it is.
    """
    low, high = [0] * x.type.rank, [0] * x.type.rank
    for axis, item in enumerate(axes, start=1):
        if item is not None:
            low[axis] = max(0, -item.begin)
            high[axis] = _missing(x.shape[axis], item)
    if any(low) or any(high):
        sides = zip(low, x.shape, high, strict=True)
        shape = tuple(before + extent + behind for before, extent, behind in sides)
        x = b.pad(x, low=tuple(low), inner=(1,) * x.type.rank, shape=shape)
    axis = 1
    for before, item in zip(low[1:], axes, strict=False):
        if item is not None:
            begin = item.begin + before
            x = b.slice_axis(x, axis, begin, begin + item.length)
            x = b.windows(x, axis=axis, size=item.taps, stride=item.stride, dilation=item.dilation)
            axis += 1
        axis += 1
    return x


def _missing(extent: Dim, item: Windows) -> int:
    """Zeros that there must be behind an axis, so that the last window ends inside."""
    return max(0, upper_bound(item.begin + item.length - extent))


def windows_of(node: Node, results: Node, weights: Node) -> list[Windows]:
    """The windows over x along each axis of space."""
    found = []
    for axis, (count, taps) in enumerate(zip(results.shape[1:-1], weights.shape[:-2], strict=True)):
        assert isinstance(taps, int)
        stride, dilation, low = (node.attrs[name][axis] for name in ("stride", "dilation", "low"))
        found.append(Windows(-low, count, taps, stride, dilation))
    return found


def labels_of(space: int, rank: int) -> dict[str, tuple[int, ...]]:
    """Labels of windows over x, and of w and g; `rank` is that of w, with or without groups."""
    groups = (GROUP,) if rank == space + 3 else ()
    positions, taps = places_of(space)
    in_turn = [label for pair in zip(positions, taps, strict=True) for label in pair]
    return {
        "x": (IMAGE, *in_turn, *groups, CHANNEL),
        "w": (*taps, CHANNEL, *groups, RESULT),
        "g": (IMAGE, *positions, *groups, RESULT),
    }


def places_of(space: int) -> tuple[range, range]:
    """Labels of positions and of taps."""
    return range(5, 5 + space), range(5 + space, 5 + 2 * space)


def grouped(b: Builder, x: Node, groups: Dim) -> Node:
    """The last axis as one of groups and one of the channels in each, if there are several."""
    if groups == 1:
        return x
    each = exact_divide(x.shape[-1], groups)
    assert each is not None
    shape = (*x.shape[:-1], groups, each)
    return b.reshape(x, shape=shape)


def ungrouped(b: Builder, x: Node, node: Node) -> Node:
    """The axis of groups and the last one as one, which gives the node's shape."""
    return x if x.type == node.type else b.reshape(x, shape=node.shape)


def filled(columns: Dim) -> float:
    """The share of lanes that are used."""
    count = nominal(columns)
    return count / (-(-count // CPU.lanes) * CPU.lanes) if count else 1.0

"""expand_convolutions: a convolution becomes a contraction over windows, which are views.

    conv(x, w)           ->  contract(windows(pad(x)), w)          summed over taps and channels
    conv_weight(x, g)    ->  contract(windows(pad(x)), g)          summed over images, positions
    conv_input(g, w)     ->  contract(windows(pad(g)), flip(w))    summed over taps and results

With a stride s, the gradient by the input is s problems along each axis, one for each phase of its
elements: those at which the same taps of the windows come to lie.  Each is a convolution of
stride 1 with those taps alone, and a phase that no tap reaches is 0.

Nothing is copied by this but the padding: a contraction reads windows where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.convolution import CONVOLUTIONS
from ..primitives.record import Builder
from ..primitives.windows import window_reach
from ..sizes import Dim, ceil_divide, exact_divide, upper_bound


@each_level
def expand_convolutions(graph: Graph) -> Graph:
    """The same graph without convolutions: Graph -> Graph."""
    return rewrite(graph, lambda node, _: _expanded(node) if node.op in CONVOLUTIONS else node)


def _expanded(node: Node) -> Node:
    b = Builder(node.origin)
    if 0 in node.shape:
        return b.fill(0, node.type)
    if node.op == "conv":
        return _forward(b, node)
    return _input(b, node) if node.op == "conv_input" else _weight(b, node)


def _grouped(b: Builder, x: Node, groups: Dim) -> Node:
    """The last axis as one of groups and one of the channels in each, if there are several."""
    if groups == 1:
        return x
    each = exact_divide(x.shape[-1], groups)
    assert each is not None
    shape = (*x.shape[:-1], groups, each)
    return b.reshape(x, shape=shape)


def _ungrouped(b: Builder, x: Node, node: Node) -> Node:
    """The axis of groups and the last one as one, which gives the node's shape."""
    return x if x.type == node.type else b.reshape(x, shape=node.shape)


@dataclass(frozen=True)
class _Windows:
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


def _windowed(b: Builder, x: Node, axes: Sequence[_Windows]) -> Node:
    """Windows along the axes of space: (N, *space, .., C) -> (N, position, tap, .., .., C)."""
    low, high = [0] * x.type.rank, [0] * x.type.rank
    for axis, item in enumerate(axes, start=1):
        low[axis] = max(0, -item.begin)
        high[axis] = _missing(x.shape[axis], item)
    if any(low) or any(high):
        sides = zip(low, x.shape, high, strict=True)
        shape = tuple(before + extent + behind for before, extent, behind in sides)
        x = b.pad(x, low=tuple(low), inner=(1,) * x.type.rank, shape=shape)
    for number, item in enumerate(axes):
        axis = 2 * number + 1
        begin = item.begin + low[number + 1]
        x = b.slice_axis(x, axis, begin, begin + item.length)
        x = b.windows(x, axis=axis, size=item.taps, stride=item.stride, dilation=item.dilation)
    return x


def _missing(extent: Dim, item: _Windows) -> int:
    """Zeros that there must be behind an axis, so that the last window ends inside."""
    return max(0, upper_bound(item.begin + item.length - extent))


def _forward(b: Builder, node: Node) -> Node:
    x, w = node.inputs
    groups = node.attrs["groups"]
    seen = _windowed(b, _grouped(b, x, groups), _windows(node, node, w))
    found = _over_windows(b, seen, _grouped(b, w, groups), node.type.rank - 2)
    return _ungrouped(b, found, node)


def _windows(node: Node, results: Node, weights: Node) -> list[_Windows]:
    """The windows over x along each axis of space."""
    found = []
    for axis, (count, taps) in enumerate(zip(results.shape[1:-1], weights.shape[:-2], strict=True)):
        assert isinstance(taps, int)
        stride, dilation, low = (node.attrs[name][axis] for name in ("stride", "dilation", "low"))
        found.append(_Windows(-low, count, taps, stride, dilation))
    return found


def _over_windows(b: Builder, seen: Node, w: Node, space: int) -> Node:
    """(N, position, tap, .., G, C) and (*taps, C, G, J) -> (N, *positions, G, J)."""
    labels = _labels(space, w.type.rank)
    return b.contract(seen, w, a=labels["x"], b=labels["w"], out=labels["g"])


def _labels(space: int, rank: int) -> dict[str, tuple[int, ...]]:
    """Labels of windows over x, and of w and g; `rank` is that of w, with or without groups."""
    images, channel, result, group = range(4)
    groups = (group,) if rank == space + 3 else ()
    positions, taps = range(4, 4 + space), range(4 + space, 4 + 2 * space)
    in_turn = [label for pair in zip(positions, taps, strict=True) for label in pair]
    return {
        "x": (images, *in_turn, *groups, channel),
        "w": (*taps, channel, *groups, result),
        "g": (images, *positions, *groups, result),
    }


def _weight(b: Builder, node: Node) -> Node:
    x, g = node.inputs
    groups, space = node.attrs["groups"], node.type.rank - 2
    seen = _windowed(b, _grouped(b, x, groups), _windows(node, g, node))
    above = _grouped(b, g, groups)
    labels = _labels(space, above.type.rank)
    found = b.contract(seen, above, a=labels["x"], b=labels["g"], out=labels["w"])
    return _ungrouped(b, found, node)


def _input(b: Builder, node: Node) -> Node:
    g, w = (_grouped(b, item, node.attrs["groups"]) for item in node.inputs)
    # The form is the same with channels and results in each other's place.
    space, rank = node.type.rank - 2, w.type.rank
    turned = b.transpose(w, axes=(*range(space), *reversed(range(space, rank))))
    return _ungrouped(b, _phases(b, node, g, turned, []), node)


@dataclass(frozen=True)
class _Phase:
    """Elements of an axis that the same taps reach: every `step`-th tap from `first` on."""

    windows: _Windows
    first: int
    step: int


def _phases(b: Builder, node: Node, g: Node, w: Node, chosen: list[_Phase]) -> Node:
    """All phases of the axes behind those whose phases are chosen, side by side."""
    axis, space = len(chosen), node.type.rank - 2
    if axis == space:
        return _phase(b, g, w, chosen)
    stride = node.attrs["stride"][axis]
    extent = node.attrs["extents"][axis]
    count = ceil_divide(extent, stride)
    parts = []
    for number in range(stride):
        phase = _phase_of(node, axis, number, count)
        if phase is None:
            before = [item.windows.count for item in chosen]
            behind = node.attrs["extents"][axis + 1 :]
            shape = (g.shape[0], *before, count, *behind, *w.shape[space + 1 :])
            parts.append(b.fill(0, g.type.with_shape(shape)))
        else:
            parts.append(_phases(b, node, g, w, [*chosen, phase]))
    if stride == 1:
        return parts[0]
    place = axis + 2
    lined = [b.reshape(p, shape=(*p.shape[:place], 1, *p.shape[place:])) for p in parts]
    both = b.concatenate(*lined, axis=place)
    shape = (*both.shape[: place - 1], count * stride, *both.shape[place + 1 :])
    whole = b.reshape(both, shape=shape)
    return whole if count * stride == extent else b.slice_axis(whole, axis + 1, 0, extent)


def _phase_of(node: Node, axis: int, number: int, count: Dim) -> _Phase | None:
    """The windows over g that elements number, number + stride, .. of an axis need; None for none.

    Tap k of the window at position o lies at o * stride + k * dilation - low.  With u = i + low =
    q * stride + phase, element i has the taps k for which k * dilation - phase is a multiple of the
    stride, at o = q - (k * dilation - phase) / stride.
    """
    attrs = node.attrs
    stride, dilation, low = (attrs[name][axis] for name in ("stride", "dilation", "low"))
    taps = node.inputs[1].shape[axis]
    assert isinstance(taps, int)
    q, phase = divmod(number + low, stride)
    reaching = [k for k in range(taps) if (k * dilation - phase) % stride == 0]
    if not reaching:
        return None
    common = gcd(stride, dilation)
    apart = dilation // common
    back = (reaching[0] * dilation - phase) // stride + (len(reaching) - 1) * apart
    windows = _Windows(q - back, count, len(reaching), 1, apart)
    return _Phase(windows, reaching[0], stride // common)


def _phase(b: Builder, g: Node, w: Node, chosen: Sequence[_Phase]) -> Node:
    """The contraction of one phase along each axis: of windows over g with its taps, backwards."""
    rank, space = w.type.rank, len(chosen)
    last = [item.first + (item.windows.taps - 1) * item.step + 1 for item in chosen]
    taken = b.slice(
        w,
        start=(*(item.first for item in chosen), *(0,) * (rank - space)),
        stop=(*last, *w.shape[space:]),
        step=(*(item.step for item in chosen), *(1,) * (rank - space)),
    )
    flipped = b.flip(taken, axes=tuple(range(space)))
    seen = _windowed(b, g, [item.windows for item in chosen])
    return _over_windows(b, seen, flipped, space)

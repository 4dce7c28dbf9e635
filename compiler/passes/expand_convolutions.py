"""expand_convolutions: a convolution becomes a contraction over windows, which are views.

    conv(x, w)           ->  contract(windows(pad(x)), w)          summed over taps and channels
    conv_weight(x, g)    ->  contract(windows(pad(x)), g)          summed over images, positions
    conv_input(g, w)     ->  contract(windows(pad(g)), flip(w))    summed over taps and results

With a stride s, the gradient by the input is s problems along each axis, one for each phase of its
elements: those at which the same taps of the windows come to lie.  Each is a convolution of
stride 1 with those taps alone, and a phase that no tap reaches is 0.

Nothing is copied by this but the padding: a contraction reads windows where they lie.

Where the windows over g would hold zeros for the most part, or where there are few channels, the
gradient by the input is made the other way round along an axis: each result is multiplied with all
taps, which are then added up where they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from ...runtime.program import LANES
from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.convolution import CONVOLUTIONS, results_and_weights
from ..primitives.record import Builder
from ..primitives.windows import window_reach
from ..sizes import Dim, ceil_divide, exact_divide, nominal, upper_bound

MOST_ZEROS = 2
"""Elements for each result up to which windows over the results are read."""

FULLER = 1.5
"""Times that more lanes must be used, so that it pays to add taps up afterwards."""


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


def _windowed(b: Builder, x: Node, axes: Sequence[_Windows | None]) -> Node:
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


def _missing(extent: Dim, item: _Windows) -> int:
    """Zeros that there must be behind an axis, so that the last window ends inside."""
    return max(0, upper_bound(item.begin + item.length - extent))


def _forward(b: Builder, node: Node) -> Node:
    x, w = node.inputs
    groups = node.attrs["groups"]
    count = _neighbours(node)
    if count > 1:
        return _forward_beside(b, node, count)
    seen = _windowed(b, _grouped(b, x, groups), _windows(node, node, w))
    weights = _grouped(b, w, groups)
    labels = _labels(node.type.rank - 2, weights.type.rank)
    found = b.contract(seen, weights, a=labels["x"], b=labels["w"], out=labels["g"])
    return _ungrouped(b, found, node)


def _neighbours(node: Node) -> int:
    """How many neighbouring positions of the last axis are columns of a product together.

    Where there are few results, they fill more of the lanes; but the window that several positions
    share has taps that each does not have.
    """
    results, weights = results_and_weights(node)
    taps, positions, attrs = weights.shape[-3], results.shape[-2], node.attrs
    assert isinstance(taps, int)
    if attrs["groups"] != 1 or attrs["stride"][-1] != 1 or attrs["dilation"][-1] != 1:
        return 1
    if not isinstance(positions, int) or nominal(results.shape[-1]) >= LANES:
        return 1
    gains = {
        count: _filled(count * results.shape[-1]) * taps / (taps + count - 1)
        for count in (1, 2, 4)
        if positions % count == 0
    }
    best = max(gains, key=gains.__getitem__)
    return best if gains[best] >= FULLER * gains[1] else 1


def _shared_windows(b: Builder, node: Node, count: int) -> Node:
    """Windows over x, of which `count` neighbouring positions of the last axis share each."""
    *others, last = _windows(node, *results_and_weights(node))
    assert isinstance(last.count, int)
    wide = _Windows(last.begin, last.count // count, last.taps + count - 1, count, 1)
    return _windowed(b, node.inputs[0], [*others, wide])


def _shared_labels(node: Node) -> dict[str, tuple[int, ...]]:
    """Labels as of `_labels`, with one of neighbours before the results in w and g."""
    labels = _labels(node.type.rank - 2, node.type.rank)
    beside = {name: (*labels[name][:-1], NEIGHBOUR, RESULT) for name in ("w", "g")}
    return {"x": labels["x"], **beside}


def _forward_beside(b: Builder, node: Node, count: int) -> Node:
    """The convolution with neighbouring positions as columns: each has its taps further on."""
    w = node.inputs[1]
    seen, axis = _shared_windows(b, node, count), w.type.rank - 3
    whole = seen.shape[-2]
    shifted = []
    for k in range(count):
        low = (*(0,) * axis, k, 0, 0)
        shape = (*w.shape[:axis], whole, *w.shape[axis + 1 :])
        moved = b.pad(w, low=low, inner=(1,) * w.type.rank, shape=shape)
        shifted.append(b.reshape(moved, shape=(*shape[:-1], 1, shape[-1])))
    weights = b.concatenate(*shifted, axis=w.type.rank - 1)
    labels = _shared_labels(node)
    found = b.contract(seen, weights, a=labels["x"], b=labels["w"], out=labels["g"])
    result: Node = b.reshape(found, shape=node.shape)
    return result


def _weight_beside(b: Builder, node: Node, count: int) -> Node:
    """The gradient by the weights, the same way: of all neighbours, the taps of each, added up."""
    g = node.inputs[1]
    seen, axis = _shared_windows(b, node, count), node.type.rank - 3
    shape = (*g.shape[:-2], seen.shape[-3], count, g.shape[-1])
    labels = _shared_labels(node)
    above = b.reshape(g, shape=shape)
    found = b.contract(seen, above, a=labels["x"], b=labels["g"], out=labels["w"])
    taps, total = node.shape[axis], None
    for k in range(count):
        part = b.slice_axis(b.slice_axis(found, axis, k, k + taps), axis + 2, k, k + 1)
        part = b.reshape(part, shape=node.shape)
        total = part if total is None else b.add(total, part)
    assert total is not None
    return total


def _windows(node: Node, results: Node, weights: Node) -> list[_Windows]:
    """The windows over x along each axis of space."""
    found = []
    for axis, (count, taps) in enumerate(zip(results.shape[1:-1], weights.shape[:-2], strict=True)):
        assert isinstance(taps, int)
        stride, dilation, low = (node.attrs[name][axis] for name in ("stride", "dilation", "low"))
        found.append(_Windows(-low, count, taps, stride, dilation))
    return found


def _labels(space: int, rank: int) -> dict[str, tuple[int, ...]]:
    """Labels of windows over x, and of w and g; `rank` is that of w, with or without groups."""
    groups = (GROUP,) if rank == space + 3 else ()
    positions, taps = _places(space)
    in_turn = [label for pair in zip(positions, taps, strict=True) for label in pair]
    return {
        "x": (IMAGE, *in_turn, *groups, CHANNEL),
        "w": (*taps, CHANNEL, *groups, RESULT),
        "g": (IMAGE, *positions, *groups, RESULT),
    }


IMAGE, CHANNEL, RESULT, GROUP, NEIGHBOUR = range(5)
"""The first labels of the contractions; those of positions and of taps come after them."""


def _places(space: int) -> tuple[range, range]:
    """Labels of positions and of taps."""
    return range(5, 5 + space), range(5 + space, 5 + 2 * space)


def _weight(b: Builder, node: Node) -> Node:
    x, g = node.inputs
    groups, space = node.attrs["groups"], node.type.rank - 2
    count = _neighbours(node)
    if count > 1:
        return _weight_beside(b, node, count)
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


def _phases(b: Builder, node: Node, g: Node, w: Node, chosen: list[_Phase | None]) -> Node:
    """All phases of the axes behind those whose phases are chosen, side by side."""
    axis, space = len(chosen), node.type.rank - 2
    if axis == space:
        return _phase(b, node, g, w, chosen)
    if _spreads(node, axis):
        return _phases(b, node, g, w, [*chosen, None])
    stride = node.attrs["stride"][axis]
    extent = node.attrs["extents"][axis]
    count = ceil_divide(extent, stride)
    parts = []
    for number in range(stride):
        phase = _phase_of(node, axis, number, count)
        if phase is None:
            sizes = zip(chosen, node.attrs["extents"][:axis], strict=True)
            before = [whole if item is None else item.windows.count for item, whole in sizes]
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


def _spreads(node: Node, axis: int) -> bool:
    """Whether each result goes to its taps along an axis, which are then added up where they meet.

    Where there are fewer results than elements, most of the windows over them would be zeros.  And
    where there are few channels, the lanes of a vector go along the last axis's taps as well.
    """
    g, w = node.inputs
    taps, channels = w.shape[axis], w.shape[-2]
    results = node.attrs["stride"][axis] * nominal(g.shape[axis + 1])
    if nominal(node.attrs["extents"][axis]) > MOST_ZEROS * results:
        return True
    last = axis == node.type.rank - 3 and node.attrs["groups"] == 1
    return last and _filled(taps * channels) >= FULLER * _filled(channels)


def _filled(columns: Dim) -> float:
    """The share of lanes that are used."""
    count = nominal(columns)
    return count / (-(-count // LANES) * LANES) if count else 1.0


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


def _phase(b: Builder, node: Node, g: Node, w: Node, chosen: Sequence[_Phase | None]) -> Node:
    """The contraction of one phase along each axis: of windows over g with its taps, backwards.

    Along an axis without a phase, of g itself with all taps, which are then added up.
    """
    seen = _windowed(b, g, [None if item is None else item.windows for item in chosen])
    groups = (GROUP,) if w.type.rank == len(chosen) + 3 else ()
    a, out = [IMAGE], [IMAGE]
    for item, position, tap in zip(chosen, *_places(len(chosen)), strict=True):
        a += [position] if item is None else [position, tap]
        out += [position, tap] if item is None else [position]
    found = b.contract(
        seen,
        _taken(b, w, chosen),
        a=(*a, *groups, RESULT),
        b=(*_places(len(chosen))[1], RESULT, *groups, CHANNEL),
        out=(*out, *groups, CHANNEL),
    )
    for axis, item in enumerate(chosen):
        if item is None:
            found = _added_up(b, node, found, axis)
    return found


def _taken(b: Builder, w: Node, chosen: Sequence[_Phase | None]) -> Node:
    """The taps of the phases, backwards."""
    space = len(chosen)
    start, stop, step = [0] * w.type.rank, list(w.shape), [1] * w.type.rank
    for axis, item in enumerate(chosen):
        if item is not None:
            start[axis], step[axis] = item.first, item.step
            stop[axis] = item.first + (item.windows.taps - 1) * item.step + 1
    part = b.slice(w, start=tuple(start), stop=tuple(stop), step=tuple(step))
    result: Node = b.flip(part, axes=tuple(k for k in range(space) if chosen[k] is not None))
    return result


def _added_up(b: Builder, node: Node, x: Node, axis: int) -> Node:
    """The taps of an axis, which stand behind the positions, added up to its elements."""
    stride, dilation, low, high = (
        node.attrs[name][axis] for name in ("stride", "dilation", "low", "high")
    )
    extent = node.attrs["extents"][axis]
    whole = b.overlap_add(
        x, axis=axis + 1, stride=stride, dilation=dilation, extent=extent + low + high
    )
    result: Node = b.slice_axis(whole, axis + 1, low, low + extent)
    return result

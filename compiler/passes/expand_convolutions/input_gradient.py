"""The gradient of a convolution by its input, as contractions.

Along an axis there are two ways.  By windows over g: with a stride s there are s problems, one for
each phase of the elements, those at which the same taps of the windows come to lie.  Each is a
convolution of stride 1 with those taps alone, and a phase that no tap reaches is 0.

Where these windows would hold zeros for the most part, or where there are few channels, it is the
other way round: each result is multiplied with all taps, which are added up where they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from ...graph import Node
from ...primitives.record import Builder
from ...sizes import Dim, ceil_divide, nominal
from .beside import FULLER
from .taps import product
from .windowing import (
    CHANNEL,
    GROUP,
    IMAGE,
    RESULT,
    Windows,
    filled,
    grouped,
    places_of,
    ungrouped,
    windowed,
)

MOST_ZEROS = 2
"""Elements for each result up to which windows over the results are read."""


def input_gradient(b: Builder, node: Node) -> Node:
    """A `conv_input` as contractions, side by side or added up."""
    g, w = (grouped(b, item, node.attrs["groups"]) for item in node.inputs)
    # The form is the same with channels and results in each other's place.
    space, rank = node.type.rank - 2, w.type.rank
    turned = b.transpose(w, axes=(*range(space), *reversed(range(space, rank))))
    return ungrouped(b, _phases(b, node, g, turned, []), node)


@dataclass(frozen=True)
class _Phase:
    """Elements of an axis that the same taps reach: every `step`-th tap from `first` on."""

    windows: Windows
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
    return last and filled(taps * channels) >= FULLER * filled(channels)


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
    windows = Windows(q - back, count, len(reaching), 1, apart)
    return _Phase(windows, reaching[0], stride // common)


def _phase(b: Builder, node: Node, g: Node, w: Node, chosen: Sequence[_Phase | None]) -> Node:
    """The contraction of one phase along each axis: of windows over g with its taps, backwards.

    Along an axis without a phase, of g itself with all taps, which are then added up.
    """
    seen = windowed(b, g, [None if item is None else item.windows for item in chosen])
    groups = (GROUP,) if w.type.rank == len(chosen) + 3 else ()
    a, out = [IMAGE], [IMAGE]
    positions, taps = places_of(len(chosen))
    for item, position, tap in zip(chosen, positions, taps, strict=True):
        a += [position] if item is None else [position, tap]
        out += [position, tap] if item is None else [position]
    found = product(
        b,
        seen,
        _taken(b, w, chosen),
        (*a, *groups, RESULT),
        (*taps, RESULT, *groups, CHANNEL),
        (*out, *groups, CHANNEL),
        taps,
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

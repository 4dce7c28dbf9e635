"""expand_pools: pools become elementwise nodes and reductions on views, for targets with kernels.

    max_pool(x)             ->  maximum(x[0::2], x[1::2])                      a few taps
    max_code(x)             ->  select(x[0::2] >= x[1::2], 0, 1)
    pool_spread(g, code)    ->  select(repeat(code) == tap, repeat(g), 0)
    max_pool(x)             ->  reduce_max(windows(x))                         many taps

Both ways gather, and nothing is scattered.  On the way back the padded elements of an axis are
places of one stride each.  Element r of place p can be a tap of the windows p, p - 1, .. alone, as
many of them as a window reaches over strides; one, where windows do not overlap.  It is tap t of
window p - j if t * dilation is r + j * stride.

So a pool is one kernel each way, to which other elementwise nodes may belong.  Where windows reach
beyond the elements, a copy with zeros around them is read, or with minus infinity for a maximum.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from itertools import product as every
from math import prod
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.pooling import POOLS, SHARED, SPREADS, PooledAxis, pooled_axes
from ..primitives.record import Builder
from ..primitives.reduction import kept_axes
from ..sizes import Dim, ceil_divide, product

MOST_TERMS = 16
"""Taps of a window, or windows of an element, up to which each is written out."""

NO_TAP = -(2**24)
"""The number of a tap that there is not; with those of other axes it is negative still."""

NO_CODE = 2**31 - 1
"""The least of no codes."""

OUTSIDE = 2**24
"""The number of the first tap inside where there is none, or more than that."""


@each_level
def expand_pools(graph: Graph) -> Graph:
    """An equal graph without pools: Graph -> Graph."""
    made: dict[Hashable, Any] = {}
    return rewrite(graph, lambda node, _: _expanded(node, made) if node.op in POOLS else node)


def _expanded(node: Node, made: dict[Hashable, Any]) -> Node:
    """What a pool is; `made` is what a maximum and its code have in common."""
    b, axes = Builder(node.origin), tuple(map(_trimmed, pooled_axes(node)))
    if node.op in SPREADS:
        return _spread(b, node, axes)
    extremum = node.op in ("max_pool", "max_code")
    key = (node.inputs[0], extremum, *(node.attrs[name] for name in SHARED))
    if key not in made:
        x = _padded(b, node.inputs[0], axes, extremum)
        count = product(axis.size for axis in axes)
        few = isinstance(count, int) and count <= MOST_TERMS
        made[key] = _Taps(b, x, node, axes) if few else _Windows(b, x, node, axes)
    looking: _Taps | _Windows = made[key]
    if node.op == "max_pool":
        return looking.greatest()
    if node.op == "max_code":
        return _inside(b, looking.code(), axes)
    return looking.total() if node.op == "sum_pool" else looking.taken(node.inputs[1])


def _trimmed(axis: PooledAxis) -> PooledAxis:
    """An axis without the places behind it that no window reaches."""
    if not (isinstance(axis.count, int) and isinstance(axis.reach, int)):
        return axis
    end = (axis.count - 1) * axis.stride + axis.reach
    if not isinstance(axis.extent, int):
        return axis
    return replace(axis, high=max(0, end - axis.low - axis.extent))


def _padded(b: Builder, x: Node, axes: Sequence[PooledAxis], extremum: bool) -> Node:
    """The elements with minus infinity or zeros where windows reach beyond them."""
    padded = _within_zeros(b, x, {axis.axis: (axis.low, axis.whole) for axis in axes})
    if padded is x or not extremum:
        return padded
    inside, shape = [], padded.shape
    for axis in axes:
        index = _index(b, axis.axis, shape)
        if axis.low:
            inside.append(b.ge(index, _number(b, axis.low, shape)))
        if axis.high:
            inside.append(b.lt(index, _number(b, axis.extent + axis.low, shape)))
    mask = reduce(lambda one, other: b.apply("and", one, other), inside)
    result: Node = b.select(mask, padded, b.fill(-np.inf, padded.type))
    return result


def _within_zeros(b: Builder, x: Node, places: Mapping[int, tuple[int, Dim]]) -> Node:
    """Zeros with x in it: for some axes, where it begins and how many elements there are."""
    low, shape = [0] * x.type.rank, list(x.shape)
    for axis, (begin, extent) in places.items():
        low[axis], shape[axis] = begin, extent
    if tuple(shape) == x.shape:
        return x
    result: Node = b.pad(x, low=tuple(low), inner=(1,) * x.type.rank, shape=tuple(shape))
    return result


def _cut(b: Builder, x: Node, places: Mapping[int, tuple[Dim, Dim, int]]) -> Node:
    """A slice: for some axes, where it begins, how many elements it has and how far apart.

    The value itself where it takes all.
    """
    if all(places[axis] == (0, x.shape[axis], 1) for axis in places):
        return x
    start: list[Dim] = [0] * x.type.rank
    stop, step = list(x.shape), [1] * x.type.rank
    for axis, (begin, count, apart) in places.items():
        start[axis], stop[axis], step[axis] = begin, begin + (count - 1) * apart + 1, apart
    result: Node = b.slice(x, start=tuple(start), stop=tuple(stop), step=tuple(step))
    return result


def _index(b: Builder, axis: int, shape: Sequence[Dim]) -> Node:
    """Each element's index along an axis, as an int32."""
    line = b.iota(axis=0, shape=(shape[axis],), dtype="int32")
    result: Node = b.broadcast(line, shape=tuple(shape), axes=(axis,))
    return result


def _number(b: Builder, value: Dim, shape: Sequence[Dim]) -> Node:
    """An int32 in every element of a shape; its value may be named."""
    known = isinstance(value, int)
    scalar = b.constant(value, "int32") if known else b.size(size=value, dtype="int32")
    return b.spread(scalar, shape)


def _weights(axes: Sequence[PooledAxis]) -> list[Dim]:
    """By how much the number of a tap grows with its index along each axis."""
    return [product(axis.size for axis in axes[i + 1 :]) for i in range(len(axes))]


def _inside(b: Builder, code: Node, axes: Sequence[PooledAxis]) -> Node:
    """Codes, of which those that name a tap before the elements name the first one inside.

    Of several greatest taps the first was chosen, so that only the first of all may lie outside,
    where the whole window is minus infinity.
    """
    if not any(axis.low for axis in axes):
        return code
    parts, may_miss = [], False
    for axis, weight in zip(axes, _weights(axes), strict=True):
        first, window = _number(b, 0, code.shape), _index(b, axis.axis, code.shape)
        assert isinstance(axis.size, int)
        assert isinstance(weight, int)
        for number in range(-(-axis.low // axis.stride)):  # windows that begin before the elements
            tap = -(-(axis.low - number * axis.stride) // axis.dilation)
            element = number * axis.stride + tap * axis.dilation - axis.low
            place, outside = (_number(b, n, code.shape) for n in (tap * weight, OUTSIDE))
            if tap >= axis.size:
                place, may_miss = outside, True
            elif not isinstance(axis.extent, int) or element >= axis.extent:
                extent = _number(b, axis.extent, code.shape)
                there = b.lt(_number(b, element, code.shape), extent)
                place, may_miss = b.select(there, place, outside), True
            first = b.select(b.eq(window, _number(b, number, code.shape)), place, first)
        parts.append(first)
    least = reduce(b.add, parts)
    found: Node = b.maximum(code, least)
    if not may_miss:
        return found
    nowhere = b.ge(least, _number(b, OUTSIDE, code.shape))
    result: Node = b.select(nowhere, _number(b, -1, code.shape), found)
    return result


class _Taps:
    """Windows of a few taps: each is a slice, and what is wanted is made of them one by one.

    The last tap comes first, so that the first of several greatest ones is the last to be chosen.
    """

    def __init__(self, b: Builder, x: Node, node: Node, axes: Sequence[PooledAxis]) -> None:
        self.b, self.type = b, x.type.with_shape(node.shape)
        sizes = [range(axis.size) for axis in axes if isinstance(axis.size, int)]
        self.taps: list[tuple[int, Node]] = []
        for number, tap in reversed(list(enumerate(every(*sizes)))):
            places = {
                axis.axis: (t * axis.dilation, axis.count, axis.stride)
                for axis, t in zip(axes, tap, strict=True)
            }
            self.taps.append((number, _cut(b, x, places)))
        self._running: list[Node] = []

    def running(self) -> list[Node]:
        """The greatest of the first taps, for each number of them."""
        if not self._running:
            values = [value for _, value in self.taps]
            self._running = list(accumulate(values, lambda best, x: self.b.maximum(x, best)))
        return self._running

    def greatest(self) -> Node:
        return self.running()[-1]

    def code(self) -> Node:
        b, code = self.b, self._number(self.taps[0][0])
        for best, (number, value) in zip(self.running(), self.taps[1:], strict=False):
            chosen = b.apply("or", b.ge(value, best), b.ne(value, value))
            code = b.select(chosen, self._number(number), code)
        return code

    def taken(self, code: Node) -> Node:
        b, total = self.b, self.b.fill(0, self.type)
        for number, value in self.taps:
            total = b.select(b.eq(code, self._number(number)), value, total)
        return total

    def total(self) -> Node:
        return reduce(self.b.add, [value for _, value in self.taps])

    def _number(self, value: int) -> Node:
        return _number(self.b, value, self.type.shape)


class _Windows:
    """Windows of many taps, or of a named number: a view that is reduced."""

    def __init__(self, b: Builder, x: Node, node: Node, axes: Sequence[PooledAxis]) -> None:
        self.b, self.axes = b, axes
        places = {}
        for before, i in enumerate(_rising(axes)):
            axis, place = axes[i], axes[i].axis + before
            places[i] = place + 1
            if axis.whole == axis.size and axis.dilation == 1:  # all elements are one window
                x = b.reshape(x, shape=(*x.shape[:place], 1, *x.shape[place:]))
            else:
                x = b.windows(
                    x, axis=place, size=axis.size, stride=axis.stride, dilation=axis.dilation
                )
        rank = x.type.rank
        if rank - 1 in places.values() and node.shape[-1] != 1:
            # Neighbouring windows side by side, not the few taps of each.
            taps = [places[i] for i in range(len(axes))]
            x = b.transpose(x, axes=(*taps, *kept_axes(rank, taps)))
            places = {i: i for i in range(len(axes))}
        self.x, self.places, self.taps = x, places, tuple(sorted(places.values()))
        self._greatest: Node | None = None

    def _numbers(self) -> Node:
        b, shape = self.b, self.x.shape
        parts = [
            b.mul(_index(b, self.places[i], shape), _number(b, weight, shape))
            for i, weight in enumerate(_weights(self.axes))
        ]
        return reduce(b.add, parts)

    def _reduced(self, op: str, x: Node) -> Node:
        return self.b.apply(op, x, axes=self.taps)

    def _repeated(self, x: Node) -> Node:
        axes = kept_axes(self.x.type.rank, self.taps)
        result: Node = self.b.broadcast(x, shape=self.x.shape, axes=axes)
        return result

    def greatest(self) -> Node:
        if self._greatest is None:
            self._greatest = self._reduced("reduce_max", self.x)
        return self._greatest

    def code(self) -> Node:
        b, x = self.b, self.x
        found = b.apply("or", b.eq(x, self._repeated(self.greatest())), b.ne(x, x))
        numbers = b.select(found, self._numbers(), _number(b, NO_CODE, x.shape))
        code = self._reduced("reduce_min", numbers)
        if isinstance(product(axis.size for axis in self.axes), int):
            return code
        missing = b.eq(code, _number(b, NO_CODE, code.shape))  # there may be no taps at all
        result: Node = b.select(missing, _number(b, -1, code.shape), code)
        return result

    def taken(self, code: Node) -> Node:
        named = self.b.eq(self._repeated(code), self._numbers())
        return self._reduced(
            "reduce_sum", self.b.select(named, self.x, self.b.fill(0, self.x.type))
        )

    def total(self) -> Node:
        return self._reduced("reduce_sum", self.x)


def _rising(axes: Sequence[PooledAxis]) -> list[int]:
    """The places of axes in the attributes, in the order of their numbers."""
    return sorted(range(len(axes)), key=lambda i: axes[i].axis)


@dataclass(frozen=True)
class _Places:
    """The elements of an axis as `count` places of `stride` each, after the padding before them.

    Each is an element of at most `shifts` windows.
    """

    count: Dim
    stride: Dim
    shifts: int

    @classmethod
    def of(cls, axis: PooledAxis) -> _Places:
        elements = axis.extent + axis.low
        if axis.count == 1:
            return cls(1, elements if elements != 0 else 1, 1)
        assert isinstance(axis.reach, int)
        count, shifts = ceil_divide(elements, axis.stride), -(-axis.reach // axis.stride)
        return cls(count, axis.stride, min(shifts, count) if isinstance(count, int) else shifts)


def _spread(b: Builder, node: Node, axes: Sequence[PooledAxis]) -> Node:
    """Each element's share of the windows that it is in.

    An axis becomes one of places, one of shifts and one of the elements of a place.
    """
    places = [_Places.of(axis) for axis in axes]
    sides = {
        axis.axis: (item.shifts - 1, item.count + (item.shifts - 1))
        for axis, item in zip(axes, places, strict=True)
    }
    operands = [_within_zeros(b, x, sides) for x in node.inputs]
    shifts = [range(item.shifts) for item in places]
    if prod(map(len, shifts)) > MOST_TERMS:
        chosen: list[tuple[range, ...]] = [tuple(shifts)]
    else:
        chosen = list(every(*([one[k : k + 1] for k in one] for one in shifts)))
    terms = [_term(b, axes, places, operands, item) for item in chosen]
    total = reduce(b.add, [term for term in terms if term is not None])
    shape = list(node.shape)
    for axis, item in zip(axes, places, strict=True):
        shape[axis.axis] = item.count * item.stride
    whole = b.reshape(total, shape=tuple(shape))
    return _cut(b, whole, {axis.axis: (axis.low, axis.extent, 1) for axis in axes})


def _term(
    b: Builder,
    axes: Sequence[PooledAxis],
    places: Sequence[_Places],
    operands: Sequence[Node],
    chosen: Sequence[range],
) -> Node | None:
    """What comes from windows that are shifted by some numbers; None if nothing does."""
    lines = [
        _line(b, axis, item, shifts, weight)
        for axis, item, shifts, weight in zip(axes, places, chosen, _weights(axes), strict=True)
    ]
    if any(line is None for line, _ in lines):
        return None
    domain, kept, numbers, shifted = list(operands[0].shape), [], [], []
    seen = list(operands)
    for before, i in enumerate(_rising(axes)):
        item, shifts, at = places[i], chosen[i], axes[i].axis + before
        cut = {at: (shifts.start, item.count + (len(shifts) - 1), 1)}
        seen = [
            b.windows(_cut(b, x, cut), axis=at, size=len(shifts), stride=1, dilation=1)
            for x in seen
        ]
        at += before
        domain[at : at + 1] = [item.count, len(shifts), item.stride]
        kept.append(at + 2)
        shifted.append(at + 1)
    outer = kept_axes(len(domain), kept)
    g, *codes = (b.broadcast(x, shape=tuple(domain), axes=outer) for x in seen)
    for before, i in enumerate(_rising(axes)):
        at = axes[i].axis + 2 * before
        numbers.append(b.broadcast(lines[i][0], shape=tuple(domain), axes=(at + 1, at + 2)))
    number, zero = reduce(b.add, numbers), b.fill(0, g.type)
    if codes:
        g = b.select(b.eq(codes[0], number), g, zero)
    elif not all(certain for _, certain in lines):
        g = b.select(b.ge(number, b.fill(0, number.type)), g, zero)
    several = any(len(shifts) > 1 for shifts in chosen)
    result: Node = b.reduce_sum(g, axes=tuple(shifted)) if several else g
    return result


def _line(
    b: Builder, axis: PooledAxis, places: _Places, shifts: range, weight: Dim
) -> tuple[Node | None, bool]:
    """The part of one axis in the numbers of taps, by shift and element of a place.

    None if there is no tap; and whether there is one everywhere.
    """
    shape = (len(shifts), places.stride)
    if not (isinstance(places.stride, int) and isinstance(axis.size, int)):
        return b.mul(_index(b, 1, shape), _number(b, weight, shape)), True
    back = places.shifts - 1 - np.array(shifts)[:, None]
    reached = np.arange(places.stride) + back * places.stride
    tap = reached // axis.dilation
    there = (reached % axis.dilation == 0) & (tap < axis.size)
    if not there.any():
        return None, False
    if isinstance(weight, int):
        line = b.constant(np.where(there, tap * weight, NO_TAP), "int32")
    else:
        known = b.mul(b.constant(tap, "int32"), _number(b, weight, shape))
        line = b.select(b.constant(there, "bool"), known, _number(b, NO_TAP, shape))
    return line, bool(there.all())

"""Places for temporaries in one arena: lives and sizes to offsets.

    a [0..2] 400 B, b [1..3] 80 B, c [3..4] 400 B     ->     a at 0, b at 448, c at 0

Two temporaries whose lives overlap never overlap in memory.  The least arena possible is not known
(the problem is NP-hard), but no arena is smaller than `alive_at_once`; an order of placing that
meets this bound is best, and the search ends there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

ALIGNMENT = 64
"""Bytes; a cache line.  Every place is a multiple of it."""

ROUNDS = 16
"""Orders that are tried after the fixed ones."""

MOST_SEARCHED = 1000
"""Temporaries up to which they are tried: an order takes the square of their number."""

MOST_ORDERED = 3000
"""Temporaries up to which each is placed beside all others: more get their places row by row."""

Life = tuple[int, int]
"""The first and the last row that use a temporary."""

Wanted = Mapping[int, tuple[Life, int]]
"""Temporaries: {number: (life, bytes)}."""


def lay_out(wanted: Wanted) -> tuple[dict[int, int], int]:
    """Places for temporaries, and the bytes of the arena.

    Each gets the lowest place that is free, in several orders: by size (Pisarchyk and Lee,
    Efficient Memory Management for Deep Neural Net Inference, 2020), by size times life, by life,
    by first row.  While none meets the bound, the temporary that came to lie at the
    top is placed first in the next.  The least arena is kept; of equal ones, the first.
    """
    least = alive_at_once(wanted)
    if len(wanted) > MOST_ORDERED:
        return _swept(wanted)
    places: dict[int, int] = {}
    arena = -1
    order: list[int] = []
    for tried in _orders(wanted):
        found, size = _place(wanted, tried)
        if arena < 0 or size < arena:
            places, arena, order = found, size, tried
        if arena == least:
            return places, arena
    found = places
    for _ in range(ROUNDS if len(wanted) <= MOST_SEARCHED else 0):
        top = max(order, key=lambda number: found[number] + _room(wanted[number][1]))
        order = [top, *(number for number in order if number != top)]
        found, size = _place(wanted, order)
        if size < arena:
            places, arena = found, size
        if arena == least:
            break
    return places, arena


def alive_at_once(wanted: Wanted) -> int:
    """The most bytes in use at one row, each temporary rounded up to whole cache lines."""
    changes: dict[int, int] = {}
    for (first, last), size in wanted.values():
        changes[first] = changes.get(first, 0) + _room(size)
        changes[last + 1] = changes.get(last + 1, 0) - _room(size)
    now = most = 0
    for row in sorted(changes):
        now += changes[row]
        most = max(most, now)
    return most


def _orders(wanted: Wanted) -> Iterator[list[int]]:
    """The fixed orders of placing."""

    def long(number: int) -> int:
        (first, last), _ = wanted[number]
        return last - first + 1

    yield sorted(wanted, key=lambda n: (-wanted[n][1], n))
    yield sorted(wanted, key=lambda n: (-wanted[n][1] * long(n), n))
    yield sorted(wanted, key=lambda n: (-long(n), -wanted[n][1], n))
    yield sorted(wanted, key=lambda n: (wanted[n][0][0], -wanted[n][1], n))


def _place(wanted: Wanted, order: list[int]) -> tuple[dict[int, int], int]:
    """The lowest free place for each, in this order."""
    placed: list[tuple[int, int, Life]] = []  # start, end, life
    places: dict[int, int] = {}
    for number in order:
        life, size = wanted[number]
        room = _room(size)
        start = 0
        for low, high, other in placed:  # in the order of their starts
            if other[0] > life[1] or life[0] > other[1]:
                continue
            if low - start >= room:
                break
            start = max(start, high)
        places[number] = start
        insort(placed, (start, start + room, life))
    return places, max((high for _, high, _ in placed), default=0)


def _swept(wanted: Wanted) -> tuple[dict[int, int], int]:
    """The lowest free place for each, from the first row to the last: the last of the orders."""
    ends: list[tuple[int, int]] = []  # last row, number
    holes: list[tuple[int, int]] = []  # start, end
    places: dict[int, int] = {}
    top = 0
    for number in sorted(wanted, key=lambda n: (wanted[n][0][0], -wanted[n][1], n)):
        (first, last), size = wanted[number]
        while ends and ends[0][0] < first:
            over = heappop(ends)[1]
            _release(holes, places[over], places[over] + _room(wanted[over][1]))
        room = _room(size)
        at = next((i for i, (start, end) in enumerate(holes) if end - start >= room), None)
        if at is not None:
            start, end = holes[at]
            holes[at : at + 1] = [(start + room, end)] if end - start > room else []
        elif holes and holes[-1][1] == top:
            start = holes.pop()[0]
        else:
            start = top
        places[number] = start
        top = max(top, start + room)
        heappush(ends, (last, number))
    return places, top


def _release(holes: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a hole to those in the order of their starts, joined with its neighbours."""
    at = bisect_left(holes, (start, end))
    if at < len(holes) and holes[at][0] == end:
        end = holes.pop(at)[1]
    if at and holes[at - 1][1] == start:
        at -= 1
        start = holes.pop(at)[0]
    holes.insert(at, (start, end))


def _room(size: int) -> int:
    """The bytes that a temporary takes: whole cache lines, at least one."""
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT

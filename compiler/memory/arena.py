"""Places for temporaries in one arena: lives and sizes to offsets.

    a [0..2] 400 B, b [1..3] 80 B, c [3..4] 400 B     ->     a at 0, b at 448, c at 0

Two temporaries whose lives overlap never overlap in memory.  The least arena possible is not known
(the problem is NP-hard), but no arena is smaller than `alive_at_once`; a placing that meets this
bound is best, and the search ends there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import islice

ALIGNMENT = 64
"""Bytes; a cache line.  Every place is a multiple of it."""

ROUNDS = 20
"""Orders in which each temporary is placed beside all others, at most."""

PAIRS = 2000
"""Temporaries that each one is compared with, in all orders together: an order takes the square of
their number, so that of many temporaries fewer orders are tried, and of more than these none."""

Life = tuple[int, int]
"""The first and the last row that use a temporary."""

Wanted = Mapping[int, tuple[Life, int]]
"""Temporaries: {number: (life, bytes)}."""


def lay_out(wanted: Wanted) -> tuple[dict[int, int], int]:
    """Places for temporaries, and the bytes of the arena.

    First they are placed row by row, from the first row on and from the row at which the most
    bytes are alive to both sides: there nothing lies between them that is not used.  While none
    meets the bound, each gets the lowest place that is free, in several orders: by size (Pisarchyk
    and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020), by size times life,
    by life, by first row; then with the one that came to lie at the top placed first.  The least
    arena is kept; of equal ones, the first.
    """
    least = alive_at_once(wanted)
    places: dict[int, int] = {}
    arena = -1
    for found, size in _attempts(wanted):
        if arena < 0 or size < arena:
            places, arena = found, size
        if arena == least:
            break
    return places, max(arena, 0)


def alive_at_once(wanted: Wanted) -> int:
    """The most bytes in use at one row, each temporary rounded up to whole cache lines."""
    return _fullest(wanted)[1]


def _fullest(wanted: Wanted) -> tuple[int, int]:
    """The row at which the most bytes are in use, and how many these are."""
    changes: dict[int, int] = {}
    for (first, last), size in wanted.values():
        changes[first] = changes.get(first, 0) + _room(size)
        changes[last + 1] = changes.get(last + 1, 0) - _room(size)
    now = most = fullest = 0
    for row in sorted(changes):
        now += changes[row]
        if now > most:
            fullest, most = row, now
    return fullest, most


def _attempts(wanted: Wanted) -> Iterator[tuple[dict[int, int], int]]:
    """Placings and the bytes that each takes, those that take little time first."""
    yield _swept(wanted, min((first for (first, _), _ in wanted.values()), default=0), _longest)
    fullest, _ = _fullest(wanted)
    for rank in (_longest, _earliest, _largest):
        yield _swept(wanted, fullest, rank)
    rounds = min(ROUNDS, PAIRS // max(1, len(wanted)))
    tried = []
    for order in islice(_orders(wanted), rounds):
        found, size = _place(wanted, order)
        tried.append((size, found, order))
        yield found, size
    if tried:
        _, found, order = min(tried, key=lambda one: one[0])
    for _ in range(rounds - len(tried)):
        top = max(order, key=lambda number: found[number] + _room(wanted[number][1]))
        order = [top, *(number for number in order if number != top)]
        found, size = _place(wanted, order)
        yield found, size


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


def _longest(number: int, life: Life, size: int) -> tuple[int, ...]:
    return -life[1], life[0], -size, number


def _earliest(number: int, life: Life, size: int) -> tuple[int, ...]:
    return life[0], -life[1], -size, number


def _largest(number: int, life: Life, size: int) -> tuple[int, ...]:
    return -size, -life[1], life[0], number


def _swept(
    wanted: Wanted, row: int, rank: Callable[[int, Life, int], tuple[int, ...]]
) -> tuple[dict[int, int], int]:
    """Those alive at a row one upon the other, by their rank; from there row by row to both ends.

    Each of the others gets the smallest hole that is large enough.
    """
    places: dict[int, int] = {}
    top = 0
    alive = [n for n, ((first, last), _) in wanted.items() if first <= row <= last]
    for number in sorted(alive, key=lambda n: rank(n, *wanted[n])):
        places[number] = top
        top += _room(wanted[number][1])
    behind = {n: life for n, (life, _) in wanted.items() if life[1] >= row}
    before = {n: (-last, -first) for n, ((first, last), _) in wanted.items() if first <= row}
    arena = top
    for lives in (behind, before):
        arena = max(arena, _sweep(lives, wanted, places, top))
    return places, arena


def _sweep(lives: Mapping[int, Life], wanted: Wanted, places: dict[int, int], top: int) -> int:
    """Add places for those that have none yet, in the order in which they begin; the highest end.

    Those that have a place are alive before all others, and lie below `top`.
    """
    holes = _Holes(top)
    ends = [(life[1], number) for number, life in lives.items() if number in places]
    heapify(ends)
    coming = [number for number in lives if number not in places]
    for number in sorted(coming, key=lambda n: (lives[n][0], -wanted[n][1], n)):
        while ends and ends[0][0] < lives[number][0]:
            over = heappop(ends)[1]
            holes.release(places[over], places[over] + _room(wanted[over][1]))
        places[number] = holes.take(_room(wanted[number][1]))
        heappush(ends, (lives[number][1], number))
    return holes.highest


class _Holes:
    """What is free below the highest place in use; `highest` is the highest that was."""

    def __init__(self, top: int) -> None:
        self.highest = self._top = top
        self._sizes: list[tuple[int, int]] = []  # size, start; in order
        self._ends: dict[int, int] = {}  # by start
        self._starts: dict[int, int] = {}  # by end

    def take(self, room: int) -> int:
        """The start of so many bytes: of the smallest hole that has them, else at the top."""
        at = bisect_left(self._sizes, (room, 0))
        if at < len(self._sizes):
            size, start = self._sizes[at]
            self._remove(start, start + size)
            if size > room:
                self._add(start + room, start + size)
            return start
        start = self._starts.get(self._top, self._top)
        if start < self._top:
            self._remove(start, self._top)
        self._top = start + room
        self.highest = max(self.highest, self._top)
        return start

    def release(self, start: int, end: int) -> None:
        """Let these bytes be free, one hole with the holes beside them."""
        if end in self._ends:
            after = self._ends[end]
            self._remove(end, after)
            end = after
        if start in self._starts:
            before = self._starts[start]
            self._remove(before, start)
            start = before
        self._add(start, end)

    def _add(self, start: int, end: int) -> None:
        self._ends[start], self._starts[end] = end, start
        insort(self._sizes, (end - start, start))

    def _remove(self, start: int, end: int) -> None:
        del self._ends[start], self._starts[end]
        del self._sizes[bisect_left(self._sizes, (end - start, start))]


def _room(size: int) -> int:
    """The bytes that a temporary takes: whole cache lines, at least one."""
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT

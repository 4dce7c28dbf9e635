"""Waits: for every row, which rows must be complete before it may start.

A row waits for the last row before it that it conflicts with: one of the two writes a byte that
the other reads or writes, be it because two temporaries share a place.  For a loop, two turns
tell all: how the second waits for the first is how each waits for the one before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...runtime.program import Buffer, Turns, positions


class _Uses(Protocol):
    """What a row or an instruction touches."""

    @property
    def reads(self) -> tuple[int, ...]: ...
    @property
    def writes(self) -> tuple[int, ...]: ...
    @property
    def check(self) -> int | None: ...
    @property
    def skips(self) -> str: ...


def plan_waits(rows: Sequence[_Uses], buffers: Sequence[Buffer]) -> list[int]:
    """For every row: it may start once all rows with a number below this one are complete."""
    marks = _Marks(buffers)
    waits = []
    checked = 0
    for number, row in enumerate(rows):
        wait = max(map(marks.wrote, row.reads), default=0)
        for b in row.writes:
            wait = max(wait, marks.used(b))
            if buffers[b].role in ("state", "output"):
                wait = max(wait, checked)
        waits.append(wait)
        for b in row.reads:
            marks.read(b, number + 1)
        for b in row.writes:
            marks.write(b, number + 1)
        if row.check is not None and not row.skips:
            checked = number + 1
    return waits


class _Marks:
    """1 + the last row so far that wrote a byte of each buffer, and that read or wrote one."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        # What shares its bytes with no other has bytes of its own, behind the arena.
        end = max((b.offset + b.nbytes for b in buffers if b.offset is not None), default=0)
        self._spans: list[tuple[int, int]] = []
        for buffer in buffers:
            if buffer.offset is not None and buffer.nbytes:
                self._spans.append((buffer.offset, buffer.offset + buffer.nbytes))
            else:
                self._spans.append((end, end + 1))
                end += 1
        self._wrote, self._used = _Stretches(), _Stretches()

    def wrote(self, buffer: int) -> int:
        return self._wrote.most(*self._spans[buffer])

    def used(self, buffer: int) -> int:
        return self._used.most(*self._spans[buffer])

    def read(self, buffer: int, mark: int) -> None:
        self._used.mark(*self._spans[buffer], mark)

    def write(self, buffer: int, mark: int) -> None:
        self._wrote.mark(*self._spans[buffer], mark)
        self._used.mark(*self._spans[buffer], mark)


class _Stretches:
    """The last mark of every byte, 0 at first; of the marks, none is less than one before it.

    Bytes are kept in stretches of one mark.  A new mark makes one stretch of all that it covers:
    each is made once and taken away once, and the time does not grow with how many buffers have
    shared a place.
    """

    def __init__(self) -> None:
        self._starts = [0]
        self._marks = [0]

    def most(self, start: int, end: int) -> int:
        """The greatest mark of the bytes from `start` to before `end`."""
        starts = self._starts
        return max(self._marks[bisect_right(starts, start) - 1 : bisect_left(starts, end)])

    def mark(self, start: int, end: int, mark: int) -> None:
        """Let these bytes have this mark."""
        starts = self._starts
        first, last = bisect_left(starts, start), bisect_left(starts, end)
        if last < len(starts) and starts[last] == end:
            starts[first:last], self._marks[first:last] = [start], [mark]
        else:
            rest = self._marks[last - 1]
            starts[first:last], self._marks[first:last] = [start, end], [mark, rest]


_Around = tuple[tuple[int, int], ...]
"""For each loop around a row, outermost first: its number, and 0 for its first turn, else 1."""


@dataclass(frozen=True)
class _Run:
    """A row in the first or a later turn of each loop around it."""

    row: int
    turns: _Around


def wait_in_turns(
    rows: Sequence[_Uses], turns: Sequence[Turns], buffers: Sequence[Buffer]
) -> list[Any]:
    """For every row: it may start once all runs of rows below this place are complete.

    In a loop that is an array, an axis for each loop around the row, outermost first.
    """
    if not turns:
        return list(plan_waits(rows, buffers))
    runs = list(_runs(0, len(rows), range(len(turns)), turns, ()))
    waits = plan_waits([rows[run.row] for run in runs], buffers)
    where = positions(len(rows), turns)
    found = [np.zeros(place.shape, np.int64) for place in where]
    for run, wait in zip(runs, waits, strict=True):
        some = tuple(slice(1, None) if later else slice(0, 1) for _, later in run.turns)
        if wait:
            found[run.row][some] = _last(run, runs[wait - 1], turns, where, some) + 1
    return [wait if wait.ndim else int(wait) for wait in found]


def _runs(
    first: int, last: int, inside: Sequence[int], turns: Sequence[Turns], around: _Around
) -> Iterator[_Run]:
    """The rows [first, last) in their order, of each loop the first and one later turn.

    `inside` numbers the loops among them, outer ones before those in them.
    """
    row = first
    while row < last:
        number = next((n for n in inside if turns[n].first == row < turns[n].last), None)
        if number is None:
            yield _Run(row, around)
            row += 1
            continue
        loop = turns[number]
        deeper = [n for n in inside if n > number and turns[n].last <= loop.last]
        for turn in range(min(loop.count, 2)):
            yield from _runs(loop.first, loop.last, deeper, turns, (*around, (number, turn)))
        row = loop.last


def _last(
    run: _Run, other: _Run, turns: Sequence[Turns], where: Sequence[Any], some: tuple[slice, ...]
) -> Any:
    """The place of the run that `run` waits for, for all turns that `run` stands for."""
    mine = dict(run.turns)
    axes = list(mine)
    same = True  # so far, the two are in the same turn
    index: list[Any] = []
    for number, later in other.turns:
        last = turns[number].count - 1
        if same and number in mine:
            axis = axes.index(number)
            shape = [1] * len(axes)
            shape[axis] = -1
            turn = np.arange(turns[number].count)[some[axis]].reshape(shape)
            same = later == mine[number]
            index.append(turn if same else turn - 1)
        else:
            same = False
            index.append(last if later else 0)
    return where[other.row][tuple(index)]

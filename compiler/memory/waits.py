"""Waits: for every row, which rows must be complete before it may start.

A row waits for the last row before it that it conflicts with: one of the two writes a byte that
the other reads or writes, be it because two temporaries share a place.  For a loop, two turns
tell all: how the second waits for the first is how each waits for the one before it.
"""

from __future__ import annotations

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


def plan_waits(rows: Sequence[_Uses], buffers: Sequence[Buffer]) -> list[int]:
    """For every row: it may start once all rows with a number below this one are complete."""
    sharing = _sharing(buffers)
    wrote = [0] * len(buffers)  # 1 + the last row so far that writes a byte of the buffer
    used = [0] * len(buffers)  # 1 + the last row so far that reads or writes one
    waits = []
    checked = 0
    for number, row in enumerate(rows):
        wait = max((wrote[b] for b in row.reads), default=0)
        for b in row.writes:
            wait = max(wait, used[b])
            if buffers[b].role in ("state", "output"):
                wait = max(wait, checked)
        waits.append(wait)
        for b in row.reads:
            for other in sharing[b]:
                used[other] = number + 1
        for b in row.writes:
            for other in sharing[b]:
                wrote[other] = used[other] = number + 1
        if row.check is not None:
            checked = number + 1
    return waits


def _sharing(buffers: Sequence[Buffer]) -> list[list[int]]:
    """For every buffer, those that share a byte with it, and itself."""
    sharing = [[number] for number in range(len(buffers))]
    open_ends: list[tuple[int, int]] = []  # end, number
    placed = [(b.offset, i) for i, b in enumerate(buffers) if b.offset is not None and b.nbytes]
    for start, number in sorted(placed):
        open_ends = [(end, other) for end, other in open_ends if end > start]
        for _, other in open_ends:
            sharing[other].append(number)
            sharing[number].append(other)
        open_ends.append((start + buffers[number].nbytes, number))
    return sharing


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

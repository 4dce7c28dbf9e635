"""What keeps a launch from running: the flags (int64) that must hold, in the device's memory.

What writes a state or an output is guarded by the checks before it, so that where one fails nothing
is updated.  So is what depends on an array that a check looks at: it may take that for indices, and
must not reach with it beyond a buffer.  The rest need not wait for the checks.

A row that skips guards the rows behind it in its loop.  If it skips the whole loop from there
("loop"), it is guarded by its own flag too, but for the first turn: once that has failed, no later
turn writes it again, and it stays failed until the loop is entered anew.  A row in a loop in a loop
has the flags of both.  So what runs is what the walk on the processor does not leave out, and what
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Address, BoundProgram
from .layout import WORD, checks_of

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, and the place of the run that writes it last before it is looked at."""

    address: Address
    place: int


class Guards:
    """The flags of every run, and the lists of them in the table.

    Attributes:
        by_place: the flags of each run that has any.
        lists: each list once, with its byte in the table.
        end: the byte behind them.
    """

    def __init__(self, program: BoundProgram, where: Sequence[Integers], begin: int) -> None:
        self.by_place: dict[int, list[Flag]] = {}
        self._program, self._where = program, where
        self._add_checks()
        self._add_skips()
        begins: dict[tuple[tuple[int, int], ...], int] = {}
        self._lists: dict[int, tuple[tuple[Address, ...], int]] = {}
        self.end = begin
        lists = []
        for place, found in self.by_place.items():
            flags = tuple(flag.address for flag in found)
            key = tuple((flag.buffer, int(flag.offset)) for flag in flags)
            if key not in begins:
                begins[key] = self.end
                lists.append((self.end, flags))
                self.end += WORD * len(flags)
            self._lists[place] = flags, begins[key]
        self.lists = tuple(lists)

    def of(self, place: int) -> tuple[tuple[Address, ...], int]:
        """The flags of a run, and the byte of the table at which their addresses begin."""
        return self._lists.get(place, ((), 0))

    def _add_checks(self) -> None:
        """Those of the program's checks, for what depends on them or is seen outside."""
        flags = []
        for row in checks_of(self._program):
            check = self._program.instructions[row].check
            places = np.ravel(self._where[row]).tolist()
            flags += [Flag(Address(check or 0, WORD * n), p) for n, p in enumerate(places)]
        if not flags:
            return
        buffers, looked_at = self._program.buffers, _looked_at(self._program)
        for item, where in zip(self._program.instructions, self._where, strict=True):
            seen = any(buffers[b].role in ("state", "output") for b in item.writes)
            if seen or not looked_at.isdisjoint(item.reads):
                for place in np.ravel(where).tolist():
                    self._add(place, [flag for flag in flags if flag.place < place])

    def _add_skips(self) -> None:
        """Those of rows that skip, for the rows behind them in the innermost loop around them."""
        for row, item in enumerate(self._program.instructions):
            if not item.skips:
                continue
            assert item.check is not None
            depth = self._where[row].ndim
            loop = [t for t in self._program.turns if t.first <= row < t.last][-1]
            address = Address(item.check)
            for other in range(row + 1, loop.last):
                where = self._where[other]
                own = self._where[row].reshape(self._where[row].shape + (1,) * (where.ndim - depth))
                self._pair(where, np.broadcast_to(own, where.shape), address)
            if item.skips == "loop":
                self._pair(self._where[row][..., 1:], self._where[row][..., :-1], address)

    def _pair(self, where: Any, written: Any, address: Address) -> None:
        for place, own in zip(np.ravel(where).tolist(), np.ravel(written).tolist(), strict=True):
            self._add(place, [Flag(address, own)])

    def _add(self, place: int, flags: list[Flag]) -> None:
        if flags:
            self.by_place.setdefault(place, []).extend(flags)


def _looked_at(program: BoundProgram) -> set[int]:
    """The buffers that checks look at, and all that is computed from these."""
    found: set[int] = set()
    for row in checks_of(program):
        found.update(program.instructions[row].reads)
    before = -1
    while len(found) != before:  # In a loop a row may read what a later one writes.
        before = len(found)
        for item in program.instructions:
            if not found.isdisjoint(item.reads):
                found.update(item.writes)
    return found

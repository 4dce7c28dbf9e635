"""A model of a device: what a launch plan does to memory, worked out without running a kernel."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diagrad.runtime.cuda.layout import WORD
from diagrad.runtime.cuda.plan import Launch, Plan
from diagrad.runtime.cuda.shapes import WARP
from diagrad.runtime.cuda.table import Table
from diagrad.runtime.program import Address, BoundProgram, Routine, places_behind, positions

APART = 1 << 32
"""Bytes from one piece of the model's memory to the next."""


@dataclass(frozen=True)
class Piece:
    """Bytes [first, last) that a launch touches."""

    first: int
    last: int

    def meets(self, other: Piece) -> bool:
        return max(self.first, other.first) < min(self.last, other.last)


class Model:
    """A plan in a memory of its own.

    Attributes:
        runs: of all launches; those of a walk come one after another.
        units: for each run, the number of the launch that makes it.
        before: for each run, a bit for every run that has ended when it begins.
        places: for each run, its place among all runs.
        bases: where each buffer begins.
        words: the table.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runs = plan.runs
        self.units = [n for n, launch in enumerate(plan.launches) for _ in launch.runs]
        self.before = self._before()
        program = plan.program
        self.where = positions(len(program.instructions), program.turns)
        self.places = self._places()
        self.bases = {
            number: APART if buffer.offset is None else buffer.offset
            for number, buffer in enumerate(program.buffers)
        }
        for number, buffer in enumerate(program.buffers):
            if number in plan.layout.places:
                self.bases[number] = APART + plan.layout.places[number]
            elif buffer.role == "state":
                self.bases[number] = (2 + number) * APART
        self.words = np.full(plan.layout.table.nbytes // WORD, -1, np.int64)
        table = Table(plan, self.words, {name: 7 for name in _routines(program)})
        for number, base in self.bases.items():
            table.place(number, base)

    def _before(self) -> list[int]:
        found: list[int] = []
        ended: list[int] = []  # for each launch, all that has ended when it has
        for launch in self.plan.launches:
            total = 0
            for other in launch.after:
                total |= ended[other]
            for _ in launch.runs:
                found.append(total)
                total |= 1 << len(found) - 1
            ended.append(total)
        return found

    def _places(self) -> list[int]:
        """The runs of a row come in their order."""
        counts = [0] * len(self.plan.program.instructions)
        found = []
        for run in self.runs:
            found.append(int(np.ravel(self.where[run.row])[counts[run.row]]))
            counts[run.row] += 1
        return found

    def piece(self, buffer: int) -> Piece:
        """All of a buffer."""
        base = self.bases[buffer]
        return Piece(base, base + self.plan.program.buffers[buffer].nbytes)

    def reads(self, launch: Launch) -> list[Piece]:
        """What it may read: its buffers, and its flags."""
        item = self.plan.program.instructions[launch.row]
        flags = [self.bases[flag.buffer] + int(flag.offset) for flag in launch.guards]
        return [self.piece(b) for b in item.reads] + [Piece(f, f + WORD) for f in flags]

    def writes(self, launch: Launch) -> list[Piece]:
        """What it may write: its buffers, or the one check of its run, and its scratch."""
        item = self.plan.program.instructions[launch.row]
        found = [self.piece(b) for b in item.writes]
        if item.check is not None and not item.skips:
            flag = self.flag(launch)
            found = [Piece(flag, flag + WORD)]
        if launch.scratch is not None:
            first = 10**6 * APART + launch.scratch
            found.append(Piece(first, first + launch.space * launch.workers))
        return found

    def flag(self, launch: Launch) -> int:
        """The address of the flag that a launch of a row with a check writes."""
        item = self.plan.program.instructions[launch.row]
        (column,) = [
            column
            for column, word in enumerate(item.words)
            if isinstance(word, Address) and word.buffer == item.check
        ]
        return int(self.words[launch.words // WORD + column])

    def conflicts(self) -> Iterator[tuple[int, int]]:
        """Pairs of runs of which one writes what the other touches."""
        touched = [(self.reads(run), self.writes(run)) for run in self.runs]
        for later, (reads, writes) in enumerate(touched):
            for earlier in range(later):
                old_reads, old_writes = touched[earlier]
                if _meet(writes, old_reads + old_writes) or _meet(reads, old_writes):
                    yield earlier, later

    def run(self, holds: Callable[[int], bool], draw: random.Random) -> set[int]:
        """The places of the runs that are made, in a random order that the edges allow.

        `holds` says of the place of a check what it finds.
        """
        layout = self.plan.layout
        held = {APART + at: True for at in range(layout.checks.first, layout.checks.last, WORD)}
        left = {n: len(launch.after) for n, launch in enumerate(self.plan.launches)}
        followers: dict[int, list[int]] = {n: [] for n in left}
        for n, launch in enumerate(self.plan.launches):
            for other in launch.after:
                followers[other].append(n)
        ready = [n for n, count in left.items() if not count]
        made = set()
        while ready:
            number = ready.pop(draw.randrange(len(ready)))
            first = self.units.index(number)
            for at, run in enumerate(self.plan.launches[number].runs, first):
                begin = run.guard_list // WORD
                listed = self.words[begin : begin + len(run.guards)].tolist()
                if all(held[address] for address in listed):
                    made.add(self.places[at])
                    if self.plan.program.instructions[run.row].check is not None:
                        held[self.flag(run)] = holds(self.places[at])
            for other in followers[number]:
                left[other] -= 1
                if not left[other]:
                    ready.append(other)
        assert not any(left.values())
        return made


def walked(program: BoundProgram, holds: Callable[[int], bool]) -> tuple[set[int], int | None]:
    """The places that the walk on a processor runs, and that of the check at which it stops."""
    where = positions(len(program.instructions), program.turns)
    rows: dict[int, int] = {}
    behind: dict[int, int] = {}
    for row, places in enumerate(where):
        rows.update(dict.fromkeys(np.ravel(places).tolist(), row))
        if program.instructions[row].skips:
            onward = np.ravel(places_behind(row, places, program)).tolist()
            behind.update(zip(np.ravel(places).tolist(), onward, strict=True))
    made: set[int] = set()
    place = 0
    while place < len(rows):
        item = program.instructions[rows[place]]
        if item.extent:
            made.add(place)
        if item.check is not None and item.extent and not holds(place):
            if place not in behind:
                return made, place
            place = behind[place]
        else:
            place += 1
    return made, None


def dealt(launch: Launch) -> npt.NDArray[np.int64]:
    """How often each index of a launch is run, by the rule of the kernels' entries."""
    counts = np.zeros(launch.hi, np.int64)
    warps = launch.threads // WARP
    for block in range(launch.grid):
        for warp in range(1 if launch.team else warps):
            worker = block if launch.team else block * warps + warp
            for index in range(launch.lo + worker, launch.hi, launch.workers):
                counts[index] += 1
    return counts


def _meet(some: list[Piece], others: list[Piece]) -> bool:
    return any(one.meets(other) for one in some for other in others)


def _routines(program: BoundProgram) -> set[str]:
    words = (word for item in program.instructions for word in item.words)
    return {word.name for word in words if isinstance(word, Routine)}

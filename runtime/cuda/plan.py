"""The launch plan: what a step launches on a device, in which order, and what waits for what.

Plain data, made from a program and a few numbers of a device; nothing here knows a driver.

**Launches.**  There is one for every run of every row: a row in a loop has one for each turn, with
words of its own.  A row without indices has none.  A loop whose body is small is walked by one
block instead, which is one launch for all of its runs: `walks.py` says where.

**Order.**  The run at place i waits for all runs below place w(i) <= i.  So j is before i exactly
if j < w(i), and that is a strict order: k < w(i) and j < w(k) <= k give j < w(i).  An edge from j
to i can be left out exactly if there is a k between the two, with j < w(k) and k < w(i): that is,
if j is below the greatest w(k) of all k < w(i).  What is left are the places

    [max of w(k) over k < w(i),  w(i))

one stretch, and the only least set of edges with this order (the transitive reduction).  Runs that
launch nothing are counted out first: that leaves the order of the others as it is.  The runs of a
walk are counted as one, which waits for what any of them waits for outside of the walk; what waits
for some of them waits for it.

**Guards.**  A run is left out unless all its flags hold: `guards.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..program import Address, BoundProgram, positions
from .code import RUN
from .guards import Guards
from .layout import WORD, Layout, aligned, lay_out
from .processor import H100, Processor
from .shapes import WARP, Shape, launched, walked
from .walks import moved, stretches

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of a kernel; or a run of a walk, made as a launch of as many blocks would.

    Attributes:
        kernel: its number.
        row: the number of the instruction.
        grid: blocks.
        threads: of a block.
        team: whether a worker is a whole block, and not a warp.
        shared: bytes of shared memory of a block.
        space: bytes that each worker has for itself, whole cache lines.
        scratch: the byte of the workspace's scratch at which these lie, of all workers one after
            another; None where they are in shared memory.
        words: the byte of the table at which its words begin.
        lo: the first index.
        hi: behind the last one.
        guards: the flags (int64) that must all hold, each a place in a buffer.
        guard_list: the byte of the table at which their addresses begin.
        after: the launches that it waits for.
    """

    kernel: int
    row: int
    grid: int
    threads: int
    team: bool
    shared: int
    space: int
    scratch: int | None
    words: int
    lo: int
    hi: int
    guards: tuple[Address, ...]
    guard_list: int
    after: range

    @property
    def workers(self) -> int:
        """Among whom the indices are dealt."""
        return self.grid if self.team else self.grid * (self.threads // WARP)

    @property
    def runs(self) -> tuple[Launch, ...]:
        """Itself."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Walk:
    """One launch of a persistent kernel: a block that makes runs one after another.

    Attributes:
        runs: in their order; what they are after is what the walk is after.
        kernels: those of the runs, each once, with whether its worker's memory is shared memory.
        grid: blocks: 1.
        threads: of it.
        shared: bytes of shared memory.
        scratch: the byte of the workspace's scratch from which workers have theirs there, those of
            each run in the same place; None where none has.
        listed: the byte of the table at which the words begin by which it finds its runs.
        after: the launches that it waits for.
    """

    runs: tuple[Launch, ...]
    kernels: tuple[tuple[int, bool], ...]
    grid: int
    threads: int
    shared: int
    scratch: int | None
    listed: int
    after: range

    @property
    def words(self) -> list[list[int]]:
        """By which the block finds its runs: RUN of each, as `building/walk.py` says."""
        numbers = {pair: number for number, pair in enumerate(self.kernels)}
        return [
            [
                numbers[run.kernel, run.scratch is None], run.words, run.lo, run.hi,
                run.guard_list, len(run.guards), run.space, 0,
            ]
            for run in self.runs
        ]  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """All launches of a step.

    Attributes:
        program: that it is of.
        launches: in the order of their runs; a walk stands for all of its own.
        lists: the lists of guards, each with the byte of the table at which it begins.
        words: for each row, the byte of the table at which the words of its runs begin.
        layout: the program's own memory.
        scratch: bytes of scratch.
    """

    program: BoundProgram
    launches: tuple[Launch | Walk, ...]
    lists: tuple[tuple[int, tuple[Address, ...]], ...]
    words: tuple[int, ...]
    layout: Layout
    scratch: int

    @property
    def runs(self) -> list[Launch]:
        """Every run of every row that has indices, in their order."""
        return [run for launch in self.launches for run in launch.runs]

    @property
    def walks(self) -> list[Walk]:
        """Those of the launches that walk a loop."""
        return [launch for launch in self.launches if isinstance(launch, Walk)]

    @property
    def edges(self) -> int:
        """How many pairs of launches wait for one another."""
        return sum(len(launch.after) for launch in self.launches)

    @cached_property
    def last(self) -> tuple[int, ...]:
        """The launches that none waits for."""
        waited = np.zeros(len(self.launches) + 1, np.int64)
        for launch in self.launches:
            waited[launch.after.start] += 1
            waited[launch.after.stop] -= 1
        return tuple(np.flatnonzero(np.cumsum(waited)[:-1] == 0).tolist())

    @property
    def depth(self) -> int:
        """Launches of the longest chain in which each waits for the one before."""
        depths: list[int] = []
        for launch in self.launches:
            depths.append(1 + max((depths[k] for k in launch.after), default=0))
        return max(depths, default=0)

    @property
    def bytes_moved(self) -> int:
        """About what the runs read and write: see `walks.moved`."""
        pairs = zip(self.program.instructions, self.program.times, strict=True)
        return sum(moved(self.program, item, times) for item, times in pairs if item.extent)

    @property
    def bytes_copied(self) -> int:
        """What a step copies to the device and back, if all arrays are the host's."""
        layout = self.layout
        return layout.inputs.nbytes + 2 * layout.checks.nbytes + layout.outputs.nbytes


def plan_launches(program: BoundProgram, processor: Processor = H100) -> Plan:
    """The plan of a program.

    Raises:
        ValueError: the buffer of a check is used for something else.
    """
    where = positions(len(program.instructions), program.turns)
    runs = _Runs(program, where)
    begins, table = _words(program, where)
    guards = Guards(program, where, table)
    waits = runs.waits.copy()
    for place, found in guards.by_place.items():
        waits[place] = max(waits[place], *(flag.place + 1 for flag in found))
    units = _Units(runs, waits, stretches(program, where, waits, processor))
    order = _order(units.waits, units.launched)
    listed = guards.end
    scratch = _Scratch()
    launches: list[Launch | Walk] = []
    make = _Maker(program, runs, begins, guards, processor)
    for places in units.places:
        after, wait = order[len(launches)]
        shapes = [make.shape(place, len(places) > 1) for place in places]
        needed = max(shape.scratch for shape in shapes)
        spot = scratch.take(len(launches), wait, needed) if needed else None
        made = [
            make.run(place, shape, spot, after) for place, shape in zip(places, shapes, strict=True)
        ]
        if len(places) == 1:
            launches += made
            continue
        kernels = tuple(dict.fromkeys((run.kernel, run.scratch is None) for run in made))
        shared = max(run.shared for run in made)
        first = made[0]
        launches.append(
            Walk(tuple(made), kernels, first.grid, first.threads, shared, spot, listed, after)
        )
        listed += WORD * RUN * len(made)
    layout = lay_out(program, listed)
    return Plan(program, tuple(launches), guards.lists, tuple(begins), layout, scratch.nbytes)


class _Maker:
    """Makes the launches of runs, by their places."""

    def __init__(
        self,
        program: BoundProgram,
        runs: _Runs,
        begins: Sequence[int],
        guards: Guards,
        processor: Processor,
    ) -> None:
        self._program, self._runs, self._begins, self._guards = program, runs, begins, guards
        self._processor = processor
        self._shapes: dict[tuple[int, bool], Shape] = {}

    def shape(self, place: int, walks: bool) -> Shape:
        """How the run is made, by itself or in a walk."""
        row = int(self._runs.rows[place])
        found = self._shapes.get((row, walks))
        if found is None:
            item = self._program.instructions[row]
            shaped = walked if walks else launched
            found = shaped(item, self._program.kernels[item.kernel], self._processor)
            self._shapes[row, walks] = found
        return found

    def run(self, place: int, shape: Shape, spot: int | None, after: range) -> Launch:
        """The run, whose workers have their part of scratch from a byte on, if they need it."""
        row, number = int(self._runs.rows[place]), int(self._runs.numbers[place])
        item = self._program.instructions[row]
        flags, listed = self._guards.of(place)
        return Launch(
            item.kernel, row, shape.grid, WARP * shape.warps, shape.team, shape.shared, shape.space,
            None if shape.near else spot, self._begins[row] + WORD * number * len(item.words),
            0, item.extent, flags, listed, after,
        )  # fmt: skip


class _Runs:
    """By the places of all runs: of which row each is, which of its runs, and what it waits for."""

    def __init__(self, program: BoundProgram, where: Sequence[Integers]) -> None:
        count = sum(place.size for place in where)
        self.rows: Integers = np.zeros(count, np.int64)
        self.numbers: Integers = np.zeros(count, np.int64)
        self.waits: Integers = np.zeros(count, np.int64)
        extents = np.zeros(count, np.int64)
        for row, (item, place) in enumerate(zip(program.instructions, where, strict=True)):
            self.rows[place] = row
            self.numbers[place] = np.arange(place.size).reshape(place.shape)
            self.waits[place] = place if item.wait is None else item.wait
            extents[place] = item.extent
        self.launched = extents > 0


class _Units:
    """What is launched at once: a run, or the runs of a stretch.

    Attributes:
        waits: below which unit all are before each.
        launched: whether it launches anything.
        places: for each that does, the places of the runs that it makes.
    """

    def __init__(self, runs: _Runs, waits: Integers, together: Sequence[tuple[int, int]]) -> None:
        begins = np.ones(len(waits), np.bool_)
        for first, last in together:
            begins[first + 1 : last] = False
        below = np.concatenate([[0], np.cumsum(begins)])  # the units that begin below a place
        of = below[1:] - 1
        made = np.flatnonzero(runs.launched)
        self.waits = np.zeros(below[-1], np.int64)
        np.maximum.at(self.waits, of[made], np.minimum(below[waits[made]], of[made]))
        counts = np.bincount(of[made], minlength=below[-1])
        self.launched = counts > 0
        ends = np.concatenate([[0], np.cumsum(counts[self.launched])]).tolist()
        self.places = [made[one:two].tolist() for one, two in pairwise(ends)]


def _words(program: BoundProgram, where: Sequence[Integers]) -> tuple[list[int], int]:
    """The byte at which the words of each row's runs begin, and that behind them all."""
    begins, end = [], 0
    for item, place in zip(program.instructions, where, strict=True):
        begins.append(end)
        end += WORD * place.size * len(item.words)
    return begins, end


def _order(waits: Integers, launched: npt.NDArray[np.bool_]) -> list[tuple[range, int]]:
    """For each run that is launched what it waits for, and below which launch all are before it."""
    below = np.concatenate([[0], np.cumsum(launched)])
    waits = below[waits[launched]]
    implied = np.concatenate([[0], np.maximum.accumulate(waits)])[waits]
    pairs = zip(implied.tolist(), waits.tolist(), strict=True)
    return [(range(first, last), last) for first, last in pairs]


class _Scratch:
    """Stretches of scratch: two launches share one if the one is before the other."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._taken: list[tuple[int, int, int]] = []  # first byte, bytes, the last launch in it

    def take(self, launch: int, wait: int, size: int) -> int:
        """The first byte for a launch that comes after all below `wait`."""
        for number, (first, room, last) in enumerate(self._taken):
            if size <= room and last < wait:
                self._taken[number] = (first, room, launch)
                return first
        first, room = self.nbytes, aligned(size)
        self._taken.append((first, room, launch))
        self.nbytes += room
        return first

"""The launch plan: what a step launches on a device, in which order, and what waits for what.

Plain data, made from a program and four numbers of a device; nothing here knows a driver.

**Launches.**  There is one for every run of every row: a row in a loop has one for each turn, with
words of its own.  A row without indices has none.

**Workers.**  Who runs a kernel for an index is one warp, or a team of warps (a block) where the
kernel's text says so.  Indices are dealt: worker w of n takes lo + w, lo + w + n, and so on.  The
memory that a worker needs for itself is shared memory where that fits, and scratch otherwise.

**Order.**  The run at place i waits for all runs below place w(i) <= i.  So j is before i exactly
if j < w(i), and that is a strict order: k < w(i) and j < w(k) <= k give j < w(i).  An edge from j
to i can be left out exactly if there is a k between the two, with j < w(k) and k < w(i): that is,
if j is below the greatest w(k) of all k < w(i).  What is left are the places

    [max of w(k) over k < w(i),  w(i))

one stretch, and the only least set of edges with this order (the transitive reduction).  Runs that
launch nothing are counted out first: that leaves the order of the others as it is.

**Guards.**  A launch returns at once unless all its flags hold: `guards.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..program import Address, BoundProgram, Instruction, Kernel, positions
from ..teams import TEAM_WARPS
from .guards import Guards
from .layout import WORD, Layout, aligned, lay_out

Integers = npt.NDArray[np.int64]

WARP = 32
"""Threads of a warp."""

BLOCK = 4
"""Warps of a block whose workers are warps: fewer where shared memory is short."""

LINE = 128
"""Bytes of a cache line."""

RESIDENT = 64
"""Warps that a multiprocessor holds at a time: more workers than that would only wait."""

SCRATCHED = 8
"""The same where workers have memory of their own in scratch, so that this stays small."""


@dataclass(frozen=True, slots=True)
class Processor:
    """What a plan must know of a device.

    Attributes:
        multiprocessors: how many it has.
        shared: bytes of shared memory that a block may ask for.
    """

    multiprocessors: int = 132
    shared: int = 200 << 10


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of a kernel.

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


@dataclass(frozen=True)
class Plan:
    """All launches of a step.

    Attributes:
        program: that it is of.
        launches: in the order of their runs.
        lists: the lists of guards, each with the byte of the table at which it begins.
        words: for each row, the byte of the table at which the words of its runs begin.
        layout: the program's own memory.
        scratch: bytes of scratch.
    """

    program: BoundProgram
    launches: tuple[Launch, ...]
    lists: tuple[tuple[int, tuple[Address, ...]], ...]
    words: tuple[int, ...]
    layout: Layout
    scratch: int

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
        """About what the launches read and write: of every row each buffer that it names, once.

        A row of a loop that moves along a buffer with the turns has its part of it in each.
        """
        total = 0
        for row, times in enumerate(self.program.times):
            item = self.program.instructions[row]
            if item.extent:
                total += sum(_bytes(self.program, item, b, times) for b in item.reads)
                total += sum(_bytes(self.program, item, b, times) for b in item.writes)
        return total

    @property
    def bytes_copied(self) -> int:
        """What a step copies to the device and back, if all arrays are the host's."""
        layout = self.layout
        return layout.inputs.nbytes + 2 * layout.checks.nbytes + layout.outputs.nbytes


def plan_launches(program: BoundProgram, processor: Processor = Processor()) -> Plan:
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
    order = _order(waits, runs.launched)
    shapes = [
        _Shape(item, program.kernels[item.kernel], processor) for item in program.instructions
    ]
    scratch = _Scratch()
    launches: list[Launch] = []
    for place in np.flatnonzero(runs.launched).tolist():
        row, run = int(runs.rows[place]), int(runs.numbers[place])
        item, shape = program.instructions[row], shapes[row]
        after, wait = order[len(launches)]
        spot = scratch.take(len(launches), wait, shape.scratch) if shape.scratch else None
        flags, listed = guards.of(place)
        words = begins[row] + WORD * run * len(item.words)
        launches.append(
            Launch(
                item.kernel, row, shape.grid, shape.threads, shape.team, shape.shared, shape.space,
                spot, words, 0, item.extent, flags, listed, after,
            )
        )  # fmt: skip
    layout = lay_out(program, guards.end)
    return Plan(program, tuple(launches), guards.lists, tuple(begins), layout, scratch.nbytes)


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


class _Shape:
    """The grid and the memory of a row's launches."""

    def __init__(self, item: Instruction, kernel: Kernel, processor: Processor) -> None:
        self.team = is_team(kernel)
        self.space = -(-item.space // LINE) * LINE
        fits = self.space <= processor.shared
        warps = TEAM_WARPS if self.team else BLOCK
        if not self.team and self.space and fits:
            warps = min(BLOCK, processor.shared // self.space)
        resident = RESIDENT if fits else SCRATCHED
        wanted = item.extent if self.team else -(-item.extent // warps)
        self.threads = warps * WARP
        self.grid = min(wanted, processor.multiprocessors * max(1, resident // warps))
        workers = 1 if self.team else warps
        self.shared = self.space * workers if fits else 0
        self.scratch = 0 if fits else self.space * workers * self.grid


def is_team(kernel: Kernel) -> bool:
    """Whether a kernel's worker is a team: its text has six arguments."""
    return arguments(kernel) == 6


def arguments(kernel: Kernel) -> int:
    """How many arguments a kernel's text has."""
    head = kernel.source[: kernel.source.index(")")]
    return head.count(",") + 1


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


def _bytes(program: BoundProgram, item: Instruction, buffer: int, times: int) -> int:
    """What all runs of a row move of a buffer."""
    offsets = [
        word.offset for word in item.words if isinstance(word, Address) and word.buffer == buffer
    ]
    parts = max((np.unique(offset).size for offset in offsets), default=1)
    return program.buffers[buffer].nbytes * times // max(1, parts)

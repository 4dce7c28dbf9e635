"""The data contract between the compiler and every target: what a compiled program is.

Plain data only: a `BoundProgram` can be printed, compared, cached and executed.  Nothing here
compiles, allocates or runs anything, and nothing here knows how a program was made.

A program is a table of instructions.  An instruction is a kernel and a row of 64-bit words for
it; a word is an integer (an extent, a stride in elements, the bits of a scalar), the address of
a byte in a buffer, or the address of one of the engine's native routines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Role = Literal["input", "state", "output", "temporary", "constant"]

Skips = Literal["", "turn", "loop"]
"""What is not run where a check does not hold: a turn of a loop, the loop from there; "": all."""


@dataclass(frozen=True, slots=True)
class Target:
    """What kernels are written for: every value of their text has so many lanes, of any dtype."""

    name: str
    lanes: int


CPU = Target("cpu", 16)
"""The processor: a value is a vector."""
CUDA = Target("cuda", 32)
"""A graphics processor of NVIDIA: a value is spread over the threads of a warp."""

ROUTINES = ("gemm_f32", "gemm_f64", "segmented_f32", "segmented_f64", "turn_f32", "turn_f64")
"""Native routines that a row may hold the address of."""

GEMM_DEPTH = 384
"""Steps of the summed axis for which a gemm routine packs an operand at a time."""

GEMM_ROWS, GEMM_COLUMNS = 768, 512
"""Bytes that it packs at a time of one step: of the left operand, and of the right one at most."""

GEMM_PANEL = 128
"""Bytes to a multiple of which it fills up what it packs of a step of the right operand."""

_SPILL = 64
"""Bytes by which a vector stored whole may go beyond what is packed."""

GEMM_LEFT = 64
GEMM_RIGHT = GEMM_LEFT + GEMM_ROWS * GEMM_DEPTH + _SPILL
"""Where in a thread's memory a gemm routine puts what it packs of its two operands.

The word before says which product's right operand is there.
"""

GEMM_CHAINS = 64
"""Sums of GEMM_DEPTH steps that are added up as they are."""

GEMM_LONG = GEMM_CHAINS * GEMM_DEPTH
"""Steps of the summed axis up to which a gemm routine adds up sums of GEMM_DEPTH steps as they are.

Of more, it makes the product in parts.
"""

GEMM_DEEP = GEMM_RIGHT + (GEMM_COLUMNS * GEMM_DEPTH + _SPILL + 63) // 64 * 64
"""Where it makes such a part, and behind that keeps what is lost where parts are added up."""


def gemm_space(item: int, rows: int, columns: int, depth: int, whole: bool) -> int:
    """Bytes of a thread's memory that a gemm routine may touch, however the operands lie.

    It alone says so: plans reserve it, and tests hold the routines to it. Which operand is packed
    as the right one depends on strides: a product of few columns is made as its transpose.

    Args:
        item: bytes of an element.
        rows: rows of the largest block that is asked for.
        columns: its columns.
        depth: the extent of the summed axis.
        whole: whether blocks are asked for with a tag, so that all of the right operand is packed.
    """
    if depth > GEMM_LONG:
        return GEMM_DEEP + _up(2 * rows * columns * item, 64)
    held = _up(columns * item, GEMM_PANEL) * depth if whole else 0
    at_once = min(_up(max(rows, columns) * item, GEMM_PANEL), GEMM_COLUMNS)
    return GEMM_RIGHT + _up(max(held, at_once * min(depth, GEMM_DEPTH)) + _SPILL, 64)


SEGMENTED_PART = 64
"""Where in a thread's memory a segmented routine makes a part of a product of more chains."""


def segmented_space(item: int, rows: int, columns: int, depth: int) -> int:
    """Bytes of a thread's memory that a segmented routine may touch, for blocks of these sizes.

    A chain has more than half of GEMM_DEPTH steps, all but the last of a segment.
    """
    if 2 * depth <= GEMM_LONG:
        return SEGMENTED_PART
    return SEGMENTED_PART + _up(2 * rows * columns * item, 64)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


@dataclass(frozen=True, slots=True)
class Address:
    """A word: the address of a byte of a buffer.

    In a row of a loop the offset may be an array: an axis for each loop, outermost first.
    """

    buffer: int
    offset: int | npt.NDArray[np.int64] = 0


@dataclass(frozen=True, slots=True)
class Routine:
    """A word: the address of a native routine of the engine."""

    name: str


Word = int | Address | Routine


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's source text, in the engine's vocabulary, for values of so many `lanes`.

        kernel(args, lo, hi)                         does the indices from lo to hi
        kernel(args, lo, hi, space)                  the same, with memory of its own at an address
        kernel(args, lo, hi, space, warp, warps)     the same, as one of a team

    Whoever runs it is a worker: on the processor a thread, on a GPU a warp or, of the third form, a
    team of `warps` of them, which share `space`.  All of a team go the same way; the text says what
    is dealt among them, `for i in range(warp, n, warps)`, and where they meet.  A worker on the
    processor is the one member of its team: `warp` is 0, and `warps` 1.
    """

    name: str
    source: str
    lanes: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One row of the table: run `kernel` with `words` over the half-open range [0, extent).

    `check` is the buffer of an int64 that the kernel writes; unless that is then HOLDS, the
    program stops there, and nothing has been updated.

    `space` is the memory in bytes that every thread needs for itself while it runs the kernel.
    Several threads may share the range, `chunk` indices at a time (0: all at once, by one thread).
    The instruction may start once all runs below the place `wait` are complete (in a loop an array,
    as for `Address`); None waits for all before it.  `work` estimates the whole range, in
    operations on one element.

    Where `skips` is "turn" or "loop", a check that does not hold stops nothing: the walk goes on
    behind this turn of the innermost loop around the row, or behind that loop.
    """

    kernel: int
    words: tuple[Word, ...]
    extent: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    origins: tuple[str, ...] = ()
    check: int | None = None
    chunk: int = 0
    wait: int | npt.NDArray[np.int64] | None = None
    work: int = 0
    space: int = 0
    skips: Skips = ""

    @property
    def chunks(self) -> int:
        """How many parts the range is done in."""
        return -(-self.extent // (self.chunk or max(1, self.extent)))


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of memory, row-major and contiguous.

    `offset` is a byte offset into the arena for a temporary, and None for the others: an input
    lies in the caller's memory, a state in the program's parameters, an output in a new array,
    and a constant in `data`.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[int, ...]
    offset: int | None = None
    data: npt.NDArray[np.generic] | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes, without padding."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Turns:
    """A loop: the instructions [first, last) run `count` times.

    Loops nest, or lie apart; outer ones stand before those in them.
    """

    first: int
    last: int
    count: int


def positions(rows: int, turns: Sequence[Turns]) -> list[npt.NDArray[np.int64]]:
    """For every row, the place of each of its runs among all runs of all rows.

    An array with an axis for each loop around the row, outermost first.
    """
    found: list[npt.NDArray[np.int64]] = []

    def lay(first: int, last: int, begin: Any, inside: Sequence[Turns]) -> None:
        for loop, row in _parts(first, last, inside):
            if loop is None:
                found.append(np.asarray(begin, np.int64))
                begin = begin + 1
                continue
            deeper = _within(loop, inside)
            length = _length(loop, deeper)
            turn = np.arange(loop.count, dtype=np.int64) * length
            lay(row, loop.last, np.asarray(begin)[..., None] + turn, deeper)
            begin = begin + loop.count * length

    lay(0, rows, 0, turns)
    return found


def places_behind(row: int, where: npt.NDArray[np.int64], program: BoundProgram) -> Any:
    """For each run of a row that skips, the place at which the walk goes on if it does; else 0.

    Args:
        row: the first of a loop, where it skips.
        where: its places.
        program: that it is of.
    """
    skips = program.instructions[row].skips
    if not skips:
        return 0
    loop = [t for t in program.turns if t.first <= row < t.last][-1]
    length = _length(loop, _within(loop, program.turns))
    if skips == "turn":
        return where + length
    return np.broadcast_to(where[..., :1] + loop.count * length, where.shape)


def _parts(first: int, last: int, inside: Sequence[Turns]) -> Iterator[tuple[Turns | None, int]]:
    """The rows [first, last), each alone with None, or as the first of an outermost loop."""
    row = first
    while row < last:
        loop = next((t for t in inside if t.first == row < t.last), None)
        yield loop, row
        row = row + 1 if loop is None else loop.last


def _within(loop: Turns, inside: Sequence[Turns]) -> list[Turns]:
    """The loops in a loop, of those from it on."""
    after = inside[[t is loop for t in inside].index(True) + 1 :]
    return [t for t in after if loop.first <= t.first and t.last <= loop.last]


def _length(loop: Turns, deeper: Sequence[Turns]) -> int:
    """The runs in one turn of a loop."""
    parts = _parts(loop.first, loop.last, deeper)
    return sum(1 if t is None else t.count * _length(t, _within(t, deeper)) for t, _ in parts)


@dataclass(frozen=True, slots=True)
class BoundProgram:
    """Everything that a target needs to run one graph at one set of sizes.

    `turns` are the loops among the instructions; `target` is what the kernels are written for, and
    the products cut into blocks for.
    """

    name: str
    kernels: tuple[Kernel, ...]
    instructions: tuple[Instruction, ...]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    turns: tuple[Turns, ...] = ()
    target: Target = CPU

    @property
    def work(self) -> int:
        """An estimate of a whole run, in operations on one element."""
        return sum(i.work * n for i, n in zip(self.instructions, self.times, strict=True))

    @property
    def times(self) -> list[int]:
        """How often each instruction runs."""
        return [
            math.prod(t.count for t in self.turns if t.first <= row < t.last)
            for row in range(len(self.instructions))
        ]


@dataclass(frozen=True, slots=True)
class Step:
    """slots[output] = function(*slots[inputs])."""

    function: Callable[..., npt.NDArray[Any]]
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A tape run `steps` times: what a loop means.

    The values of `inputs` (slots) enter the tape under `names`, by their `roles`: a "sequence" one
    element a step, from the last where it is `reverse`d; a "carry" at the first step, then as the
    tape's updates leave it; an "invariant" as it is.  `outputs` gives the dtype and the shape of
    what a step gives; `results` are (result, of, slot): "stack" or "sum" of an output, or the
    "last" value of a carry.  Where the input called `gate` is false, a step is not made.
    """

    tape: Tape
    inputs: tuple[int, ...]
    roles: tuple[str, ...]
    names: tuple[str, ...]
    steps: int
    reverse: bool
    outputs: dict[str, tuple[str, tuple[int, ...]]]
    results: list[tuple[str, str, int]]
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class Tape:
    """A graph at one set of sizes, as NumPy calls on numbered slots.

    `inputs` and `states` say which slot each named array enters, `outputs` and `updates` which
    slots are returned by name and written back; `checks` are slots that must be HOLDS.
    """

    inputs: tuple[tuple[str, int], ...]
    states: tuple[tuple[str, int], ...]
    steps: tuple[Step | Recurrence, ...]
    outputs: tuple[tuple[str, int], ...]
    updates: tuple[tuple[str, int], ...]
    slots: int
    checks: tuple[int, ...] = ()

"""Where everything of a program lies in a device's memory.

    its own    table | constants | inputs, checks | checks, outputs
    shared     arena | scratch: of all programs on the same states
    states     each by itself, for as long as the program lives

The table holds the words of every run, behind them the lists of the flags that guards look at, and
behind these what walks find their runs by.  A step copies inputs and checks to the device at once,
and checks and outputs back at once: so every check holds when a step begins, and what it found
comes back beside the outputs.

A check is an int64 for every run of a row that checks something.  It is not in the arena, where
others would write over it before the step has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..program import BoundProgram

ALIGNMENT = 256
"""Bytes; what the driver's own allocations are aligned to."""

WORD = 8
"""Bytes of a word, of an address and of a check."""


def aligned(size: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [first, last) of a program's own memory."""

    first: int
    last: int

    @property
    def nbytes(self) -> int:
        """How many."""
        return self.last - self.first


@dataclass(frozen=True)
class Layout:
    """A program's own memory on a device.

    Attributes:
        places: the byte at which each constant, input, check and output begins, by buffer.
        table: the words and the lists of guards.
        constants: all of them.
        inputs: all of them.
        checks: one after another, without a gap.
        outputs: all of them.
    """

    places: Mapping[int, int]
    table: Span
    constants: Span
    inputs: Span
    checks: Span
    outputs: Span

    @property
    def nbytes(self) -> int:
        """Of it all."""
        return self.outputs.last


def checks_of(program: BoundProgram) -> dict[int, int]:
    """For each row that checks something before a step may change anything, how often it runs.

    ValueError if two such rows write one buffer, or a row reads one: they are moved out of the
    arena, a place for each run.
    """
    pairs = zip(program.instructions, program.times, strict=True)
    found = {
        row: times
        for row, (item, times) in enumerate(pairs)
        if item.check is not None and not item.skips
    }
    buffers = [program.instructions[row].check for row in found]
    read = {buffer for item in program.instructions for buffer in item.reads}
    if len(set(buffers)) < len(buffers) or read & set(buffers):
        raise ValueError(f"program {program.name!r} uses the buffer of a check for something else")
    return found


def lay_out(program: BoundProgram, table: int) -> Layout:
    """The layout of a program whose table takes so many bytes."""
    places: dict[int, int] = {}

    def stretch(begin: int, sizes: Iterator[tuple[int, int]], step: int = ALIGNMENT) -> Span:
        end = begin
        for buffer, size in sizes:
            places[buffer] = end
            end += -(-size // step) * step
        return Span(begin, aligned(end))

    def of(role: str) -> Iterator[tuple[int, int]]:
        checked = {program.instructions[row].check for row in checks_of(program)}
        return (
            (number, buffer.nbytes)
            for number, buffer in enumerate(program.buffers)
            if buffer.role == role and number not in checked
        )

    checks = {program.instructions[r].check or 0: n * WORD for r, n in checks_of(program).items()}
    words = Span(0, aligned(table))
    constants = stretch(words.last, of("constant"))
    inputs = stretch(constants.last, of("input"))
    checked = stretch(inputs.last, iter(checks.items()), WORD)
    return Layout(places, words, constants, inputs, checked, stretch(checked.last, of("output")))

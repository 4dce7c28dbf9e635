"""The grid and the memory of a row's launches, and of its runs where one block walks them.

Who runs a kernel for an index is one warp, or a team of warps (a block) where the kernel's text
says so.  Indices are dealt: worker w of n takes lo + w, lo + w + n, and so on.  The memory that a
worker needs for itself is shared memory where that fits, and scratch otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..program import Instruction, Kernel
from ..teams import TEAM_WARPS
from .processor import Processor

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
class Shape:
    """How a row is run.

    Attributes:
        team: whether a worker is a whole block, and not a warp.
        grid: blocks.
        warps: of a block.
        space: bytes that each worker has for itself, whole cache lines.
        near: whether these are shared memory.
    """

    team: bool
    grid: int
    warps: int
    space: int
    near: bool

    @property
    def of_block(self) -> int:
        """Bytes that the workers of a block have for themselves."""
        return self.space * (1 if self.team else self.warps)

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block."""
        return self.of_block if self.near else 0

    @property
    def scratch(self) -> int:
        """Bytes of scratch of all blocks."""
        return 0 if self.near else self.of_block * self.grid


def launched(item: Instruction, kernel: Kernel, processor: Processor) -> Shape:
    """Of a row that is launched by itself."""
    team, space = is_team(kernel), _lines(item)
    fits = space <= processor.shared
    warps = TEAM_WARPS if team else BLOCK
    if not team and space and fits:
        warps = min(BLOCK, processor.shared // space)
    resident = RESIDENT if fits else SCRATCHED
    wanted = item.extent if team else -(-item.extent // warps)
    grid = min(wanted, processor.multiprocessors * max(1, resident // warps))
    return Shape(team, grid, warps, space, fits)


def walked(item: Instruction, kernel: Kernel, processor: Processor) -> Shape:
    """Of a row that one block runs with others, so that all of its warps are there."""
    team, space = is_team(kernel), _lines(item)
    shape = Shape(team, 1, TEAM_WARPS, space, True)
    return Shape(team, 1, TEAM_WARPS, space, shape.of_block <= processor.shared)


def is_team(kernel: Kernel) -> bool:
    """Whether a kernel's worker is a team: its text has six arguments."""
    return arguments(kernel) == 6


def arguments(kernel: Kernel) -> int:
    """How many arguments a kernel's text has."""
    head = kernel.source[: kernel.source.index(")")]
    return head.count(",") + 1


def _lines(item: Instruction) -> int:
    return -(-item.space // LINE) * LINE

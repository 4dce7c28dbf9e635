"""What a team of warps needs for a product: the sizes of its blocks, and memory that it shares.

On a target where a warp is the lanes, the routines of `program.ROUTINES` are called by teams, with
`warp` and `warps` behind the words that the processor's take.  A warp multiplies WARP_ROWS by
`warp_columns` elements of the result at a time, every lane a tile of them in its registers.  The
warps of a team stand over the block, so many down and so many across; those that are left stand
behind one another, and each has a part of every stage of the depth (`Stand`).

Of the memory at `space`, a multiple of 64, a product uses the first `team_space` bytes: stages of
both operands, twice, then the sums of warps that stand behind one another, and from a depth of
GEMM_LONG on what is rounded away.  Behind that is room for the tile that an epilogue reads.  `c`
may be there, or anywhere in global memory.  The routines begin and end with a meeting of the team.
Nothing is kept between calls: a tag means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .program import GEMM_LONG

WARP_ROWS = 32
"""Rows that a warp multiplies at a time."""

STEPS = 8
"""Steps of the depth that a warp makes of each stage."""

TEAM_WARPS = 8
"""Warps of a team that has a block to itself."""

MOST_DOWN, MOST_ACROSS = 4, 2
"""Warps that stand below and beside one another: larger blocks are made piece by piece."""

PADDING = 4
"""Elements between the steps of a stage, so that lanes write to different banks."""


def warp_columns(item: int) -> int:
    """Columns that a warp multiplies at a time, of elements of so many bytes."""
    return 64 if item == 4 else 32


@dataclass(frozen=True)
class Stand:
    """How the warps of a team stand over a block of the result: down, across, and behind."""

    down: int
    across: int
    deep: int

    def stage(self, item: int) -> int:
        """Bytes of one stage of both operands."""
        sides = self.down * WARP_ROWS + self.across * warp_columns(item) + 2 * PADDING
        return STEPS * self.deep * sides * item


def stand(item: int, rows: int, columns: int, warps: int) -> Stand:
    """How `warps` warps, a power of two, stand over a block of so many rows and columns."""
    down = across = 1
    while down < MOST_DOWN and down < warps and down * WARP_ROWS < rows:
        down *= 2
    while across < MOST_ACROSS and down * across < warps and across * warp_columns(item) < columns:
        across *= 2
    return Stand(down, across, warps // (down * across))


def team_space(item: int, rows: int, columns: int, depth: int, warps: int) -> int:
    """Bytes that the products of blocks of up to so many rows and columns touch of `space`.

    It alone says so: plans reserve it, and tests hold the routines to it.  The tile of an epilogue
    may lie there, at this multiple of 64.

    Args:
        item: bytes of an element.
        rows: rows of the largest block that is asked for.
        columns: its columns.
        depth: the extent of the summed axis; of windows, of all segments together.
        warps: that call the routine together, a power of two up to 16.
    """
    stages = 2 * Stand(1, 1, warps).stage(item)  # the edge of a block may be one warp's
    sums = warps * (WARP_ROWS // 2) * warp_columns(item) * item
    lost = rows * columns * item if depth > GEMM_LONG else 0
    return -(-max(stages, sums) // 64) * 64 + -(-lost // 64) * 64

"""How a matrix product is cut into blocks on a GPU, from its sizes alone: one for a team of warps.

Large blocks read each operand fewer times, small ones keep more multiprocessors busy.  So blocks
are as large as it takes to still have FULL of them.  Nothing is packed: in the team's memory are
what its routine needs (`runtime.teams`) and, behind that, the block that an epilogue reads.
"""

from __future__ import annotations

from ...runtime.teams import TEAM_WARPS, WARP_ROWS, team_space, warp_columns
from .tiling import Tiling

FULL = 128
"""Blocks that keep a large GPU busy."""

WARPS = ((4, 2), (2, 1), (1, 1))
"""Warps below and beside one another in a block, of the largest blocks first."""

_ITEM = {"float32": 4, "float64": 8}


def tile_on_cuda(dtype: str, m: int, n: int, k: int, epilogue: bool) -> Tiling:
    """The blocks of [m, k] times [k, n], whether or not the depth k is in segments."""
    item = _ITEM[dtype]
    for below, beside in WARPS:
        rows, columns = below * WARP_ROWS, beside * warp_columns(item)
        down, across = -(-m // rows), -(-n // columns)
        if down * across >= FULL:
            break
    tile = team_space(item, rows, columns, k, TEAM_WARPS)
    space = tile + (rows * columns * item if epilogue else 0)
    return Tiling(rows, columns, down, across, 0, tile, space)

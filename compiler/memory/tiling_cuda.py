"""How a matrix product is cut into blocks on a GPU: squares of one size, one for a team of warps.

The routine brings a few steps of both operands at a time into the beginning of the team's memory;
behind that lies the block that an epilogue reads.  Nothing is packed.
"""

from __future__ import annotations

import numpy as np

from ...runtime.program import TEAM_TILE, staged_space
from .tiling import Tiling


def tile_on_cuda(dtype: str, m: int, n: int, k: int, epilogue: bool) -> Tiling:
    """The blocks of [m, k] times [k, n], whether or not the depth k is in segments."""
    item = np.dtype(dtype).itemsize
    tile = staged_space(item, TEAM_TILE)
    space = tile + (TEAM_TILE * TEAM_TILE * item if epilogue else 0)
    down, across = -(-m // TEAM_TILE), -(-n // TEAM_TILE)
    return Tiling(TEAM_TILE, TEAM_TILE, down, across, 0, tile, space)

"""How attention is cut into blocks on a target, and what its products need of the worker's memory.

On the processor a block stays in the second cache, and its products are packed.  On a GPU all that
a warp needs of a head of 64 features is less than 48 KiB, on the way back less than 66 KiB, so that
some warps share a multiprocessor.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....runtime.program import CUDA, GEMM_DEEP, GEMM_LONG, Target, gemm_space
from ....runtime.teams import team_space
from ...sizes import Dim, ceil_divide


@dataclass(frozen=True)
class Blocks:
    """The queries and the keys of a block."""

    queries: int
    keys: int

    @property
    def square(self) -> int:
        """The larger number."""
        return max(self.queries, self.keys)


ON_CPU = Blocks(128, 128)
ON_CUDA = Blocks(32, 32)


def blocks_on(target: Target) -> Blocks:
    """The blocks of a target."""
    return ON_CUDA if target.name == CUDA.name else ON_CPU


def products_space(target: Target, item: int, width: Dim, depth: Dim) -> Dim:
    """The bytes that the products of blocks may touch.

    Args:
        target: which cuts the blocks.
        item: bytes of an element.
        width: features of queries and keys.
        depth: features of values.
    """
    square = blocks_on(target).square
    if target.name == CUDA.name:
        steps = width if isinstance(width, int) else GEMM_LONG + 1
        return team_space(item, square, square, steps, 1)
    if isinstance(width, int) and isinstance(depth, int):
        most = max(square, width, depth)
        return gemm_space(item, square, most, most, False)
    # At least as much, for any sizes.
    return (width + depth + square) * (2 * square * item) + GEMM_DEEP + 64


def query_space(target: Target, item: int, width: Dim, depth: Dim, keys: Dim) -> Dim:
    """The bytes that the products of one query may touch: as wide, or as deep, as there are keys.

    The arguments are those of `products_space`, and how many keys there are.
    """
    if target.name == CUDA.name:
        # Of its sums of many steps, what is rounded away.
        kept = depth if isinstance(width, int) and width <= GEMM_LONG else depth + keys
        return team_space(item, 1, 1, 0, 1) + ceil_divide(kept * item, 64) * 64
    if isinstance(width, int) and isinstance(depth, int) and isinstance(keys, int):
        return max(gemm_space(item, 1, *shape, False) for shape in ((keys, width), (depth, keys)))
    # At least as much, for any sizes.
    return GEMM_DEEP + ceil_divide((depth + keys) * 2 * item, 64) * 64

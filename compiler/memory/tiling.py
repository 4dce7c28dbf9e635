"""How a matrix product is cut into blocks, from its sizes alone.

A block is what one thread does at a time.  Small products are few blocks whose operands are packed
piece by piece.  In large ones all of the right operand that a block needs is packed at once, and
stays for the blocks below it; so blocks are as wide as the memory for it allows, and as low as it
takes to have some for every thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.program import gemm_space, segmented_space

SMALL = 8_000_000
"""Floating-point operations up to which a product is small: about 60 us."""

BLOCK = 16_000_000
"""Floating-point operations that are worth a block of their own."""

LARGE = 4_000_000_000
"""Floating-point operations from which on a product has up to MOST_BLOCKS blocks, else half."""

MOST_BLOCKS = 16
UNEVEN = 1.05
"""Rows that blocks have room for, to the rows there are: beyond it, threads wait for the last."""

FEWEST_ROWS = 96
FEWEST_COLUMNS = 128
HELD = 1 << 20
"""Elements of the right operand that are packed at once."""

ONCE = 192
"""Rows that a gemm routine does at a time, with each piece of the right operand packed once."""

STRETCH = 1 << 20
"""Bytes of a matrix that are worth a block of their own where it is multiplied by one row."""

WIDEST = 256
"""Columns of a block of a product with a segmented depth."""

LOWEST, FEWEST = 64, 12
"""Rows of a block of such a product, where there are several, and where there is one a thread."""

TILE_BYTES = 64 << 10
"""Bytes of its result that an epilogue reads at a time."""

_ITEM = {"float32": 4, "float64": 8}
_PANEL = 32
"""Columns of the widest panel of a packed operand, on any processor."""


@dataclass(frozen=True)
class Tiling:
    """Rows and columns of a block, how many there are, and what a thread needs of memory.

    `whole` is 1 where the right operand is packed whole; `tile` is where in a thread's memory the
    block goes that an epilogue then reads, and `space` is how much of that memory there is.
    """

    rows: int
    columns: int
    down: int
    across: int
    whole: int
    tile: int
    space: int

    @property
    def blocks(self) -> int:
        """Blocks of one product."""
        return self.down * self.across


def tile_product(dtype: str, m: int, n: int, k: int, epilogue: bool) -> Tiling:
    """The blocks of [m, k] times [k, n]."""
    size, flops = _ITEM[dtype], 2 * m * n * k
    if m == 1:
        # Reading the right operand once is all there is to do: long stretches of its rows.
        wanted = min(MOST_BLOCKS, max(1, n * k * size // STRETCH))
        rows, columns, whole = 1, max(512, _up(-(-n // wanted), 64)), 0
    elif flops < SMALL or m <= 24:
        rows, columns, whole = 768 // size, FEWEST_COLUMNS, 0
        if flops > SMALL // 4 and 64 <= m <= rows:
            rows = _up(-(-m // 2), 12)  # One for each of two threads.
        elif flops > SMALL // 4 and m < 64 and n <= columns:
            columns = _up(-(-n // 2), _PANEL)
    else:
        across = max(1, -(-k * n // HELD))
        most = MOST_BLOCKS if flops >= LARGE else MOST_BLOCKS // 2
        wanted = min(most, max(2, _power_of_two(flops // BLOCK)))
        # Powers of two: two, four or eight threads then have the same to do.
        down = _power_of_two(min(wanted // across, m // FEWEST_ROWS))
        while down > 2 and _up(-(-m // down), 12) * down > UNEVEN * m:
            down //= 2
        across = min(max(across, wanted // down), max(1, n // FEWEST_COLUMNS))
        if down * across == 1:
            # One for each of two threads, side by side unless that is less even.
            wide, high = _up(-(-n // 2), 2 * _PANEL), _up(-(-m // 2), 12)
            down, across = (1, 2) if wide * m <= high * n else (2, 1)
        rows = _up(-(-m // down), 12)
        columns = _up(-(-n // across), 2 * _PANEL)
        # Packing it whole pays where the right operand serves rows after rows.
        whole = int(min(rows, m) * down > ONCE)
    tile = gemm_space(size, min(rows, m), min(columns, n), k, bool(whole))
    space = tile + (min(rows, m) * columns * size if epilogue else 0)
    return Tiling(rows, columns, -(-m // rows), -(-n // columns), whole, tile, space)


def tile_segmented(dtype: str, m: int, n: int, k: int, epilogue: bool) -> Tiling:
    """The blocks of [m, k] times [k, n], where the depth is in segments.

    What an epilogue reads stays in the second cache; without one, a product of many operations has
    blocks for several threads, which are as high as that allows, since each reads all of its depth.
    """
    size, flops = _ITEM[dtype], 2 * m * n * k
    columns = min(_up(n, 16), WIDEST)
    down = 1
    if flops >= SMALL:
        wanted = min(MOST_BLOCKS // 2, max(2, _power_of_two(flops // BLOCK)))
        down = _power_of_two(min(wanted, max(1, m // LOWEST, min(2, m // FEWEST))))
    if epilogue:
        down = max(down, -(-m * columns * size // TILE_BYTES))
    rows = _up(max(1, -(-m // down)), 2)  # rows go in pairs
    space = segmented_space(size, min(rows, m), min(columns, n), k)
    tile = space
    space += rows * columns * size if epilogue else 0
    return Tiling(rows, columns, -(-m // rows), -(-n // columns), 0, tile, space)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _power_of_two(count: int) -> int:
    """The largest up to `count`; 1 for less."""
    return 1 << max(1, count).bit_length() - 1

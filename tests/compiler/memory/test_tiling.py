"""The blocks of a matrix product: they cover it, fit their memory, and come in powers of two."""

import pytest

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.memory.tiling import (
    FEWEST,
    LOWEST,
    MOST_BLOCKS,
    TILE_BYTES,
    UNEVEN,
    WIDEST,
    tile_product,
    tile_segmented,
)
from diagrad.compiler.memory.tiling_cuda import FULL, tile_on_cuda
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.runtime.program import (
    CUDA,
    Routine,
    gemm_space,
    segmented_space,
)
from diagrad.runtime.teams import TEAM_WARPS, WARP_ROWS, team_space, warp_columns

from ..building import b, given, graph

SIZES = [(0, 5, 3), (1, 1, 1), (1, 4096, 4096), (7, 13, 5), (24, 4096, 512), (131, 97, 803),
         (128, 512, 784), (784, 512, 128), (512, 10, 128), (2048, 2048, 2048),
         (5000, 3, 4000), (3, 700, 30000), (300, 400, 10**6)]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_cover_the_product_and_fit(sizes: tuple[int, int, int], dtype: str) -> None:
    m, n, k = sizes
    item = 4 if dtype == "float32" else 8
    plain, tiled = (tile_product(dtype, m, n, k, epilogue) for epilogue in (False, True))
    for tiling in (plain, tiled):
        assert (tiling.down - 1) * tiling.rows < max(m, 1) and tiling.down * tiling.rows >= m
        assert (tiling.across - 1) * tiling.columns < max(n, 1)
        assert tiling.across * tiling.columns >= n
        rows, columns = min(tiling.rows, m), min(tiling.columns, n)
        assert tiling.tile == gemm_space(item, rows, columns, k, bool(tiling.whole))
    assert tiled.space - tiled.tile == min(tiled.rows, m) * tiled.columns * item
    assert plain.space == plain.tile == tiled.tile


@pytest.mark.parametrize("size", [192, 256, 384, 512, 768, 1024, 2048])
def test_large_products_are_even_for_any_few_threads(size: int) -> None:
    tiling = tile_product("float32", size, size, size, epilogue=False)
    assert 2 <= tiling.blocks <= MOST_BLOCKS and tiling.blocks & (tiling.blocks - 1) == 0
    assert tiling.down <= 2 or tiling.down * tiling.rows <= UNEVEN * size


@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(64, 128, 4810), (100, 150, 2000), (64, 100, 4000), (128, 64, 2000), (40, 50, 5000)],
)
def test_there_is_a_block_for_each_of_two_threads(m: int, n: int, k: int) -> None:
    tiling = tile_product("float32", m, n, k, epilogue=True)
    assert tiling.blocks == 2
    assert min(tiling.rows, m) * min(tiling.columns, n) <= 0.64 * m * n


SEGMENTED = [*SIZES, (100_000, 64, 576), (784, 1, 25), (3, 5000, 30_000), (12, 16, 10**6),
             (10**6, 3, 27), (25, 40, 40_000)]  # fmt: skip


@pytest.mark.parametrize("sizes", SEGMENTED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_segments_cover_the_product_and_fit(
    sizes: tuple[int, int, int], dtype: str
) -> None:
    m, n, k = sizes
    item = 4 if dtype == "float32" else 8
    for epilogue in (False, True):
        tiling = tile_segmented(dtype, m, n, k, epilogue)
        assert (tiling.down - 1) * tiling.rows < max(m, 1) and tiling.down * tiling.rows >= m
        assert (tiling.across - 1) * tiling.columns < max(n, 1)
        assert tiling.across * tiling.columns >= n and tiling.columns <= WIDEST
        rows, columns = min(tiling.rows, m), min(tiling.columns, n)
        assert tiling.tile == segmented_space(item, rows, columns, k) and tiling.whole == 0
        beside = rows * tiling.columns * item if epilogue else 0
        assert tiling.space - tiling.tile >= beside
        if epilogue:
            two = 2 * tiling.columns * item  # an even number of rows
            assert tiling.space - tiling.tile <= TILE_BYTES + two
        if tiling.down > 1:
            assert tiling.rows % 2 == 0, "rows go in pairs"


def test_segmented_products_are_cut_for_threads_where_blocks_stay_high() -> None:
    assert tile_segmented("float32", 100, 64, 100, epilogue=False).blocks == 1, "little to do"
    assert tile_segmented("float32", 2 * FEWEST - 1, 64, 20_000, epilogue=False).down == 1
    assert tile_segmented("float32", 2 * FEWEST, 64, 20_000, epilogue=False).down == 2
    for m in (2 * LOWEST, 1000, 50_000):
        tiling = tile_segmented("float32", m, 64, 20_000, epilogue=False)
        assert 2 <= tiling.down <= MOST_BLOCKS // 2 and tiling.rows >= LOWEST


@pytest.mark.parametrize("sizes", SEGMENTED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_on_a_gpu_cover_the_product_and_fit(sizes: tuple[int, int, int], dtype: str) -> None:
    m, n, k = sizes
    item = 4 if dtype == "float32" else 8
    plain, tiled = (tile_on_cuda(dtype, m, n, k, epilogue) for epilogue in (False, True))
    for tiling in (plain, tiled):
        rows, columns = tiling.rows, tiling.columns
        assert rows % WARP_ROWS == 0 and columns % warp_columns(item) == columns % CUDA.lanes == 0
        assert (tiling.down - 1) * rows < max(m, 1) and tiling.down * rows >= m
        assert (tiling.across - 1) * columns < max(n, 1) and tiling.across * columns >= n
        assert tiling.tile == team_space(item, rows, columns, k, TEAM_WARPS)
        assert tiling.tile % 64 == 0 == tiling.whole
        assert tiling.blocks >= FULL or (rows, columns) == (WARP_ROWS, warp_columns(item))
    assert tiled.space == tiled.tile + tiled.rows * tiled.columns * item
    assert plain.space == plain.tile
    assert tiled.space <= 200 << 10  # the shared memory of a multiprocessor


def test_large_products_have_large_blocks_on_a_gpu() -> None:
    sides = [tile_on_cuda("float32", n, n, n, epilogue=True) for n in (64, 800, 1600, 4096)]
    assert [(tiling.rows, tiling.columns) for tiling in sides] == [
        (32, 64), (64, 64), (128, 128), (128, 128),
    ]  # fmt: skip


@pytest.mark.parametrize("epilogue", [False, True])
@pytest.mark.parametrize("segmented", [False, True])
def test_the_target_says_how_products_are_cut(segmented: bool, epilogue: bool) -> None:
    """300 rows and 70 columns: ten blocks by two on a GPU."""
    w = given("w", 5, 3, 70)
    x = given("x", 300, 5, 4 if segmented else 3)  # rows of 3 that lie 4 apart are segments
    seen = b.slice(x, start=(0, 0, 0), stop=(300, 5, 3), step=(1, 1, 1)) if segmented else x
    y = b.contract(seen, w, a=(0, 1, 2), b=(1, 2, 3), out=(0, 3))
    whole = prepare(graph(x, w, y=b.tanh(y) if epilogue else y))
    (row,) = plan_memory(compile_kernels(whole, target=CUDA), {}).instructions
    assert row.words[2] == Routine("segmented_f32" if segmented else "gemm_f32")
    assert (row.extent, row.words[3:7]) == (20, (2, 10, WARP_ROWS, warp_columns(4)))
    assert row.space == tile_on_cuda("float32", 300, 70, 15, epilogue).space
    (row,) = plan_memory(compile_kernels(whole), {}).instructions
    cut = tile_segmented if segmented else tile_product
    tiling = cut("float32", 300, 70, 15, epilogue)
    assert (row.extent, row.space) == (tiling.blocks, tiling.space)

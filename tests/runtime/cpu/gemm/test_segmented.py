"""The native products with a depth in segments against NumPy in float64, wherever rows lie."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cpu.building import link
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cpu.gemm.segmented import build_segmented, segmented_text
from diagrad.runtime.program import GEMM_CHAINS, GEMM_DEPTH, GEMM_LONG, segmented_space

from ...engine import Array, run

Routine = Callable[..., None]
KINDS = {"f32": np.float32, "f64": np.float64}
VARIANTS = ["f32", "f64", "f32 in 32 bytes", "f32 in 16 bytes", "f64 in 16 bytes"]


@pytest.fixture(scope="module", params=VARIANTS)
def routine(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Routine]]:
    """The routines of this processor, and those for narrower vectors."""
    kind = request.param.split()[0]
    if " " in request.param:
        width = int(request.param.split()[2])
        symbol = f"test_segmented_{kind}_{width}"
        code = build_text(segmented_text(kind, symbol, width), {symbol}, speed=0)
        linked = link.link({symbol: code})[symbol]
    else:
        name = f"segmented_{kind}"
        linked = obtain([Request(name, name, build_segmented)])[0].code
    yield KINDS[kind], ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 14)(linked.address)


@dataclass
class Operands:
    """A product: memory of both operands, where each begins, and the tables of offsets.

    Element (i, s, p) of the left one is at a_begin + rows[i] + a_depth[s] + p * a_col, element
    (s, p, j) of the right one at b_begin + b_depth[s] + p * b_row + j.
    """

    a: Array
    a_begin: int
    rows: Array
    a_depth: Array
    a_col: int
    b: Array
    b_begin: int
    b_depth: Array
    b_row: int
    n: int
    k: int

    def matrices(self) -> tuple[Array, Array]:
        """Both operands in float64, as [m, segments * k] and [segments * k, n]."""
        steps = np.arange(self.k)
        a_deep = self.a_begin + self.a_depth[:, None] + self.a_col * steps
        left = self.a[self.rows[:, None, None] + a_deep]
        b_deep = self.b_begin + self.b_depth[:, None] + self.b_row * steps
        right = self.b[b_deep[..., None] + np.arange(self.n)]
        depth = self.a_depth.size * self.k
        return (
            left.reshape(self.rows.size, depth).astype(np.float64),
            right.reshape(depth, self.n).astype(np.float64),
        )

    def part(self, i: slice, j: slice) -> "Operands":
        """Some rows and columns of the product."""
        first, stop, _ = j.indices(self.n)
        begin = self.b_begin + first
        return Operands(
            self.a, self.a_begin, self.rows[i].copy(), self.a_depth, self.a_col, self.b, begin,
            self.b_depth, self.b_row, stop - first, self.k,
        )  # fmt: skip


def draw(
    rng: np.random.Generator, dtype: Any, m: int, n: int, k: int, segments: int,
    a_col: int | None = None,
) -> Operands:  # fmt: skip
    """Rows and segments anywhere: apart, overlapping, repeated, backwards, rows in pairs."""
    a_col = int(rng.choice([1, 1, 3, -1, 0])) if a_col is None else a_col
    b_row = int(rng.choice([n, n + 3, 1, -n, 0]))
    rows, a_depth, b_depth = (
        rng.integers(-far, far + 1, count)
        for count, far in ((m, 200), (segments, 100), (segments, 300))
    )
    if rng.random() < 0.3:
        rows[1::2] = rows[: m // 2 * 2 : 2] + 1
    a, a_begin = memory(rng, dtype, [rows, a_depth, a_col * np.arange(k)])
    b, b_begin = memory(rng, dtype, [b_depth, b_row * np.arange(k), np.arange(n)])
    return Operands(a, a_begin, rows, a_depth, a_col, b, b_begin, b_depth, b_row, n, k)


def memory(rng: np.random.Generator, dtype: Any, offsets: list[Array]) -> tuple[Array, int]:
    """Just the elements that sums of these offsets reach, and where offset 0 is."""
    low, high = (
        sum(int(getattr(table, which)(initial=0)) for table in offsets) for which in ("min", "max")
    )
    return rng.normal(size=high - low + 1).astype(dtype), -low


def dense(a: Array, b: Array, segments: int) -> Operands:
    """The product of two matrices that lie contiguously, its depth cut into equal segments."""
    (m, depth), width = a.shape, b.shape[1]
    k = depth // segments
    rows, starts = np.arange(m) * depth, np.arange(segments) * k
    return Operands(a.ravel(), 0, rows, starts, 1, b.ravel(), 0, starts * width, width, width, k)


def multiply(routine: Routine, x: Operands, c: Array) -> None:
    """c = the product, in memory of the thread that is as much as is planned, and no more."""
    m, n, segments = x.rows.size, x.n, x.a_depth.size
    size = segmented_space(x.a.itemsize, m, n, segments * x.k)
    space = np.full(size + 64, 0xA5, np.uint8)
    tables = [np.ascontiguousarray(table, np.int64) for table in (x.rows, x.a_depth, x.b_depth)]
    a_rows, a_depth, b_depth = (table.ctypes.data for table in tables)
    item = x.a.itemsize
    routine(
        x.a.ctypes.data + x.a_begin * item, a_rows, a_depth, x.a_col,
        x.b.ctypes.data + x.b_begin * item, b_depth, x.b_row,
        c.ctypes.data, c.strides[0] // item, m, n, x.k, segments, space.ctypes.data,
    )  # fmt: skip
    assert (space[size:] == 0xA5).all(), "wrote beyond its space"


def check(routine: Routine, x: Operands) -> None:
    dtype = x.a.dtype
    left, right = x.matrices()
    held = np.full((x.rows.size + 1, x.n + 3), 7, dtype)
    c = held[:-1, : x.n]
    multiply(routine, x, c)
    scale = np.abs(left) @ np.abs(right)
    bound = 4 * np.finfo(dtype).eps * scale * (1 + left.shape[1] ** 0.5)
    assert (np.abs(c - left @ right) <= bound).all()
    assert (held[:, x.n :] == 7).all() and (held[-1] == 7).all(), "wrote beyond its result"


def test_random_sizes_and_places(routine: tuple[Any, Routine]) -> None:
    dtype, segmented = routine
    rng = np.random.default_rng(0)
    for turn in range(300):
        m, n = (int(size) for size in rng.integers(0, 131 if turn % 2 else 20, 2))
        k, segments = (int(size) for size in rng.integers(0, 20, 2))
        check(segmented, draw(rng, dtype, m, n, k, segments))


DEPTHS = [(1, 1), (1, 2), (1, 500), (2, 193), (3, 128), (3, 129), (191, 3), (192, 4), (193, 3),
          (383, 3), (384, 3), (385, 3), (767, 2), (768, 2), (769, 2), (1000, 1)]  # fmt: skip
"""Steps of a segment, and segments: a chain of one, of several, and several chains of a segment."""


@pytest.mark.parametrize("depth", DEPTHS)
def test_chains(routine: tuple[Any, Routine], depth: tuple[int, int]) -> None:
    dtype, segmented = routine
    rng = np.random.default_rng(1)
    for m, n in ((1, 1), (13, 5), (3, 33), (25, 40)):
        check(segmented, draw(rng, dtype, m, n, *depth))


EDGES = [(0, 5, 3, 2), (5, 0, 3, 2), (5, 7, 0, 2), (5, 7, 3, 0), (0, 0, 0, 0)]


@pytest.mark.parametrize("shape", EDGES)
def test_nothing_to_sum_gives_zeros(
    routine: tuple[Any, Routine], shape: tuple[int, int, int, int]
) -> None:
    dtype, segmented = routine
    m, n, _, _ = shape
    x = draw(np.random.default_rng(0), dtype, *shape)
    held = np.full((m + 1, n + 2), np.nan, dtype)
    multiply(segmented, x, held[:m, :n])
    assert (held[:m, :n] == 0).all()
    assert np.isnan(held[:, n:]).all() and np.isnan(held[m]).all()


def level(m: int, n: int, k: int, segments: int, dtype: Any) -> Operands:
    """One number everywhere, so that roundings do not cancel."""
    a, b = (np.full(shape, 0.1, dtype) for shape in ((m, k * segments), (k * segments, n)))
    return dense(a, b, segments)


GREAT = [
    (GEMM_LONG + 1, 1), (3 * GEMM_LONG, 1), (GEMM_LONG + 1, 2), (1, GEMM_LONG + 1), (1, 200_003),
    (193, GEMM_CHAINS + 1), (193, GEMM_CHAINS), (385, GEMM_CHAINS // 2 + 1), (7, 30_001),
    (GEMM_DEPTH, 3 * GEMM_CHAINS), (GEMM_DEPTH + 1, 100),
]  # fmt: skip
"""Steps of a segment and segments, of about GEMM_CHAINS chains and of many more."""


@pytest.mark.parametrize("depth", GREAT)
@pytest.mark.parametrize("shape", [(1, 1), (5, 17), (30, 33)])
def test_great_depth(
    routine: tuple[Any, Routine], depth: tuple[int, int], shape: tuple[int, int]
) -> None:
    """Off by no more than a chain, the chains of a part and a few additions, however deep."""
    dtype, segmented = routine
    x = level(*shape, *depth, dtype)
    held = np.full((shape[0], shape[1] + 3), 7, dtype)
    multiply(segmented, x, held[:, : shape[1]])
    exact, u = depth[0] * depth[1] * float(x.a[0]) * float(x.b[0]), np.finfo(dtype).eps / 2
    off = np.abs(held[:, : shape[1]].astype(np.float64) / exact - 1)
    assert (off <= (GEMM_DEPTH + GEMM_CHAINS + 8) * u).all()
    assert (held[:, shape[1] :] == 7).all(), "wrote beyond its columns"


@pytest.mark.parametrize("depth", [(7, 4001), (GEMM_LONG + 5, 2), (400, 70)])
def test_great_depth_of_random_numbers(
    routine: tuple[Any, Routine], depth: tuple[int, int]
) -> None:
    dtype, segmented = routine
    check(segmented, draw(np.random.default_rng(2), dtype, 7, 19, *depth))


@pytest.mark.parametrize("segments", [1, 3, GEMM_LONG])
def test_infinities_of_great_depth(routine: tuple[Any, Routine], segments: int) -> None:
    dtype, segmented = routine
    k = 3 * GEMM_LONG
    for place in (0, GEMM_LONG - 1, GEMM_LONG, k - 1):
        a, c = np.ones((4, k), dtype), np.empty((4, 5), dtype)
        a[0, place], a[1, place], a[2, [place, k // 2]] = np.inf, np.nan, (-np.inf, np.inf)
        multiply(segmented, dense(a, np.ones((k, 5), dtype), segments), c)
        np.testing.assert_array_equal(c.T, [[np.inf, np.nan, np.nan, k]] * 5)


def test_infinities_and_nan_stay_in_their_row_and_column(routine: tuple[Any, Routine]) -> None:
    dtype, segmented = routine
    a, b = np.ones((14, 20), dtype), np.ones((20, 40), dtype)
    a[3, 5], b[7, 11] = np.nan, np.inf
    c = np.empty((14, 40), dtype)
    multiply(segmented, dense(a, b, 4), c)
    np.testing.assert_array_equal(np.isnan(c), np.arange(14)[:, None] == np.full(40, 3))
    np.testing.assert_array_equal(np.isinf(c[0]), np.arange(40) == 11)


DEPTHS_OF_BITS = [(7, 9), (200, 3), (GEMM_DEPTH + 6, 2), (8, 3000)]


@pytest.mark.parametrize("depth", DEPTHS_OF_BITS)
def test_bits_do_not_depend_on_the_blocks(
    routine: tuple[Any, Routine], depth: tuple[int, int]
) -> None:
    """Neither on other rows, nor on the columns of other stripes."""
    dtype, segmented = routine
    rng = np.random.default_rng(3)
    for a_col in (1, 3):
        x = draw(rng, dtype, 53, 71, *depth, a_col)
        whole, parts = np.empty((53, 71), dtype), np.empty((53, 71), dtype)
        multiply(segmented, x, whole)
        for rows, columns in ((1, 71), (50, 32), (12, 64), (53, 32), (7, 71)):
            in_parts(segmented, x, rows, columns, parts)
            np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("steps", [7, 8])
@pytest.mark.parametrize("apart", [1, 2])
def test_bits_of_any_columns_where_steps_do_not_go_in_pairs(
    routine: tuple[Any, Routine], steps: int, apart: int
) -> None:
    """Rows side by side do go in pairs, in stripes of one vector, and keep their sums."""
    dtype, segmented = routine
    x = draw(np.random.default_rng(3), dtype, 53, 71, steps, 60, 3)
    x = replace(x, rows=np.arange(53) * apart - 40)
    whole, parts = np.empty((53, 71), dtype), np.empty((53, 71), dtype)
    multiply(segmented, x, whole)
    for rows, columns in ((53, 1), (53, 5), (24, 16), (10, 31), (1, 40)):
        in_parts(segmented, x, rows, columns, parts)
        np.testing.assert_array_equal(parts, whole)


def in_parts(routine: Routine, x: Operands, rows: int, columns: int, parts: Array) -> None:
    """The product in blocks of so many rows and columns."""
    m, n = parts.shape
    for i in range(0, m, rows):
        for j in range(0, n, columns):
            block = slice(i, i + rows), slice(j, j + columns)
            multiply(routine, x.part(*block), parts[block])


@pytest.mark.parametrize("depth", [(100, 8), (99, 8), (386, 2), (385, 2)])
@pytest.mark.parametrize("n", [1, 100])
def test_an_element_is_its_chains(
    routine: tuple[Any, Routine], depth: tuple[int, int], n: int
) -> None:
    """A chain is rounded once a step, in order; then the chains are added in order.

    In a stripe of one vector, pairs of float32 are two chains: of even steps, and of odd ones.
    """
    dtype, segmented = routine
    rng = np.random.default_rng(4)
    k, segments = depth
    # Small integers and great ones: each order of additions rounds in its own way.
    a = rng.integers(1, 9, (1, k * segments)).astype(dtype)
    b = np.repeat(rng.integers(1, 9, (k * segments, 1)).astype(dtype), n, 1)
    a[0, ::50] = 2 / np.finfo(dtype).eps
    c = np.empty((1, n), dtype)
    multiply(segmented, dense(a, b, segments), c)
    assert c[0, 0] == chained(a[0], b[:, 0], k, segments, n == 1 and dtype == np.float32)


def chained(a: Array, b: Array, k: int, segments: int, in_pairs: bool) -> Any:
    """The sum of sums that the routine's docstring tells of; all products are exact."""
    together = max(1, GEMM_DEPTH // k)
    total = None
    for first in range(0, segments, together):
        for p in range(0, k, GEMM_DEPTH):
            steps = min(GEMM_DEPTH, k - p)
            starts = [s * k + p for s in range(first, min(first + together, segments))]
            places = [q for start in starts for q in range(start, start + steps)]
            apart = 2 if in_pairs and steps % 2 == 0 else 1
            sums = []
            for parity in range(apart):
                chain = a.dtype.type(0)
                for q in places[parity::apart]:
                    chain = chain + a[q] * b[q]
                sums.append(chain)
            some = sums[0] if apart == 1 else sums[0] + sums[1]
            total = some if total is None else total + some
    return total


@pytest.mark.parametrize("word", ["segmented_f32", "segmented_f64"])
def test_kernels_call_the_routine(word: str) -> None:
    """A convolution along a line: windows of 3 of 2 channels, as segments 4 elements apart."""
    item = int(word[-2:]) // 8
    dtype = f"float{8 * item}"
    text = f"""def kernel(args, lo, hi, space):
    for i in range(lo, hi):
        c = args[6] + i * {item} * 5
        {word}(args[0], args[1] + i * {item} * 4, args[2], args[3], 1, args[4], args[5], 5,
                      c, 5, 1, 5, 2, 3, space, 0, 1)
"""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(12, 4)).astype(dtype), rng.normal(size=(3, 2, 5))
    w = w.astype(dtype)
    c = np.zeros((9, 5), dtype)
    rows, a_depth, b_depth = np.zeros(1, np.int64), np.arange(3) * 4, np.arange(3) * 10
    address = obtain([Request(word, word, build_segmented)])[0].address
    run(text, [address, x, rows, a_depth, w, b_depth, c], extent=9)
    wanted = np.stack([np.einsum("tc,tcj->j", x[i : i + 3, :2], w) for i in range(9)])
    np.testing.assert_allclose(c, wanted, rtol=1e-4, atol=1e-5)

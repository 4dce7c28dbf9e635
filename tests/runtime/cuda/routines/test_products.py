"""Products of teams against NumPy in float64: sizes, strides, windows, long depths, and memory."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from diagrad.runtime.program import GEMM_DEPTH, GEMM_LONG
from diagrad.runtime.teams import team_space

from .calling import call

Array = npt.NDArray[Any]
DTYPE: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
KINDS = ("f32", "f64")
WARPS = (1, 2, 8)
SIZES = [
    (0, 3, 5), (3, 0, 5), (3, 5, 0), (1, 1, 1), (3, 5, 7), (31, 65, 9), (32, 64, 8), (33, 63, 17),
    (64, 64, 64), (127, 129, 31), (131, 130, 33), (5, 300, 40), (300, 5, 40), (40, 40, 3100),
]  # fmt: skip


def fresh(kind: str, m: int, n: int) -> Array:
    return np.full((m, n + 3), np.nan, DTYPE[kind])


def gemm(a: Array, b: Array, kind: str, warps: int) -> Array:
    """The product by the routine, in a matrix with longer rows, of which the rest must stay."""
    (m, k), n, item = a.shape, b.shape[1], np.dtype(DTYPE[kind]).itemsize
    c = fresh(kind, m, n)
    steps = [stride // item for stride in (*a.strides, *b.strides)]
    words = [
        a.ctypes.data, *steps[:2], b.ctypes.data, *steps[2:], c.ctypes.data, n + 3, m, n, k,
        team_space(item, m, n, k, warps), 0,
    ]  # fmt: skip
    call(f"gemm_{kind}", words, warps, space=11)
    assert np.isnan(c[:, n:]).all()
    return c[:, :n]


def segmented(
    left: tuple[Array, Array, Array, int],
    right: tuple[Array, Array, int],
    c: Array,
    sizes: tuple[int, int, int, int],
    warps: int,
) -> None:
    """The product of windows by the routine: operands in the order of its words."""
    (a, a_rows, a_depth, a_col), (b, b_depth, b_row), (m, n, k, segments) = left, right, sizes
    kind = "f32" if c.dtype == np.float32 else "f64"
    words = [
        a.ctypes.data, a_rows.ctypes.data, a_depth.ctypes.data, a_col, b.ctypes.data,
        b_depth.ctypes.data, b_row, c.ctypes.data, c.shape[1], m, n, k, segments,
        team_space(c.itemsize, m, n, k * segments, warps),
    ]  # fmt: skip
    call(f"segmented_{kind}", words, warps, space=13)


def drawn(rng: np.random.Generator, shape: tuple[int, int], kind: str, how: str) -> Array:
    """A matrix that lies by rows, by columns, with gaps, or with one row for all."""
    rows, columns = shape
    if how == "turned":
        return rng.normal(size=(columns, rows)).astype(DTYPE[kind]).T
    if how == "apart":
        return rng.normal(size=(rows * 2, columns * 3)).astype(DTYPE[kind])[::2, ::3]
    if how == "same":
        return np.broadcast_to(rng.normal(size=columns).astype(DTYPE[kind]), shape)
    return rng.normal(size=shape).astype(DTYPE[kind])


def agree(got: Array, a: Array, b: Array) -> None:
    """Within a few roundings of the sum of absolute values."""
    x, y = a.astype(np.longdouble), b.astype(np.longdouble)
    unit = np.finfo(got.dtype).eps
    bound = unit * (2 + np.sqrt(min(a.shape[1], 400))) * (abs(x) @ abs(y))
    assert got.shape == bound.shape
    assert (abs(got - x @ y) <= bound).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warps", WARPS)
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_products(kind: str, warps: int, m: int, n: int, k: int) -> None:
    rng = np.random.default_rng(m + n + k)
    ways = ("plain", "turned", "apart", "same")
    for how_a, how_b in [(x, "plain") for x in ways] + [("plain", x) for x in ways]:
        a, b = drawn(rng, (m, k), kind, how_a), drawn(rng, (k, n), kind, how_b)
        agree(gemm(a, b, kind, warps), a, b)


@pytest.mark.parametrize("warps", WARPS)
def test_a_team_of_any_size_gives_nearly_the_same(warps: int) -> None:
    """Where no warps stand behind one another, it gives the same bits."""
    rng = np.random.default_rng(1)
    a, b = drawn(rng, (200, 50), "f32", "plain"), drawn(rng, (50, 150), "f32", "plain")
    np.testing.assert_array_equal(gemm(a, b, "f32", warps), gemm(a, b, "f32", 1))


@pytest.mark.parametrize("warps", WARPS)
def test_infinities_and_nans_stay_where_they_belong(warps: int) -> None:
    a, b = np.ones((40, 20), np.float32), np.ones((20, 70), np.float32)
    a[3, 5], b[7, 11] = np.inf, np.nan
    c = gemm(a, b, "f32", warps)
    wanted = a @ b
    np.testing.assert_array_equal(c, wanted)


@pytest.mark.parametrize("warps", WARPS)
def test_a_long_depth_loses_nothing(warps: int) -> None:
    """Sums of positive numbers: without what is kept, thousands of roundings add up."""
    rng = np.random.default_rng(2)
    k = 4 * GEMM_LONG + 11
    a, b = (rng.random(size).astype(np.float32) for size in ((3, k), (k, 2)))
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    error = abs(gemm(a, b, "f32", warps) / exact - 1).max()
    assert error < 3e-7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warps", WARPS)
@pytest.mark.parametrize(
    ("m", "n", "k", "segments"),
    [(0, 3, 2, 2), (3, 4, 0, 2), (3, 4, 2, 0), (5, 6, 3, 1), (70, 65, 9, 3), (33, 8, 16, 9),
     (40, 130, 5, 200)],
)  # fmt: skip
def test_windows(kind: str, warps: int, m: int, n: int, k: int, segments: int) -> None:
    """Rows and segments lie anywhere in a long line of numbers."""
    rng = np.random.default_rng(3)
    dtype = DTYPE[kind]
    for a_col, b_row in ((1, max(1, n)), (3, n + 5)):
        line = rng.normal(size=5000).astype(dtype)
        right = rng.normal(size=(segments + 1) * (k + 1) * (n + 5)).astype(dtype)
        a_rows = rng.integers(0, 2000, m)
        a_depth = rng.integers(0, 2000, segments)
        b_depth = rng.permutation(segments) * k * b_row
        c = fresh(kind, m, n)
        left, below = (line, a_rows, a_depth, a_col), (right, b_depth, b_row)
        segmented(left, below, c, (m, n, k, segments), warps)
        steps = np.arange(k)
        at_a = a_rows[:, None, None] + a_depth[:, None] + steps * a_col
        at_b = b_depth[:, None, None] + steps[:, None] * b_row + np.arange(n)
        a = line[at_a.reshape(m, segments * k)]
        b = right[at_b.reshape(segments * k, n)]
        agree(c[:, :n], a, b)
        assert np.isnan(c[:, n:]).all()


@pytest.mark.parametrize("k", [1, 3, 7, 8, 9])
def test_short_segments_make_chains_together(k: int) -> None:
    """A chain of GEMM_DEPTH small numbers counts beside a great one, a shorter one would not."""
    segments, small, great = GEMM_LONG // k, 512 / GEMM_DEPTH, 2.0**31
    line = np.full(segments * k, small, np.float32)
    line[0] = great
    depth, zeros = np.arange(segments) * k, np.zeros(segments, np.int64)
    c = np.zeros((1, 1), np.float32)
    left, right = (line, zeros, depth, 1), (np.ones(k, np.float32), zeros, 1)
    segmented(left, right, c, (1, 1, k, segments), 1)
    gone = 1 - (float(c[0, 0]) - great) / (small * (segments * k - 1))
    assert abs(gone) < 0.13


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (1, 1), (31, 33), (65, 7), (32, 64)])
def test_turned(kind: str, n: int, m: int) -> None:
    rows = np.random.default_rng(4).normal(size=(n, m + 2)).astype(DTYPE[kind])
    c = fresh(kind, m, n)
    words = [c.ctypes.data, n + 3, rows.ctypes.data, m + 2, n, m]
    call(f"turn_{kind}", words, 1)
    np.testing.assert_array_equal(c[:, :n], rows[:, :m].T)
    assert np.isnan(c[:, n:]).all()

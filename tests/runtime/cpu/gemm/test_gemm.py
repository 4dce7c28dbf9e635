"""The native matrix products against NumPy in float64: sizes, strides, edges, determinism."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cpu import host
from diagrad.runtime.cpu.building import link
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cpu.gemm.blocking import blocking
from diagrad.runtime.cpu.gemm.gemm import build_routine, routine_text
from diagrad.runtime.program import GEMM_DEPTH, GEMM_LONG, gemm_space

from ...engine import Array, run

Gemm = Callable[..., None]
KINDS = {"f32": np.float32, "f64": np.float64}


@pytest.fixture(scope="module", params=["f32", "f64", "f32 in 32 bytes", "f32 in 16 bytes"])
def routine(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Gemm]]:
    """The routines of this processor, and those for narrower vectors."""
    kind = request.param.split()[0]
    if " " in request.param:
        width = int(request.param.split()[2])
        symbol = f"test_gemm_{kind}_{width}"
        code = build_text(routine_text(kind, symbol, width), {symbol})
        linked = link.link({symbol: code})[symbol]
    else:
        name = f"gemm_{kind}"
        linked = obtain([Request(name, name, build_routine)])[0].code
    yield KINDS[kind], ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 13)(linked.address)


def strides(array: Array) -> tuple[int, int]:
    row, column = array.strides
    return row // array.itemsize, column // array.itemsize


def multiply(
    gemm: Gemm, a: Array, b: Array, c: Array, space: Array | None = None, tag: int = 0
) -> None:
    (m, k), n = a.shape, b.shape[1]
    space = room(a, b, whole=False) if space is None else space
    gemm(
        a.ctypes.data, *strides(a), b.ctypes.data, *strides(b), c.ctypes.data, strides(c)[0],
        m, n, k, space.ctypes.data, tag,
    )  # fmt: skip


def room(a: Array, b: Array, whole: bool) -> Array:
    """As much space as the routine may touch; its first word is 0."""
    size = gemm_space(a.itemsize, a.shape[0], b.shape[1], a.shape[1], whole)
    return np.zeros(size // 8)


def lay(rng: np.random.Generator, rows: int, columns: int, how: str, dtype: Any) -> Array:
    if how == "transposed":
        return rng.normal(size=(columns, rows)).astype(dtype).T
    if how == "spread":
        return rng.normal(size=(2 * rows + 1, 3 * columns + 1)).astype(dtype)[: 2 * rows : 2, ::3][
            :, :columns
        ]
    if how == "backwards":
        return rng.normal(size=(rows, columns)).astype(dtype)[::-1, ::-1]
    if how == "repeated":
        return np.broadcast_to(rng.normal(size=(1, columns)).astype(dtype), (rows, columns))
    return rng.normal(size=(rows, columns)).astype(dtype)


def check(gemm: Gemm, a: Array, b: Array) -> None:
    dtype = a.dtype
    wanted = a.astype(np.float64) @ b.astype(np.float64)
    held = np.full((a.shape[0], b.shape[1] + 3), 7, dtype)
    c = held[:, : b.shape[1]]
    multiply(gemm, a, b, c)
    scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert (np.abs(c - wanted) <= 4 * np.finfo(dtype).eps * scale * (1 + a.shape[1] ** 0.5)).all()
    assert (held[:, b.shape[1] :] == 7).all(), "wrote beyond its columns"


LAYOUTS = ["plain", "transposed", "spread", "backwards", "repeated"]


def test_random_sizes_and_strides(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    rng = np.random.default_rng(0)
    for turn in range(400):
        m, n, k = rng.integers(0, 131 if turn % 2 else 20, 3)
        k = k if turn % 25 else int(rng.integers(380, 1000))
        a = lay(rng, m, k, str(rng.choice(LAYOUTS)), dtype)
        b = lay(rng, k, n, str(rng.choice(LAYOUTS)), dtype)
        check(gemm, a, b)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 17), (30, 33)])
@pytest.mark.parametrize("layout", ["plain plain", "transposed plain", "plain transposed"])
def test_great_depth(routine: tuple[Any, Gemm], shape: tuple[int, int], layout: str) -> None:
    """Off by no more than a chain, the chains of a part and a few additions, however deep."""
    dtype, gemm = routine
    (m, n), (left, right) = shape, layout.split()
    for k in (GEMM_LONG + 1, 3 * GEMM_LONG, 200_003):
        a, b = lay_level(m, k, left, dtype), lay_level(k, n, right, dtype)
        held = np.full((m, n + 3), 7, dtype)
        multiply(gemm, a, b, held[:, :n])
        exact, u = k * float(a[0, 0]) * float(b[0, 0]), np.finfo(dtype).eps / 2
        off = np.abs(held[:, :n].astype(np.float64) / exact - 1)
        assert (off <= (GEMM_DEPTH + GEMM_LONG // GEMM_DEPTH + 8) * u).all()
        assert (held[:, n:] == 7).all(), "wrote beyond its columns"


def lay_level(rows: int, columns: int, how: str, dtype: Any) -> Array:
    """One number everywhere, so that roundings do not cancel."""
    shape = (columns, rows) if how == "transposed" else (rows, columns)
    full = np.full(shape, 0.1, dtype)
    return full.T if how == "transposed" else full


def test_infinities_of_great_depth(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    k = 3 * GEMM_LONG
    for place in (0, GEMM_LONG - 1, GEMM_LONG, k - 1):
        a, c = np.ones((4, k), dtype), np.empty((4, 5), dtype)
        a[0, place], a[1, place], a[2, [place, k // 2]] = np.inf, np.nan, (-np.inf, np.inf)
        multiply(gemm, a, np.ones((k, 5), dtype), c)
        np.testing.assert_array_equal(c.T, [[np.inf, np.nan, np.nan, k]] * 5)


EDGES = [(1, 200, 77), (4, 130, 200), (3, 1, 50), (400, 1, 33), (1, 1, 999), (390, 140, 200),
         (13, 33, 385), (5, 0, 3), (0, 5, 3), (2, 40, 50), (7, 17, 385), (12, 33, 400),
         (23, 70, 20), (1030, 3, 17), (70, 12, 400), (600, 1, 20), (129, 5, 16),
         (40, 1024, 50)]  # fmt: skip
TRANSPOSES = ["plain plain", "transposed plain", "plain transposed", "transposed transposed"]


@pytest.mark.parametrize("shape", EDGES)
@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_edges(routine: tuple[Any, Gemm], shape: tuple[int, int, int], transposes: str) -> None:
    dtype, gemm = routine
    m, n, k = shape
    rng = np.random.default_rng(0)
    left, right = transposes.split()
    check(gemm, lay(rng, m, k, left, dtype), lay(rng, k, n, right, dtype))


def test_no_depth_gives_zeros(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    c = np.full((5, 7), np.nan, dtype)
    multiply(gemm, np.zeros((5, 0), dtype), np.zeros((0, 7), dtype), c)
    assert (c == 0).all()


def test_contiguous_column_of_results(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(77, 30)).astype(dtype), rng.normal(size=(30, 1)).astype(dtype)
    c, spread = np.empty((77, 1), dtype), np.empty((77, 2), dtype)
    multiply(gemm, a, b, c)
    multiply(gemm, a, b, spread[:, :1])
    np.testing.assert_allclose(c, a @ b, rtol=1e-4)
    np.testing.assert_array_equal(c, spread[:, :1])


def test_results_do_not_depend_on_the_blocks(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    rng = np.random.default_rng(0)
    for layout in LAYOUTS:
        a, b = lay(rng, 131, 800, layout, dtype), lay(rng, 800, 97, layout, dtype)
        whole, parts = np.empty((131, 97), dtype), np.empty((131, 97), dtype)
        multiply(gemm, a, b, whole)
        for rows, columns in ((1, 97), (50, 31), (131, 1), (12, 32), (131, 5), (7, 97), (20, 40)):
            for i in range(0, 131, rows):
                for j in range(0, 97, columns):
                    block = parts[i : i + rows, j : j + columns]
                    multiply(gemm, a[i : i + rows], b[:, j : j + columns], block)
            np.testing.assert_array_equal(parts, whole)
        space = room(a, b, whole=True)
        for columns in (97, 33):
            space[0] = 0
            for j in range(0, 97, columns):
                for i in range(0, 131, 50):
                    block = parts[i : i + 50, j : j + columns]
                    right = b[:, j : j + columns]
                    multiply(gemm, a[i : i + 50], right, block, space, tag=1 + j)
            np.testing.assert_array_equal(parts, whole)


def test_a_packed_operand_stays_as_long_as_its_tag(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    a, b = np.ones((7, 20), dtype), np.ones((20, 40), dtype)
    c, space = np.empty((7, 40), dtype), room(a, b, whole=True)
    for tag, value, wanted in ((3, 1, 20), (3, 2, 20), (4, 2, 40), (0, 3, 60), (3, 1, 20)):
        b[:] = value
        multiply(gemm, a, b, c, space, tag)
        assert (c == wanted).all()


def test_infinities_and_nan_stay_in_their_row_and_column(routine: tuple[Any, Gemm]) -> None:
    dtype, gemm = routine
    a, b = np.ones((14, 20), dtype), np.ones((20, 40), dtype)
    a[3, 5], b[7, 11] = np.nan, np.inf
    c = np.empty((14, 40), dtype)
    multiply(gemm, a, b, c)
    np.testing.assert_array_equal(np.isnan(c), np.arange(14)[:, None] == np.full(40, 3))
    np.testing.assert_array_equal(np.isinf(c[0]), np.arange(40) == 11)


@pytest.mark.parametrize("word", ["gemm_f32", "gemm_f64"])
def test_kernels_call_the_routine(word: str) -> None:
    item = int(word[-2:]) // 8
    dtype = f"float{8 * item}"
    text = f"""def kernel(args, lo, hi, space):
    for i in range(lo, hi):
        c = args[3] + i * {item} * 5
        a = args[1] + i * {item} * 6
        {word}(args[0], a, 6, 1, args[2], 5, 1, c, 5, 1, 5, 6, space, 0, 0, 1)
"""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 6)).astype(dtype), rng.normal(size=(6, 5)).astype(dtype)
    c = np.zeros((9, 5), dtype)
    address = obtain([Request(word, word, build_routine)])[0].address
    run(text, [address, a, b, c], extent=9)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)


def test_full_registers_are_used() -> None:
    """LLVM must not fall back to half of the registers of a processor with AVX-512."""
    if "avx512f" not in host.features():
        pytest.skip("needs AVX-512")
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(routine_text("f32", "probe", host.vector_bytes()))
    machine = host.target_machine()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    assert "zmm" in machine.emit_assembly(module)
    assert blocking("f32", 64).lanes == 16

"""The native routines that turn a matrix, against NumPy: sizes, strides, edges, any elements."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cpu.building import link
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cpu.gemm.turn import build_turn, turn_text

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
        symbol = f"test_turn_{kind}_{width}"
        code = build_text(turn_text(kind, symbol, width), {symbol}, speed=0)
        linked = link.link({symbol: code})[symbol]
    else:
        name = f"turn_{kind}"
        linked = obtain([Request(name, name, build_turn)])[0].code
    yield KINDS[kind], ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(linked.address)


def turn(routine: Routine, rows: Array, c: Array) -> None:
    """c = rows.T; rows and those of c lie side by side."""
    n, m = rows.shape
    (down, _), (apart, _) = c.strides, rows.strides
    item = rows.itemsize
    routine(c.ctypes.data, down // item, rows.ctypes.data, apart // item, n, m)


def test_sizes_and_strides(routine: tuple[Any, Routine]) -> None:
    dtype, turned = routine
    rng = np.random.default_rng(0)
    for trial in range(300):
        n, m = (int(size) for size in rng.integers(0, 131 if trial % 2 else 20, 2))
        wide = rng.normal(size=(n, m + int(rng.choice([0, 0, 1, 5])))).astype(dtype)
        rows = wide[::-1, :m] if trial % 3 == 0 else wide[:, :m]
        if n and trial % 7 == 0:
            rows = np.broadcast_to(rows[:1], (n, m))
        held = np.full((m + 1, n + 3), 7, dtype)
        turn(turned, rows, held[:m, :n])
        np.testing.assert_array_equal(held[:m, :n], rows.T)
        assert (held[:, n:] == 7).all() and (held[m] == 7).all(), "wrote beside its result"


def test_elements_stay_as_they_are(routine: tuple[Any, Routine]) -> None:
    """All bits do: of integers, of infinities, of NaNs with what they carry."""
    dtype, turned = routine
    size = np.dtype(dtype).itemsize
    bits = np.random.default_rng(1).integers(0, 256, (37, 41 * size), dtype=np.uint8)
    whole = bits.view(f"u{size}")
    whole[0, :4] = np.array([np.nan, np.inf, -np.inf, -0.0], dtype).view(f"u{size}")
    whole[1, 0] = whole[0, 1] + 1  # a signalling NaN
    c = np.zeros((41, 37), f"u{size}")
    turn(turned, whole, c)
    np.testing.assert_array_equal(c, whole.T)


@pytest.mark.parametrize("word", ["turn_f32", "turn_f64"])
def test_kernels_call_the_routine(word: str) -> None:
    item = int(word[-2:]) // 8
    dtype = f"float{8 * item}"
    text = f"""def kernel(args, lo, hi):
    for i in range(lo, hi):
        {word}(args[0], args[1] + i * {item} * 35, 5, args[2] + i * {item} * 35, 7, 5, 7, 0, 1)
"""
    x = np.random.default_rng(0).normal(size=(6, 5, 7)).astype(dtype)
    c = np.zeros((6, 7, 5), dtype)
    address = obtain([Request(word, word, build_turn)])[0].address
    run(text, [address, c, x], extent=6)
    np.testing.assert_array_equal(c, x.transpose(0, 2, 1))

"""The native routines `segmented` and `turn` against NumPy: tables of offsets, pairs, edges."""

import ctypes
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cpu.gemm.segmented import build_segmented
from diagrad.runtime.cpu.gemm.turn import build_turn
from diagrad.runtime.program import segmented_space

KINDS = [("f32", np.float32), ("f64", np.float64)]


def function(name: str, build: Any, words: int) -> tuple[Any, Any]:
    native = obtain([Request(name, name, build)])[0]
    return native, ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * words)(native.address)


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_segmented(kind: str, dtype: Any) -> None:
    _alive, segmented = function(f"segmented_{kind}", build_segmented, 14)
    rng = np.random.default_rng(0)
    for turn in range(120):
        m, n, segments = rng.integers(0, (40, 50, 12))
        k, step = int(rng.integers(0, 30)), int(rng.integers(0, 4))
        a = rng.normal(size=4000).astype(dtype)
        b = rng.normal(size=(segments, k, n)).astype(dtype)
        rows = rng.integers(0, 1000, m)
        if turn % 3 == 0:  # neighbours in pairs
            rows = np.arange(m) + 7
        depth = rng.integers(0, 1000, segments)
        below = np.arange(segments, dtype=np.int64) * k * n
        c = np.full((m, n + 3), 7, dtype)
        space = np.zeros(segmented_space(a.itemsize, m, n, k * segments) // 8 + 1)
        segmented(
            a.ctypes.data, rows.ctypes.data, depth.ctypes.data, step, b.ctypes.data,
            below.ctypes.data, n, c.ctypes.data, n + 3, m, n, k, segments, space.ctypes.data,
        )  # fmt: skip
        places = rows[:, None, None] + depth[:, None] + np.arange(k) * step
        wanted = np.einsum("isp,spj->ij", a[places].astype(np.float64), b.astype(np.float64))
        np.testing.assert_allclose(c[:, :n], wanted, rtol=1e-4, atol=1e-3)
        assert (c[:, n:] == 7).all(), "wrote beyond its columns"


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_turn(kind: str, dtype: Any) -> None:
    _alive, turn = function(f"turn_{kind}", build_turn, 6)
    rng = np.random.default_rng(1)
    for n, m in [(0, 3), (1, 1), (3, 17), (16, 16), (33, 5), (40, 70)]:
        rows = rng.normal(size=(n, m + 2)).astype(dtype)
        c = np.full((m, n + 1), 7, dtype)
        turn(c.ctypes.data, n + 1, rows.ctypes.data, m + 2, n, m)
        np.testing.assert_array_equal(c[:, :n], rows[:, :m].T)
        assert (c[:, n:] == 7).all(), "wrote beyond its rows"

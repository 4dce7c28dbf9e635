"""What `test_guards.py` runs in a process of its own, where a fault ends the process.

    python -m tests.runtime.cpu.guards.guarded_programs programs FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs routines FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs fault behind|before

Each case is named before it is tried, so that the last line tells which one faulted.
"""

import ctypes
import faulthandler
import sys
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.runtime.cpu import executor, host
from diagrad.runtime.cpu.building import link
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.gemm.gemm import routine_text
from diagrad.runtime.program import GEMM_LONG, gemm_space

from ..engine import Array
from .drawn_views import drawn
from .guarding import Guarded, GuardedExecutor

CLOSE = {"float32": 2e-3, "float64": 1e-9}


def programs(first: int, last: int) -> None:
    """Random diagrams on guarded memory, against NumPy."""
    executor.Executor = GuardedExecutor  # type: ignore[misc, assignment]
    for seed in range(first, last):
        print("program", seed, flush=True)
        drawing = drawn(seed)
        diagram = dg.Diagram("drawn", drawing.outputs)
        found = diagram.compile().run(**{name: drawing.arrays[name] for name in diagram.observed})
        close = CLOSE[drawing.dtype]
        for name, value in drawing.wanted.items():
            assert found[name].shape == value.shape, (name, found[name].shape, value.shape)
            np.testing.assert_allclose(found[name], value, rtol=close, atol=close, err_msg=name)


SIDES = (0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 24, 25, 31, 33, 48, 64, 65, 100, 129, 200)
DEPTHS = (0, 1, 3, 16, 17, 40, 100, 384, 385, 800)
PRODUCT = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 13)


def routines(first: int, last: int) -> None:
    """The product routines on guarded memory, with any strides, for every width of vectors."""
    variants = [(k, w) for k in ("f32", "f64") for w in sorted({host.vector_bytes(), 16})]
    gemms, linked = {}, []
    for kind, width in variants:
        symbol = f"guarded_{kind}_{width}"
        code = build_text(routine_text(kind, symbol, width), {symbol}, speed=0)
        linked.append(link.link({symbol: code})[symbol])
        gemms[kind, width] = PRODUCT(linked[-1].address)
    for seed in range(first, last):
        draw = Random(seed)
        kind, width = draw.choice(variants)
        m, n, k = draw.choice(SIDES), draw.choice(SIDES), draw.choice(DEPTHS)
        if seed % 50 == 7:  # A product in parts.
            m, n, k = (
                draw.choice(SIDES[:8]),
                draw.choice(SIDES[:8]),
                GEMM_LONG + draw.choice(DEPTHS),
            )
        whole, at_end = draw.random() < 0.3, draw.random() < 0.7
        print("routine", seed, kind, width, (m, n, k), whole, flush=True)
        dtype = np.dtype(np.float32 if kind == "f32" else np.float64)
        numbers = np.random.default_rng(seed)
        a, b = (_operand(draw, numbers, *shape, dtype, at_end) for shape in ((m, k), (k, n)))
        space = Guarded(gemm_space(dtype.itemsize, m, n, k, whole), at_end)
        space.array((1,), np.int64)[0] = 0
        apart = n + draw.choice([0, 0, 3])
        c = Guarded(((m - 1) * apart + n if m else 0) * dtype.itemsize, at_end)
        for _ in range(2 if whole else 1):  # The second time, the right operand is there.
            gemms[kind, width](
                *a.words, *b.words, c.address, apart, m, n, k, space.address, int(whole)
            )
        for memory in (space, a.memory, b.memory, c):
            memory.assert_nothing_beside()
        wanted = a.values @ b.values
        flat = c.array((c.data.size // dtype.itemsize,), dtype)
        for i in range(m):
            row, beside = np.split(flat[i * apart : (i + 1) * apart], [n])
            np.testing.assert_allclose(row, wanted[i], rtol=CLOSE[dtype.name], atol=1e-3)
            assert np.isnan(beside).all(), "wrote between its rows"


@dataclass
class Operand:
    """A matrix: its values, the words that say where it lies, and all of its memory."""

    values: Array
    words: tuple[int, int, int]
    memory: Guarded


def _operand(
    draw: Random, numbers: np.random.Generator, rows: int, columns: int, dtype: Any, at_end: bool
) -> Operand:
    """With strides of any kind, in memory that begins and ends with an element of it."""
    down, along = draw.choice(
        [(columns, 1), (columns, 1), (1, rows), (1, rows), (2 * columns + 1, 2), (2, 2 * rows + 1),
         (1, 1), (2, 2), (0, 1), (1, 0), (0, 0), (columns, -1), (-1, rows), (512, 1), (1, 512),
         (300, 3)]
    )  # fmt: skip
    places = down * np.arange(rows)[:, None] + along * np.arange(columns)
    begin = -int(places.min(initial=0))
    span = begin + int(places.max(initial=0)) + 1 if places.size else 0
    memory = Guarded(span * dtype.itemsize, at_end)
    elements = memory.array((span,), dtype)
    elements[...] = numbers.normal(size=span)
    values = elements[places + begin].astype(np.float64)
    return Operand(values, (memory.address + begin * dtype.itemsize, down, along), memory)


def fault(where: str) -> None:
    """Touch one byte that is not there."""
    print("fault", where, flush=True)
    memory = Guarded(3, at_end=where == "behind")
    ctypes.c_byte.from_address(memory.address + (3 if where == "behind" else -1)).value = 1


if __name__ == "__main__":
    faulthandler.enable()
    what, *arguments = sys.argv[1:]
    if what == "fault":
        fault(*arguments)
    else:
        {"programs": programs, "routines": routines}[what](*map(int, arguments))

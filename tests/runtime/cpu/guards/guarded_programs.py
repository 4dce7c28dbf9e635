"""What `test_guards.py` runs in a process of its own, where a fault ends the process.

    python -m tests.runtime.cpu.guards.guarded_programs programs FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs convolutions FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs routines FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs segments FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs turns FIRST LAST
    python -m tests.runtime.cpu.guards.guarded_programs fault behind|before

Each case is named before it is tried, so that the last line tells which one faulted.
"""

import ctypes
import faulthandler
import sys
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.runtime.cpu import executor, host
from diagrad.runtime.cpu.building import link
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.gemm.gemm import routine_text
from diagrad.runtime.cpu.gemm.segmented import segmented_text
from diagrad.runtime.cpu.gemm.turn import turn_text
from diagrad.runtime.program import GEMM_LONG, gemm_space, segmented_space

from ...engine import Array
from .drawn_convolutions import drawn_convolution
from .drawn_views import Drawing, drawn, drawn_factors
from .guarding import Guarded, GuardedExecutor

CLOSE = {"float32": 2e-3, "float64": 1e-9}


def programs(first: int, last: int) -> None:
    """Random diagrams of views on guarded memory, against NumPy."""
    _run_each(drawn, first, last)


def factors(first: int, last: int) -> None:
    """Random diagrams of factors of matrices on guarded memory, against NumPy."""
    _run_each(drawn_factors, first, last)


def convolutions(first: int, last: int) -> None:
    """Random convolutions on guarded memory, against NumPy."""
    _run_each(drawn_convolution, first, last)


def _run_each(draw: Callable[[int], Drawing], first: int, last: int) -> None:
    executor.Executor = GuardedExecutor  # type: ignore[misc, assignment]
    for seed in range(first, last):
        print("program", seed, flush=True)
        drawing = draw(seed)
        diagram = dg.Diagram("drawn", drawing.outputs)
        found = diagram.compile().run(**{name: drawing.arrays[name] for name in diagram.observed})
        close = CLOSE[drawing.dtype]
        for name, value in drawing.wanted.items():
            assert found[name].shape == value.shape, (name, found[name].shape, value.shape)
            np.testing.assert_allclose(found[name], value, rtol=close, atol=close, err_msg=name)


SIDES = (0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 24, 25, 31, 33, 48, 64, 65, 100, 129, 200)
DEPTHS = (0, 1, 3, 16, 17, 40, 100, 384, 385, 800)
Routines = dict[tuple[str, int], Callable[..., None]]


def built(text: Callable[[str, str, int], str], words: int) -> tuple[Routines, list[Any]]:
    """A routine for both kinds of element and every width of vectors, and their code."""
    made: Routines = {}
    linked = []
    for kind in ("f32", "f64"):
        for width in sorted({host.vector_bytes(), 16}):
            symbol = f"guarded_{kind}_{width}"
            code = build_text(text(kind, symbol, width), {symbol}, speed=0)
            linked.append(link.link({symbol: code})[symbol])
            call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * words)
            made[kind, width] = call(linked[-1].address)
    return made, linked


def routines(first: int, last: int) -> None:
    """The product routines on guarded memory, with any strides, for every width of vectors."""
    gemms, _linked = built(routine_text, 13)
    for seed in range(first, last):
        draw = Random(seed)
        kind, width = draw.choice(list(gemms))
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
        _assert_rows(c, wanted, apart, dtype)


def _assert_rows(c: Guarded, wanted: Array, apart: int, dtype: Any) -> None:
    """The rows of a result, so far apart, and nothing between them."""
    flat = c.array((c.data.size // dtype.itemsize,), dtype)
    for i, line in enumerate(wanted):
        row, beside = np.split(flat[i * apart : (i + 1) * apart], [line.size])
        np.testing.assert_allclose(row, line, rtol=CLOSE[dtype.name], atol=1e-3)
        assert np.isnan(beside).all(), "wrote between its rows"


SEGMENTS = [(0, 3), (1, 7), (3, 3), (7, 11), (16, 5), (48, 9), (385, 2), (193, 70), (2, 13_000)]
"""Steps of a segment, and segments."""


def segments(first: int, last: int) -> None:
    """The products with a depth in segments, with rows and segments anywhere."""
    made, _linked = built(segmented_text, 14)
    for seed in range(first, last):
        draw, numbers = Random(seed), np.random.default_rng(seed)
        kind, width = draw.choice(list(made))
        m, n, (k, count) = draw.choice(SIDES), draw.choice(SIDES), draw.choice(SEGMENTS)
        if k * count > 1000:
            m, n = draw.choice(SIDES[:8]), draw.choice(SIDES[:8])
        at_end = draw.random() < 0.7
        print("segments", seed, kind, width, (m, n, k, count), flush=True)
        dtype = np.dtype(np.float32 if kind == "f32" else np.float64)
        a_col, b_row = draw.choice([1, 1, 3, -1]), draw.choice([n, n, n + 3, -n])
        rows, a_depth, b_depth = (
            numbers.integers(-300, 301, size).astype(np.int64) for size in (m, count, count)
        )
        steps = np.arange(k)
        a_places = rows[:, None] + (a_depth[:, None] + a_col * steps).ravel()
        b_places = (b_depth[:, None] + b_row * steps).ravel()[:, None] + np.arange(n)
        a, b = (_reached(numbers, p, dtype, at_end) for p in (a_places, b_places))
        tables = []
        for table in (rows, a_depth, b_depth):
            tables.append(Guarded(table.nbytes, at_end))
            tables[-1].array(table.shape, np.int64)[...] = table
        a_rows, a_segments, b_segments = (memory.address for memory in tables)
        space = Guarded(segmented_space(dtype.itemsize, m, n, k * count), at_end)
        apart = n + draw.choice([0, 0, 3])
        c = Guarded(((m - 1) * apart + n if m else 0) * dtype.itemsize, at_end)
        made[kind, width](
            a.words[0], a_rows, a_segments, a_col, b.words[0], b_segments, b_row, c.address, apart,
            m, n, k, count, space.address,
        )  # fmt: skip
        for memory in (*tables, space, a.memory, b.memory, c):
            memory.assert_nothing_beside()
        _assert_rows(c, a.values @ b.values, apart, dtype)


def turns(first: int, last: int) -> None:
    """The routines that turn a matrix, its rows side by side, apart, the same or backwards."""
    made, _linked = built(turn_text, 6)
    for seed in range(first, last):
        draw, numbers = Random(seed), np.random.default_rng(seed)
        kind, width = draw.choice(list(made))
        n, m, at_end = draw.choice(SIDES), draw.choice(SIDES), draw.random() < 0.7
        print("turn", seed, kind, width, (n, m), flush=True)
        dtype = np.dtype(np.float32 if kind == "f32" else np.float64)
        between = draw.choice([m, m, m + 3, 0, -m])
        places = between * np.arange(n)[:, None] + np.arange(m)
        rows = _reached(numbers, places, dtype, at_end)
        apart = n + draw.choice([0, 0, 3])
        c = Guarded(((m - 1) * apart + n if m else 0) * dtype.itemsize, at_end)
        made[kind, width](c.address, apart, rows.words[0], between, n, m)
        for memory in (rows.memory, c):
            memory.assert_nothing_beside()
        _assert_rows(c, rows.values.T, apart, dtype)


@dataclass
class Operand:
    """A matrix: its values, the words that say where it lies, and all of its memory.

    The first word is where offset 0 is.
    """

    values: Array
    words: tuple[int, ...]
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
    found = _reached(numbers, places, dtype, at_end)
    return Operand(found.values, (*found.words, down, along), found.memory)


def _reached(numbers: np.random.Generator, places: Array, dtype: Any, at_end: bool) -> Operand:
    """The elements at some places, in memory that begins and ends with one of them."""
    begin = -int(places.min()) if places.size else 0
    span = begin + int(places.max()) + 1 if places.size else 0
    memory = Guarded(span * dtype.itemsize, at_end)
    elements = memory.array((span,), dtype)
    elements[...] = numbers.normal(size=span)
    values = elements[places + begin].astype(np.float64)
    return Operand(values, (memory.address + begin * dtype.itemsize,), memory)


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
        drawn_cases = {
            "programs": programs, "convolutions": convolutions, "factors": factors,
            "routines": routines, "segments": segments, "turns": turns,
        }  # fmt: skip
        drawn_cases[what](*map(int, arguments))

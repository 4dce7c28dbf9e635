"""What the engine's tests share: run kernel text on arrays, and measure errors."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.runtime.cpu.building.build import build_kernel
from diagrad.runtime.cpu.building.natives import Native, Request, obtain
from diagrad.runtime.program import CPU

from .warps import Warp

Array = npt.NDArray[Any]

DTYPE: dict[str, Any] = {
    "f32": np.float32,
    "f64": np.float64,
    "i32": np.int32,
    "i64": np.int64,
    "u32": np.uint32,
    "b1": np.bool_,
}
STORED: dict[str, Any] = {
    "i8": np.int8,
    "u8": np.uint8,
    "i16": np.int16,
    "u16": np.uint16,
    "f16": np.float16,
}
"""Kinds of elements that lie in memory alone."""
MEMORY = DTYPE | STORED
SIZES = (0, 1, 15, 16, 17, 37)

_lanes, _threads = CPU.lanes, False


@contextmanager
def written_for(count: int, threads: bool = False) -> Iterator[None]:
    """Texts are written for so many lanes, and run in one vector, or a thread for each lane."""
    global _lanes, _threads
    before = _lanes, _threads
    _lanes, _threads = count, threads
    try:
        yield
    finally:
        _lanes, _threads = before


def some(count: int) -> int:
    """So many samples, or fewer where threads that wait for one another take long."""
    return count // 20 if _threads else count


def native(source: str) -> Native:
    return obtain([Request("test", source, build_kernel, more=(_lanes,))])[0]


def run(source: str, words: Sequence[Array | int], extent: int = 1) -> None:
    """Call a kernel once; an array among the words stands for its address."""
    row = np.zeros(max(1, len(words)), dtype=np.int64)
    for place, word in enumerate(words):
        value = word.ctypes.data if isinstance(word, np.ndarray) else word
        row[place] = np.uint64(value % 2**64).astype(np.int64)
    space = np.zeros(1 << 17)
    if _threads:
        Warp(source)(row.ctypes.data, 0, extent, space.ctypes.data)
        return
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)
    kernel(native(source).address)(row.ctypes.data, 0, extent, space.ctypes.data)


def lanewise(expression: str, kinds: Sequence[str], result: str) -> str:
    """Text of a kernel that applies an expression in a, b, c to whole arrays."""
    loads = [
        f"        {name} = load({kind}_at(args[{place + 1}]), i, m)"
        for place, (name, kind) in enumerate(zip("abc", kinds, strict=False))
    ]
    return "\n".join(
        [
            "def kernel(args, lo, hi):",
            "    n = args[0]",
            f"    for i in range(0, n, {_lanes}):",
            "        m = lanes_below(n - i)",
            *loads,
            f"        store({result}_at(args[{len(kinds) + 1}]), i, {expression}, m)",
        ]
    )


def apply(expression: str, result: str, *arrays: Array) -> Array:
    """An expression in a, b, c on whole arrays, through the engine."""
    kinds = [next(k for k, d in MEMORY.items() if a.dtype == d) for a in arrays]
    held = [np.ascontiguousarray(a) for a in arrays]
    out: Array = np.zeros(arrays[0].size, dtype=MEMORY[result])
    run(lanewise(expression, kinds, result), [out.size, *held, out])
    return out


def largest_error(got: Array, exact: npt.NDArray[np.longdouble]) -> float:
    """The largest distance in units of the last place; special values must be equal."""
    rounded = exact.astype(got.dtype)
    finite = np.isfinite(rounded) & np.isfinite(got)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    unit = np.spacing(np.abs(rounded[finite])).astype(np.longdouble)
    distance = np.abs(got[finite].astype(np.longdouble) - exact[finite]) / unit
    return float(distance.max(initial=0.0))

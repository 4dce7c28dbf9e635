"""What this machine can do at most: copy memory, and multiply and add.

Both are measured, once a process and number of threads, with nothing but NumPy's copy and a loop
of multiply-adds on registers.  Together they take about half a second.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from ..tracing import Limits
from . import host
from .building.build import build_text
from .building.natives import Request, obtain

COPIED = 64 << 20
"""Bytes of the array that is copied, more than most last-level caches hold."""

_PASSES, _APART = 25, 2e-3
"""Passes, and seconds between them, so that one busy moment of the machine does not meet all."""

_SUMS = 12
"""Independent sums: they fill two pipelines of five cycles, and fit 16 registers."""
_TURNS = 1_000_000


@lru_cache(maxsize=8)
def machine_limits(threads: int) -> Limits:
    """The limits for a number of threads, measured at the first call."""
    flops = {dtype: _multiply_add_rate(dtype, threads) for dtype in ("float32", "float64")}
    where = "1 thread" if threads == 1 else f"{threads} threads"
    return Limits(where, threads, _copy_rate(threads), flops, host.cache_bytes()[1])


def _shortest(work: Callable[[int], object], threads: int) -> float:
    """Seconds until `work` of every thread is done, the best of some passes."""
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_PASSES):
            start = time.perf_counter()
            for done in [pool.submit(work, number) for number in range(threads)]:
                done.result()
            best = min(best, time.perf_counter() - start)
            time.sleep(_APART)
    return best


def _copy_rate(threads: int) -> float:
    source = np.ones(COPIED, np.uint8)
    target = np.zeros_like(source)
    sources, targets = np.array_split(source, threads), np.array_split(target, threads)
    # NumPy lets go of the interpreter's lock while it copies.
    seconds = _shortest(lambda number: np.copyto(targets[number], sources[number]), threads)
    return 2 * COPIED / seconds


def _multiply_add_rate(dtype: str, threads: int) -> float:
    native = obtain([Request(f"peak {dtype}", peak_text(dtype), _build_peak)])[0]
    loop = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(native.address)
    lanes = _lanes(dtype)
    rooms = [np.full(3 * lanes, 0.5, dtype) for _ in range(threads)]
    seconds = _shortest(lambda number: loop(_TURNS, rooms[number].ctypes.data), threads)
    return 2 * _SUMS * lanes * _TURNS * threads / seconds


def _lanes(dtype: str) -> int:
    return host.vector_bytes() // np.dtype(dtype).itemsize


def peak_text(dtype: str) -> str:
    """LLVM text of peak(turns, memory): sums in registers, each of s = s * a + b."""
    vector = f"<{_lanes(dtype)} x {'float' if dtype == 'float32' else 'double'}>"
    suffix = f"v{_lanes(dtype)}f{8 * np.dtype(dtype).itemsize}"
    entry = f"""
declare {vector} @llvm.fmuladd.{suffix}({vector}, {vector}, {vector})
define void @SYMBOL(i64 %turns, ptr %memory) {{
start:
  %a = load {vector}, ptr %memory, align 4
  %b.p = getelementptr {vector}, ptr %memory, i64 1
  %b = load {vector}, ptr %b.p, align 4
"""
    begins, phis, steps, last = [], [], [], "%n0"
    for i in range(_SUMS):
        before = f"%s{i - 1}" if i else "%a"
        begins.append(f"  %s{i} = fadd {vector} {before}, %b")
        phis.append(f"  %v{i} = phi {vector} [ %s{i}, %start ], [ %n{i}, %turn ]")
        call = f"call {vector} @llvm.fmuladd.{suffix}"
        steps.append(f"  %n{i} = {call}({vector} %v{i}, {vector} %a, {vector} %b)")
    sums = []
    for i in range(1, _SUMS):
        sums.append(f"  %t{i} = fadd {vector} {last}, %n{i}")
        last = f"%t{i}"
    return "\n".join([
        entry.rstrip("\n"), *begins, "  br label %turn", "turn:",
        "  %i = phi i64 [ 0, %start ], [ %i.next, %turn ]", *phis, *steps,
        "  %i.next = add i64 %i, 1",
        "  %more = icmp slt i64 %i.next, %turns",
        "  br i1 %more, label %turn, label %done", "done:", *sums,
        f"  %out = getelementptr {vector}, ptr %memory, i64 2",
        f"  store {vector} {last}, ptr %out, align 4", "  ret void", "}", "",
    ])  # fmt: skip


def _build_peak(source: str, symbol: str) -> bytes:
    return build_text(source.replace("SYMBOL", symbol), {symbol})

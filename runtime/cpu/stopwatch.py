"""Native functions that read the processor's clock, without Numba.

timed(entry, lo, hi, space)   run a kernel between two readings, and note both
ticks()                       the clock now

    entry     int64[4]: kernel, its words, its records, indices of a chunk
    record    int64[4], one for each chunk: begin, end, address of the thread's memory, unused

`timed` has the shape of a kernel.  So the drivers, for one thread and for several, run it in a
kernel's stead and need not know.  The clock counts at a fixed rate and alike on all cores: the
time-stamp counter of x86, the virtual count of AArch64.  Before it is read, what was begun must
have ended.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from . import host
from .building.build import build_text
from .building.natives import Request, obtain

ENTRY, RECORD = 4, 4
"""Words of an entry and of a record."""

_CLOCKS = {
    "x86": """
declare void @llvm.x86.sse2.lfence()
declare i64 @llvm.readcyclecounter()
define internal i64 @clock() alwaysinline {
  call void @llvm.x86.sse2.lfence()
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}
""",
    "aarch64": """
declare void @llvm.aarch64.isb(i32)
declare i64 @llvm.read_volatile_register.i64(metadata)
!0 = !{!"CNTVCT_EL0"}
define internal i64 @clock() alwaysinline {
  call void @llvm.aarch64.isb(i32 15)
  %now = call i64 @llvm.read_volatile_register.i64(metadata !0)
  ret i64 %now
}
""",
    "other": """
declare i64 @llvm.readcyclecounter()
define internal i64 @clock() alwaysinline {
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}
""",
}

_TIMED = """
define void @SYMBOL(ptr %entry, i64 %lo, i64 %hi, ptr %space) {
  %kernel = load ptr, ptr %entry
  %words.p = getelementptr i64, ptr %entry, i64 1
  %words = load ptr, ptr %words.p
  %records.p = getelementptr i64, ptr %entry, i64 2
  %records = load ptr, ptr %records.p
  %chunk.p = getelementptr i64, ptr %entry, i64 3
  %chunk = load i64, ptr %chunk.p
  %index = udiv i64 %lo, %chunk
  %place = shl i64 %index, 2
  %record = getelementptr i64, ptr %records, i64 %place
  %end.p = getelementptr i64, ptr %record, i64 1
  %space.p = getelementptr i64, ptr %record, i64 2
  %begin = call i64 @clock()
  call void %kernel(ptr %words, i64 %lo, i64 %hi, ptr %space)
  %end = call i64 @clock()
  store i64 %begin, ptr %record
  store i64 %end, ptr %end.p
  store ptr %space, ptr %space.p
  ret void
}
"""

_TICKS = """
define i64 @SYMBOL() {
  %now = call i64 @clock()
  ret i64 %now
}
"""


def clock_text(kind: str | None = None) -> str:
    """LLVM text of `clock` for a kind of processor, by default this one."""
    if kind is None:
        kind = "x86" if host.is_x86() else "aarch64" if host.is_aarch64() else "other"
    return _CLOCKS[kind]


def build_stopwatch(source: str, symbol: str) -> bytes:
    """Object code of one of the texts."""
    return build_text(source.replace("SYMBOL", symbol), {symbol})


def timed_text(kind: str | None = None) -> str:
    """LLVM text of `timed`; the symbol is still to be filled in."""
    return clock_text(kind) + _TIMED


@lru_cache(maxsize=1)
def timed_address() -> int:
    """The address of `timed` in this process."""
    return obtain([Request("timed", timed_text(), build_stopwatch)])[0].address


@lru_cache(maxsize=1)
def _ticks() -> Callable[[], int]:
    native = obtain([Request("ticks", clock_text() + _TICKS, build_stopwatch)])[0]
    function: Any = ctypes.CFUNCTYPE(ctypes.c_int64)(native.address)
    return function  # type: ignore[no-any-return]  # ctypes has no types for functions


class Calibration:
    """Nanoseconds of a tick, from two looks at both clocks some time apart."""

    SHORTEST = 20_000_000
    """Nanoseconds between the looks; each is off by less than a microsecond."""

    def __init__(self) -> None:
        self._first = _look()

    def nanoseconds_per_tick(self) -> float:
        """From the first look until now; waits until that is long enough.

        Raises:
            RuntimeError: the processor's clock stands still.
        """
        while time.perf_counter_ns() - self._first[0] < self.SHORTEST:
            time.sleep(1e-3)
        nanoseconds, ticks = (b - a for a, b in zip(self._first, _look(), strict=True))
        if ticks <= 0:
            raise RuntimeError(
                f"cannot measure kernels on this processor ({host.cpu_name()}): its cycle counter "
                "does not count for programs"
            )
        return nanoseconds / ticks


def _look() -> tuple[int, int]:
    """Nanoseconds and ticks of one moment: the closest of several pairs."""
    ticks = _ticks()
    found = []
    for _ in range(16):
        before = time.perf_counter_ns()
        now = ticks()
        after = time.perf_counter_ns()
        found.append((after - before, (before + after) // 2, now))
    _, nanoseconds, count = min(found)
    return nanoseconds, count

"""A program that notes when each thread begins and ends each share of each row.

The engine is the same to the last instruction: the same table, drivers, helpers and kernels.  Only
the addresses of the kernels in the table are those of `stopwatch.timed`, which runs the kernel and
notes the time.  That adds about 20 ns to a share.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import BoundProgram
from ..tracing import Trace
from .executor import Executor
from .stepping.team import aligned
from .stopwatch import ENTRY, RECORD, Calibration, timed_address

Array = npt.NDArray[Any]


class TracingExecutor(Executor):
    """Runs one program and notes when; for measuring, not for everyday calls.

    Args:
        program: what to run.
        states: an array for each state buffer, by name.
        threads: as for `Executor`.
        scalar: whether the only output is made a number, as the cost of a step is.
    """

    def __init__(
        self,
        program: BoundProgram,
        states: Mapping[str, Array],
        threads: int | None = None,
        scalar: bool = False,
    ) -> None:
        super().__init__(program, states, threads, scalar=scalar)
        rows = self._table.rows
        # Kernel, words, and the indices and number of chunks: see the driver.
        shares = np.maximum(1, rows[:, 5])
        firsts = np.cumsum(shares) - shares
        self._record_rows = np.repeat(self._table.numbers, shares)
        self._record_chunks = np.arange(int(shares.sum())) - np.repeat(firsts, shares)
        self._records = aligned(8 * RECORD * int(shares.sum())).view(np.int64).reshape(-1, RECORD)
        self._entries = aligned(8 * ENTRY * len(rows)).view(np.int64).reshape(-1, ENTRY)
        self._entries[:, :2] = rows[:, :2]
        self._entries[:, 2] = self._records.ctypes.data + 8 * RECORD * firsts
        self._entries[:, 3] = np.maximum(1, rows[:, 4])
        rows[:, 0] = timed_address()
        rows[:, 1] = self._entries.ctypes.data + 8 * ENTRY * np.arange(len(rows))
        self._calibration = Calibration()

    def trace(self, inputs: Sequence[Array], calls: int) -> list[Trace]:
        """What happened in so many calls with these inputs, which are checked already."""
        names = [b.name for b in self.program.buffers if b.role == "input"]
        given = dict(zip(names, inputs, strict=True))
        raw = []
        for _ in range(calls):
            self._records[:] = 0
            before = time.perf_counter_ns()
            if self.native(given) is None:
                before = time.perf_counter_ns()
                self(inputs)
            raw.append((time.perf_counter_ns() - before, self._records.copy()))
        scale = self._calibration.nanoseconds_per_tick()
        return [self._trace(records, wall, scale) for wall, records in raw]

    def _trace(self, records: npt.NDArray[np.int64], wall: int, scale: float) -> Trace:
        done = np.flatnonzero(records[:, 1])
        done = done[np.argsort(records[done, 0], kind="stable")]
        began = records[done, 0]
        first = began[:1]
        return Trace(
            rows=self._record_rows[done],
            chunks=self._record_chunks[done],
            threads=self.workspace.thread_of(records[done, 2]),
            begins=(began - first) * scale,
            ends=(records[done, 1] - first) * scale,
            wall=wall,
        )

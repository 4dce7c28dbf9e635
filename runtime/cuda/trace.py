"""A program on a device that notes how long each launch takes.

The launches are those of the step, with the same words and guards, but one after another, each
between two events.  So the times say what each row costs by itself, and not which rows a step runs
at once; an event adds about a microsecond to a launch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..tracing import Trace
from .device import Call
from .executor import Executor, Given, Way


class TracingExecutor(Executor):
    """Runs one program and notes how long its launches take; for measuring, not for everyday calls.

    Attributes:
        threads: how many trace at a time: 1.
    """

    threads = 1
    _last: npt.NDArray[np.float64]

    def trace(self, inputs: Sequence[Given], calls: int) -> list[Trace]:
        """What happened in so many calls with these inputs, which are checked already.

        A launch is one share, of chunk 0 and thread 0, that begins where the one before it ends.
        """
        rows = np.array([launch.row for launch in self.plan.launches], np.int64)
        none = np.zeros(len(rows), np.int64)
        found = []
        for _ in range(calls):
            before = time.perf_counter_ns()
            self(inputs)
            wall = time.perf_counter_ns() - before
            ends = np.cumsum(self._last)
            found.append(Trace(rows, none, none, ends - self._last, ends, wall))
        return found

    def _launch(self, way: Way) -> None:
        nodes = self.nodes(way)
        times = 1e6 * self._device.measure(nodes)
        self._last = times[[isinstance(node, Call) for node in nodes]]

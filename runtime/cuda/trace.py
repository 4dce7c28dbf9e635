"""A program on a device that notes how long each launch takes.

The launches are those of the step, with the same words and guards, but one after another, each
between two events.  A loop that one block walks is launched run by run, by the same code.  So the
times say what each row costs by itself, and not which rows a step runs at once; an event adds about
a microsecond to a launch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..tracing import Trace
from .device import Call, Node
from .executor import Executor, Given, Way
from .plan import Walk


class TracingExecutor(Executor):
    """Runs one program and notes how long its launches take; for measuring, not for everyday calls.

    Attributes:
        threads: how many trace at a time: 1.
    """

    threads = 1
    _last: npt.NDArray[np.float64]

    def trace(self, inputs: Sequence[Given], calls: int) -> list[Trace]:
        """What happened in so many calls with these inputs, which are checked already.

        A run is one share, of chunk 0 and thread 0, that begins where the one before it ends.
        """
        rows = np.array([run.row for run in self.plan.runs], np.int64)
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
        nodes: list[Node] = []
        launches = iter(self.plan.launches)
        for node in self.nodes(way):
            if isinstance(node, Call) and isinstance(walk := next(launches), Walk):
                nodes += _apart(node, len(walk.runs))
            else:
                nodes.append(node)
        times = 1e6 * self._device.measure(nodes)
        self._last = times[[isinstance(node, Call) for node in nodes]]


def _apart(walk: Call, count: int) -> list[Call]:
    """A launch for each run of a walk."""
    table, _, _, runs, nothing, scratch, none = walk.arguments
    return [
        replace(walk, arguments=(table, n, n + 1, runs, nothing, scratch, none))
        for n in range(count)
    ]

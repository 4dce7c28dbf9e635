"""When each share of each row of a program ran in a call, and what is possible, on any target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Limits:
    """What a machine can do at most.

    Attributes:
        where: by what a step is made, for messages: "2 threads", or a device's name.
        threads: of the processor that share it; on a device there is one.
        bytes_per_s: read and written by a copy of an array that no cache holds.
        flops_per_s: multiplications and additions, by dtype ("float32", "float64").
        cached: bytes that its second-level cache holds.
    """

    where: str
    threads: int
    bytes_per_s: float
    flops_per_s: dict[str, float]
    cached: int


@dataclass(frozen=True)
class Trace:
    """One traced call: its shares in the order in which they began.

    Attributes:
        rows: the instruction of each share, int64; one in a loop has shares for each turn.
        chunks: which share of that instruction it is, int64.
        threads: who did it, int64; 0 is the caller.
        begins: nanoseconds since the first share began, float64.
        ends: the same of its end.
        wall: nanoseconds of the whole call as Python sees it.
    """

    rows: npt.NDArray[np.int64]
    chunks: npt.NDArray[np.int64]
    threads: npt.NDArray[np.int64]
    begins: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    wall: int

    @property
    def span(self) -> float:
        """Nanoseconds from the first share's beginning to the last one's end."""
        return float(self.ends.max(initial=0.0))

    def times(self, count: int) -> npt.NDArray[np.float64]:
        """Nanoseconds of each of `count` rows, which add up to the time with any share running.

        Where shares of several rows run at once, each row is charged its part of the moment: of
        two threads in one row and one in another, two thirds and one third.
        """
        moments = np.concatenate([self.begins, self.ends])
        # Of one moment, what ends goes before what begins.
        begun = np.repeat([1, 0], len(self.rows))
        charged = np.zeros(count)
        active: dict[int, int] = {}
        running, last = 0, 0.0
        for place in np.lexsort((begun, moments)):
            now = float(moments[place])
            for row, shares in active.items():
                charged[row] += (now - last) * shares / running
            last = now
            row = int(self.rows[place % len(self.rows)])
            change = 1 if begun[place] else -1
            running += change
            left = active.get(row, 0) + change
            if left:
                active[row] = left
            else:
                active.pop(row, None)
        return charged

    def busy(self, count: int) -> npt.NDArray[np.float64]:
        """Nanoseconds that all threads together spent in each of `count` rows."""
        spent = np.zeros(count)
        np.add.at(spent, self.rows, self.ends - self.begins)
        return spent

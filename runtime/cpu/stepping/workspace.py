"""The memory that all calls of a program share, whatever their sizes, since one runs at a time.

One arena for temporaries, and scratch memory for the kernels of each thread: as large as the sizes
that are bound need.  What is bound to some sizes notes where it expects them, and its next call
finds out natively whether they have moved (`driver.placement`): nothing is changed from here, so
that an interrupt leaves nothing half changed.
"""

from __future__ import annotations

import time
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from ...forking import COMPILING
from . import walk
from .mutex import FORKED, HELD, PLACES, NativeMutex
from .team import Team, aligned, team

Array = npt.NDArray[Any]

PAGE = 4096
SLACK = 4
"""The arena gets a quarter more than it needs, so that growing sizes do not each move it; and is
made smaller once it is so many times as large as what is bound needs."""

SMALL = 1 << 20
"""Bytes up to which memory is kept, however little of it is needed."""


class Job:
    """What is bound to some sizes, as far as its workspace must know it.

    Attributes:
        header: what the driver reads, `walk.JOB` words.
        arena: bytes of temporaries.
        space: bytes that each thread needs for a kernel.
        threads: how many may run it.
    """

    def __init__(self, arena: int, space: int, threads: int) -> None:
        self.header = aligned(8 * walk.JOB).view(np.int64)
        self.arena = arena
        self.space = space
        self.threads = threads
        self._helpers: Team | None = None

    @property
    def busy(self) -> bool:
        """Whether a helper has not left yet."""
        helpers = self._helpers
        return helpers is not None and helpers.busy_with(int(self.header.ctypes.data))

    def hire(self) -> None:
        """See to it that there are helpers."""
        self.header[walk.field("helpers")] = team().hire(self.threads - 1)

    def share(self, wake: bool, kept: tuple[Any, ...], counters: Array) -> None:
        """Fill the words with which helpers find the work; they may look at `kept`."""
        self._helpers = helpers = team()
        held = {
            "counters": counters.ctypes.data,
            "mailboxes": helpers.mailboxes.ctypes.data,
            "wake": wake,
            "calls": helpers.calls.ctypes.data,
            "spins": helpers.spins // 10,
        }
        self.hire()
        for name, value in held.items():
            self.header[walk.field(name)] = value
        address = self.header.ctypes.data
        everything = (*kept, counters, self.header)
        weakref.finalize(self, _retire, helpers, address, everything).atexit = False


def _retire(helpers: Team, address: int, kept: tuple[Any, ...]) -> None:
    """Wait until no helper looks at `kept` any more: they leave a finished step by themselves."""
    while helpers.busy_with(address):
        time.sleep(0)


class _Memory:
    """Where the arena is, and the scratch memory: `room` bytes for each thread."""

    def __init__(self, arena: Array, scratch: Array, room: int) -> None:
        self.arena, self.scratch, self.room = arena, scratch, room
        self.words = np.array([arena.ctypes.data, scratch.ctypes.data, room], np.int64)

    @property
    def address(self) -> int:
        """Of its words."""
        return int(self.words.ctypes.data)


class Workspace(NativeMutex):
    """An arena, scratch memory for threads, and the mutex of those who use them."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: weakref.WeakSet[Job] = weakref.WeakSet()
        nowhere = _Memory(np.zeros(0, np.uint8), np.zeros(0, np.uint8), 0)
        nowhere.words[:] = 0
        self._held = [nowhere]
        # For good: jobs compare addresses of them.
        self._words = [nowhere.words]
        self.record[PLACES] = nowhere.address

    def admit(self, job: Job) -> None:
        """Let a job use this memory: from now on there is enough for it."""
        shared = int(self.record.ctypes.data) + 8 * PLACES
        job.header[walk.field("shared")] = shared
        job.header[walk.field("seen")] = self._words[0].ctypes.data
        self.hold(lambda: self._fit(job))

    def _fit(self, job: Job) -> None:
        self._jobs.add(job)
        jobs = list(self._jobs)
        arena = max(item.arena for item in jobs)
        room = max(-(-(64 + item.space) // PAGE) * PAGE for item in jobs)
        scratch = room * max(item.threads for item in jobs)
        now = self._memory
        stays = arena <= now.arena.nbytes <= max(SMALL, SLACK * arena)
        fits = room <= now.room and scratch <= now.scratch.nbytes <= max(SMALL, SLACK * scratch)
        if stays and fits:
            return
        grown = arena + (arena // SLACK if now.arena.nbytes else 0)
        new = _Memory(
            now.arena if stays else aligned(grown), now.scratch if fits else aligned(scratch),
            now.room if fits else room,
        )  # fmt: skip
        while any(item.busy for item in jobs):
            time.sleep(0)  # Helpers that come too late for a step look into their scratch memory.
        self._words.append(new.words)
        self._held.append(new)
        self.record[PLACES] = new.address
        self._held = [new]

    @property
    def _memory(self) -> _Memory:
        """What the record says: there are more only after an interrupt."""
        return next(item for item in self._held if item.address == self.record[PLACES])

    @property
    def arena_bytes(self) -> int:
        """Of the temporaries of all sizes."""
        return int(self._memory.arena.nbytes)

    @property
    def scratch_bytes(self) -> int:
        """Of the scratch memory of all threads."""
        return int(self._memory.scratch.nbytes)

    def thread_of(self, address: Any) -> Any:
        """The number of the thread whose scratch memory begins there; 0 is the caller."""
        memory = self._memory
        return (address - memory.scratch.ctypes.data) // memory.room

    def revive(self) -> None:
        """Let calls in again, in a forked child, with helpers of its own."""
        with COMPILING:
            if self.record[HELD] == FORKED:
                for job in list(self._jobs):
                    if job.threads > 1:
                        job.hire()
                self.record[HELD] = 0

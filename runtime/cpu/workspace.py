"""The memory that all calls of a program share, whatever their sizes, since one runs at a time.

One arena for temporaries, and for each thread a room for its kernels: as large as the sizes that
are bound need.  What is bound to some sizes notes where it expects them, and its next call finds
out natively whether they have moved (`driver.placement`): nothing is changed from here, so that
an interrupt leaves nothing half changed.
"""

from __future__ import annotations

import time
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from ..forking import COMPILING
from . import walk
from .mutex import FORKED, HELD, PLACES, NativeMutex
from .team import Team, aligned, team

Array = npt.NDArray[Any]

PAGE = 4096
SLACK = 4
"""The arena gets a quarter more than it needs, so that growing sizes do not each move it; and is
made smaller once it is so many times as large as what is bound needs."""

SMALL = 1 << 20
"""Bytes that nobody asks back."""


class Tenant:
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
        job = self.header.ctypes.data
        everything = (*kept, counters, self.header)
        weakref.finalize(self, _retire, helpers, job, everything).atexit = False


def _retire(helpers: Team, job: int, kept: tuple[Any, ...]) -> None:
    """Wait until no helper looks at `kept` any more: they leave a finished step by themselves."""
    while helpers.busy_with(job):
        time.sleep(0)


class _Memory:
    """One placing of the arena and of the rooms."""

    def __init__(self, arena: Array, rooms: Array, room: int) -> None:
        self.arena, self.rooms, self.room = arena, rooms, room
        self.words = np.array([arena.ctypes.data, rooms.ctypes.data, room], np.int64)

    @property
    def address(self) -> int:
        """Of its words."""
        return int(self.words.ctypes.data)


class Workspace(NativeMutex):
    """An arena and rooms for threads, and the mutex of those who use them."""

    def __init__(self) -> None:
        super().__init__()
        self._tenants: weakref.WeakSet[Tenant] = weakref.WeakSet()
        nowhere = _Memory(np.zeros(0, np.uint8), np.zeros(0, np.uint8), 0)
        nowhere.words[:] = 0
        self._held = [nowhere]
        # For good: tenants compare addresses of them.
        self._words = [nowhere.words]
        self.record[PLACES] = nowhere.address

    def admit(self, tenant: Tenant) -> None:
        """Let a tenant in: from now on there is room for it."""
        shared = int(self.record.ctypes.data) + 8 * PLACES
        tenant.header[walk.field("shared")] = shared
        tenant.header[walk.field("seen")] = self._words[0].ctypes.data
        self.hold(lambda: self._fit(tenant))

    def _fit(self, tenant: Tenant) -> None:
        self._tenants.add(tenant)
        tenants = list(self._tenants)
        arena = max(item.arena for item in tenants)
        room = max(-(-(64 + item.space) // PAGE) * PAGE for item in tenants)
        rooms = room * max(item.threads for item in tenants)
        now = self._memory
        stays = arena <= now.arena.nbytes <= max(SMALL, SLACK * arena)
        fits = room <= now.room and rooms <= now.rooms.nbytes <= max(SMALL, SLACK * rooms)
        if stays and fits:
            return
        grown = arena + (arena // SLACK if now.arena.nbytes else 0)
        new = _Memory(
            now.arena if stays else aligned(grown), now.rooms if fits else aligned(rooms),
            now.room if fits else room,
        )  # fmt: skip
        while any(item.busy for item in tenants):
            time.sleep(0)  # Helpers that come too late for a step look into their rooms.
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
    def room_bytes(self) -> int:
        """Of the rooms of all threads."""
        return int(self._memory.rooms.nbytes)

    def thread_of(self, address: Any) -> Any:
        """The number of the thread whose room begins there; 0 is the caller."""
        memory = self._memory
        return (address - memory.rooms.ctypes.data) // memory.room

    def revive(self) -> None:
        """Let calls in again, in a forked child, with helpers of its own."""
        with COMPILING:
            if self.record[HELD] == FORKED:
                for tenant in list(self._tenants):
                    if tenant.threads > 1:
                        tenant.hire()
                self.record[HELD] = 0

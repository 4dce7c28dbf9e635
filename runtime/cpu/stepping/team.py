"""The helpers: threads of this process that share the steps of its programs.

One team for all programs.  Helpers are hired when a program first wants them, and stay.  For a
while after a step a helper waits awake, so that the next step finds it at once; then it sleeps and
costs nothing.  They are daemon threads that sit in native code without the interpreter's lock.

A forked child has no helpers until one of its programs runs, inherited or made there.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ...forking import lock
from ..building.natives import Request, obtain
from . import serve, walk

MOST = 63
"""Helpers of a process."""

AWAKE = 100e-6
"""Seconds for which a helper waits awake, and ten times those before a waiting thread yields."""

_PATIENCE = 1.0
"""Seconds that the end of the process waits for a helper."""


LINE, HUGE_PAGE = 64, 2**21
"""Bytes of a cache line, and of a large page of memory."""


def aligned(nbytes: int) -> npt.NDArray[np.uint8]:
    """Zeroed memory that begins with a cache line, and with a large page if it has two of them.

    A step over 25 MB took a quarter longer in 7 of 24 processes without that, in none with it.
    """
    edge = LINE if nbytes < 2 * HUGE_PAGE else HUGE_PAGE
    raw = np.zeros(nbytes + edge, dtype=np.uint8)
    start = -raw.ctypes.data % edge
    return raw[start : start + nbytes]


def default_threads() -> int:
    """`$DIAGRAD_THREADS`, or the cores that this process may use."""
    told = os.environ.get("DIAGRAD_THREADS", "")
    if told:
        if not told.isdecimal() or int(told) < 1:
            raise ValueError(f"DIAGRAD_THREADS expects a number from 1 on, got {told!r}")
        return int(told)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _system_yield() -> Any:
    if sys.platform == "win32":
        return ctypes.windll.kernel32.SwitchToThread
    return ctypes.CDLL(None).sched_yield


class Team:
    """The mailboxes of the helpers, and who is there to read them."""

    def __init__(self) -> None:
        self.mailboxes = aligned(8 * walk.MAILBOX * MOST).view(np.int64).reshape(MOST, -1)
        self.mailboxes[:, 0] = walk.GONE
        self._yield = _system_yield()
        api = ctypes.pythonapi
        self._allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", api))
        self._acquire = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(
            ("PyThread_acquire_lock", api)
        )
        self._release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_release_lock", api))
        calls = [self._yield, api.PyThread_acquire_lock, api.PyThread_release_lock]
        self.calls = np.array([_address(call) for call in calls], dtype=np.int64)
        self.spins = 0
        self._helpers: list[threading.Thread] = []
        atexit.register(self.dismiss)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def hire(self, wanted: int) -> int:
        """See to it that there are so many helpers, if the system allows; how many there are."""
        wanted = min(wanted, MOST)
        if len(self._helpers) < wanted:
            work = self._native()  # Not within the lock: it compiles.
            with _lock:
                while len(self._helpers) < wanted and self._start(work):
                    pass
        return min(wanted, len(self._helpers))

    def _native(self) -> Any:
        requests = [
            Request("helper", serve.serve_text(), walk.build_walk),
            Request("pause", serve.pause_text(), walk.build_walk),
        ]
        helper, pause = obtain(requests)
        if not self.spins:
            count = ctypes.CFUNCTYPE(None, ctypes.c_int64)(pause.address)
            turns, best = 1000, 1.0
            for _ in range(5):
                start = time.perf_counter()
                count(turns)
                best = min(best, time.perf_counter() - start)
            self.spins = max(64, int(AWAKE / (best / turns)))
        kinds = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        return ctypes.CFUNCTYPE(None, *kinds)(helper.address)

    def _start(self, work: Any) -> bool:
        number = len(self._helpers)
        box = self.mailboxes[number]
        lock = self._allocate()
        if not lock:
            return False
        self._acquire(lock, 1)
        box[:3] = walk.IDLE, lock, 0
        args = (box.ctypes.data, self.calls.ctypes.data, self.spins, number + 1)
        helper = threading.Thread(
            target=work, args=args, name=f"diagrad-helper-{number}", daemon=True
        )
        try:
            helper.start()
        except RuntimeError:  # No more threads in this process, or it ends.
            box[0] = walk.GONE
            return False
        self._helpers.append(helper)
        return True

    def dismiss(self) -> None:
        """Let all helpers go, and wait until they have gone."""
        with _lock:
            for box, helper in zip(self.mailboxes, self._helpers, strict=False):
                box[2] = 1
                end = time.perf_counter() + _PATIENCE
                while helper.is_alive() and time.perf_counter() < end:
                    if box[0] == walk.ASLEEP:
                        self._release(int(box[1]))
                    helper.join(1e-3)
            self._helpers.clear()

    def busy_with(self, job: int) -> bool:
        """Whether a helper is still inside a step of that job."""
        return bool((self.mailboxes[:, 0] == job + 1).any())

    def _forget(self) -> None:
        self.mailboxes[:, 0] = walk.GONE
        self._helpers = []


_team: Team | None = None
_lock = lock()


def team() -> Team:
    """The team of this process."""
    global _team
    with _lock:
        if _team is None:
            _team = Team()
        return _team

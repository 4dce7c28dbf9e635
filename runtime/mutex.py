"""One call of a program at a time: what its steps, runs, loads and saves hold.

What it protects are the arrays of the states, and whatever memory the calls share.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Mutex:
    """Mutual exclusion of functions."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all.add(self)

    def hold(self, function: Callable[[], T]) -> T:
        """The function's result, computed while no other thread holds this."""
        with self._lock:
            return function()

    def after_fork(self) -> None:
        """In a forked child: whoever held it is not there."""
        self._lock = threading.RLock()


_all: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _after_fork() -> None:
    for mutex in list(_all):
        mutex.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

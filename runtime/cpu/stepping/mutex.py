"""The mutex that native calls hold, and Python's functions beside them.

    hold(owner, function) -> what the function returns, or NotImplemented while another holds it

It is a word of memory, read and written with the interpreter's lock held, so that a call of a
small program need not be longer for it.  Native code takes it and gives it back, for a function
of Python too: a signal handler raises within that function or not at all, so that no interrupt
leaves the word taken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np

from ...mutex import Mutex
from ..building.build import build_text
from ..building.natives import Request, obtain
from . import objects

T = TypeVar("T")

HELD, WISH, PLACES = range(3)
"""Words of the record: the thread that holds it or 0; whether one has waited for long, which bars
all that come meanwhile; and the address of where the memory of the calls lies (`Workspace`)."""

FORKED = 1
"""Instead of a thread, in a forked child: nobody holds it, but nobody has looked after it yet."""

POLITE = 16
"""Turns of waiting, of about 60 us each, before a thread bars those who come later."""

_HOLD = """
define ptr @SYMBOL(ptr %owner, ptr %function) {
start:
  %item.p = getelementptr i8, ptr %owner, i64 ITEM
  %item = load ptr, ptr %item.p
  %data.p = getelementptr i8, ptr %item, i64 DATA
  %words = load ptr, ptr %data.p
  %record = load ptr, ptr %words
  %held = load i64, ptr %record
  %wish.p = getelementptr i64, ptr %record, i64 1
  %wish = load i64, ptr %wish.p
  %either = or i64 %held, %wish
  %free = icmp eq i64 %either, 0
  br i1 %free, label %take, label %refuse

refuse:
  %busy.p = getelementptr i64, ptr %words, i64 1
  %busy = load ptr, ptr %busy.p
  %keep.p = getelementptr i64, ptr %words, i64 2
  %keep = load ptr, ptr %keep.p
  call void %keep(ptr %busy)
  ret ptr %busy

take:
  %ident.p = getelementptr i64, ptr %words, i64 3
  %ident = load ptr, ptr %ident.p
  %me = call i64 %ident()
  store i64 %me, ptr %record
  %call.p = getelementptr i64, ptr %words, i64 4
  %call = load ptr, ptr %call.p
  %made = call ptr %call(ptr %function)
  store i64 0, ptr %record
  ret ptr %made
}
"""


@cache
def _hold_address() -> int:
    text = _HOLD.replace("ITEM", str(objects.HEAD + 8)).replace("DATA", str(objects.DATA))
    return obtain([Request("hold", text, _build_hold)])[0].address


def _build_hold(source: str, symbol: str) -> bytes:
    return build_text(source.replace("SYMBOL", symbol), {symbol})


class NativeMutex(Mutex):
    """A mutex that native calls hold as well, by its `record`."""

    def __init__(self) -> None:
        super().__init__()
        self.record = np.zeros(8, np.int64)
        self._native: Callable[[Callable[[], Any]], Any] | None = None

    def hold(self, function: Callable[[], T]) -> T:
        """The function's result, computed while no other thread holds this.

        Raises:
            RuntimeError: this very thread holds it, and is in the midst of a function.
        """
        if not objects.readable():
            return super().hold(function)
        if self._native is None:
            self._native = self._make_hold()
        turn = 0
        while True:
            made: Any = self._native(function)
            if made is not NotImplemented:
                return made  # type: ignore[no-any-return]  # what the function returned
            self.wait(turn)
            turn += 1

    def _make_hold(self) -> Callable[[Callable[[], Any]], Any]:
        calls = ("Py_IncRef", "PyThread_get_thread_ident", "PyObject_CallNoArgs")
        words = [self.record.ctypes.data, id(NotImplemented), *map(objects.call_address, calls)]
        table = np.array(words, np.int64)
        return objects.callable_at(_hold_address(), "hold", (table, self.record))

    def wait(self, turn: int) -> None:
        """Wait a little, for the time that is numbered `turn` from 0 on.

        Waiting is rare, so that it may be simple.  Who has waited for a millisecond bars those who
        come later for a while: a thread that makes one step after another leaves no other gap.

        Raises:
            RuntimeError: this very thread holds it.
        """
        held = int(self.record[HELD])
        if held == FORKED:
            self.revive()
        elif held == threading.get_ident():
            raise RuntimeError(
                "a program expects one call at a time, got another one of the same thread, as from "
                "a signal handler, in the midst of a load or the like: make it when that is over"
            )
        elif turn < POLITE:
            time.sleep(1e-5)
        else:
            try:
                self.record[WISH] = 1
                time.sleep(1e-4)
            finally:
                self.record[WISH] = 0

    def after_fork(self) -> None:
        """In a forked child: whoever held it is not there; the next call looks after the rest."""
        super().after_fork()
        self.record[WISH] = 0
        self.record[HELD] = FORKED

    def revive(self) -> None:
        """Let calls in again, in a forked child."""
        self.record[HELD] = 0

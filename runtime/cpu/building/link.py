"""Object code into this process, for as long as somebody holds it."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Any

import llvmlite.binding as llvm

from ...forking import COMPILING
from .. import host

RECENT = 128
"""Objects that stay although nobody holds them, those linked last: some 40 KiB each."""

_held: weakref.WeakValueDictionary[str, Linked] = weakref.WeakValueDictionary()
_recent: deque[Linked] = deque(maxlen=RECENT)
_number = count()
_linker: Any = None


class LinkError(RuntimeError):
    """An object does not define the symbol that it was stored for, or is no object."""


class Linked:
    """Native code in memory; it is freed with this, and with all that was linked together with it.

    Attributes:
        address: of the function.
    """

    def __init__(self, address: int, tracker: Any) -> None:
        self.address = address
        self._tracker = tracker


def linked(symbol: str) -> Linked | None:
    """What this process has linked under a symbol, if it is still there."""
    return _held.get(symbol)


def link(objects: Mapping[str, bytes]) -> dict[str, Linked]:
    """Link objects, each under the symbol that it defines.

    They share what it takes to link, 0.1 ms, and stay until nobody holds any of them.  Symbols that
    are there already are not linked again: equal symbols are equal code.
    """
    global _linker
    with COMPILING:
        found = {symbol: linked(symbol) for symbol in objects}
        made = {symbol: item for symbol, item in found.items() if item is not None}
        new = [symbol for symbol in objects if symbol not in made]
        if not new:
            return made
        if _linker is None:
            host.initialize()
            _linker = llvm.create_lljit_compiler(host.target_machine(), suppress_errors=True)
        builder = llvm.JITLibraryBuilder().add_current_process()
        for symbol in new:
            builder.add_object_img(objects[symbol]).export_symbol(symbol)
        try:
            # A library's name cannot be used twice, not even when the first is gone.
            tracker = builder.link(_linker, f"diagrad {next(_number)}")
        except RuntimeError as error:
            raise LinkError(f"object code without its symbol {', '.join(new)}: {error}") from error
        for symbol in new:
            made[symbol] = _held[symbol] = Linked(tracker[symbol], tracker)
        _recent.extend(made[symbol] for symbol in new)
        return made

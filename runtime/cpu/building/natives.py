"""From a text to the address of its native code: linked already, in the cache, or built now.

A text is built once per machine, and linked once for all of a process that want it at a time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ...building.cache import Cache, cache_in_use
from ...building.keys import surroundings
from ...collector import collector_paused
from ...forking import COMPILING
from .. import host
from . import link

Origin = Literal["compiled", "cache", "memory"]

_staying: dict[str, link.Linked] = {}


@dataclass(frozen=True)
class Request:
    """A text, and how to make object code of it that defines a given symbol.

    `build` is called with the text, the symbol, and what `more` has.  What `stays` is linked for
    good; what does not, as long as its `Native` is held.
    """

    name: str
    text: str
    build: Callable[..., bytes]
    stays: bool = True
    more: tuple[int, ...] = ()


@dataclass(frozen=True)
class Native:
    """Native code in this process, and how it came here."""

    name: str
    code: link.Linked
    origin: Origin
    reason: str
    milliseconds: float

    @property
    def address(self) -> int:
        """Of the function."""
        return self.code.address


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """Hash of all that turns a text into object code: this engine, LLVM, Numba, the processor."""
    return surroundings([host.cpu_name(), host.feature_text()], "cpu")


def key_of(request: Request) -> bytes:
    """The hash under which the request's object code is kept."""
    # Not the name: equal texts are one kernel.
    way = f"{request.build.__module__}.{request.build.__qualname__}{request.more}"
    text = f"{way}\0{request.text}"
    return hashlib.sha256(_surroundings() + text.encode()).digest()


def obtain(requests: Sequence[Request]) -> list[Native]:
    """Native code for every request, in their order."""
    with COMPILING:
        cache = cache_in_use()
        with collector_paused():
            pieces: dict[str, _Piece] = {}
            found = []
            for request in requests:
                piece = _Piece(request, cache, pieces)
                pieces.setdefault(piece.symbol, piece)
                found.append(piece)
            for stays in (True, False):
                _link_all([piece for piece in pieces.values() if piece.request.stays is stays])
            return [piece.native(pieces[piece.symbol].linked) for piece in found]


def _link_all(pieces: Sequence[_Piece]) -> None:
    """Link at once what is not linked yet; one by one where that fails, to find the fault."""
    new = [piece for piece in pieces if piece.linked is None]
    if not new:
        return
    start = time.perf_counter()
    try:
        made = link.link({piece.symbol: piece.code for piece in new})
    except link.LinkError:
        for piece in new:
            piece.link_alone()
        return
    for piece in new:
        piece.linked = made[piece.symbol]
        piece.seconds += (time.perf_counter() - start) / len(new)


class _Piece:
    """The way of one request: its code from the cache, or built, unless it is linked already."""

    def __init__(self, request: Request, cache: Cache, others: Mapping[str, _Piece]) -> None:
        start = time.perf_counter()
        self.request, self._cache = request, cache
        self._key = key_of(request)
        self.symbol = "diagrad_" + self._key.hex()[:32]
        self.linked = link.linked(self.symbol)
        self.origin: Origin = "memory"
        self.reason = "linked in this process before"
        self.code = b""
        if self.linked is None and self.symbol not in others:
            code, self.reason = cache.get(self._key)
            self.origin = "cache"
            if code is None:
                self._build()
            else:
                self.code = code
        self.seconds = time.perf_counter() - start

    def _build(self) -> None:
        def build() -> bytes:
            return self.request.build(self.request.text, self.symbol, *self.request.more)

        self.origin = "compiled"
        self.code, self.reason = self._cache.make(self._key, "kernel", build, self.reason)

    def link_alone(self) -> None:
        """Link it, built anew if what the cache has is at fault."""
        start = time.perf_counter()
        try:
            self.linked = link.link({self.symbol: self.code})[self.symbol]
        except link.LinkError as error:
            if self.origin != "cache":
                raise
            self.reason = f"the entry in the cache does not link: {error}"
            self._build()
            self.linked = link.link({self.symbol: self.code})[self.symbol]
        self.seconds += time.perf_counter() - start

    def native(self, linked: link.Linked | None) -> Native:
        """The answer, once its code is linked."""
        assert linked is not None
        if self.request.stays:
            _staying[self.symbol] = linked
        return Native(self.request.name, linked, self.origin, self.reason, 1e3 * self.seconds)

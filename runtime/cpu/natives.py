"""From a text to the address of its native code: linked already, in the cache, or built now.

A text is built once per machine and linked once per process, whoever asks.  Nothing here knows
how building works, nor what a program is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import llvmlite

from ..collector import collector_paused
from ..forking import COMPILING
from . import host, link
from .cache import Cache

Origin = Literal["compiled", "cache", "memory"]

_HERE = Path(__file__).parent
_cache: Cache | None = None


@dataclass(frozen=True)
class Request:
    """A text, and how to make object code of it that defines a given symbol."""

    name: str
    text: str
    build: Callable[[str, str], bytes]


@dataclass(frozen=True)
class Native:
    """Native code in this process, and how it came here."""

    name: str
    address: int
    origin: Origin
    reason: str
    milliseconds: float


def _numba_version() -> str:
    """What Numba's own file of its version says: neither Numba nor `importlib.metadata` is needed.

    The first costs 250 ms to import, the second 13.
    """
    spec = importlib.util.find_spec("numba")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("kernels are built by Numba, which is not installed")
    try:
        return Path(spec.origin).with_name("_version.py").read_text(encoding="utf-8")
    except OSError:
        from importlib.metadata import version

        return version("numba")


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """Hash of all that turns a text into object code: this engine, LLVM, Numba, the processor."""
    total = hashlib.sha256()
    parts = [_numba_version(), llvmlite.__version__, host.cpu_name(), host.feature_text()]
    for part in parts:
        total.update(part.encode() + b"\0")
    for path in sorted([*_HERE.glob("*.py"), _HERE.parent / "philox.py"]):
        total.update(path.read_bytes() + b"\0")
    return total.digest()


def key_of(request: Request) -> bytes:
    """The hash under which the request's object code is kept."""
    # Not the name: equal texts are one kernel.
    text = f"{request.build.__module__}.{request.build.__qualname__}\0{request.text}"
    return hashlib.sha256(_surroundings() + text.encode()).digest()


def use_cache(cache: Cache | None) -> None:
    """Take another cache from now on; None for the default one, looked up anew."""
    global _cache
    with COMPILING:
        _cache = cache


def cache_in_use() -> Cache:
    """The cache that `obtain` looks into."""
    global _cache
    with COMPILING:
        if _cache is None:
            _cache = Cache()
        return _cache


def obtain(requests: Sequence[Request]) -> list[Native]:
    """Native code for every request, in their order."""
    with COMPILING:
        cache = cache_in_use()
        with collector_paused():
            return [_obtain(request, cache) for request in requests]


def _obtain(request: Request, cache: Cache) -> Native:
    start = time.perf_counter()
    key = key_of(request)
    symbol = "diagrad_" + key.hex()[:32]
    origin: Origin = "memory"
    reason = "linked in this process before"
    address = link.linked(symbol)
    if address is None:
        code, reason = cache.get(key)
        origin = "cache"
        if code is not None:
            try:
                address = link.link({symbol: code})[symbol]
            except link.LinkError as error:
                reason = f"the entry in the cache does not link: {error}"
        if address is None:
            origin = "compiled"
            code = request.build(request.text, symbol)
            trouble = cache.put(key, code)
            reason = f"{reason}; {trouble}" if trouble else reason
            address = link.link({symbol: code})[symbol]
    return Native(request.name, address, origin, reason, 1e3 * (time.perf_counter() - start))

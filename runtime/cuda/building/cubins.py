"""From kernel texts to cubins: in the cache, or built now.

A text is built once per machine for an architecture.  A process that finds all it wants loads
neither Numba nor LLVM nor the linker.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Literal

from ...building.cache import Cache, cache_in_use
from ...building.keys import surroundings
from ...collector import collector_paused
from ...forking import COMPILING
from ..code import Code
from .cubin import Resources, link

_TAKES = struct.Struct("<4Q")


@dataclass(frozen=True)
class Cubin:
    """The machine code of a kernel or of a walk, and how it came here.

    Attributes:
        name: of what it is of.
        code: a cubin; its function is that of `entry.py`, or that of `walk.py`.
        takes: what a launch takes.
        origin: whether it was built now.
        reason: why, or where it was found.
        milliseconds: that it took.
    """

    name: str
    code: bytes
    takes: Resources
    origin: Literal["compiled", "cache"]
    reason: str
    milliseconds: float


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """Hash of all that turns a text into a cubin: this engine, LLVM, Numba, the linker."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        linker = version("nvidia-nvjitlink")
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            "cubins are made by nvidia-nvjitlink, which is not installed: "
            "pip install 'diagrad[cuda]'"
        ) from error
    return surroundings([linker], "cuda")


def key_of(code: Code, architecture: str) -> bytes:
    """The hash under which the cubin of some code is kept."""
    # Not the names: equal texts are one kernel.
    parts = [f"{near}\0{kernel.source}" for kernel, near in code.kernels]
    text = "\0".join([architecture, str(code.walks), *parts])
    return hashlib.sha256(_surroundings() + text.encode()).digest()


def obtain(codes: Sequence[Code], architecture: str = "sm_90") -> list[Cubin]:
    """Cubins for all of it, in its order.

    Raises:
        ModuleNotFoundError: a package that builds them is not installed.
        LinkError: the linker refuses a kernel.
    """
    with COMPILING, collector_paused():
        cache = cache_in_use()
        made: dict[bytes, Cubin] = {}
        found = []
        for code in codes:
            key = key_of(code, architecture)
            if key not in made:
                made[key] = _obtain(code, architecture, key, cache)
            found.append(made[key])
        return found


def _obtain(code: Code, architecture: str, key: bytes, cache: Cache) -> Cubin:
    start = time.perf_counter()
    kept, reason = cache.get(key, "cubin")
    origin: Literal["compiled", "cache"] = "cache"
    if kept is None:
        origin = "compiled"
        kept, reason = cache.make(key, "cubin", lambda: _build(code, architecture), reason)
    return Cubin(
        code.name,
        kept[_TAKES.size :],
        Resources(*_TAKES.unpack_from(kept)),
        origin,
        reason,
        1e3 * (time.perf_counter() - start),
    )


def _build(code: Code, architecture: str) -> bytes:
    """What a launch takes, and the cubin."""
    # LLVM, which a process that finds its cubins does without.
    from .ptx import kernel_ptx, walk_ptx

    texts = [(kernel.source, near) for kernel, near in code.kernels]
    ptx = walk_ptx(texts, architecture) if code.walks else kernel_ptx(*texts[0], architecture)
    cubin, takes = link(ptx, architecture)
    return _TAKES.pack(*astuple(takes)) + cubin

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
from ...program import Kernel
from .cubin import Resources, link

_TAKES = struct.Struct("<4Q")


@dataclass(frozen=True)
class Request:
    """A kernel, and the machine that is to run it.

    Attributes:
        name: for messages; equal texts are one kernel.
        source: its text.
        shared: whether a worker's memory is shared memory, or global.
        architecture: as "sm_90".
    """

    name: str
    source: str
    shared: bool = True
    architecture: str = "sm_90"


@dataclass(frozen=True)
class Cubin:
    """The machine code of a kernel, and how it came here.

    Attributes:
        name: of the request.
        code: a cubin; its function is that of `entry.py`.
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


def key_of(request: Request) -> bytes:
    """The hash under which the request's cubin is kept."""
    # Not the name: equal texts are one kernel.
    text = f"{request.architecture}\0{request.shared}\0{request.source}"
    return hashlib.sha256(_surroundings() + text.encode()).digest()


def obtain(requests: Sequence[Request]) -> list[Cubin]:
    """Cubins for all requests, in their order.

    Raises:
        ModuleNotFoundError: a package that builds them is not installed.
        LinkError: the linker refuses a kernel.
    """
    with COMPILING, collector_paused():
        cache = cache_in_use()
        made: dict[bytes, Cubin] = {}
        found = []
        for request in requests:
            key = key_of(request)
            if key not in made:
                made[key] = _obtain(request, key, cache)
            found.append(made[key])
        return found


def build(kernels: Sequence[tuple[Kernel, bool]], architecture: str) -> list[Cubin]:
    """What `driver.DriverDevice` asks for: kernels, each with whether its memory is shared.

    Raises:
        as `obtain`.
    """
    return obtain([Request(k.name, k.source, near, architecture) for k, near in kernels])


def _obtain(request: Request, key: bytes, cache: Cache) -> Cubin:
    start = time.perf_counter()
    kept, reason = cache.get(key, "cubin")
    origin: Literal["compiled", "cache"] = "cache"
    if kept is None:
        origin = "compiled"
        kept, reason = cache.make(key, "cubin", lambda: _build(request), reason)
    return Cubin(
        request.name,
        kept[_TAKES.size :],
        Resources(*_TAKES.unpack_from(kept)),
        origin,
        reason,
        1e3 * (time.perf_counter() - start),
    )


def _build(request: Request) -> bytes:
    """What a launch takes, and the cubin."""
    from .ptx import kernel_ptx  # LLVM, which a process that finds its cubins does without

    ptx = kernel_ptx(request.source, request.shared, request.architecture)
    code, takes = link(ptx, request.architecture)
    return _TAKES.pack(*astuple(takes)) + code

"""Compiled programs in the cache: what the passes made of a graph, for the next process.

An entry is found by all that the passes look at: the graph as it was lowered, the options, the
target, and what turns them into a program, which is the compiler's own source and NumPy, which
folds constants.  It lies beside the kernels, in the same folder and within the same bound.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...compiler.graph import Graph
from ...compiler.graphs.digest import Digest, digest
from ...compiler.graphs.interface import Interface
from ...compiler.memory.written import from_bytes, to_bytes
from ...compiler.options import Options
from ...compiler.scheduling.template import Template
from ...runtime.building.cache import cache_in_use
from ...runtime.program import CPU, Target

_ROOT = Path(__file__).resolve().parents[2]
_SHARED = (
    "runtime/outcomes.py", "runtime/program.py", "runtime/philox.py", "runtime/teams.py",
)  # fmt: skip
"""What the compiler uses of the runtime."""

MOST_BYTES = 32 << 20
"""A larger program, for the constants that its passes have made, is not kept."""


@dataclass
class CachedProgram:
    """The place of a program in the cache.

    Attributes:
        found: the interface and the template, if they were there.
        reason: why they were or were not.
        milliseconds: what looking for them took.
    """

    found: tuple[Interface, Template] | None
    reason: str
    milliseconds: float
    _key: bytes | None
    _digest: Digest

    def keep(self, interface: Interface, template: Template) -> None:
        """Write what has been compiled; where that fails, `reason` says why."""
        if self._key is None:
            return
        data = to_bytes(interface, template, self._digest.arrays)
        if len(data) > MOST_BYTES:
            trouble = f"not kept: {len(data) >> 20} MiB, at most {MOST_BYTES >> 20} are"
        else:
            trouble = cache_in_use().put(self._key, data, "program")
        self.reason = f"{self.reason}; {trouble}" if trouble else self.reason


def look_up(graph: Graph, options: Options, target: Target = CPU) -> CachedProgram:
    """The place in the cache of what the passes make of a graph as lowered, for a target."""
    start = time.perf_counter()
    encoded = digest(graph)
    try:
        compiler = _compiler()
    except OSError as error:
        return CachedProgram(
            None, f"the compiler's own source cannot be read: {error}", 0.0, None, encoded
        )
    asked = f"{options} {target}".encode()
    key = hashlib.sha256(compiler + encoded.key + asked).digest()
    data, reason = cache_in_use().get(key, "program")
    found = None
    if data is not None:
        try:
            found = from_bytes(data, encoded.arrays)
        except (ValueError, LookupError, TypeError, AssertionError) as error:
            reason = f"the entry in the cache cannot be read: {error!r}"
    return CachedProgram(found, reason, 1e3 * (time.perf_counter() - start), key, encoded)


@lru_cache(maxsize=1)
def _compiler() -> bytes:
    """The hash of what turns a graph into a program; OSError where there is no source."""
    total = hashlib.sha256(f"program {np.__version__}\0".encode())
    for path in _sources():
        total.update(path.read_bytes() + b"\0")
    return total.digest()


def _sources() -> Iterator[Path]:
    folder = _ROOT / "compiler"
    yield folder / "pipeline.py"  # must be there: a folder without source has another version
    yield from sorted(folder.rglob("*.py"))
    yield from (_ROOT / name for name in _SHARED)

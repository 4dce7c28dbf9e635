"""A program whose sizes still have names: what `emit` makes and `plan_memory` binds.

Plain data like `runtime.program.Program`, except that extents, offsets and words may be named
sizes, and that memory has no places yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ..runtime.program import Kernel, Role, Routine
from .graph import Graph, Node, Type
from .sizes import Dim


@dataclass(frozen=True, slots=True)
class Place:
    """A word: the address of an element of a buffer."""

    buffer: int
    offset: Dim = 0


@dataclass(frozen=True, slots=True)
class Bits:
    """A word: the bits of a scalar node that sizes and constants determine."""

    node: Node


@dataclass(frozen=True, slots=True)
class Tiled:
    """A number of a matrix product's tiling (`tiling.Tiling`), once its sizes are known.

    `which` is a field of it or "blocks"; `count` multiplies it.
    """

    which: str
    dtype: str
    rows: Dim
    columns: Dim
    depth: Dim
    epilogue: bool
    count: Dim = 1


Word = Dim | Place | Bits | Routine | Tiled


@dataclass(frozen=True, slots=True)
class Row:
    """An instruction with named sizes: run `kernel` with `words` over [0, extent).

    `work` estimates the whole of it, in operations on one element.
    """

    kernel: int
    words: tuple[Word, ...]
    extent: Dim | Tiled
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    origins: tuple[str, ...]
    check: int | None = None
    work: Dim = 0
    space: Dim | Tiled = 0


@dataclass(frozen=True, slots=True)
class Storage:
    """A buffer with named sizes."""

    name: str
    role: Role
    type: Type
    data: npt.NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """Kernels, rows in their order, and buffers, of one graph."""

    name: str
    graph: Graph
    kernels: tuple[Kernel, ...]
    rows: tuple[Row, ...]
    storages: tuple[Storage, ...]

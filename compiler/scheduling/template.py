"""A program whose sizes still have names: what `emit` makes and `plan_memory` binds.

Plain data like `runtime.program.BoundProgram`, except that extents, offsets and words may be named
sizes, and that memory has no places yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ...runtime.program import CPU, Kernel, Role, Routine, Skips, Target
from ..graph import Node, Type
from ..sizes import Dim


@dataclass(frozen=True, slots=True)
class Place:
    """A word: the address of an element of a buffer.

    As the place of a value it may have `strides`, one for each axis of more than one element;
    without them the value is row-major and contiguous.
    """

    buffer: int
    offset: Dim = 0
    strides: tuple[Dim, ...] | None = None

    def moved(self, offset: Dim) -> Place:
        """The place so many elements further on."""
        return Place(self.buffer, self.offset + offset, self.strides)


@dataclass(frozen=True, slots=True)
class Bits:
    """A word: the bits of a scalar node that sizes and constants determine."""

    node: Node


@dataclass(frozen=True, slots=True)
class Offsets:
    """A word: the address of a table of offsets in elements, made once the sizes are known.

    One for each index of the axes (extent, stride), row-major: the sum of index times stride.
    """

    axes: tuple[tuple[Dim, Dim], ...]


@dataclass(frozen=True, slots=True)
class Tiled:
    """A number of a matrix product's tiling (`tiling.Tiling`), once its sizes are known.

    `which` is a field of it or "blocks"; `count` multiplies it; `segmented` says by which of the
    two kinds of routine it is made.
    """

    which: str
    dtype: str
    rows: Dim
    columns: Dim
    depth: Dim
    epilogue: bool
    segmented: bool = False
    count: Dim = 1


Word = Dim | Place | Bits | Routine | Offsets | Tiled


@dataclass(frozen=True, slots=True)
class Row:
    """An instruction with named sizes: run `kernel` with `words` over [0, extent).

    `work` estimates the whole of it, in operations on one element.  `check` and `skips` are those
    of `runtime.program.Instruction`.
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
    skips: Skips = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """A buffer with named sizes.

    `over` is the temporary of as many bytes in whose place this one lies: the row that first
    writes this one is the last to read that one.
    """

    name: str
    role: Role
    type: Type
    data: npt.NDArray[Any] | None = None
    over: int | None = None


@dataclass(frozen=True, slots=True)
class Turns:
    """The rows [first, last) run `count` times; `step` is the size that counts the turns.

    Turns nest, or lie apart.
    """

    first: int
    last: int
    step: str
    count: Dim


@dataclass(frozen=True, slots=True)
class Template:
    """Kernels, rows in their order, buffers, and the loops among the rows, of one graph.

    `target` is what the kernels are written for.
    """

    name: str
    kernels: tuple[Kernel, ...]
    rows: tuple[Row, ...]
    storages: tuple[Storage, ...]
    turns: tuple[Turns, ...] = ()
    target: Target = CPU

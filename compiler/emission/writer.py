"""A kernel while it is written: its words, its lines, and names for what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..graph import Node
from ..primitives.elementwise import LANE_TYPES, MEMORY_TYPES
from ..scheduling.template import Bits, Place, Tiled, Word
from ..sizes import Dim

LITERALS = (0, 1, -1, 2, -2, 0.5, -0.5)
"""Scalars written into the text; every other one is a word, so that kernels can be shared."""


class Emitted(NamedTuple):
    """A kernel and what its row says: its text, for values of so many lanes, and the row's words.

    Attributes:
        source: the text.
        words: of the row.
        extent: of its range.
        reads: the buffers that it reads.
        writes: those that it writes.
        lanes: of a value.
        space: the bytes that a worker needs for itself.
    """

    source: str
    words: tuple[Word, ...]
    extent: Dim | Tiled
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    lanes: int
    space: Dim | Tiled = 0


class Writer:
    """Collects the words of a row and the lines of a kernel, prologue first.

    Args:
        lanes: of every value of the text.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.words: list[Word] = []
        self.prologue: list[str] = []
        self.lines: list[str] = []
        self.indent = 1
        self.mark: tuple[int, int] | None = None
        self.reads: dict[int, None] = {}
        self.writes: dict[int, None] = {}
        self._names: dict[object, str] = {}
        self._counts: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        number = self._counts.get(prefix, 0)
        self._counts[prefix] = number + 1
        return f"{prefix}{number}"

    def line(self, text: str) -> None:
        """One line at the present indentation."""
        self.lines.append("    " * self.indent + text)

    def enter(self, text: str) -> None:
        """One line, and what follows is inside of it."""
        self.line(text)
        self.indent += 1

    def mark_row(self) -> None:
        """Let `hoist` write here from now on: at this line, at this indentation."""
        self.mark = (len(self.lines), self.indent)

    def hoist(self, text: str) -> None:
        """One line at the mark, above the loops that have begun since."""
        assert self.mark is not None
        place, indent = self.mark
        self.lines.insert(place, "    " * indent + text)
        self.mark = (place + 1, indent)

    def word(self, value: Word) -> str:
        """The next word of the row."""
        self.words.append(value)
        return f"args[{len(self.words) - 1}]"

    def integer(self, value: Word, prefix: str) -> str:
        """The name of an extent, a stride or an address that the row holds."""
        name = self.fresh(prefix)
        self.prologue.append(f"    {name} = {self.word(value)}")
        return name

    def pointer(self, buffer: int, offset: Dim, dtype: str, writes: bool = False) -> str:
        """The name of a typed pointer into a buffer."""
        (self.writes if writes else self.reads)[buffer] = None
        key = ("pointer", buffer, offset)
        if key not in self._names:
            name = self.fresh("p")
            word = self.word(Place(buffer, offset))
            self.prologue.append(f"    {name} = {MEMORY_TYPES[dtype]}_at({word})")
            self._names[key] = name
        return self._names[key]

    def scalar(self, node: Node) -> str:
        """The name of a scalar that is known at binding, in all lanes."""
        kind = LANE_TYPES[node.dtype]
        if node.op == "constant":
            value = node.attrs["value"][()]
            key: object = ("scalar", node.dtype, value.tobytes())
            if value in LITERALS and not (value == 0 and np.signbit(float(value))):
                return self._named(key, f"{kind}({value!s})")
        else:
            key = node
        if key in self._names:
            return self._names[key]
        return self._named(key, f"{kind}_of({self.word(Bits(node))})")

    def _named(self, key: object, text: str) -> str:
        if key not in self._names:
            name = self.fresh("c")
            self.prologue.append(f"    {name} = {text}")
            self._names[key] = name
        return self._names[key]

    def emitted(self, extent: Dim | Tiled, more: str = "", space: Dim | Tiled = 0) -> Emitted:
        """The kernel over a range; `more` arguments after the three that all kernels have."""
        lines = [f"def kernel(args, lo, hi{more}):", *self.prologue, *self.lines]
        words, reads, writes = tuple(self.words), tuple(self.reads), tuple(self.writes)
        return Emitted("\n".join(lines) + "\n", words, extent, reads, writes, self.lanes, space)


def decode(
    writer: Writer, index: str, extents: Iterable[tuple[str, Dim]], prefix: str = "i"
) -> list[str]:
    """Lines that split a row-major index into one for each extent; their names."""
    pairs = list(extents)
    if len(pairs) == 1:
        return [index]
    names = [writer.fresh(prefix) for _ in pairs]
    rest = index
    for name, (extent, _) in list(zip(names, pairs, strict=True))[:0:-1]:
        writer.line(f"{name} = {rest} % {extent}")
        following = writer.fresh("rest")
        writer.line(f"{following} = {rest} // {extent}")
        rest = following
    if names:
        writer.line(f"{names[0]} = {rest}")
    return names

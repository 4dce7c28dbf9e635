"""plan_memory: sizes become integers, temporaries get their places, rows what they wait for.

    temporaries  a [0..2] 400 B, b [1..3] 80 B, c [3..4] 400 B     ->     a at 0, b at 448, c at 0

A temporary lives from the first row that writes it to the last that reads it; temporaries that
lie over each other (`Storage.over`) share one place and one life.  `arena.lay_out` gives the
places.  No arena is smaller than the most bytes alive at one row; on every graph of the tests the
arena is at most 1.05 times that.

A row waits for the last row before it that it conflicts with: one of the two writes a byte that
the other reads or writes, be it because two temporaries share a place.  Rows with much work are
cut into chunks, which several threads may share; how many depends on the work alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...runtime.program import CPU, CUDA, Address, BoundProgram, Buffer, Instruction, Routine, Turns
from ...runtime.program import Word as BoundWord
from ..dtypes import computed
from ..graph import Node
from ..graphs.binding import Sizes, bind_type, value_of
from ..scheduling.template import Bits, Offsets, Place, Storage, Template, Tiled, Word
from ..sizes import Dim, evaluate
from .arena import Life, lay_out
from .tiling import Tiling, tile_product, tile_segmented
from .tiling_cuda import tile_on_cuda
from .waits import wait_in_turns

TILINGS = {CPU.name: (tile_product, tile_segmented), CUDA.name: (tile_on_cuda, tile_on_cuda)}
"""How a target cuts products into blocks: those with one depth, and those with segments."""

CHUNK_WORK = 40_000
"""Operations of one chunk: about 6 us, of which claiming it takes a fiftieth."""

MOST_CHUNKS = 128


def plan_memory(template: Template, sizes: Sizes) -> BoundProgram:
    """The program at these sizes: Template -> BoundProgram."""
    items = {}
    buffers = []
    for number, storage in enumerate(template.storages):
        bound = bind_type(storage.type, sizes)
        data = storage.data
        buffers.append(Buffer(storage.name, storage.role, bound.dtype, bound.extents, None, data))
        items[number] = np.dtype(bound.dtype).itemsize
    wanted = temporaries(template, sizes)
    places, arena = lay_out(wanted)
    firsts = _first_of_places(template.storages)
    for number, old in enumerate(buffers):
        if old.role == "temporary":
            place = places[firsts[number]]
            buffers[number] = Buffer(old.name, old.role, old.dtype, old.shape, place)
    turns = tuple(Turns(t.first, t.last, evaluate(t.count, sizes)) for t in template.turns)
    waits = wait_in_turns(template.rows, turns, buffers)
    instructions = []
    binding = _Binding(sizes, items, TILINGS[template.target.name])
    for number, (row, wait) in enumerate(zip(template.rows, waits, strict=True)):
        inner = {**sizes, **_steps(template, number, sizes)} if turns else sizes
        words = tuple([binding.word(word, inner) for word in row.words])
        extent, work = binding.number(row.extent), evaluate(row.work, sizes)
        chunk = 0 if row.check is not None else chunk_of(extent, work)
        instructions.append(
            Instruction(
                row.kernel, words, extent, row.reads, row.writes, row.origins, row.check,
                chunk, wait, work, binding.number(row.space), row.skips,
            )
        )  # fmt: skip
    buffers += binding.tables
    return BoundProgram(
        template.name, template.kernels, tuple(instructions), tuple(buffers), arena, turns,
        template.target,
    )  # fmt: skip


def _steps(template: Template, row: int, sizes: Sizes) -> dict[str, Any]:
    """The numbers of the steps of the loops around a row, outermost first, an axis for each."""
    around = [t for t in template.turns if t.first <= row < t.last]
    counts = [np.arange(evaluate(t.count, sizes), dtype=np.int64) for t in around]
    return dict(zip((t.step for t in around), np.ix_(*counts), strict=True))


def temporaries(template: Template, sizes: Sizes) -> dict[int, tuple[Life, int]]:
    """What must be placed: {buffer: (first and last row, bytes)}; of a shared place, the first."""
    lives = _lives(template)
    firsts = _first_of_places(template.storages)
    wanted: dict[int, tuple[Life, int]] = {}
    for number, storage in enumerate(template.storages):
        if storage.role != "temporary":
            continue
        first = firsts[number]
        life, item = lives[number], storage.type.item_bytes
        if first in wanted:
            before = wanted[first][0]
            life = (min(before[0], life[0]), max(before[1], life[1]))
        wanted[first] = (life, evaluate(storage.type.count, sizes) * item)
    return wanted


def _first_of_places(storages: Sequence[Storage]) -> list[int]:
    """For each buffer the temporary in whose place it lies, or itself."""
    firsts: list[int] = []
    for number, storage in enumerate(storages):  # what one lies over comes before it
        firsts.append(number if storage.over is None else firsts[storage.over])
    return firsts


def chunk_of(extent: int, work: int) -> int:
    """Indices that one thread takes at a time; 0 for all of them."""
    count = min(work // CHUNK_WORK, MOST_CHUNKS, extent)
    return 0 if count <= 1 else -(-extent // count)


def _lives(template: Template) -> dict[int, Life]:
    """The first and the last row that use each buffer.

    What a loop's rows share with rows outside lives as long as the loop: they run again.
    """
    uses: dict[int, list[int]] = {}
    for index, row in enumerate(template.rows):
        for number in dict.fromkeys((*row.reads, *row.writes)):
            uses.setdefault(number, []).append(index)
    lives = {}
    for number, rows in uses.items():
        first, last = rows[0], rows[-1]
        for turns in template.turns:
            inside = sum(turns.first <= row < turns.last for row in rows)
            if 0 < inside < len(rows):
                first, last = min(first, turns.first), max(last, turns.last - 1)
        lives[number] = (first, last)
    return lives


class _Binding:
    """Words at some sizes; `items` are the bytes of an element of each buffer."""

    def __init__(
        self, sizes: Sizes, items: Mapping[int, int], tilings: Sequence[Callable[..., Tiling]]
    ) -> None:
        self._sizes = sizes
        self._tile = tilings
        self._items = items
        self._scalars: dict[Node, int] = {}
        self._tilings: dict[Any, Tiling] = {}
        self._tables: dict[Offsets, int] = {}
        self.tables: list[Buffer] = []

    def word(self, word: Word, inner: Mapping[str, Any]) -> BoundWord:
        """A word of a row; `inner` are the sizes, and the steps of the loops around it."""
        if isinstance(word, int):
            return word
        if isinstance(word, Place):
            return Address(word.buffer, evaluate(word.offset, inner) * self._items[word.buffer])
        if isinstance(word, Bits):
            if word.node not in self._scalars:
                self._scalars[word.node] = self._scalar(word.node)
            return self._scalars[word.node]
        if isinstance(word, Routine):
            return word
        if isinstance(word, Offsets):
            return Address(self._table(word))
        return self.number(word)

    def _table(self, word: Offsets) -> int:
        """The number of the constant buffer that holds a table."""
        if word not in self._tables:
            extents = [evaluate(extent, self._sizes) for extent, _ in word.axes]
            offsets = np.zeros((), np.int64)
            for extent, (_, stride) in zip(extents, word.axes, strict=True):
                steps = np.arange(extent, dtype=np.int64) * evaluate(stride, self._sizes)
                offsets = offsets[..., None] + steps
            line = offsets.reshape(-1)
            self._tables[word] = len(self._items) + len(self.tables)
            name = f"offsets {len(self.tables)}"
            self.tables.append(Buffer(name, "constant", "int64", line.shape, None, line))
        return self._tables[word]

    def number(self, word: Dim | Tiled) -> int:
        """An extent, a stride, or a number of a tiling."""
        if not isinstance(word, Tiled):
            return evaluate(word, self._sizes)
        key = (word.rows, word.columns, word.depth, word.dtype, word.epilogue, word.segmented)
        if key not in self._tilings:
            m, n, k = (evaluate(size, self._sizes) for size in key[:3])
            tile = self._tile[word.segmented]
            self._tilings[key] = tile(word.dtype, m, n, k, word.epilogue)
        number: int = getattr(self._tilings[key], word.which)
        return number * evaluate(word.count, self._sizes)

    def _scalar(self, node: Node) -> int:
        # A word of the row is what lanes hold: of a storage dtype, in the one that computes.
        wide = computed(node.dtype)
        value = np.asarray(value_of(node, self._sizes), dtype=node.dtype).astype(wide)
        signed = wide in ("int32", "int64")
        return int.from_bytes(value.tobytes(), "little", signed=signed)

"""plan_memory: sizes become integers, temporaries get their places, rows what they wait for.

    temporaries  a [0..2] 400 B, b [1..3] 80 B, c [3..4] 400 B     ->     a at 0, b at 448, c at 0

A temporary lives from the first row that writes it to the last that reads it; two whose lives
overlap never overlap in memory.  Places are given in the order of size, largest first, each the
lowest that is free (greedy by size: Pisarchyk and Lee, Efficient Memory Management for Deep
Neural Net Inference, 2020).  Every place is a multiple of 64 bytes.

A row waits for the last row before it that it conflicts with: one of the two writes a byte that
the other reads or writes, be it because two temporaries share a place.  Rows with much work are
cut into chunks, which several threads may share; how many depends on the work alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ...runtime.program import Address, Buffer, Instruction, Program, Routine
from ...runtime.program import Word as BoundWord
from ..binding import Sizes, bind_type, value_of
from ..sizes import Dim, evaluate
from ..template import Bits, Place, Row, Template, Tiled, Word
from ..tiling import tile_product

ALIGNMENT = 64
"""Bytes; a cache line."""

CHUNK_WORK = 50_000
"""Operations of one chunk: about 8 us, of which claiming it takes a hundredth."""

MOST_CHUNKS = 128


def plan_memory(template: Template, sizes: Sizes) -> Program:
    """The program at these sizes: Template -> Program."""
    items = {}
    buffers = []
    for number, storage in enumerate(template.storages):
        bound = bind_type(storage.type, sizes)
        data = storage.data
        buffers.append(Buffer(storage.name, storage.role, bound.dtype, bound.extents, None, data))
        items[number] = np.dtype(bound.dtype).itemsize
    lives = _lives(template.rows)
    wanted = {
        number: (lives[number], buffer.nbytes)
        for number, buffer in enumerate(buffers)
        if buffer.role == "temporary"
    }
    places, arena = lay_out(wanted)
    for number, place in places.items():
        old = buffers[number]
        buffers[number] = Buffer(old.name, old.role, old.dtype, old.shape, place)
    waits = plan_waits(template.rows, buffers)
    instructions = []
    for row, wait in zip(template.rows, waits, strict=True):
        words = tuple(_bind(word, sizes, items) for word in row.words)
        extent, work = _number(row.extent, sizes), evaluate(row.work, sizes)
        chunk = 0 if row.check is not None else chunk_of(extent, work)
        instructions.append(
            Instruction(
                row.kernel, words, extent, row.reads, row.writes, row.origins, row.check,
                chunk, wait, work, _number(row.space, sizes),
            )
        )  # fmt: skip
    return Program(template.name, template.kernels, tuple(instructions), tuple(buffers), arena)


def lay_out(
    wanted: Mapping[int, tuple[tuple[int, int], int]],
) -> tuple[dict[int, int], int]:
    """Places for buffers {number: ((first row, last row), bytes)}, and the bytes of the arena."""
    placed: list[tuple[int, int, tuple[int, int]]] = []  # start, end, life
    places: dict[int, int] = {}
    for number, (life, size) in sorted(wanted.items(), key=lambda item: (-item[1][1], item[0])):
        room = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        start = 0
        for low, high, other in placed:  # in the order of their starts
            if other[0] > life[1] or life[0] > other[1]:
                continue
            if low - start >= room:
                break
            start = max(start, high)
        places[number] = start
        placed.append((start, start + room, life))
        placed.sort()
    return places, max((high for _, high, _ in placed), default=0)


def chunk_of(extent: int, work: int) -> int:
    """Indices that one thread takes at a time; 0 for all of them."""
    count = min(work // CHUNK_WORK, MOST_CHUNKS, extent)
    return 0 if count <= 1 else -(-extent // count)


class _Uses(Protocol):
    """What a row or an instruction touches."""

    @property
    def reads(self) -> tuple[int, ...]: ...
    @property
    def writes(self) -> tuple[int, ...]: ...
    @property
    def check(self) -> int | None: ...


def plan_waits(rows: Sequence[_Uses], buffers: Sequence[Buffer]) -> list[int]:
    """For every row: it may start once all rows with a number below this one are complete."""
    sharing = _sharing(buffers)
    wrote = [0] * len(buffers)  # 1 + the last row so far that writes a byte of the buffer
    used = [0] * len(buffers)  # 1 + the last row so far that reads or writes one
    waits = []
    checked = 0
    for number, row in enumerate(rows):
        wait = max((wrote[b] for b in row.reads), default=0)
        for b in row.writes:
            wait = max(wait, used[b])
            if buffers[b].role in ("state", "output"):
                wait = max(wait, checked)
        waits.append(wait)
        for b in row.reads:
            for other in sharing[b]:
                used[other] = number + 1
        for b in row.writes:
            for other in sharing[b]:
                wrote[other] = used[other] = number + 1
        if row.check is not None:
            checked = number + 1
    return waits


def _sharing(buffers: Sequence[Buffer]) -> list[list[int]]:
    """For every buffer, those that share a byte with it, itself among them."""
    sharing = [[number] for number in range(len(buffers))]
    open_ends: list[tuple[int, int]] = []  # end, number
    placed = [(b.offset, i) for i, b in enumerate(buffers) if b.offset is not None]
    for start, number in sorted(placed):
        open_ends = [(end, other) for end, other in open_ends if end > start]
        for _, other in open_ends:
            sharing[other].append(number)
            sharing[number].append(other)
        if buffers[number].nbytes:
            open_ends.append((start + buffers[number].nbytes, number))
    return sharing


def _lives(rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """The first and the last row that use each buffer."""
    lives: dict[int, tuple[int, int]] = {}
    for index, row in enumerate(rows):
        for number in (*row.reads, *row.writes):
            first, _ = lives.get(number, (index, index))
            lives[number] = (first, index)
    return lives


def _bind(word: Word, sizes: Sizes, items: Mapping[int, int]) -> BoundWord:
    if isinstance(word, Place):
        return Address(word.buffer, evaluate(word.offset, sizes) * items[word.buffer])
    if isinstance(word, Bits):
        value = np.asarray(value_of(word.node, sizes), dtype=word.node.dtype)
        raw = value.tobytes()
        signed = word.node.dtype in ("int32", "int64")
        return int.from_bytes(raw, "little", signed=signed)
    if isinstance(word, Routine):
        return word
    return _number(word, sizes)


def _number(word: Dim | Tiled, sizes: Sizes) -> int:
    if not isinstance(word, Tiled):
        return evaluate(word, sizes)
    m, n, k = (evaluate(size, sizes) for size in (word.rows, word.columns, word.depth))
    number: int = getattr(tile_product(word.dtype, m, n, k, word.epilogue), word.which)
    return number * evaluate(word.count, sizes)

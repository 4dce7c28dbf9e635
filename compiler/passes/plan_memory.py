"""plan_memory: sizes become integers, and temporaries get their places in one arena.

    temporaries  a [0..2] 400 B, b [1..3] 80 B, c [3..4] 400 B     ->     a at 0, b at 448, c at 0

A temporary lives from the first row that writes it to the last that reads it; two whose lives
overlap never overlap in memory.  Places are given in the order of size, largest first, each the
lowest that is free (greedy by size: Pisarchyk and Lee, Efficient Memory Management for Deep
Neural Net Inference, 2020).  Every place is a multiple of 64 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...runtime.program import Address, Buffer, Instruction, Program, Routine
from ...runtime.program import Word as BoundWord
from ..binding import Sizes, bind_type, value_of
from ..sizes import evaluate
from ..template import Bits, Place, Row, Template, Word

ALIGNMENT = 64
"""Bytes; a cache line."""


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
    instructions = tuple(
        Instruction(
            row.kernel,
            tuple(_bind(word, sizes, items) for word in row.words),
            evaluate(row.extent, sizes),
            row.reads,
            row.writes,
            row.origins,
            row.check,
        )
        for row in template.rows
    )
    return Program(template.name, template.kernels, instructions, tuple(buffers), arena)


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
    return evaluate(word, sizes)

"""The table that the driver walks: for every run of an instruction a row, and the row's words.

A loop's rows stand there once for each turn, with their own words: the places that a step reads
and writes.  All of them are filled at once, so that many turns take little time to prepare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Address, Instruction, Program, Routine, Word, positions
from . import driver
from .team import aligned

Integers = npt.NDArray[np.int64]

_WRAP = 1 << 64
_HALF = 1 << 63


@dataclass(frozen=True)
class Addresses:
    """Where things lie: kernels by number, routines by name, and the buffers that stay.

    `moving` gives the buffers whose place each call says their number; `states` are those that
    `Table.rebind` places.
    """

    kernels: list[int]
    routines: Mapping[str, int]
    fixed: Callable[[int], int]
    moving: Mapping[int, int]
    states: frozenset[int]


class Table:
    """The rows of a program (`driver.INSTRUCTION` words each), their words, and the moves.

    Attributes:
        rows: one for every run of every instruction, in the order in which they run.
        words: what the kernels read.
        moves: (address of a word, number of a moving buffer, offset in bytes).
        numbers: for each row, that of its instruction.
    """

    def __init__(self, program: Program, addresses: Addresses) -> None:
        self._addresses = addresses
        self._begins: dict[int, int | None] = {}  # of buffers; None where they move
        where = positions(len(program.instructions), program.turns)
        count = sum(place.size for place in where)
        self.rows = aligned(8 * driver.INSTRUCTION * count).view(np.int64)
        self.rows = self.rows.reshape(count, driver.INSTRUCTION)
        self.numbers: Integers = np.zeros(count, np.int64)
        for number, place in enumerate(where):
            self.numbers[place] = number
        pairs = list(zip(program.instructions, where, strict=True))
        total = sum(place.size * len(item.words) for item, place in pairs)
        self.words: Integers = np.zeros(max(1, total), dtype=np.int64)
        self._state_words: list[tuple[Any, int, Any]] = []
        moves: list[Integers] = [np.zeros((0, driver.MOVE), np.int64)]
        start = self.words.ctypes.data
        once: list[tuple[int, list[Any]]] = []
        begin = 0
        for item, place in pairs:
            if place.ndim:
                self._fill(item, place, begin, start, moves)
            else:
                once.append((int(place), self._fill_once(item, int(place), begin, start, moves)))
            begin += place.size * len(item.words)
        if once:
            self.rows[[place for place, _ in once], : len(once[0][1])] = [row for _, row in once]
        self.moves = np.concatenate(moves)

    def _fill_once(
        self, item: Instruction, place: int, begin: int, start: int, moves: list[Integers]
    ) -> list[Any]:
        """The words of an instruction outside of loops, which begin at a number; its row."""
        self.words[begin : begin + len(item.words)] = [self._number(word) for word in item.words]
        found = []
        for column, word in enumerate(item.words, begin):
            if isinstance(word, Address):
                number = self._addresses.moving.get(word.buffer)
                if number is not None:
                    found.append((start + 8 * column, number, word.offset))
                elif word.buffer in self._addresses.states:
                    self._state_words.append((column, word.buffer, word.offset))
        if found:
            moves.append(np.array(found, np.int64))
        return self._row(item, place, start + 8 * begin)

    def _row(self, item: Instruction, place: Any, words: Any) -> list[Any]:
        """The first words of an instruction's row, or of its rows, at their places."""
        check = 0 if item.check is None else self._addresses.fixed(item.check)
        wait = place if item.wait is None else item.wait
        return [
            self._addresses.kernels[item.kernel], words, item.extent, check,
            item.chunk or item.extent, item.chunks, wait,
        ]  # fmt: skip

    def _fill(
        self, item: Instruction, place: Integers, begin: int, start: int, moves: list[Integers]
    ) -> None:
        """The rows of an instruction in a loop and their words, which begin at a number."""
        width, end = len(item.words), begin + place.size * len(item.words)
        words = self.words[begin:end].reshape(*place.shape, width)
        words[...] = [self._number(word) for word in item.words]
        first = begin + width * np.arange(place.size).reshape(place.shape)
        for column, word in enumerate(item.words):
            if not isinstance(word, Address):
                continue
            number = self._addresses.moving.get(word.buffer)
            if number is not None:
                made = np.empty((*place.shape, driver.MOVE), np.int64)
                made[..., 0] = start + 8 * (first + column)
                made[..., 1], made[..., 2] = number, word.offset
                moves.append(made.reshape(-1, driver.MOVE))
            elif word.buffer in self._addresses.states:
                self._state_words.append((first + column, word.buffer, word.offset))
            elif not isinstance(word.offset, int):
                words[..., column] += word.offset
        for column, value in enumerate(self._row(item, place, start + 8 * first)):
            self.rows[place, column] = value

    def _number(self, word: Word) -> int:
        """A word as far as it is the same in all turns."""
        if isinstance(word, int):
            return word if -_HALF <= word < _HALF else _signed(word)
        if isinstance(word, Routine):
            return self._addresses.routines[word.name]
        if word.buffer not in self._begins:
            moves = word.buffer in self._addresses.moving or word.buffer in self._addresses.states
            self._begins[word.buffer] = None if moves else self._addresses.fixed(word.buffer)
        begin = self._begins[word.buffer]
        if begin is None:
            return 0
        return begin + word.offset if isinstance(word.offset, int) else begin

    def rebind(self, states: Mapping[int, int]) -> None:
        """Put the addresses of the states, by buffer, into the words that hold them."""
        for place, buffer, offset in self._state_words:
            self.words[place] = states[buffer] + offset


def _signed(word: int) -> int:
    """A word as the 64 bits that NumPy stores: bits above the sign are allowed."""
    if not -_HALF <= word < _WRAP:
        raise ValueError(f"{word} does not fit a 64-bit word")
    return word - _WRAP if word >= _HALF else word

"""The table that the driver walks: for every run of an instruction a row, and the row's words.

A loop's rows stand there once for each turn, with their own words: the places that a step reads
and writes.  All of them are filled at once, so that many turns take little time to prepare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...program import (
    Address,
    BoundProgram,
    Instruction,
    Routine,
    Word,
    places_behind,
    positions,
)
from . import driver
from .team import aligned

Integers = npt.NDArray[np.int64]

CHECK, BEHIND = 3, 7
"""The words of a row that are the address of its check, or 0, and where the walk goes on if that
does not hold: at 0 nowhere.
"""

_WRAP = 1 << 64
_HALF = 1 << 63


@dataclass(frozen=True)
class Addresses:
    """Where things lie: kernels by number, routines by name, and the buffers that stay.

    `moving` gives the buffers whose place each call says their number; `states` and all that is
    `fixed` stay where they are; `temporaries` lie in the arena, at an offset in bytes.
    """

    kernels: list[int]
    routines: Mapping[str, int]
    fixed: Mapping[int, int]
    moving: Mapping[int, int]
    temporaries: Mapping[int, int]


class Table:
    """The rows of a program (`driver.INSTRUCTION` words each), their words, and the moves.

    Attributes:
        rows: one for every run of every instruction, in the order in which they run.
        words: what the kernels read.
        moves: (address of a word, number of a moving buffer, offset in bytes).
        bases: (address of a word, how many, bytes from one to the next) of those that the driver
            moves with the arena; until then they are as if it began at 0.
        numbers: for each row, that of its instruction.
    """

    def __init__(self, program: BoundProgram, addresses: Addresses) -> None:
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
        fill = _Fill(addresses, self.rows, self.words)
        begin = 0
        for number, (item, place) in enumerate(pairs):
            if place.ndim:
                fill.turns(item, place, begin, places_behind(number, place, program))
            else:
                fill.once(item, int(place), begin)
            begin += place.size * len(item.words)
        self.moves, self.bases = fill.finish()

    @property
    def nbytes(self) -> int:
        """Of all arrays."""
        held = (self.rows, self.words, self.numbers, self.moves, self.bases)
        return sum(int(array.nbytes) for array in held)


class _Fill:
    """Fills the rows and the words, and notes which of them move."""

    def __init__(self, addresses: Addresses, rows: Integers, words: Integers) -> None:
        self._addresses = addresses
        self._begins = {**addresses.fixed, **addresses.temporaries}
        self._rows, self._words = rows, words
        self._start = words.ctypes.data
        self._places: list[int] = []
        self._once: list[list[Any]] = []
        self._moves: list[Integers] = [np.zeros((0, driver.MOVE), np.int64)]
        self._bases: list[tuple[int, int, int]] = []

    def finish(self) -> tuple[Integers, Integers]:
        """The moves and the bases, once all is filled."""
        if self._once:
            self._rows[self._places, : len(self._once[0])] = self._once
        bases = np.array(self._bases, np.int64).reshape(-1, driver.BASE)
        return np.concatenate(self._moves), bases

    def once(self, item: Instruction, place: int, begin: int) -> None:
        """The row of an instruction outside of loops, and its words, which begin at a number."""
        self._words[begin : begin + len(item.words)] = [self._number(word) for word in item.words]
        found = []
        for column, word in enumerate(item.words, begin):
            if isinstance(word, Address):
                number = self._addresses.moving.get(word.buffer)
                if number is not None:
                    found.append((self._start + 8 * column, number, word.offset))
                elif word.buffer in self._addresses.temporaries:
                    self._bases.append((self._start + 8 * column, 1, 0))
        if found:
            self._moves.append(np.array(found, np.int64))
        self._places.append(place)
        self._once.append(self._row(item, place, self._start + 8 * begin))

    def _row(self, item: Instruction, place: Any, words: Any) -> list[Any]:
        """The first words of an instruction's row, or of its rows, at their places."""
        check = 0 if item.check is None else self._begins[item.check]
        if item.check in self._addresses.temporaries:
            column = self._rows.ctypes.data + 8 * CHECK
            places = (column + 8 * driver.INSTRUCTION * np.ravel(place)).tolist()
            self._bases += [(each, 1, 0) for each in places]
        wait = place if item.wait is None else item.wait
        return [
            self._addresses.kernels[item.kernel], words, item.extent, check,
            item.chunk or item.extent, item.chunks, wait,
        ]  # fmt: skip

    def turns(self, item: Instruction, place: Integers, begin: int, behind: Any) -> None:
        """The rows of an instruction in a loop and their words, which begin at a number.

        `behind` are the places at which the walk goes on if their checks do not hold.
        """
        width, end = len(item.words), begin + place.size * len(item.words)
        words = self._words[begin:end].reshape(*place.shape, width)
        words[...] = [self._number(word) for word in item.words]
        first = begin + width * np.arange(place.size).reshape(place.shape)
        for column, word in enumerate(item.words):
            if not isinstance(word, Address):
                continue
            number = self._addresses.moving.get(word.buffer)
            if number is not None:
                made = np.empty((*place.shape, driver.MOVE), np.int64)
                made[..., 0] = self._start + 8 * (first + column)
                made[..., 1], made[..., 2] = number, word.offset
                self._moves.append(made.reshape(-1, driver.MOVE))
                continue
            if not isinstance(word.offset, int):
                words[..., column] += word.offset
            if word.buffer in self._addresses.temporaries:
                self._bases.append((self._start + 8 * (begin + column), place.size, 8 * width))
        for column, value in enumerate(self._row(item, place, self._start + 8 * first)):
            self._rows[place, column] = value
        self._rows[place, BEHIND] = behind

    def _number(self, word: Word) -> int:
        """A word as far as it is the same in all turns, and does not move from call to call."""
        if isinstance(word, int):
            return word if -_HALF <= word < _HALF else _signed(word)
        if isinstance(word, Routine):
            return self._addresses.routines[word.name]
        if word.buffer in self._addresses.moving:
            return 0
        begin = self._begins[word.buffer]
        return begin + word.offset if isinstance(word.offset, int) else begin


def _signed(word: int) -> int:
    """A word as the 64 bits that NumPy stores: bits above the sign are allowed."""
    if not -_HALF <= word < _WRAP:
        raise ValueError(f"{word} does not fit a 64-bit word")
    return word - _WRAP if word >= _HALF else word

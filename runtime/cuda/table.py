"""The table of a plan for given addresses: the words of every run, lists of guards, walks.

It is made on the host and copied to the device.  Of what moves from call to call, inputs that lie
in the device's own memory and outputs that stay there, the words are known and set anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Address, Instruction, Routine, Word, positions
from .code import RUN
from .layout import WORD, checks_of
from .plan import Plan

Integers = npt.NDArray[np.int64]

_WRAP = 1 << 64
_HALF = 1 << 63


class Table:
    """The words and the lists of guards of a plan.

    Args:
        plan: whose table it is.
        words: the memory for it, of `plan.layout.table`.
        routines: the addresses of native routines by name; where a routine is linked by its name,
            0.
    """

    def __init__(self, plan: Plan, words: Integers, routines: Mapping[str, int]) -> None:
        self.words = words
        self._plan, self._routines = plan, routines
        self._uses: dict[int, list[tuple[Integers, Integers]]] = {}
        checks = checks_of(plan.program)
        where = positions(len(plan.program.instructions), plan.program.turns)
        for row, (item, place) in enumerate(zip(plan.program.instructions, where, strict=True)):
            self._fill(item, place.shape, plan.words[row] // WORD, row in checks)
        for walk in plan.walks:
            begin, count = walk.listed // WORD, len(walk.runs) * RUN
            words[begin : begin + count].reshape(-1, RUN)[...] = walk.words
        for begin, flags in plan.lists:
            for number, flag in enumerate(flags, begin // WORD):
                self._use(flag.buffer, np.array([number]), np.array([flag.offset]))

    def place(self, buffer: int, address: int) -> None:
        """Let a buffer begin at an address."""
        for index, offsets in self._uses.get(buffer, ()):
            self.words[index] = address + offsets

    def place_all(self, addresses: Mapping[int, int]) -> None:
        """The same for many."""
        for buffer, address in addresses.items():
            self.place(buffer, address)

    def _fill(self, item: Instruction, shape: tuple[int, ...], begin: int, checks: bool) -> None:
        """The words of a row's runs, one after another from a number on; addresses are noted."""
        count, width = int(np.prod(shape, dtype=np.int64)), len(item.words)
        runs = self.words[begin : begin + count * width].reshape(count, width)
        runs[...] = [self._number(word) for word in item.words]
        first = begin + width * np.arange(count)
        for column, word in enumerate(item.words):
            if isinstance(word, Address):
                offsets = np.broadcast_to(np.asarray(word.offset, np.int64), shape).reshape(-1)
                if checks and word.buffer == item.check:
                    offsets = offsets + WORD * np.arange(count)
                self._use(word.buffer, first + column, offsets)

    def _use(self, buffer: int, index: Any, offsets: Any) -> None:
        self._uses.setdefault(buffer, []).append((index, offsets))

    def _number(self, word: Word) -> int:
        """A word that is no address, as the 64 bits that NumPy stores."""
        if isinstance(word, Address):
            return 0
        if isinstance(word, Routine):
            return self._routines[word.name]
        if not -_HALF <= word < _WRAP:
            raise ValueError(f"{word} does not fit a 64-bit word")
        return word - _WRAP if word >= _HALF else word

"""The reference target: a tape of NumPy calls, one after another; slow, and what is right.

It runs a graph's own rules, never emitted kernels, so that it can judge them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .program import HOLDS, CheckFailedError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """slots[output] = function(*slots[inputs])."""

    function: Callable[..., Array]
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True)
class Tape:
    """A graph at one set of sizes, as NumPy calls on numbered slots.

    `inputs` and `states` say which slot each named array enters, `outputs` and `updates` which
    slots are returned by name and written back; `checks` are slots that must be HOLDS.
    """

    inputs: tuple[tuple[str, int], ...]
    states: tuple[tuple[str, int], ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, int], ...]
    updates: tuple[tuple[str, int], ...]
    slots: int
    checks: tuple[int, ...] = ()


class ReferenceExecutor:
    """Runs a tape on the arrays of a program's states, which it updates in place."""

    def __init__(self, tape: Tape, states: Mapping[str, Array]) -> None:
        self.tape = tape
        self.states = states

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs in their order, from the inputs in theirs; then the updates are made.

        Raises:
            CheckFailedError: a check does not hold; nothing is updated.
        """
        slots: list[Any] = [None] * self.tape.slots
        for (_, slot), array in zip(self.tape.inputs, inputs, strict=True):
            slots[slot] = array
        for name, slot in self.tape.states:
            slots[slot] = self.states[name]
        for step in self.tape.steps:
            slots[step.output] = step.function(*(slots[i] for i in step.inputs))
        for number, slot in enumerate(self.tape.checks):
            if slots[slot] != HOLDS:
                raise CheckFailedError(number, int(slots[slot]))
        outputs = [np.array(slots[slot]) for _, slot in self.tape.outputs]
        updates = [(name, np.array(slots[slot])) for name, slot in self.tape.updates]
        for name, value in updates:
            self.states[name][...] = value
        return outputs

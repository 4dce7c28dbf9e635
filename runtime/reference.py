"""The reference target: a tape of NumPy calls, one after another; slow, and what is right.

It runs a graph's own rules, never emitted kernels, so that it can judge them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .mutex import Mutex
from .outcomes import HOLDS, CheckFailedError, refuse
from .program import Recurrence, Tape

Array = npt.NDArray[Any]


class ReferenceExecutor:
    """Runs a tape on the arrays of a program's states, which it updates in place.

    Attributes:
        native: there is no native function.
        nbytes: what a tape takes is not counted.
        used: for the caller, who notes when that was.
    """

    native = staticmethod(refuse)
    nbytes = used = 0

    def __init__(
        self, tape: Tape, states: Mapping[str, Array], workspace: Mutex | None = None
    ) -> None:
        self.tape = tape
        self.states = states
        self.workspace = Mutex() if workspace is None else workspace

    def forget_results(self) -> None:
        """It keeps none for later calls."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs in their order, from the inputs in theirs; then the updates are made.

        Raises:
            CheckFailedError: a check does not hold; nothing is updated.
        """
        return self.workspace.hold(lambda: play(self.tape, self.states, inputs))


def play(tape: Tape, states: Mapping[str, Array], inputs: Sequence[Array]) -> list[Array]:
    """Run a tape once; see `ReferenceExecutor`."""
    slots: list[Any] = [None] * tape.slots
    for (_, slot), array in zip(tape.inputs, inputs, strict=True):
        slots[slot] = array
    for name, slot in tape.states:
        slots[slot] = states[name]
    for step in tape.steps:
        if isinstance(step, Recurrence):
            recur(step, slots)
        else:
            slots[step.output] = step.function(*(slots[i] for i in step.inputs))
    for number, slot in enumerate(tape.checks):
        if slots[slot] != HOLDS:
            raise CheckFailedError(number, int(slots[slot]))
    outputs = [np.array(slots[slot]) for _, slot in tape.outputs]
    updates = [(name, np.array(slots[slot])) for name, slot in tape.updates]
    for name, value in updates:
        states[name][...] = value
    return outputs


def recur(loop: Recurrence, slots: list[Any]) -> None:
    """Run a loop from the values in `slots`, and put its results there."""
    entries = list(zip(loop.roles, loop.names, (slots[i] for i in loop.inputs), strict=True))
    carries = {name: np.array(value) for role, name, value in entries if role == "carry"}
    stacks = {name: np.zeros((loop.steps, *shape), d) for name, (d, shape) in loop.outputs.items()}
    order = range(loop.steps)
    for t in reversed(order) if loop.reverse else order:
        if not _is_made(loop, entries, carries, t):
            continue
        given = [
            value[t] if role == "sequence" else value
            for role, _, value in entries
            if role != "carry"
        ]
        for name, value in zip(loop.outputs, play(loop.tape, carries, given), strict=True):
            stacks[name][t] = value
    for result, of, slot in loop.results:
        slots[slot] = carries[of] if result == "last" else stacks[of]
        if result == "sum":
            slots[slot] = sum_of_steps(stacks[of])


def _is_made(
    loop: Recurrence,
    entries: Sequence[tuple[str, str, Array]],
    carries: Mapping[str, Array],
    t: int,
) -> bool:
    """Whether the step at place t is made."""
    if loop.gate is None:
        return True
    role, value = next((role, value) for role, name, value in entries if name == loop.gate)
    if role == "carry":
        return bool(carries[loop.gate])
    return bool(value[t] if role == "sequence" else value)


def sum_of_steps(stack: Array) -> Array:
    """The sum over the leading axis: NumPy adds pairwise along an axis that lies contiguously."""
    steps_last = np.ascontiguousarray(np.moveaxis(stack, 0, -1))
    with np.errstate(all="ignore"):
        return np.asarray(np.sum(steps_last, axis=-1, dtype=stack.dtype))

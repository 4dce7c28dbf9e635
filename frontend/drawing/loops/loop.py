"""Loops: what the user writes.  A loop has delays, and sequences that enter it step by step.

    t = dg.loop("t")                        t runs over the sequence's leading axis
    x_t = t.each(x)                         x(t)
    z = t.delay("z", init)                  z(t-1)
    z_next = dg.tanh(z @ w + x_t)
    t.close(z, z_next)                      the arrow back into the delay
    Y, last = t.stack(z_next), t.last(z_next)

There is no block of code that is the loop: a variable is in it because it depends on one of its
elements or delays.  Masks, of lengths and of truncation, are variables like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....compiler.graph import Type
from ....compiler.sizes import Dim
from ...arguments import integer, turn
from ...errors import DiagramError, DtypeError, NameTakenError, ShapeError
from ...location import around, place_of, user_location
from ...operations.broadcasting import as_variables
from ...operations.structure import broadcast_to, transpose
from ...operations.structure import stack as join
from ...variables.constants import constant
from ...variables.loop_parts import Delay, Keep, LoopParts, Result
from ...variables.substitution import current
from ...variables.variable import (
    Shape,
    Variable,
    checked_name,
    mark_read,
    mistaken,
    shape_of,
    source_text,
)
from ..states import update
from .wiring import Wiring, given_variable, initial_values, mistake, type_text, wrong


def loop(
    name: str,
    steps: Any = None,
    reverse: bool = False,
    lengths: Variable | None = None,
    truncate: int | None = None,
    checkpoint: int | None = None,
    unroll: int | None = None,
) -> Loop:
    """A loop over time, or over anything that is done step by step.

    Args:
        name: what it is called in messages and pictures.
        steps: how many: an integer, a named size, or None for the length of the first sequence.
        reverse: from the last element to the first; results keep their places.
        lengths: int32 or int64 of shape (B,), how many steps each sample has, at most `steps`.
            Later steps leave its delays as they are, and are zero where they are stacked or
            summed.  All that is delayed, stacked and summed has samples as its leading axis.
        truncate: the gradient does not flow through the delays into steps K, 2K, ...: truncated
            back-propagation through time (Williams and Peng, An efficient gradient-based
            algorithm for on-line training of recurrent network trajectories, 1990), in chunks.
        checkpoint: the derivative keeps every K-th state and computes the steps between again
            (Chen et al., Training deep nets with sublinear memory cost, 2016).
        unroll: how many steps are compiled as one turn of the loop; True for all of them, which
            leaves no loop and needs a known number of steps. It counts more than `unroll` of
            `Diagram.compile`, which is for the loops that say nothing; the numbers are the same,
            but for rounding.

    Raises:
        ShapeError: a negative number of steps.
        ValueError: `truncate`, `checkpoint` or `unroll` below 1.
        TypeError: arguments of another type.
    """
    return Loop(name, steps, reverse, lengths, truncate, checkpoint, unroll)


class Loop:
    """A loop; made by `dg.loop`."""

    def __init__(
        self,
        name: str,
        steps: Any,
        reverse: bool,
        lengths: Variable | None,
        truncate: int | None,
        checkpoint: int | None,
        unroll: int | None,
    ) -> None:
        where = user_location()
        subject = f"loop '{checked_name('loop', name)}' ({where})"
        for word, value in (("truncate", truncate), ("checkpoint", checkpoint)):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{subject} expects {word} to be an integer or None, got {value!r}")
            if value < 1:
                raise ValueError(f"{subject} expects {word} to be 1 or more, got {value}")
        if not isinstance(reverse, bool):
            raise TypeError(f"{subject} expects reverse to be True or False, got {reverse!r}")
        if not (lengths is None or isinstance(lengths, Variable)):
            raise TypeError(
                f"{subject} expects lengths to be a variable, got {type(lengths).__name__}"
            )
        keep: Keep = "all" if checkpoint is None else ("every", int(checkpoint))
        copies = None if unroll is None else turn(subject, unroll)
        self.parts = LoopParts(name, where, reverse, keep, copies, around())
        self._wiring = Wiring(self.parts, truncate, lengths)
        self._delays: dict[Variable, _Delay] = {}  # by what the user reads of them
        self._waiting: list[tuple[Variable, Result]] = []  # final values, by what they are of
        self._results: dict[tuple[str, Variable, int], Variable] = {}
        self._count: Variable | None = None
        if steps is not None:
            try:
                extent = shape_of((steps,))[0]
            except ShapeError:
                raise ShapeError(
                    f"{subject} expects steps to be an integer of 0 or more, a name or None, got "
                    f"{steps!r}"
                ) from None
            self._wiring.begin(extent)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.parts.name

    @property
    def steps(self) -> Dim | None:
        """How many steps, names as symbols; None as long as no sequence has said it."""
        return self.parts.steps

    def each(self, x: Any, axis: int = 0) -> Variable:
        """x(t): the elements of a sequence, one at each step.

        Args:
            x: a variable or array with as many elements along the axis as the loop has steps.
            axis: that of the steps: 1 for samples first.
        """
        subject = self._place("each")
        (sequence,) = current(as_variables(x))
        mark_read([sequence])
        if sequence.mistakes:
            return mistaken(sequence.mistakes)
        came = f"got {type_text(sequence)} from {source_text(sequence)}"
        axis = integer(subject, "axis", axis)
        if not -sequence.ndim <= axis < sequence.ndim:
            more = "" if sequence.ndim else ": what has no axis is the same at every step"
            text = f"{subject} expects a sequence with an axis {axis}, {came}{more}"
            return wrong(ShapeError, text)
        axis %= sequence.ndim
        extent = sequence.shape[axis]
        if self.parts.steps is None:
            self._wiring.begin(extent)
        if extent != self.parts.steps:
            return wrong(
                ShapeError,
                f"{subject} expects {self.parts.steps} steps along axis {axis}, {came}: all "
                "sequences of a loop are as long as it is",
            )
        if axis != 0:
            others = [item for item in range(sequence.ndim) if item != axis]
            sequence = transpose(sequence, (axis, *others))
        element = Type(sequence.dtype, sequence.shape[1:])
        name = x.name if isinstance(x, Variable) and x.name else "x"
        return self._wiring.give(self._wiring.enter_each(sequence, element, f"{name}(t)"))

    def delay(
        self,
        name: str,
        init: Any = None,
        steps: int = 1,
        shape: Shape | None = None,
        dtype: Any = None,
        state: Variable | None = None,
    ) -> Variable:
        """z(t-1), or z(t-k): what `close` puts in at one step comes out 1 (or k) steps later.

        Args:
            name: its name.
            init: the value before the first step: a variable, a number or an array.
            steps: k, by how many steps it delays.
            shape: by default that of `init`, which it is spread over otherwise. With steps=k,
                `init` may also have a leading axis of k: z(-k), ..., z(-1), in that order.
            dtype: of an `init` that is no variable; by default float32 for Python's numbers.
            state: instead of `init`, a variable of `dg.state`, from which a program's step starts
                and into which it puts the last value (with steps=k, the last k).

        Raises:
            TypeError: neither `init` nor `state`, or both.
            ValueError: `steps` below 1.
        """
        subject = self._place("delay", checked_name("delay", name))
        if (init is None) == (state is None):
            raise TypeError(f"{subject} expects either init or state")
        steps = integer(subject, "steps", steps, 1, most=2**31)
        if state is not None and not (isinstance(state, Variable) and state.kind == "state"):
            raise TypeError(f"{subject} expects state to be a variable of dg.state, got {state!r}")
        wanted = None if shape is None else shape_of(shape, subject)
        if state is not None and wanted is None and steps > 1:
            wanted = state.shape[1:]
        first = initial_values(subject, init if state is None else state, int(steps), wanted, dtype)
        if first[0].mistakes:
            return mistaken(first[0].mistakes)
        if any(entry.name == name for entry in self.parts.entries):
            text = f"{subject} has the name of another delay of this loop: give it another name"
            self._wiring.note(NameTakenError, text)
        entries: list[Delay] = []
        for number, value in enumerate(first, 1):
            own = name if number == 1 else f"{name}.{number}"
            before = entries[-1] if entries else None
            entries.append(self._wiring.enter_delay(value, own, name, before))
        outlets = [self._wiring.stop_gradient_at(entry.outputs[0]) for entry in entries]
        delay = outlets[-1]
        delay.name = name
        self._delays[delay] = _Delay(name, entries, outlets, state)
        return self._wiring.give(delay)

    def close(self, delay: Variable, value: Any) -> None:
        """Put a variable into a delay at every step: the arrow back.

        Args:
            delay: what `delay` has given.
            value: of the same shape and dtype; where it depends on the delay, the loop is closed.
        """
        subject = self._place("close")
        delay = given_variable(subject, delay)
        following = current(as_variables(value if delay.mistakes else delay, value))[1]
        mark_read([following])
        if delay.mistakes:
            return
        known = self._delays.get(delay)
        if known is None:
            text = f"{subject} expects a delay of this loop, got {source_text(delay)}"
            self._wiring.note(DiagramError, f"{text}: each delay is closed by its own loop")
            if isinstance(delay.producer, Delay) and delay.producer.loop is not self.parts:
                delay.producer.loop.mistakes.append(self.parts.mistakes[-1])
            return
        if known.closed is not None:
            text = f"{subject} closes delay '{known.name}' again, closed already ({known.closed})"
            self._wiring.note(DiagramError, f"{text}: put one variable into it")
            return
        known.closed = user_location()
        if not following.mistakes:
            following = self._fitting(subject, known.name, delay, following)
        self._wiring.fill(known.entries, known.outlets, following)
        known.value = following
        for variable, result in self._waiting:
            if variable is following and not self.parts.masks:
                result.delay = known.entries[0]
            elif variable is following and result.delay is not None:
                result.delay.inputs = known.entries[0].inputs
        if known.state is not None and following.mistakes:
            known.state.following = following
        elif known.state is not None:
            put = [following, *known.outlets[:-1]]
            pairs = zip(put, known.entries, strict=True)
            finals = [self._wiring.final(subject, value, entry) for value, entry in pairs]
            update(known.state, finals[0] if len(finals) == 1 else join(finals[::-1]))

    def _fitting(self, subject: str, name: str, delay: Variable, value: Variable) -> Variable:
        """What goes into a delay, if it is of its type."""
        if value.type != delay.type:
            return wrong(
                ShapeError if value.shape != delay.shape else DtypeError,
                f"{subject} expects {type_text(delay)} for delay '{name}' ({delay.where}), got "
                f"{type_text(value)} from {source_text(value)}: what goes into a delay has the "
                "type of its init",
            )
        return self._wiring.by_sample(subject, value)

    def until(self, condition: Variable, most: Any = None) -> None:
        """Make no step after one in which a condition holds: the loop stops there.

        At least one step is made, if the loop may make any.  `last` is then what the last step
        made has left, `sum` that of the steps made, and in a `stack` the rest is 0; `count` says
        how many steps were made.  The derivative is that of the steps that were made, as if their
        number were fixed.

        Args:
            condition: bool of shape (), computed in the loop.
            most: how many steps are made at most, an integer or a name; where the loop knows its
                number of steps already, that is it.

        Raises:
            ShapeError: `most` is negative.
            TypeError: a condition that is no variable.
        """
        subject = self._place("until")
        condition = given_variable(subject, condition)
        mark_read([condition])
        extent = None
        if most is not None:
            try:
                extent = shape_of((most,))[0]
            except ShapeError:
                raise ShapeError(
                    f"{subject} expects most to be an integer of 0 or more or a name, got {most!r}"
                ) from None
        self._wiring.stop(subject, condition, extent)

    def count(self) -> Variable:
        """How many steps are made: int32 of shape ().

        All of them, unless the loop runs until a condition holds.
        """
        if self._count is None:
            subject = self._place("count")
            self._count = self._wiring.count(subject)
        return self._count

    def stack(self, y: Variable, axis: int = 0) -> Variable:
        """All values of a variable of the loop, side by side.

        Args:
            y: a variable of the loop; for steps that a sample does not have, or that are not made,
                zeros.
            axis: that of the steps in the result: 1 for samples first.
        """
        subject = self._place("stack")
        y = given_variable(subject, y)
        axis = integer(subject, "axis", axis)
        return self._once(("stack", y, axis), lambda: self._stack(subject, y, axis))

    def _stack(self, subject: str, y: Variable, axis: int) -> Variable:
        found = self._wiring.result("stack", subject, self._wiring.blanked(subject, y))
        if found.mistakes or axis == 0:
            return found
        if not -found.ndim <= axis < found.ndim:
            return wrong(ShapeError, f"{subject} expects an axis below {found.ndim}, got {axis}")
        order = list(range(1, found.ndim))
        order.insert(axis % found.ndim, 0)
        return transpose(found, order)

    def sum(self, y: Variable) -> Variable:
        """The sum of a variable of the loop over all steps, or those that a sample has."""
        subject = self._place("sum")
        y = given_variable(subject, y)
        return self._once(("sum", y, 0), lambda: self._sum(subject, y))

    def _sum(self, subject: str, y: Variable) -> Variable:
        value = self._wiring.blanked(subject, y)
        if not value.mistakes and value.dtype == "bool":
            text = f"{subject} expects numbers, got bool from {source_text(y)}"
            return wrong(DtypeError, f"{text}: convert it with .astype(...)")
        return self._wiring.result("sum", subject, value)

    def last(self, y: Variable) -> Variable:
        """The final value of a variable of the loop: each sample's, at its last step.

        Without steps, that of a variable that closes a delay is the delay's initial value; of
        any other variable it is zero.
        """
        subject = self._place("last")
        y = given_variable(subject, y)
        mark_read([y])
        if y.mistakes:
            return mistaken(y.mistakes)
        return self._once(("last", y, 0), lambda: self._last(subject, y))

    def _last(self, subject: str, y: Variable) -> Variable:
        for known in self._delays.values():
            if known.value is y:
                return self._wiring.final(subject, y, known.entries[0])
        fitting = self._wiring.by_sample(subject, y)
        if fitting.mistakes:
            return fitting
        zero = broadcast_to(constant(np.zeros((), y.dtype)), y.shape)
        found = self._wiring.result("last", subject, y, self._wiring.register(y, zero))
        if isinstance(found.producer, Result):
            self._waiting.append((y, found.producer))
        return found

    def _once(self, key: tuple[str, Variable, int], draw: Callable[[], Variable]) -> Variable:
        """A result; asked for again, it is the same variable."""
        if key not in self._results:
            self._results[key] = draw()
        return self._results[key]

    def __repr__(self) -> str:
        return f"<Loop {self.name}: {self.steps} steps>"

    def _place(self, verb: str, name: str | None = None) -> str:
        """Where something is said of the loop: only where it was begun, in no block below."""
        said = verb if name is None else f"{verb} '{name}'"
        subject = place_of(f"{said} ({user_location()}) of {self.parts}")
        if around() is not self.parts.scope:
            raise mistake(
                DiagramError,
                f"{subject} expects to be called where the loop was begun, and not in another "
                "block's forward: give the block variables of the loop, and use what it returns",
            )
        return subject


@dataclass(eq=False)
class _Delay:
    """A delay as it was drawn: registers, the first of which is filled at every step.

    `outlets` are what is read of each; `value` is what was put in, `closed` the line that did.
    """

    name: str
    entries: list[Delay]
    outlets: list[Variable]
    state: Variable | None
    value: Variable | None = None
    closed: str | None = None

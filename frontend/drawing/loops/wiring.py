"""How a loop is wired: ways in and out, registers, and the masks that stand between them.

What `loop.py` offers to the user is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....compiler.dtypes import INDICES
from ....compiler.graph import Type
from ....compiler.sizes import Dim
from ...errors import DiagramError, DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import logical_not
from ...operations.structure import broadcast_to
from ...variables.constants import constant
from ...variables.loop_parts import Delay, Each, Entry, Kind, LoopParts, Result
from ...variables.substitution import current
from ...variables.variable import Variable, dtype_name, mark_read, mistaken, shape_text, source_text
from ...variables.weak import adopted
from . import masks


class Wiring:
    """The wires of a loop.

    Args:
        parts: the loop that gets them.
        truncate: at every how many steps no gradient passes the delays, None for never.
        lengths: how many steps each sample has, None where all have all.
    """

    def __init__(self, parts: LoopParts, truncate: int | None, lengths: Variable | None) -> None:
        self.parts = parts
        self._truncate = truncate
        self._lengths = None if lengths is None else self._checked(*current([lengths]))
        self._keeps: Variable | None = None  # whether gradients pass the delays at a step
        self._lasts: Variable | None = None  # whether a sample has a step
        self._follows: Variable | None = None  # whether it has the one that the loop makes next
        if truncate is not None:
            self._keeps = self.enter_each(None, Type("bool"), "keeps(t)")
        if self._lengths is not None:
            samples = Type("bool", self._lengths.shape)
            self._lasts = self._follows = self.enter_each(None, samples, "lasts(t)")
            if not parts.reverse:
                self._follows = self.enter_each(None, samples, "follows(t)")
            parts.masks = sorted(parts.entries, key=lambda e: e.outputs[0] is not self._lasts)

    def note(self, kind: type[DiagramError], text: str) -> None:
        """Remember a mistake, to be told when the diagram is built."""
        self.parts.mistakes.append(mistake(kind, text))

    def _checked(self, lengths: Variable) -> Variable | None:
        """The lengths, if they can be lengths."""
        if lengths.mistakes:
            self.parts.mistakes += lengths.mistakes
            return None
        mark_read([lengths])
        came = f"got {type_text(lengths)} from {source_text(lengths)}"
        if lengths.dtype not in INDICES:
            text = f"{self.parts} expects lengths of dtype int32 or int64, {came}"
            self.note(DtypeError, f"{text}: convert them with .astype(...)")
            return None
        if lengths.ndim != 1:
            text = f"{self.parts} expects lengths of shape (B,), {came}"
            self.note(ShapeError, f"{text}: one length for each sample")
            return None
        return lengths

    def begin(self, steps: Dim) -> None:
        """Say how many steps there are, and with it what the masks are made of."""
        self.parts.steps = steps
        if self.parts.unroll == "all" and not isinstance(steps, int):
            text = f"{self.parts} expects a known number of steps for unroll=True, got {steps}"
            self.note(
                ShapeError,
                f"{text}: give an integer in the place of the name, or unroll=K for K steps in "
                "one turn of the loop",
            )
        if self._keeps is not None and self._truncate is not None:
            _feed(self._keeps, masks.keeps(steps, self._truncate, self.parts.reverse))
        if self._lasts is not None and self._lengths is not None:
            _feed(self._lasts, masks.lasts(self._lengths, steps))
            if self._follows is not None and self._follows is not self._lasts:
                _feed(self._follows, masks.lasts(self._lengths, steps, ahead=1))

    def enter_each(self, outer: Variable | None, type: Type, name: str) -> Variable:
        """The element of a sequence, of this type; the sequence may be said later."""
        own, number = name, 1
        while any(entry.name == own for entry in self.parts.entries):
            own, number = f"{name}.{number + 1}", number + 1
        inputs = () if outer is None else (outer,)
        return self._entered(
            Each("each", inputs, where=user_location(), loop=self.parts, name=own), type, None
        )

    def enter_delay(
        self,
        init: Variable,
        name: str,
        shown: str | None = None,
        before: Delay | None = None,
        final: bool = False,
    ) -> Delay:
        """A new delay; what it gives has the type of `init` and the name `shown`."""
        entry = Delay(
            "delay",
            (init,),
            where=user_location(),
            loop=self.parts,
            name=name,
            before=before,
            final=final,
        )
        self._entered(entry, init.type, shown)
        return entry

    def _entered(self, entry: Entry, type: Type, shown: str | None) -> Variable:
        variable = Variable("computed", type, shown, producer=entry)
        entry.outputs = (variable,)
        self.parts.entries.append(entry)
        return variable

    def give(self, variable: Variable) -> Variable:
        """A variable for the user, who must use it."""
        self.parts.given.append(variable)
        return variable

    def stop_gradient_at(self, variable: Variable) -> Variable:
        """What is read of a delay: no gradient goes back where the loop is truncated."""
        if self._keeps is None or not variable.type.is_float:
            return variable
        found: Variable = masks.stop_gradient_at(self._keeps, variable)
        return found

    def fill(self, entries: Sequence[Entry], outlets: Sequence[Variable], value: Variable) -> None:
        """Let a variable go into the first of several registers, and each into the next."""
        for entry, outlet in zip(entries, outlets, strict=True):
            held = self._follows is not None and not value.mistakes
            entry.next = masks.hold(self._follows, value, entry.inputs[0]) if held else value
            value = outlet

    def stop(self, subject: str, condition: Variable, most: Dim | None) -> None:
        """Let the loop end with a step in which a condition holds, and with the step `most`."""
        parts, came = self.parts, f"got {type_text(condition)} from {source_text(condition)}"
        if most is not None and parts.steps is None:
            self.begin(most)
        if most is not None and most != parts.steps:
            text = f"expects most to be {parts.steps}, as the loop has so many steps, got {most}"
            self.note(ShapeError, f"{subject} {text}: say it once")
        if parts.gate is not None:
            text = f"has a condition already ({parts.gate.where}): join the two with |"
            self.note(DiagramError, f"{subject} {text}")
        elif self._lengths is not None:
            text = "expects a loop without lengths, whose samples stop one by one: hold back those"
            self.note(DiagramError, f"{subject} {text} that have stopped with dg.where")
        elif parts.unroll is not None:
            text = "expects a loop without unroll=...: copies of its steps could not be left out"
            self.note(DiagramError, f"{subject} {text}")
        elif condition.mistakes:
            parts.mistakes += condition.mistakes
        elif condition.dtype != "bool":
            self.note(
                DtypeError, f"{subject} expects a condition of dtype bool, {came}: compare it"
            )
        elif condition.shape != ():
            text = "for samples that stop one by one, see docs/loops.md"
            self.note(ShapeError, f"{subject} expects a condition of shape (), {came}: {text}")
        else:
            parts.condition = condition
            parts.gate = self.enter_delay(constant(True), "going(t)", final=True)
            parts.gate.next = logical_not(condition)

    def count(self, subject: str) -> Variable:
        """How many steps are made."""
        entry = self.enter_delay(constant(0, "int32"), "count(t)", "count", final=True)
        entry.next = entry.outputs[0] + constant(1, "int32")
        return self.result("last", subject, entry.next, entry)

    def final(self, subject: str, value: Variable, delay: Delay) -> Variable:
        """The final value of a delay into which this one goes: each sample's, at its last step."""
        if self._lasts is None or value.mistakes:
            return self.result("last", subject, value, delay)
        return self.result("last", subject, value, self.register(value, delay.inputs[0]))

    def register(self, value: Variable, init: Variable) -> Delay:
        """A delay for the final value of a variable, which nothing in the loop reads."""
        number = sum(isinstance(item, Delay) and item.final for item in self.parts.entries)
        entry = self.enter_delay(init, f"last.{number + 1}", final=True)
        (old,) = entry.outputs
        entry.next = value if self._lasts is None else masks.hold(self._lasts, value, old)
        return entry

    def blanked(self, subject: str, y: Variable) -> Variable:
        """A variable, zero where a sample does not have the step."""
        mark_read([y])
        if y.mistakes or self._lasts is None:
            return y
        fitting = self.by_sample(subject, y)
        if fitting.mistakes:
            return fitting
        found: Variable = masks.blank(self._lasts, fitting)
        return found

    def by_sample(self, subject: str, y: Variable) -> Variable:
        """The variable, if it has the samples of `lengths` in front."""
        if self._lengths is None or y.shape[:1] == self._lengths.shape:
            return y
        return wrong(
            ShapeError,
            f"{subject} expects {self._lengths.shape[0]} samples along axis 0, as there are "
            f"lengths, got {type_text(y)} from {source_text(y)}",
        )

    def result(
        self, kind: Kind, subject: str, value: Variable, delay: Delay | None = None
    ) -> Variable:
        """A new way out; `value` is what it is of, `delay` whose final value."""
        if value.mistakes:
            return mistaken(value.mistakes)
        if self.parts.steps is None:
            return wrong(
                DiagramError,
                f"{subject} expects the number of steps to be known: give dg.loop steps=..., or "
                "let a sequence enter before",
            )
        result = Result(
            kind,
            (value,),
            where=user_location(),
            loop=self.parts,
            kind=kind,
            value=value if delay is None else None,
            delay=delay,
        )
        shape = (self.parts.steps, *value.shape) if kind == "stack" else value.shape
        result.outputs = (Variable("computed", Type(value.dtype, shape), producer=result),)
        return result.outputs[0]


def initial_values(
    subject: str, init: Any, steps: int, shape: tuple[Dim, ...] | None, dtype: Any
) -> list[Variable]:
    """The initial value of each register; the first register gives the latest value."""
    if isinstance(init, Variable):
        (value,) = current([init])
        mark_read([init])
        if value.mistakes:
            return [value]
        if dtype is not None:
            value = adopted(value, dtype_name(dtype, subject))
        if dtype is not None and dtype_name(dtype, subject) != value.dtype:
            text = f"{subject} expects {dtype_name(dtype)}, got {value.dtype} from "
            return [wrong(DtypeError, f"{text}{source_text(value)}: convert it with .astype(...)")]
    else:
        value = constant(init, dtype)
    if shape is None or value.shape == shape:
        return [value] * steps
    if value.shape == (steps, *shape):
        return [value[steps - number] for number in range(1, steps + 1)]
    if value.ndim <= len(shape):
        return [broadcast_to(value, shape)] * steps
    return [
        wrong(
            ShapeError,
            f"{subject} expects an initial value of shape {shape_text(shape)} or "
            f"{shape_text((steps, *shape))}, got {type_text(value)} from {source_text(value)}",
        )
    ]


def _feed(element: Variable, sequence: Variable) -> None:
    """Let a sequence be what an element is of."""
    assert element.producer is not None
    element.producer.inputs = (sequence,)


def mistake(kind: type[DiagramError], text: str) -> DiagramError:
    """A mistake whose text says all about its place."""
    found = kind(text)
    found.locate()
    return found


def wrong(kind: type[DiagramError], text: str) -> Variable:
    """A variable that stands for a mistake."""
    return mistaken([mistake(kind, text)])


def given_variable(subject: str, value: Any) -> Variable:
    """What stands for a variable; TypeError for what is none."""
    if not isinstance(value, Variable):
        raise TypeError(f"{subject} expects a variable, got {type(value).__name__}")
    return current([value])[0]


def type_text(variable: Variable) -> str:
    """Dtype and shape, for messages."""
    return f"{variable.dtype} {shape_text(variable.shape)}"

"""What a loop is made of: the ways into it, the ways out, and what was said about it.

A variable is in a loop because it depends on one of the loop's entries; nothing else says so.
`dependencies.py` finds it out, `drawing/loops/loop.py` is what the user writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ...compiler.options import Unroll
from ...compiler.sizes import Dim
from ..errors import DiagramError
from ..location import Enclosing
from .variable import Application, Variable

Kind = Literal["stack", "sum", "last"]
Keep = Literal["all"] | tuple[Literal["every"], int]


@dataclass(eq=False)
class LoopParts:
    """A loop as it was drawn.

    Attributes:
        name: the user's name for it.
        where: the user's file:line.
        reverse: whether it runs from the last element to the first.
        keep: what its derivative stores of every step, as the primitive says.
        unroll: how many steps are one turn of it; None where the program says it.
        scope: the block in whose `forward` it was begun.
        steps: how many; None while unknown.
        entries: the ways into it.
        given: the variables that the user got of `each` and `delay`.
        mistakes: what is wrong with it.
        masks: where there are lengths, the elements of sequences that masks are made of; the first
            says which samples have a step.
        gate: of a loop that runs until a condition holds, the delay that says whether it goes on.
        condition: what goes, negated, into that delay.
    """

    name: str
    where: str
    reverse: bool
    keep: Keep
    unroll: Unroll | None
    scope: Enclosing | None
    steps: Dim | None = None
    entries: list[Entry] = field(default_factory=list)
    given: list[Variable] = field(default_factory=list)
    mistakes: list[DiagramError] = field(default_factory=list)
    masks: list[Entry] = field(default_factory=list)
    gate: Delay | None = None
    condition: Variable | None = None

    @property
    def first(self) -> int:
        """The least serial number of a variable that can be in the loop."""
        return self.scope.first if self.scope is not None else 0

    def __str__(self) -> str:
        return f"loop '{self.name}' ({self.where})"


@dataclass(eq=False, kw_only=True)
class Entry(Application):
    """A way in: the element of a sequence (`Each`), or what a delay gives (`Delay`).

    Attributes:
        loop: the loop that it is a part of.
        name: its own among the loop's entries.
        next: what goes into a delay at every step.
    """

    loop: LoopParts
    name: str
    next: Variable | None = None


@dataclass(eq=False, kw_only=True)
class Each(Entry):
    """The element of a sequence, its input, whose leading axis is the steps."""


@dataclass(eq=False, kw_only=True)
class Delay(Entry):
    """What a delay gives; its input is the delay's initial value.

    Attributes:
        before: of a delay of several steps, the register from which this one is filled.
        final: whether it only keeps a final value, as `Loop.last` draws it.
    """

    gives: ClassVar[str] = "delay"
    before: Delay | None = None
    final: bool = False

    @property
    def is_first(self) -> bool:
        """Whether it is what the user has drawn, and closes: no further register, no keeper."""
        return self.before is None and not self.final


@dataclass(eq=False, kw_only=True)
class Result(Application):
    """A way out: all values of a variable of the loop, their sum, or a delay's final value.

    Attributes:
        loop: the loop that it is a part of.
        kind: which of the three.
        value: what is stacked or summed.
        delay: whose final value it is.
    """

    loop: LoopParts
    kind: Kind
    value: Variable | None = None
    delay: Delay | None = None

    @property
    def root(self) -> Variable:
        """The variable of the loop from which it comes."""
        found = self.value if self.delay is None else self.delay.outputs[0]
        assert found is not None
        return found

"""Operations that other files must know: kinds of applications, so that no label is ever compared.

What a user calls a block or a variable is text to be shown, and may be any word; what something is
says its type.  (The ways into a loop and out of it are kinds as well: `loop_parts.py`.)
"""

from __future__ import annotations

from dataclasses import dataclass

from ..location import user_location
from .variable import Application, Variable


@dataclass(eq=False)
class Connection(Application):
    """A variable that is another one: what `dg.connect` and `dg.tie` draw."""


@dataclass(eq=False)
class Gradient(Application):
    """The derivatives of a cost, its first input, by the other inputs."""


@dataclass(eq=False)
class FlatParts(Application):
    """The parts of a flat vector of parameters, one for each parameter."""


@dataclass(eq=False)
class BlockParts(Application):
    """The parts of a parameter along its first axis, one for each of several blocks."""


@dataclass(eq=False)
class Spread(Application):
    """One variable, repeated over a larger shape."""


@dataclass(eq=False, kw_only=True)
class Elementwise(Application):
    """An operation that is one primitive of the compiler, `op`, on elements side by side."""

    op: str


@dataclass(eq=False, kw_only=True)
class Number(Application):
    """A number that depends on nothing but sizes; `shown` is how it is written."""

    shown: str


@dataclass(eq=False, kw_only=True)
class Keeps(Application):
    """The mask of truncation: no gradient passes a loop's delays at every `every`-th step."""

    every: int


@dataclass(eq=False)
class Lasts(Application):
    """The mask of lengths, its input: which sample has which step of a loop."""


@dataclass(eq=False, kw_only=True)
class Draw(Application):
    """Random numbers; `stream` is the part and the name of a named stream, None for its own."""

    stream: tuple[str, str] | None


@dataclass(eq=False)
class Mode(Application):
    """Whether it is computed in a training step; lowering says so, with a constant."""


def connect_to(target: Variable, value: Variable) -> Connection:
    """The application that makes `target` what `value` is."""
    return Connection(
        "connect", (value,), rule=lambda b, node: node, where=user_location(), outputs=(target,)
    )

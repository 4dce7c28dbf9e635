"""Sequences that are continued: what blocks must know where their first step is not the first.

Whoever draws a model for the steps that come after others does so `continued_by` something that
keeps the keys and values of those.  Causal self-attention asks it for them, recurrent networks for
their state, and positional encodings where to begin; blocks around them need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from ...drawing.blocks import Block
from ...variables.variable import Variable


class Continuation(Protocol):
    """What keeps the steps that came before."""

    @property
    def start(self) -> Variable | int:
        """How many there are: an integer of shape ()."""

    def extend(
        self, attention: Block, k: Variable, v: Variable
    ) -> tuple[Variable, Variable, Mapping[str, Any]]:
        """Keys and values of all steps, and the options of the block's `attend` for them.

        Args:
            attention: the block whose keys these are; called once for each of its applications.
            k: those of the new steps, (..., heads, T, D).
            v: their values.
        """

    def limit(self, block: Block, positions: int) -> None:
        """The sequence may have no more steps than a block has positions."""

    def before(self, block: Block) -> tuple[Variable, ...] | None:
        """What a block has given to `after` at the end of the steps before; None at the first.

        It is called once for each of the block's applications, and so is `after`.
        """

    def after(self, block: Block, state: tuple[Variable, ...]) -> None:
        """Keep what a block begins the next steps with."""


_now: ContextVar[Continuation | None] = ContextVar("continuation", default=None)


def continuation() -> Continuation | None:
    """What a sequence continues just now, None where it begins."""
    return _now.get()


def first_step() -> Variable | int:
    """The position of a sequence's first step."""
    now = _now.get()
    return 0 if now is None else now.start


@contextmanager
def continued_by(steps: Continuation) -> Iterator[None]:
    """What is drawn meanwhile continues a sequence."""
    token = _now.set(steps)
    try:
        yield
    finally:
        _now.reset(token)

"""What blocks keep of the steps that came before: keys and values, states of recurrent networks.

A model is drawn twice.  For a prompt, `Prompt` has every block leave what it keeps; for one step
after it, `Step` gives each what it has left, and has it leave the same with that step in it.  Keys
and values have room for all steps from the beginning, so that a loop writes one row of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....compiler.sizes import Dim
from ...drawing.blocks import Block
from ...drawing.states import leave_blocks
from ...errors import DiagramError
from ...location import user_location
from ...operations.indexing import put
from ...operations.source import fill
from ...operations.structure import concatenate, squeeze
from ...variables.variable import Variable

Kept = tuple[Block, tuple[Variable, ...]]
"""A block and what one of its applications keeps."""


class Prompt:
    """The first steps of a sequence.

    Args:
        room: how many steps there will be at most.

    Attributes:
        start: 0, the position of the first.
        kept: for each application that keeps something, in their order, a key for each thing: what
            `updates_inside` around the model has it by.
        limits: blocks, and how many positions they have.
    """

    start = 0

    def __init__(self, room: Dim) -> None:
        self.room = room
        self.kept: list[Kept] = []
        self.limits: list[tuple[Block, int]] = []

    def extend(
        self, attention: Block, k: Variable, v: Variable
    ) -> tuple[Variable, Variable, Mapping[str, Any]]:
        """They are all there are; kept are keys and values, (..., heads, room, D)."""
        self.after(attention, (_with_room(k, self.room), _with_room(v, self.room)))
        return k, v, {"causal": True}

    def limit(self, block: Block, positions: int) -> None:
        """Note it for whoever knows how many steps there will be."""
        self.limits.append((block, positions))

    def before(self, block: Block) -> None:
        """Nothing comes before the prompt."""

    def after(self, block: Block, state: tuple[Variable, ...]) -> None:
        """Keep the state of a recurrent network."""
        keys = tuple(Variable("computed", item.type, f"{block._default_name}") for item in state)
        for key, item in zip(keys, state, strict=True):
            leave_blocks(key, item)
        self.kept.append((block, keys))


class Step:
    """One step after others.

    Args:
        start: its position, of shape ().
        kept: the delays of a loop with what blocks have kept, in the order of `Prompt.kept`.
    """

    def __init__(self, start: Variable, kept: Sequence[Kept]) -> None:
        self.start = start
        self._kept = iter(kept)
        self._before: tuple[Variable, ...] = ()

    def extend(
        self, attention: Block, k: Variable, v: Variable
    ) -> tuple[Variable, Variable, Mapping[str, Any]]:
        """The new key and value in their rows, of which the later ones are not seen."""
        keys, values = self.before(attention)
        now = put(keys, self.start, squeeze(k, -2), axis=-2)
        values_now = put(values, self.start, squeeze(v, -2), axis=-2)
        self.after(attention, (now, values_now))
        return now, values_now, {"seen": self.start + 1}

    def limit(self, block: Block, positions: int) -> None:
        """The prompt has noted it."""

    def before(self, block: Block) -> tuple[Variable, ...]:
        """What this application has left at the step before."""
        owner, self._before = next(self._kept, (None, ()))
        if owner is not block:
            raise DiagramError(
                f"{block._describe()} ({user_location()}) expects to be applied in every step as "
                "in the prompt, got another order of blocks: let the model be the same function "
                "for sequences of any length"
            )
        return self._before

    def after(self, block: Block, state: tuple[Variable, ...]) -> None:
        """Leave it for the next step."""
        for key, item in zip(self._before, state, strict=True):
            leave_blocks(key, item)


def _with_room(x: Variable, room: Dim) -> Variable:
    """Steps, and zeros behind them."""
    rest = fill(0.0, (*x.shape[:-2], room - x.shape[-2], x.shape[-1]), x.dtype)
    return concatenate([x, rest], -2)

"""Gibbs sampling of units with two values, by random bits from a counter."""

from __future__ import annotations

from typing import Any

from ...drawing.blocks import Block, block
from ...drawing.loops.loop import loop
from ...operations.elementwise import less, sigmoid, where
from ...operations.random import random_uniform
from ...variables.variable import Variable
from .sweep import Sweep


def mean_of(field: Variable, low: int) -> Variable:
    """The mean of units that are `low` or 1, by their fields; for -1 it is the field's tanh."""
    return low + (1 - low) * sigmoid((1 - low) * field)


def drawn(field: Variable, noise: Variable, low: int) -> Variable:
    """Units that are `low` or 1, by their fields and uniform numbers."""
    return where(less(noise, sigmoid((1 - low) * field)), 1.0, float(low)).astype(field.dtype)


class GibbsSweep(Sweep):
    """Each unit in turn is drawn anew, given what the others have by then: (..., N) -> (..., N).

    Args:
        weight: (N, N), symmetric, with zeros on its diagonal.
        bias: (N,).
        low: what a unit is that is not 1.
        first: the first unit that is drawn; those before it keep their values.
        name: as for every block.
    """

    def __init__(
        self, weight: Variable, bias: Variable, low: int, first: int = 0, name: str | None = None
    ) -> None:
        def rule(field: Variable, old: Variable, noise: Variable) -> Variable:
            return drawn(field, noise, low)

        super().__init__(weight, bias, rule, first, name)

    def forward(self, y: Variable, noise: Variable | None = None) -> Variable:
        """(..., N) -> (..., N), by noise of its own if it is given none."""
        if noise is None:
            shape = (self.weight.shape[0] - self.first, *y.shape[:-1])
            noise = random_uniform(shape, dtype=y.dtype)
        return super().forward(y, noise)


class LayerSweep(Block):
    """Hidden units are drawn given the visible ones, and these given those: (..., V) -> (..., V).

    Args:
        weight: (V, H).
        visible_bias: (V,).
        hidden_bias: (H,).
        low: what a unit is that is not 1.
        name: as for every block.
    """

    weight: Variable
    visible_bias: Variable
    hidden_bias: Variable

    def __init__(
        self,
        weight: Variable,
        visible_bias: Variable,
        hidden_bias: Variable,
        low: int,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.low = low
        object.__setattr__(self, "weight", weight)  # not adopted: they keep their names
        object.__setattr__(self, "visible_bias", visible_bias)
        object.__setattr__(self, "hidden_bias", hidden_bias)

    def forward(self, v: Variable) -> Variable:
        """(..., V) -> (..., V)."""
        h = self._draw(v @ self.weight + self.hidden_bias)
        return self._draw(h @ self.weight.T + self.visible_bias)

    def _draw(self, field: Variable) -> Variable:
        return drawn(field, random_uniform(field.shape, dtype=field.dtype), self.low)


class Repeated(Block):
    """A block applied again and again to what it gives: y has the shape that it is given.

    Args:
        sweep: the block.
        name: as for every block.
    """

    def __init__(self, sweep: Block, name: str | None = None) -> None:
        self.name = name
        self.sweep = sweep

    def forward(self, y: Variable, sweeps: Any = 1) -> Variable:
        """As many times as `sweeps` says, an integer or a name."""
        t = loop("sweep", steps=sweeps)
        now = t.delay("y", y)
        after = self.sweep(now)
        t.close(now, after)
        return t.last(after)


@block
def layer_means(x: Variable, weight: Variable, bias: Variable, low: int) -> Variable:
    """The means of a layer's units, given those of the other: x (..., V), weight (V, H)."""
    return mean_of(x @ weight + bias, low)

"""Units of a net with symmetric weights, one after another: what Hopfield and Boltzmann share."""

from __future__ import annotations

from collections.abc import Callable

from ...drawing.blocks import Block
from ...drawing.loops.loop import loop
from ...operations.contractions import matmul
from ...operations.elementwise import add, equal, where
from ...operations.indexing import gather, put
from ...operations.source import arange
from ...operations.structure import expand_dims
from ...variables.variable import Variable

Rule = Callable[..., Variable]
"""(field, old value, and noise where it takes some) -> new value, all of the shape (...)."""


class Sweep(Block):
    """Each unit in turn gets a new value, by the field of what the others have by then.

    Applied to y of shape (..., N) it gives the same: asynchronous updates in the order of the units
    (Gauss and Seidel's), for all samples at once.  The field of unit i is sum_j w_ij y_j + b_i.

    Args:
        weight: (N, N), symmetric, with zeros on its diagonal.
        bias: (N,), or None.
        rule: what makes a new value.
        first: the first unit that gets a new value; those before it keep theirs.
        name: as for every block.
    """

    weight: Variable
    bias: Variable | None

    def __init__(
        self,
        weight: Variable,
        bias: Variable | None,
        rule: Rule,
        first: int = 0,
        name: str | None = None,
    ) -> None:
        self.name = name
        object.__setattr__(self, "weight", weight)  # not adopted: they keep their names
        object.__setattr__(self, "bias", bias)
        self.rule = rule
        self.first = first

    def forward(self, y: Variable, noise: Variable | None = None) -> Variable:
        """(..., N), and (N - first, ...) where the rule takes noise -> (..., N)."""
        count, first = self.weight.shape[0], self.first
        t = loop("unit", steps=count - first)
        now = t.delay("y", y)
        unit = t.each(arange(count)[first:])
        field = matmul(now, t.each(self.weight[first:]))
        if self.bias is not None:
            field = add(field, t.each(self.bias[first:]))
        drawn = () if noise is None else (t.each(noise),)
        new = self.rule(field, gather(now, unit, axis=-1), *drawn)
        after = put(now, unit, new, axis=-1)
        t.close(now, after)
        return t.last(after)


def couplings(y: Variable) -> Variable:
    """sum_b y_bi y_bj of samples (B, N), (N, N), with zeros on its diagonal."""
    number = arange(y.shape[1])
    return where(equal(expand_dims(number, 1), number), 0.0, y.T @ y)

"""Residual connections: what a block computes is added to what it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arguments import wrong
from ..drawing.blocks import Block
from ..errors import ShapeError
from ..location import user_location
from ..operations.elementwise import add, as_operands
from ..variables.variable import Variable, shape_text, source_text


class Residual(Block):
    """block(x) + shortcut(x), where the shortcut is x itself if none is given.

        dg.Residual(dg.Chain(dg.Linear(64, 64), dg.relu, dg.Linear(64, 64)))
        dg.Residual(dg.Chain(dg.Linear(64, 32), dg.relu), shortcut=dg.Linear(64, 32, bias=False))

    Applied to x of any shape it gives what the block gives; both terms have the same shape, for
    nothing is broadcast.  The gradient reaches x by the shortcut whatever the block does.

    He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016; Identity mappings
    in deep residual networks, 2016.

    Args:
        block: a block or function of one variable, the residual function F.
        shortcut: the same, for what is added to it: of the shape that the block gives.
        name: as for every block.

    Raises:
        TypeError: a block or shortcut that is none; when applied, one that gives no variable.
        ShapeError: when applied, terms of two shapes.
        DtypeError: the same for their dtypes.
    """

    def __init__(
        self,
        block: Callable[..., Any],
        shortcut: Callable[..., Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        for role, item in (("block", block), ("shortcut", shortcut)):
            left_out = role == "shortcut" and item is None
            if not (left_out or callable(item)) or isinstance(item, (type, Variable)):
                subject = f"{self._describe()} ({user_location()})"
                raise wrong(subject, f"{role} to be a block or a function of one variable", item)
        self.block = block
        self.shortcut = shortcut

    def forward(self, x: Any) -> Variable:
        """X -> block(x) + shortcut(x)."""
        (x,) = as_operands(x)
        made = self._term("block", self.block(x))
        kept = x if self.shortcut is None else self._term("shortcut", self.shortcut(x))
        known = not (made.mistakes or kept.mistakes)
        if known and made.shape != kept.shape:
            remedy = "let both have one shape"
            if self.shortcut is None:
                remedy = (
                    "give a shortcut that makes this shape of the input, such as a Linear without "
                    "a bias, or a 1x1 convolution with the stride of the block"
                )
            raise ShapeError(
                f"{self._describe()} ({user_location()}) expects its block to give "
                f"{shape_text(kept.shape)} like {source_text(kept)}, to which it is added, got "
                f"{shape_text(made.shape)} from {source_text(made)}: {remedy}"
            )
        total: Variable = add(made, kept)
        return total

    def _term(self, role: str, given: Any) -> Variable:
        """What one of the two gives: one variable."""
        if not isinstance(given, Variable):
            subject = f"{self._describe()} ({user_location()})"
            raise wrong(subject, f"{role} to give one variable", given)
        return given

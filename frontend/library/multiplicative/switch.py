"""The attention module of the lectures: a soft switch between vectors."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...drawing.blocks import Block
from ...operations.broadcasting import one_dtype
from ...operations.contractions import contract
from ...operations.elementwise import as_operands
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text
from ..functions.softmaxes import softmax


class SoftSwitch(Block):
    """A mean of vectors whose weights another input says: s_i = sum_j w_j x_ij, w = softmax(z).

    Where one z is much greater than the others, s is the vector that it belongs to: a switch, with
    derivatives.  Applied as `switch(z, x_1, ..., x_n)` to scores z of shape (..., n) and n vectors
    of shape (..., *features), all of one shape, it gives (..., *features).

    Args:
        name: as for every block.

    Raises:
        ShapeError, DtypeError: when the diagram is built: another number of vectors than scores,
            vectors of different shapes, or of other leading axes than z; different dtypes.
    """

    def forward(self, z: Variable, *x: Variable) -> Variable:
        """(..., n), n times (..., *features) -> (..., *features)."""
        return mixed(softmax(z), *x)


def mixed(weights: Any, *x: Any) -> Variable:
    """The sum of vectors (..., *features), each times its weight of (..., n)."""

    def rule(b: Builder, w: Node, *parts: Node) -> Node:
        one_dtype((w, *parts))
        if not w.type.rank or w.shape[-1] != len(parts):
            raise TypeRuleError(
                f"expects weights for {len(parts)} vectors, (..., {len(parts)}), not "
                f"{shape_text(w.shape)}"
            )
        lead, shape = w.shape[:-1], parts[0].shape
        for part in parts:
            if part.shape != shape or shape[: len(lead)] != lead:
                raise TypeRuleError(
                    f"expects vectors of one shape ({', '.join(map(str, lead))}, ...), not "
                    f"{', '.join(shape_text(item.shape) for item in parts)}"
                )
        stacked = stack_nodes(b, parts)
        front, rest = ascii_letters[1 : len(lead) + 1], ascii_letters[len(lead) + 1 :]
        rest = rest[: len(shape) - len(lead)]
        return contract(b, w, stacked, f"{front}a", f"a{front}{rest}", front + rest)

    result: Variable = apply("switch", rule, as_operands(weights, *x))
    return result


def stack_nodes(b: Builder, parts: tuple[Node, ...]) -> Node:
    """Nodes of one shape along a new leading axis."""
    shape: tuple[Dim, ...] = parts[0].shape
    rows = [b.reshape(part, shape=(1, *shape)) for part in parts]
    found: Node = rows[0] if len(rows) == 1 else b.concatenate(*rows, axis=0)
    return found

"""Systems of linear equations: x with a x = b, for square matrices a.

    a [..., n, n], b [..., n, k]   ->   x [..., n, k]       the leading axes are the same in both

A matrix in whose elimination no pivot is left, as in that of a singular one, gives NaN in all of
its elements, and disturbs no other matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graph import Node, Type
from ...sizes import Dim, floor_divide, product
from ..record import Array, Attrs, Builder, Primitive
from .matrices import for_each, infer_solution, multiply, transposed


def _reference(result: Type, attrs: Attrs, a: Array, b: Array) -> Array:
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        if a.ndim == 2:
            return np.full_like(b, np.nan)
        pairs = zip(a, b, strict=True)
        return np.stack([_reference(result, attrs, *pair) for pair in pairs])


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """From a' db = g and da = -db x' (Giles, Collected matrix derivative results, 2008, 2.3.1)."""
    right = b.solve(transposed(b, n.inputs[0]), g)
    return b.neg(multiply(b, right, transposed(b, n))), right


def for_many(b: Builder, a: Node, many: Node, op: str, attrs: Attrs) -> Node:
    """The solutions for one a and all b in [m, ..., n, k]: their columns stand side by side."""
    rank = many.type.rank
    turned = b.transpose(many, axes=(*range(1, rank - 1), 0, rank - 1))
    *rows, count, columns = turned.shape
    wide = b.reshape(turned, shape=(*rows, count * columns))
    found = b.reshape(b.apply(op, a, wide, **attrs), shape=turned.shape)
    return b.transpose(found, axes=(rank - 2, *range(rank - 2), rank - 1))


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """A matrix that is the same for all elements is eliminated once."""
    if not batched[0]:
        return for_many(b, operands[0], operands[1], n.op, n.attrs)
    return for_each(b, n, operands, batched)


def solve_flops(node: Node) -> Dim:
    """Multiplications and additions of an elimination and of its use on the right-hand sides."""
    *lead, rows, columns = node.shape
    square = rows * rows * product(lead) * 2
    return floor_divide(square * rows, 3) + square * columns


def solve_work(node: Node) -> Dim:
    """An estimate, in operations on one element: in small matrices most is the search of pivots."""
    *lead, rows, _ = node.shape
    return floor_divide(solve_flops(node), 8) + product(lead) * rows * (rows * 10 + 200)


PRIMITIVES = (
    Primitive(
        name="solve",
        kind="contraction",
        infer=infer_solution,
        reference=_reference,
        vjp=_vjp,
        batch=_batch,
    ),
)

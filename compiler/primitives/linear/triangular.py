"""Triangular systems of linear equations: x with a x = b, where one triangle of a is read.

    a [..., n, n], b [..., n, k]   ->   x [..., n, k]       the leading axes are the same in both

What stands in the other triangle is not read; nor is the diagonal if it is said to be 1.  A 0 on
the diagonal divides, as in `/`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graph import Node, Type
from ...sizes import Dim, floor_divide, product
from ..record import Array, Attrs, Builder, Primitive
from .matrices import for_each, infer_solution, multiply, transposed, triangle
from .systems import for_many


def _reference(result: Type, attrs: Attrs, a: Array, b: Array) -> Array:
    n, found = a.shape[-1], np.array(b)
    for i in range(n) if attrs["lower"] else range(n - 1, -1, -1):
        done = slice(0, i) if attrs["lower"] else slice(i + 1, n)
        found[..., i, :] -= (a[..., i : i + 1, done] @ found[..., done, :])[..., 0, :]
        if not attrs["unit_diagonal"]:
            found[..., i, :] /= a[..., i, i, None]
    return found


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """From a' db = g and da = -db x', of which one triangle counts.

    (Giles, Collected matrix derivative results, 2008, 2.3.1.)
    """
    lower, unit = n.attrs["lower"], n.attrs["unit_diagonal"]
    turned = transposed(b, n.inputs[0])
    right = b.triangular_solve(turned, g, lower=not lower, unit_diagonal=unit)
    left = multiply(b, right, transposed(b, n))
    return b.neg(triangle(b, left, lower, diagonal=0 if unit else 1)), right


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """One matrix solves for the columns of all."""
    if not batched[0]:
        return for_many(b, operands[0], operands[1], n.op, n.attrs)
    return for_each(b, n, operands, batched)


def triangular_flops(node: Node) -> Dim:
    """Multiplications and additions, n^2 for each right-hand side."""
    *_, rows, _ = node.shape
    return node.type.count * rows


def triangular_work(node: Node) -> Dim:
    """An estimate, in operations on one element: any part of a vector is a vector."""
    *lead, rows, _ = node.shape
    fixed = rows * (rows + 40) * product(lead)
    return floor_divide(triangular_flops(node), 24) + fixed


PRIMITIVES = (
    Primitive(
        name="triangular_solve",
        kind="contraction",
        infer=infer_solution,
        reference=_reference,
        vjp=_vjp,
        batch=_batch,
    ),
)

"""Systems of linear equations, and the inverse of a matrix."""

from __future__ import annotations

from typing import Any

from ....compiler.graph import Node
from ....compiler.primitives.linear.matrices import identity_like
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from .matrices import expect_square, system


def solve(a: Any, b: Any) -> Variable:
    """The x with a @ x = b, as NumPy's `linalg.solve`: elimination with partial pivoting.

    A matrix with a pivot of 0, as a singular one has, gives NaN in all of its x.

    Args:
        a: square matrices, (..., n, n), float32 or float64.
        b: matrices (..., n, k), whose leading axes broadcast with a's; or one vector (n,), for
            which x has a's leading axes and n elements.

    Raises:
        ShapeError: `a` is not square, or `b` has another number of rows.
        DtypeError: other dtypes, or two different ones.
    """

    def rule(builder: Builder, a: Node, b: Node) -> Node:
        return system(builder, a, b, "solve", {})

    result: Variable = apply("solve", rule, as_variables(a, b))
    return result


def inverse(a: Any) -> Variable:
    """The inverse of square matrices (..., n, n): `solve(a, identity)`.

    Where `solve` will do it is faster and rounds less: `solve(a, b)` for `inverse(a) @ b`.

    Raises:
        ShapeError, DtypeError: as for `solve`.
    """

    def rule(builder: Builder, a: Node) -> Node:
        expect_square(a)
        return builder.solve(a, identity_like(builder, a))

    result: Variable = apply("inverse", rule, as_variables(a))
    return result

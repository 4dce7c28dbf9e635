"""Systems of linear equations, and the inverse of a matrix."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.linear.systems import solve_for_many
from ....compiler.primitives.record import Builder
from ....compiler.sizes import product
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables, broadcast_shape, one_dtype, spread_to


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
        one_dtype((a, b))
        _expect_square(a)
        if b.type.rank == 0:
            raise TypeRuleError("expects a vector or matrices on the right, not a number")
        rows = b.shape[-1] if b.type.rank == 1 else b.shape[-2]
        if rows != a.shape[-1]:
            raise TypeRuleError(
                f"expects as many rows on the right as the matrix has, not {rows} and {a.shape[-1]}"
            )
        if b.type.rank == 1:
            column = builder.reshape(b, shape=(rows, 1))
            found = _solve(builder, a, column)
            return builder.reshape(found, shape=found.shape[:-1])
        return _solve(builder, a, b)

    result: Variable = apply("solve", rule, as_variables(a, b))
    return result


def inverse(a: Any) -> Variable:
    """The inverse of square matrices (..., n, n): `solve(a, identity)`.

    Where `solve` will do it is faster and rounds less: `solve(a, b)` for `inverse(a) @ b`.

    Raises:
        ShapeError, DtypeError: as for `solve`.
    """

    def rule(builder: Builder, a: Node) -> Node:
        _expect_square(a)
        shape = a.shape[-2:]
        row, column = (builder.iota(axis=axis, shape=shape, dtype="int64") for axis in (0, 1))
        return _solve(builder, a, builder.cast(builder.eq(row, column), dtype=a.dtype))

    result: Variable = apply("inverse", rule, as_variables(a))
    return result


def _expect_square(a: Node) -> None:
    if not a.type.is_float:
        raise DtypeRuleError("expects floats")
    if a.type.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeRuleError("expects square matrices (..., n, n)")


def _solve(builder: Builder, a: Node, b: Node) -> Node:
    """Matrices on both sides, their leading axes made the same; one matrix is eliminated once."""
    shape = broadcast_shape([a.shape[:-2], b.shape[:-2]])
    if product(a.shape[:-2]) == 1 and b.type.rank > 2:
        matrix = builder.reshape(a, shape=a.shape[-2:])
        many = builder.reshape(b, shape=(product(b.shape[:-2]), *b.shape[-2:]))
        found = solve_for_many(builder, matrix, many)
        return builder.reshape(found, shape=(*shape, *b.shape[-2:]))
    a = spread_to(builder, a, (*shape, *a.shape[-2:]))
    return builder.solve(a, spread_to(builder, b, (*shape, *b.shape[-2:])))

"""What functions of matrices share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.linear.systems import for_many
from ....compiler.primitives.record import Builder
from ....compiler.sizes import product
from ..broadcasting import broadcast_shape, one_dtype, spread_to


def expect_square(a: Node) -> None:
    """An error unless a node is of square matrices of floats."""
    if not a.type.is_float:
        raise DtypeRuleError("expects floats")
    if a.type.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeRuleError("expects square matrices (..., n, n)")


def system(builder: Builder, a: Node, b: Node, op: str, attrs: Mapping[str, Any]) -> Node:
    """A primitive of a matrix and right-hand sides, matrices or one vector; else an error."""
    one_dtype((a, b))
    expect_square(a)
    if b.type.rank == 0:
        raise TypeRuleError("expects a vector or matrices on the right, not a number")
    rows = b.shape[-1] if b.type.rank == 1 else b.shape[-2]
    if rows != a.shape[-1]:
        raise TypeRuleError(
            f"expects as many rows on the right as the matrix has, not {rows} and {a.shape[-1]}"
        )
    if b.type.rank == 1:
        column = builder.reshape(b, shape=(rows, 1))
        found = solved(builder, a, column, op, attrs)
        return builder.reshape(found, shape=found.shape[:-1])
    return solved(builder, a, b, op, attrs)


def solved(builder: Builder, a: Node, b: Node, op: str, attrs: Mapping[str, Any]) -> Node:
    """Matrices on both sides, their leading axes made the same; one matrix serves for all b."""
    shape = broadcast_shape([a.shape[:-2], b.shape[:-2]])
    if product(a.shape[:-2]) == 1 and b.type.rank > 2:
        matrix = builder.reshape(a, shape=a.shape[-2:])
        many = builder.reshape(b, shape=(product(b.shape[:-2]), *b.shape[-2:]))
        found = for_many(builder, matrix, many, op, attrs)
        return builder.reshape(found, shape=(*shape, *b.shape[-2:]))
    a = spread_to(builder, a, (*shape, *a.shape[-2:]))
    return builder.apply(op, a, spread_to(builder, b, (*shape, *b.shape[-2:])), **attrs)

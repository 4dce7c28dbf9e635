"""What the rules of linear algebra share: matrices on the last two axes, all others a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import DtypeRuleError, TypeRuleError
from ...graph import Node, Type
from ..batch import repeated
from ..record import Attrs, Builder


def expect_square(a: Type) -> None:
    """DtypeRuleError or TypeRuleError for what is not square matrices of floats."""
    if not a.is_float:
        raise DtypeRuleError(f"expected floats, got {a}")
    if a.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeRuleError(f"expected square matrices (..., n, n), got {a}")


def infer_solution(types: Sequence[Type], attrs: Attrs) -> Type:
    """The type of x in a x = b: a matrix a for each matrix of b."""
    a, b = types
    expect_square(a)
    if a.dtype != b.dtype:
        raise DtypeRuleError(f"expected two floats, got {a}, {b}")
    if a.rank != b.rank or a.shape != (*b.shape[:-1], b.shape[-2]):
        raise TypeRuleError(f"expected a square matrix for each matrix of {b}, got {a}")
    return b


def transposed(b: Builder, a: Node) -> Node:
    """Matrices, the last two axes exchanged."""
    rank = a.type.rank
    turned: Node = b.transpose(a, axes=(*range(rank - 2), rank - 1, rank - 2))
    return turned


def multiply(b: Builder, x: Node, y: Node) -> Node:
    """Products of matrices whose leading axes are the same."""
    rank = x.type.rank
    lead = tuple(range(rank - 2))
    i, j, k = range(rank - 2, rank + 1)
    found: Node = b.contract(x, y, a=(*lead, i, k), b=(*lead, k, j), out=(*lead, i, j))
    return found


def compared(b: Builder, op: str, like: Type) -> Node:
    """How the row of each element compares with its column: "ge" is true in the lower triangle."""
    row, column = (
        b.iota(axis=axis, shape=like.shape, dtype="int64")
        for axis in (like.rank - 2, like.rank - 1)
    )
    return b.apply(op, row, column)


def over_matrices(b: Builder, x: Node, like: Node) -> Node:
    """A number for each matrix, in all of its elements."""
    spread: Node = b.broadcast(x, shape=like.shape, axes=tuple(range(like.type.rank - 2)))
    return spread


def identity_like(b: Builder, x: Node) -> Node:
    """The identity in place of each matrix."""
    found: Node = b.cast(compared(b, "eq", x.type), dtype=x.dtype)
    return found


def triangle(b: Builder, x: Node, lower: bool, diagonal: float = 1) -> Node:
    """One triangle of each matrix; elements of the diagonal times a number, 0 elsewhere."""
    inside = compared(b, "gt" if lower else "lt", x.type)
    on = b.scale(x, diagonal) if diagonal != 1 else x
    zero = b.fill(0, x.type)
    kept = b.select(compared(b, "eq", x.type), on, zero) if diagonal else zero
    found: Node = b.select(inside, x, kept)
    return found


def for_each(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """A batch rule: an axis more of the batch."""
    return b.apply(n.op, *repeated(b, operands, batched), **n.attrs)

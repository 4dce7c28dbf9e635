"""Parts of matrices: what lies below or above a diagonal, and the diagonal itself."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...arguments import integer
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..reductions import sum
from ..structure import normal_axis


def tril(x: Any, k: int = 0) -> Variable:
    """Matrices with zeros above a diagonal, as NumPy's.

    Args:
        x: (..., m, n), of any dtype.
        k: the last diagonal that stays: 0 for the main one, above it 1, 2, ...

    Raises:
        ShapeError: when the diagram is built: fewer than two axes.
        TypeError: a k that is no integer.
    """
    return _triangle("tril", x, k, "le")


def triu(x: Any, k: int = 0) -> Variable:
    """Matrices with zeros below a diagonal, the first one that stays; as `tril`."""
    return _triangle("triu", x, k, "ge")


def _triangle(label: str, x: Any, k: int, op: str) -> Variable:
    k = integer(label, "k", k)

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        if rank < 2:
            raise TypeRuleError("expects matrices, with two axes or more")
        kept = b.apply(op, *_coordinates(b, node.shape[-2:], k))
        mask = b.broadcast(kept, shape=node.shape, axes=(rank - 2, rank - 1))
        found: Node = b.select(mask, node, b.fill(0, node.type))
        return found

    result: Variable = apply(label, rule, as_variables(x), as_stored=True)
    return result


def _coordinates(b: Builder, shape: tuple[Dim, ...], k: int) -> tuple[Node, Node]:
    """The column of each element of a matrix, and that of the diagonal k in its row."""
    row, column = (b.apply("iota", axis=i, shape=shape, dtype="int64") for i in range(2))
    return column, b.add(row, b.fill(k, row.type))


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The elements of a diagonal of two axes, as a new last axis; as NumPy's.

    Args:
        x: of two axes or more.
        offset: which diagonal: above the main one 1, 2, ..., below it -1, -2, ...
        axis1: the axis of rows.
        axis2: the axis of columns.

    Raises:
        ShapeError: when the diagram is built: no such axes, or one axis twice; where a size has a
            name, two sizes that differ, or another diagonal than the main one.
        TypeError: an offset that is no integer.
    """
    offset = integer("diagonal", "offset", offset)

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        first, second = normal_axis(axis1, rank), normal_axis(axis2, rank)
        if first == second:
            raise TypeRuleError(f"expects two axes, not {axis1} twice")
        return diagonal_of(b, node, first, second, offset)

    result: Variable = apply("diagonal", rule, as_variables(x), as_stored=True)
    return result


def diagonal_of(b: Builder, node: Node, first: int, second: int, offset: int = 0) -> Node:
    """The elements of a diagonal of two axes, as a new last axis."""
    rest = tuple(i for i in range(node.type.rank) if i not in (first, second))
    turned = b.transpose(node, axes=(*rest, first, second))
    *lead, rows, columns = turned.shape
    if not isinstance(rows, int) or not isinstance(columns, int):
        return _masked_diagonal(b, turned, offset)
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    if count == 0:
        return b.fill(0, node.type.with_shape((*lead, 0)))
    start = max(offset, 0) + max(-offset, 0) * columns
    line = b.reshape(turned, shape=(*lead, rows * columns))
    ones = (1,) * len(lead)
    stop = start + (count - 1) * (columns + 1) + 1
    found: Node = b.slice(
        line, start=(*(0,) * len(lead), start), stop=(*lead, stop), step=(*ones, columns + 1)
    )
    return found


def _masked_diagonal(b: Builder, x: Node, offset: int) -> Node:
    """The main diagonal of square matrices: the one element of each row that is not masked."""
    rank = x.type.rank
    if x.shape[-1] != x.shape[-2] or offset:
        raise TypeRuleError(
            f"expects the main diagonal of square matrices where a size has a name, not the "
            f"diagonal {offset} of {x.shape[-2]} rows and {x.shape[-1]} columns"
        )
    mask = b.apply("eq", *_coordinates(b, x.shape[-2:], 0))
    mask = b.broadcast(mask, shape=x.shape, axes=(rank - 2, rank - 1))
    number = b.cast(x, dtype="int32") if x.dtype == "bool" else b.widened(x)
    kept = b.reduce_sum(b.select(mask, number, b.fill(0, number.type)), axes=(rank - 1,))
    return kept if kept.dtype == x.dtype else b.cast(kept, dtype=x.dtype)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The sum over a diagonal; arguments and errors as of `diagonal`."""
    return sum(diagonal(x, offset, axis1, axis2), -1)

"""Which elements are among others."""

from __future__ import annotations

from typing import Any

from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables, one_dtype


def isin(x: Any, among: Any) -> Variable:
    """Whether each element of x is among those of another array, as bool; a NaN is in none.

    Each is compared with each, in one pass without a table of the pairs.

    Args:
        x: of any shape, which is that of the result.
        among: of x's dtype, of any shape.

    Raises:
        DtypeError: when the diagram is built: two dtypes.
    """

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        x, among = nodes
        rank, size = x.type.rank, among.type.count
        pairs = (*x.shape, size)
        line = b.reshape(among, shape=(size,))
        same = b.eq(
            b.broadcast(x, shape=pairs, axes=tuple(range(rank))),
            b.broadcast(line, shape=pairs, axes=(rank,)),
        )
        count = b.reduce_sum(b.cast(same, dtype="int64"), axes=(rank,))
        found: Node = b.ne(count, b.fill(0, count.type))
        return found

    result: Variable = apply("isin", rule, as_variables(x, among))
    return result

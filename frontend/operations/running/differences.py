"""Differences of neighbours along an axis: what `cumsum` adds up."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import integer
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..structure import normal_axis


def diff(x: Any, n: int = 1, axis: int = -1) -> Variable:
    """Each element along an axis from the next one, n times over; as NumPy's.

    Args:
        x: numbers, of one axis or more; the dtype stays.
        n: how often.  Each time there is one element less; of none there is none, but an axis of
            named size must have n elements.
        axis: along which.

    Raises:
        ShapeError, DtypeError: when the diagram is built: no such axis; bools.
        TypeError, ValueError: an n that is no integer from 0 on.
    """
    n = integer("diff", "n", n, 0)

    def rule(b: Builder, node: Node) -> Node:
        place = normal_axis(axis, node.type.rank)
        if node.dtype == "bool":
            raise DtypeRuleError("expects numbers: convert with .astype(dg.int64)")
        for _ in range(n):
            extent = node.shape[place]
            if isinstance(extent, int) and extent == 0:
                break
            before = b.slice_axis(node, place, 0, extent - 1)
            node = b.sub(b.slice_axis(node, place, 1, extent), before)
        return node

    result: Variable = apply("diff", rule, as_variables(x))
    return result

"""set_precision: every float becomes float32, or float64, where a program asks for one.

Those of a storage dtype stay as they lie, and are computed with in it.

%0: float32[B] = input(name=x)          ->      %0: float64[B] = input(name=x)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..dtypes import COMPUTED
from ..graph import Graph, Node, Type
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.record import Builder

FLOATS = ("float32", "float64")


def set_precision(graph: Graph, precision: str) -> Graph:
    """The same graph with floats of this dtype alone: Graph -> Graph."""
    return each_level(lambda level: _set(level, precision))(graph)


def _set(graph: Graph, dtype: str) -> Graph:
    def of(value: Any) -> Any:
        if isinstance(value, Type):
            other = value.dtype in FLOATS and value.dtype != dtype
            return value.with_dtype(dtype) if other else value
        if isinstance(value, str) and value in FLOATS and value != dtype:
            return dtype
        if hasattr(value, "astype") and value.dtype.name in FLOATS:
            return value.astype(dtype, copy=False)
        return value

    def converted(node: Node, _: Node) -> Node:
        if node.op == "gradient" and node.inputs[1].dtype in COMPUTED:
            # It stays of the dtype in which that is computed with; what reads it is of the other.
            wide: Node = Builder(node.origin).cast(node, dtype=dtype)
            return node if node.dtype == dtype else wide
        attrs = {k: v if k == "name" else of(v) for k, v in node.attrs.items()}
        type = of(node.type)
        same = type is node.type and all(attrs[k] is v for k, v in node.attrs.items())
        return node if same else replace(node, attrs=attrs, type=type)

    return rewrite(graph, converted)

"""Binding named sizes to integers: in types, attributes and whole graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..graph import Graph, Node, Type, topological
from ..primitives.record import lookup
from ..sizes import Dim, Size, assign, evaluate
from .loop_bodies import innermost_first
from .rewrite import replacements, rewrite

Sizes = Mapping[str, int]


def bind_type(type: Type, sizes: Sizes) -> Type:
    """The type with every size an integer."""
    return type.with_shape(evaluate(extent, sizes) for extent in type.shape)


def bind_attrs(attrs: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """Attributes with every size in them an integer."""
    return {key: _bind(value, sizes) for key, value in attrs.items()}


def _bind(value: Any, sizes: Sizes) -> Any:
    if isinstance(value, Size):
        return evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(_bind(item, sizes) for item in value)
    return value


def assign_sizes(graph: Graph, values: Mapping[str, Dim]) -> Graph:
    """The graph with values in the place of some named sizes, bodies of loops included."""
    return graph.rebuilt(assigned_nodes(graph, values))


def assigned_nodes(graph: Graph, values: Mapping[str, Dim]) -> dict[Node, Node]:
    """For each node of a graph, what `assign_sizes` puts in its place."""
    bodies: dict[int, Graph] = {}

    def of(value: Any) -> Any:
        if isinstance(value, Size):
            return assign(value, values)
        if isinstance(value, Type):
            return value.with_shape(of(extent) for extent in value.shape)
        if isinstance(value, tuple):
            return tuple(of(item) for item in value)
        return bodies[id(value)] if isinstance(value, Graph) else value

    def assigned(node: Node, _: Node) -> Node:
        attrs = {key: of(value) for key, value in node.attrs.items()}
        return replace(node, attrs=attrs, type=of(node.type))

    for level in innermost_first(graph, calls=True)[:-1]:
        bodies[id(level)] = rewrite(level, assigned)
    return replacements(graph.all_nodes(), assigned)


def value_of(node: Node, sizes: Sizes) -> np.generic:
    """The value of a scalar node that depends on sizes and constants alone."""
    values: dict[Node, np.generic] = {}
    for item in topological([node]):
        rule = lookup(item.op).reference
        assert rule is not None
        arrays = [values[part] for part in item.inputs]
        array = rule(bind_type(item.type, sizes), bind_attrs(item.attrs, sizes), *arrays)
        values[item] = np.dtype(item.dtype).type(array)
    return values[node]

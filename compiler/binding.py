"""Binding named sizes to integers: in types, attributes and whole graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .graph import Graph, Node, Type, topological
from .loops import every_node, map_bodies
from .primitives.registry import lookup
from .sizes import Dim, Size, assign, evaluate, names

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

    def of(value: Any) -> Any:
        if isinstance(value, Size):
            return assign(value, values)
        if isinstance(value, Type):
            return value.with_shape(of(extent) for extent in value.shape)
        if isinstance(value, tuple):
            return tuple(of(item) for item in value)
        return value

    graph = map_bodies(graph, lambda body: assign_sizes(body, values))
    done: dict[Node, Node] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        attrs = {key: of(value) for key, value in node.attrs.items()}
        done[node] = replace(node, inputs=inputs, attrs=attrs, type=of(node.type))
    return graph.rebuilt(done)


def value_of(node: Node, sizes: Sizes) -> np.generic:
    """The value of a scalar node that depends on sizes and constants alone."""
    arrays = [value_of(item, sizes) for item in node.inputs]
    rule = lookup(node.op).reference
    assert rule is not None
    array = rule(bind_type(node.type, sizes), bind_attrs(node.attrs, sizes), *arrays)
    scalar: np.generic = np.dtype(node.dtype).type(array)
    return scalar


def size_names(graph: Graph) -> set[str]:
    """The named sizes that types and attributes depend on, in the bodies of loops too."""
    found: set[str] = set()
    for node in every_node(graph):
        stack: list[Any] = [node.shape, *node.attrs.values()]
        while stack:
            value = stack.pop()
            if isinstance(value, tuple):
                stack.extend(value)
            elif isinstance(value, Size):
                found |= names(value)
    return found


class SizeRuleError(Exception):
    """Named sizes were bound to values that the graph cannot take."""


def check_sizes(graph: Graph, sizes: Sizes, training: bool) -> None:
    """Raise SizeRuleError unless every node makes sense at these sizes.

    A slice must lie inside its operand, no axis may have a negative size, no loop a negative number
    of steps, and a step that trains may not divide by an empty batch; in the bodies of loops too.
    """
    values = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    for node in every_node(graph):
        place = f" ({node.origin.where})" if node.origin.where else ""
        for extent in node.shape:
            if not isinstance(extent, int) and evaluate(extent, sizes) < 0:
                raise SizeRuleError(f"size {extent} of {node.op}{place} is negative for {values}")
        if node.op == "loop" and evaluate(node.attrs["steps"], sizes) < 0:
            steps = node.attrs["steps"]
            raise SizeRuleError(f"loop{place} has {steps} steps, which is negative for {values}")
        if node.op == "slice":
            attrs = bind_attrs(node.attrs, sizes)
            extents = bind_type(node.inputs[0].type, sizes).extents
            bounds = zip(attrs["start"], attrs["stop"], extents, strict=True)
            for axis, (start, stop, extent) in enumerate(bounds):
                if not 0 <= start <= stop <= extent:
                    raise SizeRuleError(
                        f"slice{place} takes {start}:{stop} of axis {axis}, which has {extent} "
                        f"elements for {values}"
                    )
        if training and node.op == "size" and evaluate(node.attrs["size"], sizes) == 0:
            empty = f"{node.attrs['size']} = 0"
            raise SizeRuleError(
                f"the batch is empty: {empty}{'' if empty == values else f' for {values}'}, and a "
                f"mean{place} is taken over it; give at least one sample"
            )

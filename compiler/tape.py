"""The back end of the reference target: a graph as a tape of the primitives' NumPy rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.program import Step, Tape
from .binding import Sizes, bind_attrs, bind_type
from .graph import Graph, Node, topological
from .primitives.registry import lookup


def emit_tape(graph: Graph, sizes: Sizes) -> Tape:
    """The tape of a graph whose named sizes are `sizes`."""
    slots = {node: i for i, node in enumerate(topological((*graph.inputs, *graph.roots)))}
    inputs = [(node, slots[node]) for node in graph.inputs]
    return Tape(
        inputs=tuple((n.attrs["name"], i) for n, i in inputs if n.attrs["role"] == "observed"),
        states=tuple((n.attrs["name"], i) for n, i in inputs if n.attrs["role"] != "observed"),
        steps=tuple(
            Step(_function(node, sizes), tuple(slots[item] for item in node.inputs), slot)
            for node, slot in slots.items()
            if node.op != "input"
        ),
        outputs=tuple((name, slots[node]) for name, node in graph.outputs),
        updates=tuple((state.attrs["name"], slots[value]) for state, value in graph.updates),
        slots=len(slots),
        checks=tuple(slots[check.node] for check in graph.checks),
    )


def _function(node: Node, sizes: Sizes) -> Callable[..., np.ndarray[Any, Any]]:
    rule = lookup(node.op).reference
    assert rule is not None, f"{node.op} has no reference rule"
    result, attrs = bind_type(node.type, sizes), bind_attrs(node.attrs, sizes)

    def run(*arrays: Any) -> np.ndarray[Any, Any]:
        with np.errstate(all="ignore"):
            return np.asarray(rule(result, attrs, *arrays), dtype=result.dtype)

    return run

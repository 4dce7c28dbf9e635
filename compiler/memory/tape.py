"""The back end of the reference target: a graph as a tape of the primitives' NumPy rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...runtime.program import Recurrence, Step, Tape
from ..graph import Graph, Node
from ..graphs.binding import Sizes, bind_attrs, bind_type
from ..primitives.record import lookup
from ..primitives.recurrence import gate_of, loop_of, role_of
from ..sizes import evaluate

MOVING = ("observed", "sequence", "invariant")
"""Roles of inputs whose values come from outside at every run; the others are states."""


def emit_tape(graph: Graph, sizes: Sizes) -> Tape:
    """The tape of a graph whose named sizes are `sizes`."""
    order = graph.all_nodes()
    slots = {node: i for i, node in enumerate(order)}
    inputs = [(node, slots[node]) for node in graph.inputs]
    steps: list[Step | Recurrence] = []
    loops: dict[Any, Recurrence] = {}
    for node, slot in slots.items():
        operands = tuple(slots[item] for item in node.inputs)
        if node.op == "loop":
            key = loop_of(node)
            if key not in loops:
                loops[key] = _recurrence(node, operands, sizes)
                steps.append(loops[key])
            loops[key].results.append((node.attrs["result"], node.attrs["of"], slot))
        elif node.op != "input":
            steps.append(Step(_function(node, sizes), operands, slot))
    return Tape(
        inputs=tuple((n.attrs["name"], i) for n, i in inputs if n.attrs["role"] in MOVING),
        states=tuple((n.attrs["name"], i) for n, i in inputs if n.attrs["role"] not in MOVING),
        steps=tuple(steps),
        outputs=tuple((name, slots[node]) for name, node in graph.outputs),
        updates=tuple((state.attrs["name"], slots[value]) for state, value in graph.updates),
        slots=len(slots),
        checks=tuple(slots[check.node] for check in graph.checks),
    )


def _recurrence(node: Node, operands: tuple[int, ...], sizes: Sizes) -> Recurrence:
    body: Graph = node.attrs["body"]
    gate = gate_of(body)
    types = {name: bind_type(item.type, sizes) for name, item in body.outputs}
    return Recurrence(
        emit_tape(body, sizes),
        operands,
        tuple(role_of(entry) for entry in body.inputs),
        tuple(entry.attrs["name"] for entry in body.inputs),
        evaluate(node.attrs["steps"], sizes),
        node.attrs["reverse"],
        {name: (type.dtype, type.extents) for name, type in types.items()},
        [],
        None if gate is None else gate.attrs["name"],
    )


def _function(node: Node, sizes: Sizes) -> Callable[..., np.ndarray[Any, Any]]:
    rule = lookup(node.op).reference
    assert rule is not None, f"{node.op} has no reference rule"
    result, attrs = bind_type(node.type, sizes), bind_attrs(node.attrs, sizes)

    def run(*arrays: Any) -> np.ndarray[Any, Any]:
        with np.errstate(all="ignore"):
            return np.asarray(rule(result, attrs, *arrays), dtype=result.dtype)

    return run

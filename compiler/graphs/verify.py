"""Checks that a graph is what its types say; the pipeline runs it after every pass."""

from __future__ import annotations

from ..errors import InvalidGraphError, TypeRuleError
from ..graph import Graph, Node, line_text
from ..primitives.record import PRIMITIVES, lookup
from .loop_bodies import innermost_first


def verify(
    graph: Graph, banned: frozenset[str] = frozenset(), sound: set[Node] | None = None
) -> None:
    """Raise InvalidGraphError, with the lines around the offending one, unless all holds.

    Checked: every operation is a primitive that may stand at this stage, every type is what the
    primitive's rule gives, every input is among the graph's inputs, and updates fit their states;
    and so for the bodies of loops.

    `sound` are nodes whose types are known to be right, for a pass changes few of them; those that
    are found to be are added.
    """
    sound = set() if sound is None else sound
    for level in innermost_first(graph):
        _verify_level(level, banned, sound)


def _verify_level(graph: Graph, banned: frozenset[str], sound: set[Node]) -> None:
    order = graph.all_nodes()
    known = set(graph.inputs)
    for index, node in enumerate(order):
        fault = None
        if node.op not in PRIMITIVES:
            fault = f"unknown primitive {node.op}"
        elif node.op in banned:
            fault = f"{node.op} must be gone by now"
        elif node.op == "input" and node not in known:
            fault = "an input that the graph does not declare"
        elif node not in sound:
            fault = _type_fault(node)
            sound.add(node)
        if fault is not None:
            names = {item: f"%{i}" for i, item in enumerate(order)}
            around = order[max(0, index - 4) : index + 5]
            lines = [("> " if n is node else "  ") + line_text(n, names) for n in around]
            raise InvalidGraphError(f"graph {graph.name}: {fault}\n" + "\n".join(lines))
    for state, value in graph.updates:
        if state not in known or state.type != value.type:
            raise InvalidGraphError(
                f"graph {graph.name}: update of {state.attrs.get('name')} with {value.type}, "
                f"expected {state.type}"
            )


def _type_fault(node: Node) -> str | None:
    """What is wrong with the type of a node, or None."""
    try:
        expected = lookup(node.op).infer([item.type for item in node.inputs], node.attrs)
    except TypeRuleError as error:
        return str(error)
    return None if expected == node.type else f"expected type {expected}"

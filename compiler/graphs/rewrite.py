"""Rewriting: how a graph is made of another one.

    rewrite(graph, rule)          each node becomes what the rule makes of it, on its new inputs
    rewrite(graph, loops=rule)    all results of a loop become what the rule makes of the loop
    substitute(roots, known)      the same nodes on others in the place of some

Nodes are visited once, inputs first.  What changes in nothing stays the same node, and a graph in
which nothing changes stays the same graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..graph import Graph, Node, topological
from ..primitives.recurrence import loop_of, results_of

Rule = Callable[[Node, Node], Node]
"""What stands for a node: of the node on its new inputs, and of the node as it was."""

LoopRule = Callable[[list[Node], tuple[Node, ...]], Mapping[Node, Node]]
"""What stands for each result of a loop: of the results as they were, and of their new inputs."""


def unchanged(node: Node, old: Node) -> Node:
    """The rule that changes nothing."""
    return node


def rewrite(
    graph: Graph,
    rule: Rule = unchanged,
    loops: LoopRule | None = None,
    order: Sequence[Node] | None = None,
) -> Graph:
    """The graph of what a rule makes of each node; the bodies of loops are left to the rules.

    Args:
        graph: any graph.
        rule: of all nodes, inputs of the graph too, but those that `loops` is for.
        loops: where it is given, asked once for each loop.
        order: `graph.all_nodes()`, where a pass has asked for it already.
    """
    order = graph.all_nodes() if order is None else order
    if rule is unchanged and not any(node.op == "loop" for node in order):
        return graph
    return graph.rebuilt(replacements(order, rule, loops))


def replacements(
    order: Sequence[Node], rule: Rule = unchanged, loops: LoopRule | None = None
) -> dict[Node, Node]:
    """What `rewrite` puts in the place of each of a graph's nodes."""
    results = {} if loops is None else results_of(order)
    done: dict[Node, Node] = {}
    for node in order:
        inputs = tuple([done[item] for item in node.inputs])
        if loops is None or node.op != "loop":
            new = node if inputs == node.inputs else replace_inputs(node, inputs)
            done[node] = new if rule is unchanged else rule(new, node)
        elif node not in done:  # all results of a loop have the same inputs
            done.update(loops(results[loop_of(node)], inputs))
    return done


def substitute(roots: Iterable[Node], known: Mapping[Node, Node]) -> dict[Node, Node]:
    """For each of `roots` and all it depends on, the same on the nodes that `known` puts there."""
    done = dict(known)
    for node in topological(roots, known):
        done[node] = replace_inputs(node, tuple([done[item] for item in node.inputs]))
    return done


def replace_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node on other inputs; itself where they are the same."""
    if inputs == node.inputs:
        return node
    return Node(node.op, inputs, node.attrs, node.type, node.origin)


def replace_body(node: Node, body: Graph, inputs: tuple[Node, ...], **attrs: Any) -> Node:
    """A result of a loop on another body, other inputs and with other `attrs`; itself if alike."""
    if (
        body is node.attrs["body"]
        and inputs == node.inputs
        and all(node.attrs[name] == value for name, value in attrs.items())
    ):
        return node
    return replace(node, inputs=inputs, attrs={**node.attrs, "body": body, **attrs})


def attributes_key(attrs: Mapping[str, Any]) -> Any:
    """What is equal for equal attributes, arrays among them."""
    return tuple(
        (name, value.tobytes() + str(value.dtype).encode() + bytes(value.ndim))
        if isinstance(value, np.ndarray)
        else (name, value)
        for name, value in attrs.items()
    )

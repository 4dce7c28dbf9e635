"""guard: ranges that must hold become checks, made before anything else runs.

    %2 = in_range(%y, low=0, high=10)     ->     check first_outside(%y): y in [0, 10);  %2 = %y
    %3 = ge(%2, 0)                        ->     %3 = true

Only an observed variable can be checked before the step; for a computed one `in_range` goes
without a trace, and the primitives say themselves what an index outside means.
"""

from __future__ import annotations

from dataclasses import replace

from ..builder import Builder
from ..graph import Check, Graph, Node, topological
from .simplify import fill_value


def guard(graph: Graph) -> Graph:
    """The same graph with checks, without `in_range`: Graph -> Graph."""
    done: dict[Node, Node] = {}
    checks: dict[object, Check] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        if node.op != "in_range":
            node_now = node if inputs == node.inputs else replace(node, inputs=inputs)
            done[node] = Builder(node.origin).fill(True, node.type) if holds(node) else node_now
            continue
        done[node] = x = inputs[0]
        low, high = node.attrs["low"], node.attrs["high"]
        if is_checked(node) and x.type.count != 0:
            outside = Builder(node.origin).first_outside(x, low=low, high=high)
            checks.setdefault((x, low, high), Check(outside, x.attrs["name"], low, high))
    return replace(graph.rebuilt(done), checks=(*graph.checks, *checks.values()))


def is_checked(node: Node) -> bool:
    """Whether a node is the range of an observed variable."""
    return (
        node.op == "in_range"
        and node.inputs[0].op == "input"
        and node.inputs[0].attrs["role"] == "observed"
    )


def holds(node: Node) -> bool:
    """Whether a comparison asks again for a bound that a check has made sure of."""
    bound = {"ge": "low", "lt": "high"}.get(node.op)
    if bound is None or not is_checked(node.inputs[0]):
        return False
    return bool(fill_value(node.inputs[1]) == node.inputs[0].attrs[bound])

"""guard: ranges that must hold become checks, made before anything else runs.

    %2 = in_range(%y, low=0, high=10)     ->     check first_outside(%y): y in [0, 10);  %2 = %y
    %3 = ge(%2, 0)                        ->     %3 = true

Only an observed variable can be checked before the step, also where its elements enter a loop one
after another; for a computed one `in_range` goes without a trace, and the primitives say
themselves what an index outside means.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any

from ..builder import Builder
from ..graph import Check, Graph, Node, topological
from ..loops import replace_inputs
from ..primitives.recurrence import loop_of, role_of
from .simplify import fill_value

Ranges = dict[tuple[Node, Any, Any], Node]
"""For a node and the range in which it must lie, the `in_range` that says so."""


def guard(graph: Graph) -> Graph:
    """The same graph with checks, without `in_range`: Graph -> Graph."""
    graph, ranges = _guarded(graph, {n for n in graph.inputs if n.attrs["role"] == "observed"})
    checks = []
    for (x, low, high), said in ranges.items():
        outside = Builder(said.origin).first_outside(x, low=low, high=high)
        checks.append(Check(outside, x.attrs["name"], low, high))
    return replace(graph, checks=(*graph.checks, *checks))


def _guarded(graph: Graph, observed: Set[Node]) -> tuple[Graph, Ranges]:
    """The graph without `in_range`, and the ranges said in it of `observed` inputs."""
    done: dict[Node, Node] = {}
    ranges: Ranges = {}
    bodies: dict[Any, Graph] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        if node.op == "in_range":
            done[node] = x = inputs[0]
            if x in observed and x.type.count != 0:
                ranges.setdefault((x, node.attrs["low"], node.attrs["high"]), node)
        elif _holds(node, observed):
            done[node] = Builder(node.origin).fill(True, node.type)
        elif node.op == "loop":
            key = loop_of(node)
            if key not in bodies:
                bodies[key] = _body(node, inputs, observed, ranges)
            attrs = {**node.attrs, "body": bodies[key]}
            done[node] = replace(node, inputs=inputs, attrs=attrs)
        else:
            done[node] = replace_inputs(node, inputs)
    return graph.rebuilt(done), ranges


def _body(loop: Node, inputs: tuple[Node, ...], observed: Set[Node], ranges: Ranges) -> Graph:
    """The body of a loop without `in_range`; what it says of observed inputs is said outside."""
    body: Graph = loop.attrs["body"]
    outer = dict(zip(body.inputs, inputs, strict=True))
    entering = {e for e, x in outer.items() if x in observed and role_of(e) != "carry"}
    guarded, inner = _guarded(body, entering)
    for (entry, low, high), said in inner.items():
        ranges.setdefault((outer[entry], low, high), said)
    return guarded


def _holds(node: Node, observed: Set[Node]) -> bool:
    """Whether a comparison asks again for a bound that a check has made sure of."""
    bound = {"ge": "low", "lt": "high"}.get(node.op)
    if bound is None or node.inputs[0].op != "in_range":
        return False
    said = node.inputs[0]
    return said.inputs[0] in observed and bool(fill_value(node.inputs[1]) == said.attrs[bound])

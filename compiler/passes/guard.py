"""guard: ranges that must hold become checks, made before anything else runs.

    %2 = in_range(%y, low=0, high=10)     ->     check first_outside(%y): y in [0, 10);  %2 = %y
    %3 = ge(%2, 0)                        ->     %3 = true

Only an observed variable can be checked before the step, also where its elements enter a loop one
after another, or where a mask selects from it: then only what is selected counts.  For a computed
one `in_range` goes without a trace, and the primitives say themselves what an index outside means.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any

from ..graph import Check, Graph, Node
from ..graphs.rewrite import replace_body, rewrite
from ..primitives.known import fill_value
from ..primitives.record import Builder
from ..primitives.recurrence import role_of

Ranges = dict[tuple[Node, Any, Any], Node]
"""For a node and the range in which it must lie, the `in_range` that says so."""


def guard(graph: Graph) -> Graph:
    """The same graph with checks, without `in_range`: Graph -> Graph."""
    observed = {n for n in graph.inputs if n.attrs["role"] == "observed"}
    graph, ranges = _guarded(graph, observed, observed)
    checks = []
    for (x, low, high), said in ranges.items():
        b, selected = Builder(said.origin), x
        if x.op == "select":
            mask, x, _ = x.inputs
            fine = b.spread(b.apply("size", size=low, dtype=x.dtype), x.shape)
            selected = b.select(mask, x, fine)
        outside = b.first_outside(selected, low=low, high=high)
        checks.append(Check(outside, x.attrs["name"], low, high))
    return replace(graph, checks=(*graph.checks, *checks)) if checks else graph


def _guarded(graph: Graph, observed: Set[Node], whole: Set[Node]) -> tuple[Graph, Ranges]:
    """The graph without `in_range`, and the ranges said in it of `observed` inputs.

    Of those that are `whole`, all elements are checked, and not only those that a mask selects.
    """
    ranges: Ranges = {}

    def without_range(node: Node, old: Node) -> Node:
        if node.op == "in_range":
            x = node.inputs[0]
            if _source(x) in observed and x.type.count != 0:
                ranges.setdefault((x, node.attrs["low"], node.attrs["high"]), node)
            return x
        return Builder(node.origin).fill(True, node.type) if _holds(old, whole) else node

    def inside(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        body = _body(results[0], inputs, observed, whole, ranges)
        return {node: replace_body(node, body, inputs) for node in results}

    return rewrite(graph, without_range, inside), ranges


def _body(
    loop: Node,
    inputs: tuple[Node, ...],
    observed: Set[Node],
    whole: Set[Node],
    ranges: Ranges,
) -> Graph:
    """The body of a loop without `in_range`; what it says of observed inputs is said outside."""
    body: Graph = loop.attrs["body"]
    outer = dict(zip(body.inputs, inputs, strict=True))
    entering = {e for e, x in outer.items() if _source(x) in observed and role_of(e) != "carry"}
    guarded, inner = _guarded(body, entering, {e for e in entering if outer[e] in whole})
    for (entry, low, high), said in inner.items():
        # What a mask selects inside of a loop is not known before it: all of it is checked.
        ranges.setdefault((outer[_source(entry)], low, high), said)
    return guarded


def _source(x: Node) -> Node:
    """What a mask selects from, where a node is such a selection."""
    return x.inputs[1] if x.op == "select" else x


def _holds(node: Node, whole: Set[Node]) -> bool:
    """Whether a comparison asks again for a bound that a check has made sure of."""
    bound = {"ge": "low", "lt": "high"}.get(node.op)
    if bound is None or node.inputs[0].op != "in_range":
        return False
    said = node.inputs[0]
    return said.inputs[0] in whole and bool(fill_value(node.inputs[1]) == said.attrs[bound])

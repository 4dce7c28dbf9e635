"""What passes do with loops: go into bodies, and make results of one loop share a body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from ..graph import Graph, Node
from ..primitives.recurrence import loop_of, results_of
from .rewrite import replace_body, rewrite


def every_node(graph: Graph) -> Iterator[Node]:
    """The inputs and nodes of a graph and of the bodies of its loops, each body once."""
    bodies: dict[int, Graph] = {id(graph): graph}
    waiting = [graph]
    while waiting:
        level = waiting.pop()
        for node in level.all_nodes():
            yield node
            body = node.attrs["body"] if node.op == "loop" else None
            if body is not None and id(body) not in bodies:
                bodies[id(body)] = body
                waiting.append(body)


def inner_graphs(graph: Graph, calls: bool) -> list[Graph]:
    """The bodies of loops, and of `calls`, among a graph's nodes, each once."""
    ops = ("loop", "call") if calls else ("loop",)
    bodies = [node.attrs["body"] for node in graph.nodes() if node.op in ops]
    return list({id(body): body for body in bodies}.values())


def innermost_first(graph: Graph, calls: bool = False) -> list[Graph]:
    """The bodies of loops in a graph, those in them before them, and the graph itself.

    With `calls`, those of calls too.
    """
    found: dict[int, Graph] = {}
    stack = [(graph, False)]
    while stack:
        level, ready = stack.pop()
        if id(level) in found:
            continue
        if ready:
            found[id(level)] = level
            continue
        stack.append((level, True))
        stack += [(body, False) for body in reversed(inner_graphs(level, calls))]
    return list(found.values())


def map_bodies(graph: Graph, function: Callable[[Graph], Graph]) -> Graph:
    """The graph with `function` of the body of each loop in it, and in those, innermost first."""
    levels = innermost_first(graph)
    bodies: dict[int, Graph] = {}
    for level in levels[:-1]:
        bodies[id(level)] = function(_with_bodies(level, bodies))
    return _with_bodies(graph, bodies)


def each_level(function: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """A pass that does to the bodies of loops, innermost first, what `function` does to a graph."""

    @wraps(function)
    def whole(graph: Graph) -> Graph:
        return function(map_bodies(graph, function))

    return whole


def _with_bodies(graph: Graph, bodies: Mapping[int, Graph]) -> Graph:
    """The graph with other bodies of its loops, by the id of the first ones; itself with those."""
    if all(bodies[id(body)] is body for body in inner_graphs(graph, calls=False)):
        return graph
    return rewrite(graph, lambda node, _: with_body(node, bodies))


def extend_loops(
    graph: Graph, extend: Callable[[Node, tuple[Node, ...]], tuple[Graph, Sequence[Node]]]
) -> Graph:
    """The graph with each loop on a new body and further inputs.

    `extend` gives both for a result of the loop and its inputs; it is asked once for each loop.
    """

    def extended(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        body, more = extend(results[0], inputs)
        return {node: replace_body(node, body, (*inputs, *more)) for node in results}

    return rewrite(graph, loops=extended)


def with_body(node: Node, bodies: Mapping[int, Graph]) -> Node:
    """A node, its body replaced if it is a loop, by the id of the first one."""
    if node.op != "loop":
        return node
    return replace_body(node, bodies[id(node.attrs["body"])], node.inputs)


def fresh_name(name: str, taken: set[str]) -> str:
    """A name that is not taken yet, and now is: the one wished for, or that with `_` behind it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def merge_loops(graph: Graph) -> Graph:
    """The graph with one body where several loops carry the same values by the same nodes.

    A derivative asks a loop for more results than it was drawn with; this makes both one again.
    """
    order = graph.all_nodes()
    loops = results_of(order)
    if not loops:
        return graph
    alike: dict[Any, list[Any]] = {}
    for key, results in loops.items():
        body: Graph = results[0].attrs["body"]
        alike.setdefault((key[1:], body.inputs, body.updates), []).append(key)
    merged: dict[Any, tuple[Graph, dict[str, str]]] = {}
    inner: dict[int, tuple[Graph, Graph]] = {}  # by the id of the first, which lives as long
    for keys in alike.values():
        bodies = [loops[key][0].attrs["body"] for key in keys]
        union, names = _union(bodies)
        if id(union) not in inner:
            inner[id(union)] = union, merge_loops(union)
        for key, renamed in zip(keys, names, strict=True):
            merged[key] = inner[id(union)][1], renamed

    def on_union(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        body, renamed = merged[loop_of(results[0])]
        found = {}
        for node in results:
            of = node.attrs["of"]
            of = of if node.attrs["result"] == "last" else renamed[of]
            found[node] = replace_body(node, body, inputs, of=of)
        return found

    return rewrite(graph, loops=on_union, order=order)


def _union(bodies: list[Graph]) -> tuple[Graph, list[dict[str, str]]]:
    """One body with the outputs of several, and for each of them the new names of its own."""
    first = bodies[0]
    outputs = {node: name for name, node in reversed(first.outputs)}
    taken = {name for name, _ in first.outputs}
    renamed = []
    for body in bodies:
        names = {}
        for name, node in body.outputs:
            if node not in outputs:
                fresh, number = name, 1
                while fresh in taken:
                    fresh, number = f"{name}_{number}", number + 1
                outputs[node] = fresh
                taken.add(fresh)
            names[name] = outputs[node]
        renamed.append(names)
    if len(bodies) == 1 and len(outputs) == len(first.outputs):
        return first, renamed
    pairs = tuple((name, node) for node, name in outputs.items())
    return replace(first, outputs=pairs), renamed

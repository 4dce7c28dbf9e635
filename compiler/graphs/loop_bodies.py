"""What passes do with loops: go into bodies, and make results of one loop share a body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from ..graph import Graph, Node, topological
from ..primitives.recurrence import loop_of, results_of


def every_node(graph: Graph) -> Iterator[Node]:
    """The inputs and nodes of a graph and of the bodies of its loops, each body once."""
    bodies: dict[int, Graph] = {id(graph): graph}
    waiting = [graph]
    while waiting:
        level = waiting.pop()
        for node in topological((*level.inputs, *level.roots)):
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
    done: dict[Node, Node] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        done[node] = with_body(replace_inputs(node, inputs), bodies)
    return graph.rebuilt(done)


def extend_loops(
    graph: Graph, extend: Callable[[Node, tuple[Node, ...]], tuple[Graph, Sequence[Node]]]
) -> Graph:
    """The graph with each loop on a new body and further inputs.

    `extend` gives both for a result of the loop and its inputs; it is asked once for each loop.
    """
    done: dict[Node, Node] = {}
    found: dict[Any, tuple[Graph, Sequence[Node]]] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        if node.op != "loop":
            done[node] = replace_inputs(node, inputs)
            continue
        key = loop_of(node)
        if key not in found:
            found[key] = extend(node, inputs)
        body, more = found[key]
        attrs = {**node.attrs, "body": body}
        done[node] = replace(node, inputs=(*inputs, *more), attrs=attrs)
    return graph.rebuilt(done)


def with_body(node: Node, bodies: Mapping[int, Graph]) -> Node:
    """A node, its body replaced if it is a loop, by the id of the first one."""
    if node.op != "loop":
        return node
    body: Graph = node.attrs["body"]
    new = bodies[id(body)]
    return node if new is body else replace(node, attrs={**node.attrs, "body": new})


def replace_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node on other inputs; itself where they are the same."""
    if inputs == node.inputs:
        return node
    return Node(node.op, inputs, node.attrs, node.type, node.origin)


def substitute(roots: Iterable[Node], known: Mapping[Node, Node]) -> dict[Node, Node]:
    """For each of `roots` and all it depends on, the same on the nodes that `known` puts there."""
    done = dict(known)
    stack = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done[node] = replace_inputs(node, tuple(done[item] for item in node.inputs))
            continue
        stack.append((node, True))
        stack.extend((item, False) for item in node.inputs if item not in done)
    return done


def merge_loops(graph: Graph) -> Graph:
    """The graph with one body where several loops carry the same values by the same nodes.

    A derivative asks a loop for more results than it was drawn with; this makes both one again.
    """
    order = list(topological((*graph.inputs, *graph.roots)))
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
    done: dict[Node, Node] = {}
    for node in order:
        inputs = tuple(done[item] for item in node.inputs)
        if node.op != "loop":
            done[node] = replace_inputs(node, inputs)
            continue
        body, renamed = merged[loop_of(node)]
        of = node.attrs["of"]
        if node.attrs["result"] != "last":
            of = renamed[of]
        done[node] = replace(node, inputs=inputs, attrs={**node.attrs, "body": body, "of": of})
    return graph.rebuilt(done)


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

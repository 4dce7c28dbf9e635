"""A loop as a loop of loops: segments of a fixed number of steps, and one of what is left over.

    loop(x, z0; steps=T)     ->     loop(x[:n*K] as (n, K), z0; steps=n)
                                        body: loop(...; steps=K)
                                    loop(x[n*K:], ...; steps=T-n*K)

n = floor(T / K), so T keeps its name.  The results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Origin, topological
from ..primitives.record import Builder
from ..primitives.recurrence import loop_of, results_of, role_of
from ..sizes import Dim, floor_divide
from .loop_bodies import each_level
from .rewrite import replace_inputs

Wanted = tuple[str, str]
"""A result of a loop: its kind, and the output or carry that it is of."""


def in_segments(
    graph: Graph, length_of: Callable[[Node], int | None], keep: Callable[[Node], str]
) -> Graph:
    """An equal graph with loops in segments: Graph -> Graph.

    Args:
        graph: any graph.
        length_of: for a result of a loop, the steps of a segment, or None to leave the loop.
        keep: what the loop of segments keeps for its derivative.
    """
    return each_level(lambda level: _split_loops(level, length_of, keep))(graph)


def _split_loops(
    graph: Graph, length_of: Callable[[Node], int | None], keep: Callable[[Node], str]
) -> Graph:
    order = list(topological((*graph.inputs, *graph.roots)))
    loops = results_of(order)
    if not any(length_of(results[0]) for results in loops.values()):
        return graph
    done: dict[Node, Node] = {}
    split: dict[Any, Mapping[Wanted, Node]] = {}
    for node in order:
        inputs = tuple(done[item] for item in node.inputs)
        length = length_of(node) if node.op == "loop" else None
        if length is None:
            done[node] = replace_inputs(node, inputs)
            continue
        key = loop_of(node)
        if key not in split:
            wanted = [_wanted(item) for item in loops[key]]
            split[key] = _split(node, inputs, wanted, length, keep(node))
        done[node] = split[key][_wanted(node)]
    return graph.rebuilt(done)


def _wanted(node: Node) -> Wanted:
    return node.attrs["result"], node.attrs["of"]


def _split(
    loop: Node, inputs: tuple[Node, ...], wanted: list[Wanted], length: int, keep: str
) -> Mapping[Wanted, Node]:
    """The results of a loop, from one of segments and one of what is left over."""
    b = Builder(Origin(loop.origin.path, loop.origin.where, loop.origin.direction))
    steps: Dim = loop.attrs["steps"]
    plain = {**loop.attrs, "keep": "all"}
    segments = floor_divide(steps, length)
    body: Graph = loop.attrs["body"]
    if segments == 0:
        return {item: _result(b, inputs, plain, item) for item in wanted}
    covered = segments * length
    rest = steps - covered
    main_from, rest_from = (rest, 0) if loop.attrs["reverse"] else (0, covered)
    main_inputs = [
        _segments(b, _part(b, value, main_from, covered), segments, length)
        if role_of(entry) == "sequence"
        else value
        for entry, value in zip(body.inputs, inputs, strict=True)
    ]
    outer = _outer_body(b, {**plain, "steps": length}, wanted)
    attrs = {**plain, "body": outer, "steps": segments, "keep": keep}
    main = {item: _main_result(b, main_inputs, attrs, item, covered) for item in wanted}
    if rest == 0:
        return main
    carried = {
        carry: _result(b, main_inputs, attrs, ("last", carry.attrs["name"]))
        for carry, _ in body.updates
    }
    rest_inputs = [
        _part(b, value, rest_from, rest)
        if role_of(entry) == "sequence"
        else carried.get(entry, value)
        for entry, value in zip(body.inputs, inputs, strict=True)
    ]
    found = {}
    for item in wanted:
        end = _result(b, rest_inputs, {**plain, "steps": rest}, item)
        if item[0] == "stack":
            parts = (end, main[item]) if loop.attrs["reverse"] else (main[item], end)
            end = b.concatenate(*parts, axis=0)
        elif item[0] == "sum":
            end = b.add(main[item], end)
        found[item] = end
    return found


def _result(b: Builder, inputs: Any, attrs: Mapping[str, Any], wanted: Wanted) -> Node:
    node: Node = b.loop(*inputs, **{**attrs, "result": wanted[0], "of": wanted[1]})
    return node


def _main_result(
    b: Builder, inputs: Any, attrs: Mapping[str, Any], wanted: Wanted, covered: Dim
) -> Node:
    """A result of the outer loop; stacks of stacks become stacks."""
    kind, of = wanted
    if kind == "last":
        return _result(b, inputs, attrs, wanted)
    found = _result(b, inputs, attrs, (kind, f"{kind} {of}"))
    if kind == "stack":
        found = b.reshape(found, shape=(covered, *found.shape[2:]))
    return found


def _outer_body(b: Builder, attrs: Mapping[str, Any], wanted: list[Wanted]) -> Graph:
    """A segment: the loop of `attrs` over its own elements, from the carries it is given."""
    body: Graph = attrs["body"]
    entries = []
    for entry in body.inputs:
        type = entry.type
        if role_of(entry) == "sequence":
            type = type.with_shape((attrs["steps"], *type.shape))
        entries.append(replace(entry, attrs={**entry.attrs, "type": type}, type=type))
    known = dict(zip(body.inputs, entries, strict=True))
    outputs = {
        f"{kind} {of}": _result(b, entries, attrs, (kind, of))
        for kind, of in wanted
        if kind != "last"
    }
    updates = tuple(
        (known[carry], _result(b, entries, attrs, ("last", carry.attrs["name"])))
        for carry, _ in body.updates
    )
    return Graph(body.name, tuple(entries), tuple(outputs.items()), updates)


def _part(b: Builder, sequence: Node, start: Dim, count: Dim) -> Node:
    """So many elements of a sequence."""
    rest = sequence.shape[1:]
    found: Node = b.slice(
        sequence,
        start=(start, *(0 for _ in rest)),
        stop=(start + count, *rest),
        step=(1,) * sequence.type.rank,
    )
    return found


def _segments(b: Builder, sequence: Node, segments: Dim, length: int) -> Node:
    found: Node = b.reshape(sequence, shape=(segments, length, *sequence.shape[1:]))
    return found

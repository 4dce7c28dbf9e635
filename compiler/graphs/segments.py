"""A loop as a loop of loops: segments of a fixed number of steps, and one of what is left over.

    loop(x, z0; steps=T)     ->     loop(x[:n*K] as (n, K), z0; steps=n)
                                        body: loop(...; steps=K)
                                    loop(x[n*K:], ...; steps=T-n*K)

n = floor(T / K), so T keeps its name.  A reversed loop does what is left over first: the segments
begin at the first element, whichever way a loop goes, so that a loop and its derivative have the
same ones.  A loop of at most K steps is one segment.  The results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Origin
from ..primitives.record import Builder
from ..primitives.recurrence import role_of
from ..sizes import Dim, floor_divide
from .loop_bodies import each_level
from .rewrite import replace_inputs, rewrite

Wanted = tuple[str, str]
"""A result of a loop: its kind, and the output or carry that it is of."""

Results = Callable[
    [Builder, Sequence[Node], Mapping[str, Any], Sequence[Wanted]], dict[Wanted, Node]
]
"""Makes results of a loop that has these inputs and attributes."""


def results_of_loop(
    b: Builder, inputs: Sequence[Node], attrs: Mapping[str, Any], wanted: Sequence[Wanted]
) -> dict[Wanted, Node]:
    """Results of a loop, as nodes of the primitive."""
    return {
        (kind, of): b.loop(*inputs, **{**attrs, "result": kind, "of": of}) for kind, of in wanted
    }


def in_segments(
    graph: Graph,
    length_of: Callable[[Node], int | None],
    keep: Callable[[Node], str],
    segment: Results = results_of_loop,
) -> Graph:
    """An equal graph with loops in segments: Graph -> Graph.

    Args:
        graph: any graph.
        length_of: for a result of a loop, the steps of a segment, or None to leave the loop.
        keep: what the loop of segments keeps for its derivative.
        segment: makes a segment, and what is left over.
    """
    return each_level(lambda level: _split_loops(level, length_of, keep, segment))(graph)


def _split_loops(
    graph: Graph,
    length_of: Callable[[Node], int | None],
    keep: Callable[[Node], str],
    segment: Results,
) -> Graph:
    def split(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        loop = results[0]
        length = length_of(loop)
        if length is None:
            return {node: replace_inputs(node, inputs) for node in results}
        wanted = list(dict.fromkeys(_wanted(node) for node in results))
        b = Builder(Origin(loop.origin.path, loop.origin.where, loop.origin.direction))
        found = _split(b, loop, inputs, wanted, length, keep(loop), segment)
        return {node: found[_wanted(node)] for node in results}

    return rewrite(graph, loops=split)


def _wanted(node: Node) -> Wanted:
    return node.attrs["result"], node.attrs["of"]


def _split(
    b: Builder,
    loop: Node,
    inputs: tuple[Node, ...],
    wanted: list[Wanted],
    length: int,
    keep: str,
    segment: Results,
) -> dict[Wanted, Node]:
    """The results of a loop, from one of segments and one of what is left over."""
    steps: Dim = loop.attrs["steps"]
    attrs = {**loop.attrs, "keep": "all"}
    if isinstance(steps, int) and steps <= length:
        return segment(b, inputs, attrs, wanted)
    body: Graph = loop.attrs["body"]
    covered = floor_divide(steps, length) * length
    rest = steps - covered
    final = [("last", carry.attrs["name"]) for carry, _ in body.updates]

    def part(
        first: int | Dim, count: Dim, carries: Mapping[str, Node], made: Sequence[Wanted]
    ) -> dict[Wanted, Node]:
        given = [
            b.slice_axis(value, 0, first, first + count)
            if role_of(entry) == "sequence"
            else carries.get(entry.attrs["name"], value)
            for entry, value in zip(body.inputs, inputs, strict=True)
        ]
        if first == 0:
            return _segments(b, given, {**attrs, "steps": covered}, made, length, keep, segment)
        return segment(b, given, {**attrs, "steps": rest}, made)

    if rest == 0:
        return part(0, covered, {}, wanted)
    parts = [(0, covered), (covered, rest)]
    parts = parts[::-1] if loop.attrs["reverse"] else parts
    begin = part(*parts[0], {}, list(dict.fromkeys([*wanted, *final])))
    end = part(*parts[1], {of: begin["last", of] for _, of in final}, wanted)
    found = dict(end)
    for item in wanted:
        if item[0] == "stack":
            rows = (end[item], begin[item]) if loop.attrs["reverse"] else (begin[item], end[item])
            found[item] = b.concatenate(*rows, axis=0)
        elif item[0] == "sum":
            found[item] = b.add(begin[item], end[item])
    return found


def _segments(
    b: Builder,
    inputs: Sequence[Node],
    attrs: Mapping[str, Any],
    wanted: Sequence[Wanted],
    length: int,
    keep: str,
    segment: Results,
) -> dict[Wanted, Node]:
    """The results of a loop whose steps are segments of one of `attrs`; stacks of stacks flat."""
    body: Graph = attrs["body"]
    covered: Dim = attrs["steps"]
    segments = floor_divide(covered, length)
    rows = [
        b.reshape(value, shape=(segments, length, *value.shape[1:]))
        if role_of(entry) == "sequence"
        else value
        for entry, value in zip(body.inputs, inputs, strict=True)
    ]
    outer = _outer_body(b, {**attrs, "steps": length}, wanted, segment)
    attrs = {**attrs, "body": outer, "steps": segments, "keep": keep}
    names = {(kind, of): (kind, of if kind == "last" else f"{kind} {of}") for kind, of in wanted}
    made = results_of_loop(b, rows, attrs, list(names.values()))
    found = {item: made[name] for item, name in names.items()}
    for (kind, of), node in found.items():
        if kind == "stack":
            found[kind, of] = b.reshape(node, shape=(covered, *node.shape[2:]))
    return found


def _outer_body(
    b: Builder, attrs: Mapping[str, Any], wanted: Sequence[Wanted], segment: Results
) -> Graph:
    """A segment: the loop of `attrs` over its own elements, from the carries it is given."""
    body: Graph = attrs["body"]
    entries = []
    for entry in body.inputs:
        type, kept = entry.type, dict(entry.attrs)
        if role_of(entry) == "sequence":
            type = type.with_shape((attrs["steps"], *type.shape))
            kept.pop("gate", None)  # a segment has elements with and without a step
        entries.append(replace(entry, attrs={**kept, "type": type}, type=type))
    known = dict(zip(body.inputs, entries, strict=True))
    given = [item for item in wanted if item[0] != "last"]
    finals = {carry: ("last", carry.attrs["name"]) for carry, _ in body.updates}
    made = segment(b, entries, attrs, [*given, *finals.values()])
    outputs = tuple((f"{kind} {of}", made[kind, of]) for kind, of in given)
    updates = tuple((known[carry], made[name]) for carry, name in finals.items())
    return Graph(body.name, tuple(entries), outputs, updates)

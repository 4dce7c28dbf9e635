"""unroll: every loop is replaced by as many copies of its body as it has steps.

    %5 = loop(%x, %h0, %w; steps=2, result=last, of=h)      ->      %6 = <body>(x[0], %h0, %w)
                                                                   %7 = <body>(x[1], %6, %w)

What the lecture draws, and what the rolled loop is tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..graph import Graph, Node, Origin, topological
from ..graphs.binding import Sizes, assign_sizes
from ..graphs.loop_bodies import each_level, map_bodies
from ..graphs.rewrite import replace_inputs, substitute
from ..graphs.segments import in_segments
from ..primitives.record import Builder
from ..primitives.recurrence import loop_of, result_source, role_of
from ..sizes import evaluate


def unroll(graph: Graph, sizes: Sizes) -> Graph:
    """The graph without `loop`, for these values of the sizes that say the steps: Graph -> Graph.

    Raises:
        KeyError: the number of steps depends on a name that `sizes` does not have.
    """
    return each_level(_unroll_level)(assign_sizes(graph, sizes))


def unroll_by(graph: Graph, copies: int) -> Graph:
    """An equal graph whose loops do so many steps in a turn: Graph -> Graph.

    A loop of T steps becomes one of floor(T / copies) turns, whose body is that many copies of the
    old one, and a loop of the steps that are left over.

    Raises:
        ValueError: fewer than one copy.
    """
    if copies < 1:
        raise ValueError(f"unroll_by expects copies from 1 on, got {copies}")
    if copies == 1:
        return graph
    whole = in_segments(graph, lambda loop: copies, lambda loop: str(loop.attrs["keep"]))
    return map_bodies(
        whole, lambda body: _unroll_level(body, lambda loop: bool(loop.attrs["steps"] == copies))
    )


def _every(loop: Node) -> bool:
    return True


def _unroll_level(graph: Graph, chosen: Callable[[Node], bool] = _every) -> Graph:
    done: dict[Node, Node] = {}
    runs: dict[Any, list[dict[Node, Node]]] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        if node.op != "loop" or not chosen(node):
            done[node] = replace_inputs(node, inputs)
            continue
        key = loop_of(node)
        if key not in runs:
            runs[key] = _run(node, inputs, evaluate(node.attrs["steps"], {}))
        done[node] = _result(node, inputs, runs[key])
    return graph.rebuilt(done)


def _run(node: Node, inputs: tuple[Node, ...], steps: int) -> list[dict[Node, Node]]:
    """For every step, by its place in the sequences: the nodes of the body as they are there."""
    body: Graph = node.attrs["body"]
    values = dict(zip(body.inputs, inputs, strict=True))
    copies: dict[int, dict[Node, Node]] = {}
    order = range(steps)
    for t in reversed(order) if node.attrs["reverse"] else order:
        known = {
            entry: _element(value, t) if role_of(entry) == "sequence" else value
            for entry, value in values.items()
        }
        copies[t] = substitute(body.roots, known)
        values |= {carry: copies[t][value] for carry, value in body.updates}
    return [copies[t] for t in order]


def _element(sequence: Node, t: int) -> Node:
    b = Builder(sequence.origin)
    rest = sequence.shape[1:]
    one: Node = b.slice(
        sequence,
        start=(t, *(0 for _ in rest)),
        stop=(t + 1, *rest),
        step=(1,) * sequence.type.rank,
    )
    found: Node = b.reshape(one, shape=rest)
    return found


def _result(node: Node, inputs: tuple[Node, ...], copies: Sequence[Mapping[Node, Node]]) -> Node:
    b = Builder(Origin(node.origin.path, node.origin.where, node.origin.direction))
    result = node.attrs["result"]
    body: Graph = node.attrs["body"]
    value = result_source(body, node)
    if result == "last":
        if not copies:
            carry = next(e for e in body.inputs if e.attrs["name"] == node.attrs["of"])
            return inputs[body.inputs.index(carry)]
        return copies[0 if node.attrs["reverse"] else -1][value]
    parts = [copy[value] for copy in copies]
    if not parts:
        empty: Node = b.fill(0, node.type)
        return empty
    if result == "stack":
        rows = [b.reshape(part, shape=(1, *value.shape)) for part in parts]
        whole: Node = b.concatenate(*rows, axis=0)
        return whole
    total: Node = parts[-1] if node.attrs["reverse"] else parts[0]
    for part in parts[-2::-1] if node.attrs["reverse"] else parts[1:]:
        total = b.add(total, part)
    return total

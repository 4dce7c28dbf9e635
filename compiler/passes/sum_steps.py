"""sum_steps: the sum of a step's output over all steps becomes a carry of its own.

    %5 = loop(...; result=sum, of=g)     ->     %5 = loop(..., zeros; result=last, of=sum_g)
                                                body: update sum_g <- add(sum_g, %g)

The kernel that makes the output then adds it where the sum lies.  Afterwards a body's outputs are
those that are stacked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..builder import Builder
from ..graph import Graph, Node, topological
from ..loops import map_bodies, replace_inputs
from ..primitives.recurrence import loop_of, results_of


def sum_steps(graph: Graph) -> Graph:
    """An equal graph whose loops have no result "sum": Graph -> Graph."""
    graph = map_bodies(graph, sum_steps)
    order = list(topological((*graph.inputs, *graph.roots)))
    bodies: dict[Any, Graph] = {}
    starts: dict[Any, tuple[Node, ...]] = {}
    for key, results in results_of(order).items():
        sums = {n.attrs["of"]: n for n in results if n.attrs["result"] == "sum"}
        stacks = {n.attrs["of"] for n in results if n.attrs["result"] == "stack"}
        bodies[key] = _with_sums(results[0].attrs["body"], sums, stacks)
        starts[key] = tuple(Builder(n.origin).fill(0, n.type) for n in sums.values())
    done: dict[Node, Node] = {}
    for node in order:
        inputs = tuple(done[item] for item in node.inputs)
        if node.op != "loop":
            done[node] = replace_inputs(node, inputs)
            continue
        key, attrs = loop_of(node), dict(node.attrs)
        attrs["body"] = bodies[key]
        if attrs["result"] == "sum":
            attrs |= {"result": "last", "of": f"sum_{attrs['of']}"}
        done[node] = replace(node, inputs=(*inputs, *starts[key]), attrs=attrs)
    return graph.rebuilt(done) if bodies else graph


def _with_sums(body: Graph, sums: dict[str, Node], stacks: set[str]) -> Graph:
    """The body with a carry for each sum, to which the output is added."""
    outputs = dict(body.outputs)
    carries = []
    for of in sums:
        b = Builder(outputs[of].origin)
        carry = b.input(name=f"sum_{of}", type=outputs[of].type, role="carry")
        carries.append((carry, b.add(carry, outputs[of])))
    return replace(
        body,
        inputs=(*body.inputs, *(carry for carry, _ in carries)),
        outputs=tuple(pair for pair in body.outputs if pair[0] in stacks),
        updates=(*body.updates, *carries),
    )

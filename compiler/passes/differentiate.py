"""differentiate: every `gradient` is replaced by the graph that computes it.

    %2: float32[] = mul(%0, %1)                     %2: float32[] = mul(%0, %1)
    %3: float32[] = gradient(%2, %0)          ->    %3: float32[] = mul(1, %1)     # backward

Reverse accumulation (Griewank and Walther, Evaluating Derivatives, 2008, chapter 3): from the
cost back to the variables, each node's cotangent goes to its inputs by the primitive's rule.
The result has only ordinary primitives, so a gradient of it is a gradient again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..builder import Builder
from ..errors import InvalidGraphError
from ..graph import Graph, Node, Origin, topological
from ..primitives.registry import lookup


def differentiate(graph: Graph) -> Graph:
    """The same graph without `gradient`: Graph -> Graph."""
    wanted: dict[Node, list[Node]] = {}
    order = list(topological((*graph.inputs, *graph.roots)))
    for node in order:
        if node.op == "gradient":
            wanted.setdefault(node.inputs[0], []).append(node)
    if not wanted:
        return graph
    done: dict[Node, Node] = {}
    found: dict[Node, dict[Node, Node]] = {}
    for node in order:
        if node.op == "gradient":
            cost = node.inputs[0]
            if cost not in found:
                variables = [
                    done[item.inputs[1]] for item in wanted[cost] if item.inputs[1] in done
                ]
                found[cost] = _accumulate(done[cost], variables)
            variable = done[node.inputs[1]]
            if variable not in found[cost]:
                found[cost] |= _accumulate(done[cost], [variable])
            done[node] = found[cost][variable]
        else:
            inputs = tuple(done[item] for item in node.inputs)
            done[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return graph.rebuilt(done)


def _accumulate(cost: Node, variables: Sequence[Node]) -> dict[Node, Node]:
    """D cost / d variable for each variable, by one sweep back through the graph."""
    order = list(topological([cost]))
    depends = set(variables)
    for node in order:
        if any(item in depends for item in node.inputs):
            depends.add(node)
    builder = Builder()
    cotangents: dict[Node, Node] = {}
    builder.origin = Origin(cost.origin.path, cost.origin.where, "backward", cost)
    if cost in depends:
        cotangents[cost] = builder.fill(1, cost.type)
    for node in reversed(order):
        cotangent = cotangents.get(node)
        if cotangent is None or not node.inputs:
            continue
        rule = lookup(node.op).vjp
        if rule is None:
            continue
        builder.origin = Origin(node.origin.path, node.origin.where, "backward", node)
        for item, part in zip(node.inputs, rule(builder, node, cotangent), strict=True):
            if part is None or item not in depends or not item.type.is_float:
                continue
            if part.type != item.type:
                raise InvalidGraphError(
                    f"the derivative rule of {node.op} gave {part.type} for an input {item.type}"
                )
            old = cotangents.get(item)
            cotangents[item] = part if old is None else builder.add(old, part)
    result = {}
    for variable in variables:
        builder.origin = Origin(variable.origin.path, variable.origin.where, "backward", variable)
        result[variable] = cotangents.get(variable) or builder.fill(0, variable.type)
    return result

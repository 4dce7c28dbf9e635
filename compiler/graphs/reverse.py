"""Reverse accumulation: from cotangents of some nodes back to those of others.

From the last node to the first, each node's cotangent goes to its inputs by the primitive's rule
(Griewank and Walther, Evaluating Derivatives, 2008, chapter 3).  The results of one loop are
taken together, by the rule of `loop_gradient`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import InvalidGraphError
from ..graph import Node, Origin, depending, topological
from ..primitives.record import Builder, lookup
from ..primitives.recurrence import loop_of, results_of
from .loop_gradient import loop_gradient


def accumulate(seeds: Mapping[Node, Node], variables: Iterable[Node]) -> dict[Node, Node]:
    """The cotangent of each variable that one of `seeds` (node: its cotangent) depends on."""
    order = list(topological(seeds))
    depends = depending(order, variables)
    sweep = _Sweep(depends)
    for node, cotangent in seeds.items():
        if node in depends:
            sweep.add(node, cotangent)
    loops = results_of(order)
    for node in reversed(order):
        if node.op == "loop":
            # Whatever uses a result of the loop comes after the first of them.
            results = loops[loop_of(node)]
            if results[0] is node and any(item in sweep.found for item in results):
                sweep.through_loop(results)
        elif node in sweep.found and node.inputs:
            sweep.through(node, sweep.found[node])
    return sweep.found


class _Sweep:
    def __init__(self, depends: set[Node]) -> None:
        self.depends = depends
        self.found: dict[Node, Node] = {}
        self.builder = Builder()

    def at(self, node: Node) -> Builder:
        self.builder.origin = Origin(node.origin.path, node.origin.where, "backward", node)
        return self.builder

    def add(self, node: Node, part: Node) -> None:
        old = self.found.get(node)
        self.found[node] = part if old is None else self.builder.add(old, part)

    def through(self, node: Node, cotangent: Node) -> None:
        rule = lookup(node.op).vjp
        if rule is None:
            return
        builder = self.at(node)
        self.spread(node, rule(builder, node, cotangent))

    def through_loop(self, results: list[Node]) -> None:
        first = results[0]
        wanted = [item in self.depends and item.type.is_float for item in first.inputs]
        cotangents = {item: self.found[item] for item in results if item in self.found}
        self.spread(first, loop_gradient(self.at(first), cotangents, wanted, accumulate))

    def spread(self, node: Node, parts: Iterable[Node | None]) -> None:
        for item, part in zip(node.inputs, parts, strict=True):
            if part is None or item not in self.depends or not item.type.is_float:
                continue
            if part.type != item.type.cotangent:
                raise InvalidGraphError(
                    f"the derivative rule of {node.op} gave {part.type} for an input {item.type}"
                )
            self.add(item, part)


def gradients(cost: Node, variables: Iterable[Node]) -> dict[Node, Node]:
    """D cost / d variable, of a scalar cost, for each variable; zeros where it does not depend."""
    variables = list(variables)
    builder = Builder(Origin(cost.origin.path, cost.origin.where, "backward", cost))
    found = accumulate({cost: builder.fill(1, cost.type)}, variables)
    result = {}
    for variable in variables:
        origin = Origin(variable.origin.path, variable.origin.where, "backward", variable)
        result[variable] = found.get(variable) or Builder(origin).fill(0, variable.type.cotangent)
    return result

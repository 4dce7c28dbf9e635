"""hoist: what a loop need not compute step by step is computed before or after it.

    %5 = loop(%x, %w; stack of h)               %4: [T,B,H] = contract(%x, %w)
      body: h <- tanh(x w + h u)         ->     %5 = loop(%4; stack of h)
                                                  body: h <- tanh(%4 + h u)
    %6 = loop(...; sum of contract(x, d))  ->   %6 = contract(%x, %d), summed over the steps too

The input's product of a recurrent net becomes one large product before the loop, the gradients of
all weights one each after the reversed loop; inside stays what a step needs of the one before.
`hoisting` decides what leaves; batching computes it for all steps at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...graph import Graph, Node, Origin, Type
from ...graphs.batching import Batched, Batching
from ...graphs.loop_bodies import each_level, fresh_name
from ...graphs.rewrite import replace_inputs, rewrite, substitute
from ...primitives.record import Builder
from ...primitives.recurrence import result_source, role_of
from .hoisting import Plan
from .separating import separate
from .step_totals import StepTotals


@each_level
def hoist(graph: Graph) -> Graph:
    """An equal graph whose loops do less; itself if nothing leaves: Graph -> Graph."""
    return rewrite(graph, loops=lambda results, inputs: _Hoisting(results, inputs).results())


def _planned(results: Sequence[Node]) -> tuple[Sequence[Node], Plan]:
    """What leaves a loop, and its results with the body for which it is planned."""
    plan = Plan(results)
    body = separate(plan)
    if body is plan.body:
        return results, plan
    apart = [replace(node, attrs={**node.attrs, "body": body}) for node in results]
    return apart, Plan(apart)


class _Hoisting:
    """One loop: its results, and what enters it."""

    def __init__(self, results: Sequence[Node], inputs: tuple[Node, ...]) -> None:
        self.asked = results
        self.old, self.plan = _planned(results)
        self.loop = self.old[0]
        self.body = self.plan.body
        self.batching = Batching(self.loop.attrs["steps"])
        self.outside = inputs
        self.values: dict[Node, Batched] = {
            entry: Batched(item, role_of(entry) == "sequence")
            for entry, item in zip(self.body.inputs, self.outside, strict=True)
            if role_of(entry) != "carry"
        }

    def results(self) -> dict[Node, Node]:
        """What stands for each result."""
        plan = self.plan
        if not plan.precomputed and not plan.leaving:
            pairs = zip(self.asked, self.old, strict=True)
            return {asked: replace_inputs(node, self.outside) for asked, node in pairs}
        entries = self.entries(plan.precomputed)
        body, names = self.reduced(dict(zip(plan.precomputed, entries, strict=True)))
        inputs = (*self.outside, *(self.value(node).node for node in plan.precomputed))

        def result(type: Type, origin: Origin, kind: str, of: str) -> Node:
            attrs = {**self.loop.attrs, "body": body, "result": kind, "of": of}
            return Node("loop", inputs, attrs, type, origin)

        steps = self.loop.attrs["steps"]
        for node in plan.stacked:
            type = node.type.with_shape((steps, *node.shape))
            self.values[node] = Batched(result(type, node.origin, "stack", names[node]), True)
        totals = StepTotals(plan, self.batching, self.value)
        found = {}
        for asked, node in zip(self.asked, self.old, strict=True):
            kind = node.attrs["result"]
            if node not in plan.leaving:
                of = node.attrs["of"] if kind == "last" else names[result_source(self.body, node)]
                found[asked] = result(node.type, node.origin, kind, of)
            elif kind == "sum":
                found[asked] = totals.total(result_source(self.body, node))
            else:
                value = self.value(result_source(self.body, node))
                found[asked] = self.batching.repeated(Builder(node.origin), value)
        return found

    def entries(self, nodes: Sequence[Node]) -> list[Node]:
        """The inputs of the body that stand for nodes which are computed before the loop."""
        taken = {entry.attrs["name"] for entry in self.body.inputs}
        found = []
        for number, node in enumerate(nodes):
            name = fresh_name(f"hoisted_{number}", taken)
            role = "sequence" if self.value(node).has_axis else "invariant"
            found.append(Builder(node.origin).input(name=name, type=node.type, role=role))
        return found

    def reduced(self, precomputed: Mapping[Node, Node]) -> tuple[Graph, dict[Node, str]]:
        """The body that stays, and the names of its outputs by the nodes of the old one."""
        staying = [result_source(self.body, r) for r in self.old if r not in self.plan.leaving]
        wanted = dict.fromkeys([*staying, *self.plan.stacked])
        names: dict[Node, str] = {}
        for name, node in self.body.outputs:
            if node in wanted:
                names.setdefault(node, name)
        taken = {name for name, _ in self.body.outputs}
        for node in self.plan.stacked:
            if node not in names:
                names[node] = fresh_name(f"stacked_{len(names)}", taken)
        roots: Iterable[Node] = [*names, *(value for _, value in self.body.updates)]
        known = {entry: entry for entry in self.body.inputs} | dict(precomputed)
        done = substitute(roots, known)
        body = Graph(
            self.body.name,
            (*self.body.inputs, *precomputed.values()),
            tuple((name, done[node]) for node, name in names.items()),
            tuple((carry, done[value]) for carry, value in self.body.updates),
        )
        return body, names

    def value(self, root: Node) -> Batched:
        """The value of a node of the body at all steps, or the same for every step."""
        self.batching.complete([root], self.values)
        return self.values[root]

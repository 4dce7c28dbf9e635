"""sum_steps: the sum of a step's output over all steps becomes a carry of its own.

    %5 = loop(...; result=sum, of=g)     ->     %5 = loop(..., zeros; result=last, of=sum_g)
                                                body: update sum_g <- add(sum_g, %g)

The kernel that makes the output then adds it where the sum lies.  Afterwards a body's outputs are
those that are stacked.

A sum of floats over more than BLOCK steps, or over a number of them that has a name, has a second
carry, for what its additions round away (`emission.compensation` says more):

    %5 = loop(...; result=sum, of=g)     ->     %5 = loop(...; result=last, of=sum_g)
                                                %6 = loop(...; result=last, of=lost_g)
                                                %7 = add(%5, %6)

It is then off by two roundings and a half, whatever the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level, fresh_name
from ..graphs.rewrite import replace_body, rewrite
from ..primitives.record import Builder
from ..primitives.reduction import BLOCK
from ..sizes import Dim


@each_level
def sum_steps(graph: Graph) -> Graph:
    """An equal graph whose loops have no result "sum": Graph -> Graph."""

    def summed(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        loop = _Summed(results)
        return {node: loop.result(node, inputs) for node in results}

    return rewrite(graph, loops=summed)


@dataclass(frozen=True)
class _Sum:
    """The names of the carries of a sum: what it has come to, and what that has lost."""

    total: str
    lost: str | None


class _Summed:
    """A loop whose sums are carries."""

    def __init__(self, results: Sequence[Node]) -> None:
        body: Graph = results[0].attrs["body"]
        steps: Dim = results[0].attrs["steps"]
        taken = {entry.attrs["name"] for entry in body.inputs}
        outputs = dict(body.outputs)
        self.sums: dict[str, _Sum] = {}
        self.starts: list[Node] = []
        self.carries: list[tuple[Node, Node]] = []
        for node in results:
            of = node.attrs["of"]
            if node.attrs["result"] != "sum" or of in self.sums:
                continue
            long = node.type.is_float and not (isinstance(steps, int) and steps <= BLOCK)
            names = _Sum(
                fresh_name(f"sum_{of}", taken), fresh_name(f"lost_{of}", taken) if long else None
            )
            self.sums[of] = names
            self._carry(names, outputs[of])
            self.starts += [Builder(node.origin).fill(0, node.type)] * (2 if long else 1)
        stacks = {node.attrs["of"] for node in results if node.attrs["result"] == "stack"}
        found = replace(
            body,
            inputs=(*body.inputs, *(carry for carry, _ in self.carries)),
            outputs=tuple(pair for pair in body.outputs if pair[0] in stacks),
            updates=(*body.updates, *self.carries),
        )
        self.body = body if found == body else found

    def _carry(self, names: _Sum, value: Node) -> None:
        """The carries to which a value is added at every step."""
        b = Builder(value.origin)
        total = b.input(name=names.total, type=value.type, role="carry")
        if names.lost is None:
            self.carries.append((total, b.add(total, value)))
            return
        lost = b.input(name=names.lost, type=value.type, role="carry")
        more = b.add(value, lost)
        new = b.add(total, more)
        finite = b.eq(b.sub(new, new), b.fill(0, new.type))
        left = b.select(finite, b.sub(more, b.sub(new, total)), b.fill(0, new.type))
        self.carries += [(total, new), (lost, left)]

    def result(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        """What stands for a result of the loop."""
        inputs = (*inputs, *self.starts)
        if node.attrs["result"] != "sum":
            return replace_body(node, self.body, inputs)
        names = self.sums[node.attrs["of"]]

        def last(name: str) -> Node:
            return replace_body(node, self.body, inputs, result="last", of=name)

        total = last(names.total)
        if names.lost is None:
            return total
        found: Node = Builder(node.origin).add(total, last(names.lost))
        return found

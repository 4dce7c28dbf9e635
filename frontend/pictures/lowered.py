"""The compiler's graph of a diagram, each node with the function of the drawing it belongs to.

Lowers what was drawn as the frontend does, but writes the drawn function's node where the compiler
writes the block's path: two applications of one block stay two.  This file draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...compiler.builder import Builder
from ...compiler.graph import Graph, Node, Origin
from .. import lower as lowering
from ..variable import Application, Variable

if TYPE_CHECKING:
    import networkx as nx

    from ..diagram import Diagram


@dataclass(frozen=True)
class Lowered:
    """A graph of primitives, and which of its nodes are what was drawn.

    Attributes:
        graph: as the pipeline prepares it; a node's origin has the drawn function as its path.
        values: the node that computes a drawn variable.
        gradients: the node that computes the cost's gradient by a drawn variable.
    """

    graph: Graph
    values: dict[str, Node]
    gradients: dict[str, Node]


def lower_drawn(
    diagram: Diagram,
    drawn: nx.MultiDiGraph[Any],
    values: Sequence[str],
    gradients: Sequence[str] = (),
) -> Lowered:
    """The prepared graph of drawn variables, and of the cost's gradients by others."""
    from ...compiler.pipeline import prepare

    work = _Lowering(diagram, drawn)
    variables = {node: data.get("variable") for node, data in drawn.nodes(data=True)}
    wanted = [*diagram.outputs.values(), *([diagram.cost] if diagram.cost is not None else [])]
    work.level(wanted, "")
    outputs = [(f"value {node}", work.nodes[variables[node]]) for node in values]
    if gradients:
        assert diagram.cost is not None
        cost = work.nodes[diagram.cost]
        for node in gradients:
            slope = Builder(Origin("", diagram.where)).gradient(cost, work.nodes[variables[node]])
            outputs.append((f"gradient {node}", slope))
    graph = prepare(Graph(diagram.name, tuple(work.inputs), tuple(outputs)))
    found = dict(graph.outputs)
    return Lowered(
        graph,
        {node: found[f"value {node}"] for node in values},
        {node: found[f"gradient {node}"] for node in gradients},
    )


class _Lowering:
    def __init__(self, diagram: Diagram, drawn: nx.MultiDiGraph[Any]) -> None:
        self.names = diagram.names
        self.nodes: dict[Variable, Node] = {}
        self.inputs: list[Node] = []
        self.functions: dict[Application, str] = {
            data["application"]: node
            for node, data in drawn.nodes(data=True)
            if data.get("application") is not None
        }

    def level(self, wanted: Sequence[Variable], block: str) -> None:
        for item in lowering.ordered(wanted, self.nodes):
            if item.kind in ("observed", "parameter"):
                name = self.names[item]
                origin = Origin(name, item.where)
                self.nodes[item] = Builder(origin).input(name=name, type=item.type, role=item.kind)
                self.inputs.append(self.nodes[item])
            elif item.kind == "constant":
                origin = Origin(block, item.where)
                self.nodes[item] = Builder(origin).apply("constant", value=item.value)
            elif item not in self.nodes:
                assert item.producer is not None
                self.apply(item.producer)

    def apply(self, application: Application) -> None:
        inputs = [self.nodes[item] for item in application.inputs]
        function = self.functions.get(application, "")
        if application.body is not None:
            self.nodes.update(zip(application.body.ports, inputs, strict=True))
            self.level(application.body.outputs, function)
            results = [self.nodes[item] for item in application.body.outputs]
        else:
            assert application.rule is not None
            result = application.rule(Builder(Origin(function, application.where)), *inputs)
            results = list(result) if isinstance(result, tuple) else [result]
        self.nodes.update(zip(application.outputs, results, strict=True))

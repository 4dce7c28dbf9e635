"""The compiler's graph of a diagram, each node with the function of the drawing it belongs to.

Lowers what was drawn as the frontend does, but writes the drawn function's node where the compiler
writes the block's path: two applications of one block stay two.  This file draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....compiler.graph import Graph, Node, Origin
from ....compiler.graphs.loop_bodies import substitute
from ....compiler.primitives.record import Builder
from ....compiler.unwinding import Steps, unwound
from ...drawing.draws import Streams
from ...drawing.lower import constant_node, for_samples
from ...drawing.lower_loops import Pending
from ...variables.dependencies import captured_by, ordered
from ...variables.loop_parts import Result
from ...variables.variable import Application, Body, Variable

if TYPE_CHECKING:
    import networkx as nx

    from ...drawing.drawing import Drawing


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
    diagram: Drawing,
    drawn: nx.MultiDiGraph[Any],
    values: Sequence[str],
    gradients: Sequence[str] = (),
) -> Lowered:
    """The prepared graph of drawn variables, and of the cost's gradients by others."""
    from ....compiler.pipeline import prepare

    functions: dict[Application, str] = {
        data["application"]: node
        for node, data in drawn.nodes(data=True)
        if data.get("application") is not None
    }
    work = _Lowering(diagram.names, functions, Streams(diagram.streams))
    variables = {node: data.get("variable") for node, data in drawn.nodes(data=True)}
    unwound(work.run(diagram.wanted, ""))
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
    def __init__(
        self,
        names: Mapping[Variable, str],
        functions: Mapping[Application, str],
        streams: Streams,
    ) -> None:
        self.names = names
        self.functions = functions
        self.streams = streams
        self.nodes: dict[Variable, Node] = {}
        self.inputs: list[Node] = []
        self.pending = Pending(self)

    def run(self, wanted: Sequence[Variable], path: str) -> Steps[None]:
        self.pending.expect(wanted, self.nodes)
        for item in ordered(wanted, self.nodes):
            if item in self.nodes:
                continue
            if item.kind in ("observed", "parameter", "state"):
                name = self.names[item]
                origin = Origin(name, item.where)
                self.nodes[item] = Builder(origin).input(name=name, type=item.type, role=item.kind)
                self.inputs.append(self.nodes[item])
            elif item.kind == "constant":
                origin = Origin(path, item.where)
                self.nodes[item] = constant_node(item, Builder(origin))
            elif isinstance(item.producer, Result):
                yield self.pending.lower(item.producer, self.functions.get(item.producer, path))
            else:
                assert item.producer is not None
                yield self.apply(item.producer)

    def child(self) -> _Lowering:
        """What lowers the body of a loop."""
        return _Lowering(self.names, self.functions, self.streams)

    def apply(self, application: Application) -> Steps[None]:
        inputs = [self.nodes[item] for item in application.inputs]
        function = self.functions.get(application, "")
        if application.body is not None and application.body.samples is not None:
            results = yield self.each_sample(application.body, inputs, function)
        elif application.body is not None:
            self.nodes.update(zip(application.body.ports, inputs, strict=True))
            yield self.run(application.body.outputs, function)
            results = [self.nodes[item] for item in application.body.outputs]
        else:
            builder = Builder(Origin(function, application.where))
            result = self.streams.rule_of(application)(builder, *inputs)
            results = list(result) if isinstance(result, tuple) else [result]
        self.nodes.update(zip(application.outputs, results, strict=True))

    def each_sample(self, body: Body, inputs: Sequence[Node], function: str) -> Steps[list[Node]]:
        """What a body with weights for each sample gives."""
        captured = captured_by(body)
        outer = [*inputs, *(self.nodes[item] for item in captured)]
        inner = self.child()
        for number, item in enumerate((*body.ports, *captured)):
            builder = Builder(Origin(function, item.where))
            inner.nodes[item] = builder.input(name=str(number), type=item.type, role="port")
        entries = tuple(inner.nodes.values())
        yield inner.run(body.outputs, function)
        drawn = tuple((str(i), inner.nodes[item]) for i, item in enumerate(body.outputs))
        graph = for_samples(Graph(function, entries, drawn), body)
        found = substitute(graph.roots, dict(zip(graph.inputs, outer, strict=True)))
        return [found[node] for _, node in graph.outputs]

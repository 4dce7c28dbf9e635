"""The compiler's graph of a diagram, beside its drawing: which node is what was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....compiler.graph import Graph, Node, Origin
from ....compiler.options import Options
from ....compiler.primitives.record import Builder
from ...drawing.drawn import origins_of
from ...drawing.drawn_nodes import DrawnGraph

if TYPE_CHECKING:
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
    drawn: DrawnGraph,
    values: Sequence[str],
    gradients: Sequence[str] = (),
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Lowered:
    """The prepared graph of drawn variables, and of the cost's gradients by others.

    A diagram with a cost is shown as in a training step, another one as in a run.
    """
    from ....compiler.pipeline import prepare

    origins = origins_of(drawn)
    wanted = {str(place): item for place, item in enumerate(diagram.wanted)}
    training = diagram.cost is not None
    inputs = diagram.lower(wanted, origins=origins, training=training).inputs

    def made(node: str) -> Node:
        return origins.nodes[drawn.variable(node).variable]

    outputs = [(f"value {node}", made(node)) for node in values]
    if gradients:
        assert diagram.cost is not None
        cost, b = origins.nodes[diagram.cost], Builder(Origin("", diagram.where))
        outputs += [(f"gradient {node}", b.gradient(cost, made(node))) for node in gradients]
    graph = prepare(Graph(diagram.name, inputs, tuple(outputs)), options)
    found = dict(graph.outputs)
    return Lowered(
        graph,
        {node: found[f"value {node}"] for node in values},
        {node: found[f"gradient {node}"] for node in gradients},
    )

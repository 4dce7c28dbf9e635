"""differentiate: every `gradient` is replaced by the graph that computes it.

    %2: float32[] = mul(%0, %1)                     %2: float32[] = mul(%0, %1)
    %3: float32[] = gradient(%2, %0)          ->    %3: float32[] = mul(1, %1)     # backward

The result has only ordinary primitives, so a gradient of it is a gradient again: the innermost
ones go first.  A loop gets a reversed loop, which reads what the first one stores for it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from ..graph import Graph, Node, topological
from ..graphs.loop_bodies import each_level, merge_loops
from ..graphs.reverse import gradients
from ..graphs.rewrite import rewrite


@each_level
def differentiate(graph: Graph) -> Graph:
    """The same graph without `gradient`: Graph -> Graph."""
    while any(node.op == "gradient" for node in graph.nodes()):
        graph = merge_loops(_innermost(graph))
    return graph


def differentiate_where(graph: Graph, needed: Callable[[Graph], Sequence[Node]]) -> Graph:
    """The graph without the gradients that are `needed`, and those that these depend on.

    `needed` is asked again as long as it names some.
    """
    while wanted := needed(graph):
        graph = merge_loops(_innermost(graph, set(topological(wanted))))
    return graph


def _innermost(graph: Graph, among: Container[Node] | None = None) -> Graph:
    """The graph without those gradients, of all or `among` some, that depend on no other."""
    chosen: set[Node] = set()
    above: set[Node] = set()  # gradients, and what depends on one
    wanted: dict[Node, list[Node]] = {}
    order = graph.all_nodes()
    for node in order:
        if any(item in above for item in node.inputs):
            above.add(node)
        elif node.op == "gradient" and (among is None or node in among):
            wanted.setdefault(node.inputs[0], []).append(node.inputs[1])
            chosen.add(node)
            above.add(node)
    found = {cost: gradients(cost, dict.fromkeys(items)) for cost, items in wanted.items()}

    def derivative(node: Node, old: Node) -> Node:
        return found[old.inputs[0]][old.inputs[1]] if old in chosen else node

    return rewrite(graph, derivative, order=order)

"""A block's running averages in a picture: among its parameters, and without their updates.

A block that updates a state in its `forward`, such as the averages of a batch norm, hands its next
value out; a picture that showed all of these would show little else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...drawing.drawn import common_path
from ...drawing.drawn_nodes import DrawnBlock, DrawnGraph
from ...variables.variable import Variable


def with_held_averages(graph: DrawnGraph) -> DrawnGraph:
    """A drawn graph in which the averages that blocks keep are parameters without updates.

    The graph that is given stays as it is, and is returned where no block keeps any.
    """
    kept = [pair for updates in _applied(graph) for pair in updates.items() if pair[0].is_average]
    if not kept:
        return graph
    held, following = dict(kept).keys(), {value for _, value in kept}
    graph = graph.copy()
    for node, item in graph.variables.items():
        if item.kind == "state" and item.variable in held and not graph.predecessors(node):
            readers = [graph.function(name) for name in graph.successors(node)]
            paths = [reader.path for reader in readers if not isinstance(reader, DrawnBlock)]
            graph.nodes[node] = replace(item, kind="parameter", path=common_path(paths))
    for node, function in graph.functions.items():
        if function.application is None and _is_update(graph, node):
            (value,) = graph.predecessors(node)
            if graph.variable(value).variable in following:
                graph.remove([*graph.successors(node), node])
                _prune(graph, value)
    return graph


def _is_update(graph: DrawnGraph, node: str) -> bool:
    """Whether a function that nobody has applied gives a state."""
    return any(graph.variable(name).kind == "state" for name in graph.successors(node))


def _applied(graph: DrawnGraph) -> Iterable[dict[Variable, Variable]]:
    """The next values that the applications of a graph give to states."""
    for item in graph.functions.values():
        if item.application is not None:
            yield item.application.updates


def _prune(graph: DrawnGraph, variable: str) -> None:
    """Take away a variable that nothing reads, and what only it needs."""
    waiting = [variable]
    while waiting:
        node = waiting.pop()
        if node not in graph.nodes or graph.is_read(node):
            continue
        item = graph.variable(node)
        if item.output or item.kind != "computed" or node == graph.cost:
            continue
        makers = graph.predecessors(node)
        graph.remove([node])
        for maker in makers:
            if maker in graph.nodes and not graph.successors(maker):
                waiting += graph.predecessors(maker)
                graph.remove([maker])

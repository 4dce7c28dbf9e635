"""Counting by blocks: links, free parameters and floating-point operations.

Links and parameters are those of the drawing (see `connections`); operations those of the prepared
graph.  What is in a loop counts once for each step.  Sizes keep their names.  This file prints
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...compiler.graph import Graph, Node
from ...compiler.graphs.flops import flops_of
from ...compiler.primitives.recurrence import results_of
from ...compiler.sizes import Dim
from ..drawing.blocks import FunctionBlock
from ..drawing.chains import Chain
from ..drawing.drawn_nodes import DrawnBlock, DrawnFunction, DrawnGraph
from .connections import Connections, Piece, count_elements


@dataclass(frozen=True)
class Row:
    """A block of the diagram, with all that is in it.

    Attributes:
        name: its path; a function's own name.
        kind: its class.
        level: how many blocks it is in.
        outputs: the shapes of what it returns.
        links: connections for a sample.
        parameters: free parameters, each with all of its elements, that its weights are made of.
        shared: how many of these a row above has counted already.
        frozen: how many of all of them no training step changes.
        flops: floating-point operations, forward.
        is_function: whether it is a mere function, which has no parameters of its own.
        details: the block's sizes in a few words, such as the kernel of a convolution.
    """

    name: str
    kind: str
    level: int
    outputs: tuple[tuple[Dim, ...], ...]
    links: Dim
    parameters: int
    shared: int
    frozen: int
    flops: Dim
    is_function: bool = False
    details: str = ""

    @property
    def trainable(self) -> int:
        """The free parameters that are not frozen."""
        return self.parameters - self.frozen


def repeated(graph: Graph) -> dict[Node, Dim]:
    """How often each node of a graph is computed, those in the bodies of loops included."""
    found: dict[Node, Dim] = {}
    _repeat(graph, 1, found)
    return found


def _repeat(graph: Graph, times: Dim, found: dict[Node, Dim]) -> None:
    order = graph.nodes()
    for node in order:
        found[node] = found.get(node, 0) + times
    for results in results_of(order).values():
        first = results[0]
        _repeat(first.attrs["body"], times * first.attrs["steps"], found)


def count_flops(graph: Graph) -> dict[str, Dim]:
    """The operations of a graph, by the paths of its nodes' origins."""
    found: dict[str, Dim] = {}
    times = repeated(graph)
    for node, count in flops_of(times):
        path = node.origin.path
        found[path] = found.get(path, 0) + count * times[node]
    return found


def count_rows(drawn: DrawnGraph, found: Connections, flops: Mapping[str, Dim]) -> Iterable[Row]:
    """A row for each block of a drawn graph, and one for what is in none.

    Args:
        drawn: as `drawn_graph` makes it.
        found: its links and weights.
        flops: the operations of each function of it; others are in no block.
    """
    functions = drawn.functions
    links = {node: _links(item, found) for node, item in functions.items()}
    inside: dict[str, list[str]] = {row: [] for row in functions if _has_row(row, drawn, found)}
    outside = []
    for node in {**links, **flops}:
        around = (*functions[node].path, node) if node in functions else ()
        rows = [row for row in around if row in inside]
        for row in rows:
            inside[row].append(node)
        if not rows:
            outside.append(node)
    counted: dict[str, dict[Piece, int]] = {}
    for row, nodes in inside.items():
        item, application = functions[row], functions[row].application
        assert application is not None
        read, block = found.parameters(application), application.block
        before: dict[Piece, int] = {}
        # The next values of states come last, and are not what the block gives.
        given = len(application.outputs) - len(application.updates)
        for name in counted.keys() - set(item.path):
            before |= counted[name]
        yield Row(
            name=item.name,
            kind="" if block is None else type(block).__name__,
            level=len(item.path),
            outputs=tuple(drawn.variable(node).shape for node in drawn.successors(row))[:given],
            links=sum_sizes(links.get(node, 0) for node in nodes),
            parameters=sum(read.values()),
            shared=sum(_in_common(piece, size, before) for piece, size in read.items()),
            frozen=sum(size for (held, _), size in read.items() if held.frozen),
            flops=sum_sizes(flops.get(node, 0) for node in nodes),
            is_function=isinstance(block, FunctionBlock),
            details="" if block is None else block._details(),
        )
        counted[row] = read
    taken = {parameter for read in counted.values() for parameter, _ in read}
    others = [
        item.variable
        for item in drawn.variables.values()
        if item.kind == "parameter" and item.variable not in taken
    ]
    rest = sum(count_elements(item.shape) for item in others)
    frozen = sum(count_elements(item.shape) for item in others if item.frozen)
    made = sum_sizes(links.get(node, 0) for node in outside)
    if rest or made != 0:
        worked = sum_sizes(flops.get(node, 0) for node in outside)
        yield Row("(no block)", "", 0, (), made, rest, 0, frozen, worked)


def _in_common(piece: Piece, size: int, before: Mapping[Piece, int]) -> int:
    """How many elements of a parameter, or of a part of it, are counted already."""
    parameter, number = piece
    if piece in before or (parameter, None) in before:
        return size
    if number is not None:
        return 0
    return sum(part for (other, _), part in before.items() if other is parameter)


def _links(item: DrawnFunction, found: Connections) -> Dim:
    return 0 if item.application is None else found.links.get(item.application, 0)


def _has_row(node: str, drawn: DrawnGraph, found: Connections) -> bool:
    """Whether a node is a block, or an operation on units as one of a chain's blocks."""
    item = drawn.function(node)
    if isinstance(item, DrawnBlock):
        return True
    weighs = item.application is not None and item.application in found.weights
    return weighs and bool(item.path) and isinstance(drawn.block(item.path[-1]).block, Chain)


def sum_sizes(sizes: Iterable[Dim]) -> Dim:
    """The sum of sizes; 0 of none."""
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total

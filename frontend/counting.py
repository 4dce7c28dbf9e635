"""Counting in graphs of primitives: links, free parameters and floating-point operations.

A product with a weight in a sum is a link, and so is a bias; a shared weight is one free parameter
of many links.  What is in a loop counts once for each step.  Sizes keep their names.  This file
prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..compiler.graph import Graph, Node
from ..compiler.primitives.contraction import contraction_flops
from ..compiler.primitives.recurrence import results_of, role_of
from ..compiler.primitives.registry import lookup
from ..compiler.sizes import Dim, evaluate, exact_divide, named, product
from .blocks import Chain

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Row:
    """A block of the diagram, with all that is in it.

    Attributes:
        name: its path; a function's own name.
        kind: its class.
        level: how many blocks it is in.
        outputs: the shapes of what it returns.
        links: connections for a sample.
        parameters: free parameters that it reads.
        shared: whether a row above has counted them all.
        flops: floating-point operations, forward.
    """

    name: str
    kind: str
    level: int
    outputs: tuple[tuple[Dim, ...], ...]
    links: Dim
    parameters: int
    shared: bool
    flops: Dim


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


def weights(graph: Graph) -> set[Node]:
    """The values that depend on parameters alone, those in the bodies of loops included."""
    roles: dict[Node, frozenset[str]] = {}
    _find_roles(graph, roles)
    return {node for node, found in roles.items() if found == {"parameter"}}


def _find_roles(graph: Graph, roles: dict[Node, frozenset[str]]) -> None:
    """Note the roles of the inputs that each node depends on; some may be known."""
    for node in graph.nodes():
        if node in roles:
            continue
        own = [frozenset([node.attrs["role"]])] if node.op == "input" else []
        roles[node] = frozenset().union(*own, *(roles[item] for item in node.inputs))
        if node.op == "loop":
            body: Graph = node.attrs["body"]
            for entry, outer in zip(body.inputs, node.inputs, strict=True):
                if role_of(entry) != "carry":
                    roles.setdefault(entry, roles[outer])
            _find_roles(body, roles)


def count_links(node: Node, batch: str | None, weights: Set[Node]) -> Dim:
    """The connections for a sample that a node makes; a gradient in the cost makes none."""
    total: Dim = 0
    if node.origin.direction == "backward":
        return 0
    if node.op == "contract" and not weights.isdisjoint(node.inputs):
        total = _halved(contraction_flops(node))
    elif node.op in ("add", "sub", "mul", "div"):
        direct = [item in weights and _base(item).op == "input" for item in node.inputs]
        other = node.inputs[direct.index(False)] if sum(direct) == 1 else None
        if other is not None and _base(other).op not in ("constant", "size"):
            total = node.type.count
    each = None if batch is None else exact_divide(total, named(batch))
    return total if each is None else each


def _base(node: Node) -> Node:
    while lookup(node.op).kind == "view":
        node = node.inputs[0]
    return node


def count_rows(
    drawn: nx.MultiDiGraph[Any], links: Mapping[Node, Dim], flops: Mapping[Node, Dim]
) -> Iterable[Row]:
    """A row for each block of a drawn graph, from what each node of its graph counts."""
    data = dict(drawn.nodes(data=True))
    inside: dict[str, list[Node]] = {}
    for node in links:
        for block in _blocks(node, data):
            inside.setdefault(block, []).append(node)
    counted: dict[str, set[str]] = {}
    for block, item in data.items():
        if not (item.get("opens") or _is_step(item, data)):
            continue
        own = inside.get(block, [])
        read = {node for node in drawn.predecessors(block) if data[node]["kind"] == "parameter"}
        before = set().union(*(counted[name] for name in counted if name not in item["path"]))
        yield Row(
            name=item["name"],
            kind=type(item["application"].block).__name__ if item["opens"] else "",
            level=len(item["path"]),
            outputs=tuple(data[node]["shape"] for node in drawn.successors(block)),
            links=sum_sizes(links[node] for node in own),
            parameters=sum(count_elements(data[node]["shape"]) for node in read),
            shared=bool(read) and before >= read,
            flops=sum_sizes(flops[node] for node in own),
        )
        counted[block] = read
    rest = {node for node, item in data.items() if item["kind"] == "parameter"}
    rest -= set().union(*counted.values())
    outside = [node for node in links if not inside.keys() & {*_blocks(node, data)}]
    if rest or any(links[node] != 0 for node in outside):
        yield Row(
            name="(no block)",
            kind="",
            level=0,
            outputs=(),
            links=sum_sizes(links[node] for node in outside),
            parameters=sum(count_elements(data[node]["shape"]) for node in rest),
            shared=False,
            flops=sum_sizes(flops[node] for node in outside),
        )


def _blocks(node: Node, data: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    """The blocks that a node is in, and the operation of a chain."""
    item = data.get(node.origin.path)
    if node.op == "input" or item is None or "opens" not in item:
        return ()
    own = (node.origin.path,) if item["opens"] or _is_step(item, data) else ()
    return (*item["path"], *own)


def _is_step(item: Mapping[str, Any], data: Mapping[str, dict[str, Any]]) -> bool:
    """Whether an operation is one of a chain's blocks."""
    if "opens" not in item or not item["path"]:
        return False
    return isinstance(data[item["path"][-1]]["application"].block, Chain)


def sum_sizes(sizes: Iterable[Dim]) -> Dim:
    """The sum of sizes; 0 of none."""
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total


def _halved(size: Dim) -> Dim:
    half = exact_divide(size, 2)
    assert half is not None
    return half


def count_elements(shape: tuple[Dim, ...]) -> int:
    """The number of elements of a shape of integers."""
    return evaluate(product(shape), {})

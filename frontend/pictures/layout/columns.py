"""Which nodes share a column of the drawing, and the invisible links that keep them in order.

Subgraphs and links from an ``Arrangement``: parameters under their function, delays and shared
variables above the row. This file never decides who belongs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from graphviz import Digraph

from ..picture import Node, Picture
from .arrangement import Arrangement


def add_columns(
    graph: Digraph, picture: Picture, names: dict[str, str], found: Arrangement
) -> None:
    """Set the columns of `graph`; within one, Graphviz goes from bottom to top."""
    linked = {frozenset((names[e.source], names[e.target])) for e in picture.edges}
    for owner, hung in found.below.items():
        _add_column(graph, [names[name] for name in [*hung, owner]], linked)
    for lower, upper in found.under.items():
        _add_column(graph, [names[lower], names[_lowest(found, upper)]], linked)
    for foot, tower in found.above.items():
        _add_column(graph, [names[name] for name in [foot, *tower]], linked)
    for delays in found.gaps.values():
        _add_column(graph, [f"{names[delays[0]]}_gap", *(names[name] for name in delays)], linked)
    for outlet, column in found.outlets.items():
        _add_column(graph, [*(names[name] for name in column[::-1]), names[outlet]], linked)
    for lower, upper in found.stacked:
        highest, lowest = (
            [lower, *found.above.get(lower, [])][-1],
            [*found.below.get(upper, []), upper][0],
        )
        _add_column(graph, [names[highest], names[lowest]], linked)
    for one, other in found.successions:
        if frozenset((names[one], names[other])) not in linked:
            graph.edge(names[one], names[other], style="invis", weight="0")
    _add_threads(graph, picture, names, found)


def floors(picture: Picture, found: Arrangement) -> dict[str, str]:
    """For the last hanging node of a row, the row's end, to which the thread under it is tied.

    Only needed when that node hangs out of its owner's frame: Graphviz then forgets the column's
    order.
    """
    nodes = {node.id: node for node in picture.nodes}
    ends: dict[str, str] = {}
    for forward in (True, False):
        owners = _owners(found, nodes, forward)
        row = _of_phase(found.row, nodes, forward)
        if owners and row:
            last = owners[-1]
            end = max(row, key=lambda name: found.rank[name])
            hung = found.below[last][-1]
            if nodes[hung].cluster != nodes[last].cluster and found.rank[end] > found.rank[last]:
                ends[hung] = end
    return ends


def _add_threads(
    graph: Digraph, picture: Picture, names: dict[str, str], found: Arrangement
) -> None:
    """An invisible thread from one hanging node to the next keeps all of them under the row.

    Another leads from each up to what follows in the row: what passes between the row and what
    hangs there would cross it, so that ways around lead over the row.
    """
    nodes = {node.id: node for node in picture.nodes}
    ends = floors(picture, found)
    following = dict(found.row_edges)
    for forward in (True, False):
        owners = _owners(found, nodes, forward)
        if not owners:
            continue
        first = found.late[owners[0]]
        row = [n for n in _of_phase(found.row, nodes, forward) if found.late[n] < first]
        if owners[0] not in found.row:
            row = []
        thread = [names[max(row, key=lambda name: found.rank[name])]] if row else []
        before = -1
        for owner in owners:
            hung = found.below[owner][-1]
            if found.late[owner] > before:
                thread.append(names[hung])
                before = found.late[owner]
            if hung in ends:
                end = names[ends[hung]]
                _add_column(graph, [f"{end}_floor", end], set())
                thread.append(f"{end}_floor")
        for one, other in pairwise(thread if forward else thread[::-1]):
            graph.edge(one, other, style="invis", weight="0")
        # Twice, so that a way around crosses something else rather than these.
        for owner in [*owners, *owners] if forward else []:
            if owner in following:
                link = names[found.below[owner][-1]], names[following[owner]]
                graph.edge(*link, style="invis", weight="0")


def _add_column(graph: Digraph, column: Sequence[str], linked: set[frozenset[str]]) -> None:
    level = Digraph(graph_attr={"rank": "same"})
    for name in column:
        level.node(name)
    graph.subgraph(level)
    for lower, upper in pairwise(column):
        # A second link beside a visible one would bend it.
        if frozenset((lower, upper)) not in linked:
            graph.edge(lower, upper, style="invis")


def _lowest(found: Arrangement, name: str) -> str:
    """The last of what stands under a node, with what belongs to it."""
    lower = {upper: lower for lower, upper in found.stacked}
    while name in lower:
        name = lower[name]
    return found.below.get(name, [name])[0]


def _owners(found: Arrangement, nodes: dict[str, Node], forward: bool) -> list[str]:
    """The functions under which something hangs, from left to right; forward, those of rows."""
    owners = _of_phase(found.below, nodes, forward)
    return sorted(
        (name for name in owners if name in found.row or not forward),
        key=lambda name: found.late[name],
    )


def _of_phase(
    names: dict[str, list[str]] | dict[str, str], nodes: dict[str, Node], forward: bool
) -> list[str]:
    return [name for name in names if (nodes[name].phase == "forward") == forward]

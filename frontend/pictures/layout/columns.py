"""Which nodes share a column of the drawing, and the invisible links that keep them in order.

DOT lines from an ``Arrangement``: parameters under their function, delays and shared variables
above the row. This file never decides who belongs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..picture import Node, Picture
from .arrangement import Arrangement


def column_lines(picture: Picture, names: dict[str, str], found: Arrangement) -> list[str]:
    """The DOT lines that set the columns; within one, Graphviz goes from bottom to top."""
    linked = {frozenset((names[e.source], names[e.target])) for e in picture.edges}
    lines: list[str] = []
    for owner, hung in found.below.items():
        lines += _column([names[name] for name in [*hung, owner]], linked)
    for lower, upper in found.under.items():
        lines += _column([names[lower], names[_lowest(found, upper)]], linked)
    for foot, tower in found.above.items():
        lines += _column([names[name] for name in [foot, *tower]], linked)
    for delays in found.gaps.values():
        lines += _column([f"{names[delays[0]]}_gap", *(names[name] for name in delays)], linked)
    for outlet, column in found.outlets.items():
        lines += _column([*(names[name] for name in column[::-1]), names[outlet]], linked)
    for lower, upper in found.stacked:
        highest, lowest = (
            [lower, *found.above.get(lower, [])][-1],
            [*found.below.get(upper, []), upper][0],
        )
        lines += _column([names[highest], names[lowest]], linked)
    lines += [
        f"{names[one]} -> {names[other]} [style=invis, weight=0];"
        for one, other in found.successions
        if frozenset((names[one], names[other])) not in linked
    ]
    return lines + _threads(picture, names, found)


def floors(picture: Picture, found: Arrangement) -> dict[str, str]:
    """For the last hanging node of a row, the row's end, to which the thread under it is tied.

    Only needed when that node hangs out of its owner's frame: Graphviz then forgets the column's
    order.
    """
    nodes = {node.id: node for node in picture.nodes}
    ends: dict[str, str] = {}
    for forward in (True, False):
        owners = _of_phase(found.below, nodes, forward)
        row = _of_phase(found.row, nodes, forward)
        if owners and row:
            last = max(owners, key=lambda name: found.late[name])
            end = max(row, key=lambda name: found.rank[name])
            hung = found.below[last][-1]
            if nodes[hung].cluster != nodes[last].cluster and found.rank[end] > found.rank[last]:
                ends[hung] = end
    return ends


def _threads(picture: Picture, names: dict[str, str], found: Arrangement) -> list[str]:
    """An invisible thread from one hanging node to the next keeps all of them under the row."""
    nodes = {node.id: node for node in picture.nodes}
    ends = floors(picture, found)
    lines: list[str] = []
    for forward in (True, False):
        owners = sorted(_of_phase(found.below, nodes, forward), key=lambda name: found.late[name])
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
                lines += _column([f"{end}_floor", end], set())
                thread.append(f"{end}_floor")
        steps = pairwise(thread if forward else thread[::-1])
        lines += [f"{one} -> {other} [style=invis, weight=0];" for one, other in steps]
    return lines


def _column(column: Sequence[str], linked: set[frozenset[str]]) -> list[str]:
    lines = [f"{{rank=same; {'; '.join(column)};}}"]
    for lower, upper in pairwise(column):
        # A second link beside a visible one would bend it.
        if frozenset((lower, upper)) not in linked:
            lines.append(f"{lower} -> {upper} [style=invis];")
    return lines


def _lowest(found: Arrangement, name: str) -> str:
    """The last of what stands under a node, with what belongs to it."""
    lower = {upper: lower for lower, upper in found.stacked}
    while name in lower:
        name = lower[name]
    return found.below.get(name, [name])[0]


def _of_phase(
    names: dict[str, list[str]] | dict[str, str], nodes: dict[str, Node], forward: bool
) -> list[str]:
    return [name for name in names if (nodes[name].phase == "forward") == forward]

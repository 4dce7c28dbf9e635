"""Y-branches: a variable that several functions read gets one stem, a dot, and an arrow to each.

One pass, picture in, picture out. It never places anything.
"""

from __future__ import annotations

from dataclasses import replace

from .picture import VARIABLES, Edge, Node, Picture


def with_branches(picture: Picture) -> Picture:
    """Draw the Y-branches of ``picture``.

    Before: ``v -> f``, ``v -> g``. After: ``v -- dot`` (a stem), ``dot -> f``, ``dot -> g``. The
    way into a delay is no branch (the loop shows it), nor is a residual edge (it would double every
    value); but it starts at the dot where there is one.
    """
    kinds = {node.id: node.kind for node in picture.nodes}
    readers: dict[str, list[Edge]] = {}
    kept: dict[str, list[Edge]] = {}
    for edge in picture.edges:
        if edge.style == "residual":
            kept.setdefault(edge.source, []).append(edge)
        elif edge.style in ("normal", "backward", "shared") and kinds[edge.target] != "delay":
            readers.setdefault(edge.source, []).append(edge)
    nodes: list[Node] = []
    moved: dict[Edge, Edge] = {}
    stems: dict[str, Edge] = {}
    taken = set(kinds)
    for node in picture.nodes:
        nodes.append(node)
        own = readers.get(node.id, [])
        if node.kind not in VARIABLES or len({edge.target for edge in own}) < 2:
            continue
        dot = _free(f"{node.id} branch", taken)
        nodes.append(
            Node(
                dot,
                "branch",
                tooltip=node.tooltip,
                cluster=node.cluster,
                side=node.side,
                phase=node.phase,
            )
        )
        stems[node.id] = Edge(node.id, dot, "stem")
        for edge in own + kept.get(node.id, []):
            moved[edge] = replace(edge, source=dot)
    edges: list[Edge] = []
    for edge in picture.edges:
        if edge in moved and edge.source in stems:
            edges.append(stems.pop(edge.source))
        edges.append(moved.get(edge, edge))
    return replace(picture, nodes=tuple(nodes), edges=tuple(edges))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name

"""Y-branches: a variable that several functions read gets one stem, a dot, and an arrow to each.

Where the way back meets one, the gradients are added: their arrows end at a sum, from which one
leads to the variable's gradient. One pass, picture in, picture out. It never places anything.
"""

from __future__ import annotations

from dataclasses import replace

from ..picture import VARIABLES, Edge, Node, Picture


def with_branches(picture: Picture) -> Picture:
    """Draw the Y-branches of ``picture``, and the sums on the way back.

    Before: ``v -> f``, ``v -> g``. After: ``v -- dot`` (a stem), ``dot -> f``, ``dot -> g``. The
    way into a delay is no branch (the loop shows it), nor is a residual edge (it would double every
    value); but it starts at the dot where there is one.

    Before: ``∂f -> ∂v``, ``∂g -> ∂v``. After: ``∂f -> +``, ``∂g -> +``, ``+ -> ∂v``.
    """
    return _with_sums(_with_dots(picture))


def _with_dots(picture: Picture) -> Picture:
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
                cluster=_frame_of_all(picture, node, [edge.target for edge in own]),
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


def _frame_of_all(picture: Picture, node: Node, readers: list[str]) -> str | None:
    """Where the dot stands: beside the variable, or in the frame of a block that alone reads it.

    Beside it in a loop, whose delays lead to the variable, and over a backward row.
    """
    frames = {cluster.id: cluster for cluster in picture.clusters}
    in_loop = node.cluster is not None and frames[node.cluster].kind == "loop"
    two_rows = any(other.phase != "forward" for other in picture.nodes)
    if node.side != "main" or in_loop or two_rows:
        return node.cluster
    at = {other.id: other.cluster for other in picture.nodes}

    def blocks_around(name: str) -> list[str]:
        """The frames of blocks between a reader and the variable, from the inside out."""
        found, frame = [], at[name]
        while frame is not None and frame != node.cluster and frames[frame].kind == "block":
            found.append(frame)
            frame = frames[frame].parent
        return found if frame == node.cluster else []

    first, *others = [blocks_around(name) for name in readers]
    return next((frame for frame in first if all(frame in way for way in others)), node.cluster)


def _with_sums(picture: Picture) -> Picture:
    kinds = {node.id: node.kind for node in picture.nodes}
    makers: dict[str, list[Edge]] = {}
    for edge in picture.edges:
        back = edge.style == "backward" and kinds[edge.source] != "delay"
        if back and kinds[edge.target] == "value":
            makers.setdefault(edge.target, []).append(edge)
    nodes: list[Node] = []
    moved: dict[Edge, Edge] = {}
    last: dict[Edge, Edge] = {}
    taken = set(kinds)
    for node in picture.nodes:
        added = makers.get(node.id, [])
        if len({edge.source for edge in added}) > 1:
            plus = _free(f"{node.id} sum", taken)
            tip = f"sum\n{node.tooltip}"
            nodes.append(replace(node, id=plus, kind="sum", label="+", tooltip=tip))
            moved |= {edge: replace(edge, target=plus) for edge in added}
            last[added[-1]] = Edge(plus, node.id, "backward")
        nodes.append(node)
    edges: list[Edge] = []
    for edge in picture.edges:
        edges.append(moved.get(edge, edge))
        if edge in last:
            edges.append(last[edge])
    return replace(picture, nodes=tuple(nodes), edges=tuple(edges))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name

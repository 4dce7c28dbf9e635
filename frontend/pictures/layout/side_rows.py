"""How what computes weights stands in a picture: in rows of its own, beside the row that uses them.

The part of ``arrange`` that pictures with computed weights need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..picture import Edge, Node, Picture
from .arrangement import Arrangement, Links
from .loop_rows import between


def computed_weights(links: Links, nodes: Mapping[str, Node]) -> list[Node]:
    """The weights that something in the picture computes."""
    return [
        node
        for node in nodes.values()
        if node.side == "parameter"
        and node.kind not in ("branch", "sum")
        and any(edge.style == "normal" for edge in links.into[node.id])
    ]


def entrances(picture: Picture, flow: Sequence[Edge]) -> list[Edge]:
    """What a block is given stands left of its frame: as links to what that one begins with."""
    frames = {cluster.id: cluster for cluster in picture.clusters}

    def around(node: Node) -> list[str]:
        found, at = [], node.cluster
        while at is not None:
            found.append(at)
            at = frames[at].parent
        return found

    path = {node.id: around(node) for node in picture.nodes}
    found: dict[Edge, None] = {}
    for frame in picture.clusters:
        if frame.kind != "block":
            continue
        own = [edge for edge in flow if frame.id in path[edge.target]]
        inner = {edge.target for edge in own if frame.id in path[edge.source]}
        starts = [
            node.id
            for node in picture.nodes
            if frame.id in path[node.id] and node.side == "main" and node.id not in inner
        ]
        given = {edge.source: None for edge in own if frame.id not in path[edge.source]}
        found |= {Edge(source, start): None for source in given for start in starts}
    return list(found)


def rising(picture: Picture, links: Links, nodes: Mapping[str, Node]) -> set[str]:
    """What stands above a main row, as it computes weights that come from above.

    These are weights that several functions share, and over a backward row all weights.
    """
    two_rows = any(node.phase != "forward" for node in picture.nodes)
    found: set[str] = set()
    waiting = [
        node.id
        for node in computed_weights(links, nodes)
        if node.phase == "forward"
        and (two_rows or any(nodes[e.target].kind == "branch" for e in links.out[node.id]))
    ]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for edge in links.into[name]:
            ends = [e.target for e in links.out[edge.source] if e.style != "residual"]
            if edge.style != "residual" and all(end in found for end in ends):
                waiting.append(edge.source)
    return found


def line_up_weights(found: Arrangement, picture: Picture) -> None:
    """A computed weight is level with what makes it, at the end of its row; one for each row."""
    nodes = {node.id: node for node in picture.nodes}
    ends: set[str] = set()
    for edge in picture.edges:
        one, other = (
            (edge.source, edge.target)
            if nodes[edge.target].phase == "forward"
            else (edge.target, edge.source)
        )
        hangs = other in found.owner_of or any(other in tower for tower in found.above.values())
        if (
            edge.style not in ("normal", "backward")
            or not hangs
            or other in found.row
            or one in ends
            or (nodes[one].side, nodes[other].side) != ("main", "parameter")
            or nodes[one].phase != nodes[other].phase
            or one in (found.owner_of.get(other), *_feet(found, other))
        ):
            continue
        row = found.row.setdefault(one, f"beside {one}")
        found.row[other] = row
        found.row_edges.add((edge.source, edge.target))
        ends.add(one)


def level_rows(found: Arrangement, nodes: Mapping[str, Node]) -> None:
    """All of a row that ends in a weight is on the same side of the row that uses the weight."""
    below = [(name, foot, False) for name, foot in found.owner_of.items()]
    above = [(name, foot, True) for foot, tower in found.above.items() for name in tower]
    for weight, foot, up in (*below, *above):
        row, main = found.row.get(weight), found.row.get(foot)
        if row in (None, main) or main is None or nodes[weight].side == "main":
            continue
        rows = {name: other for name, other in found.row.items() if nodes[name].side == "main"}
        level = {found.late[name]: name for name, other in rows.items() if other == main}
        for name, other in rows.items():
            upper = level.get(found.late[name])
            if other == row and upper is not None:
                found.stacked.append((upper, name) if up else (name, upper))
        # Nothing stands between the function and its weight: what is beside it is above both.
        rivals = [] if up or nodes[weight].phase != "forward" else list(found.below)
        found.stacked += [
            (foot, rival)
            for rival in rivals
            if found.late[rival] == found.late[foot]
            and found.below[rival][-1] not in found.row
            and rival not in rows
        ]


def _feet(found: Arrangement, name: str) -> list[str]:
    return [foot for foot, tower in found.above.items() if name in tower]


def lower_sums(found: Arrangement, links: Links, nodes: Mapping[str, Node]) -> None:
    """The gradient of what several functions share stands under their row, and its sum on it."""
    for node in nodes.values():
        if node.kind != "sum" or node.side != "parameter":
            continue
        makers = [edge.source for edge in links.into[node.id]]
        if len({found.row.get(name) for name in makers}) > 1:
            continue
        ranks = [found.rank[name] for name in makers]
        middle = between(
            found, nodes, min(ranks), max(ranks), node.cluster, "backward", over=found.below
        )
        if middle is not None:
            (total,) = (edge.target for edge in links.out[node.id])
            found.below[middle] = [total, node.id, *found.below.get(middle, [])]
            found.owner_of.update({total: middle, node.id: middle})

"""How loops stand in a picture: delays above the row, inputs below it, copies side by side.

The part of ``arrange`` that pictures with loops need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..picture import Edge, Node, Phase, Picture
from .arrangement import Arrangement, Links


def outlets_of(links: Links, nodes: Mapping[str, Node]) -> list[str]:
    """What comes out of delays; of unrolled ones, the initial values."""
    found = [
        edge.target
        for node in nodes.values()
        if node.kind == "delay" and node.phase == "forward"
        for edge in links.out[node.id]
    ]
    return found + [
        node.id
        for node in nodes.values()
        if (node.kind, node.side, node.phase) == ("computed", "main", "forward")
        and all(edge.starts for edge in links.into[node.id])
        and node.id not in found
    ]


def successions(picture: Picture, flow: Sequence[Edge]) -> list[Edge]:
    """Where a frame is right of another: as links from what that one ends with."""
    parents = {cluster.id: cluster.parent for cluster in picture.clusters}
    inside: dict[str, list[str]] = {cluster.id: [] for cluster in picture.clusters}
    for node in picture.nodes:
        at = node.cluster
        while at is not None and node.side == "main" and node.kind != "delay":
            inside[at].append(node.id)
            at = parents[at]
    found = []
    for cluster in picture.clusters:
        if cluster.after is None:
            continue
        before, own = set(inside[cluster.after]), set(inside[cluster.id])
        going = {e.source for e in flow if e.source in before and e.target in before}
        coming = {e.target for e in flow if e.source in own and e.target in own}
        ends = [name for name in inside[cluster.after] if name not in going]
        starts = [name for name in inside[cluster.id] if name not in coming]
        found += [Edge(end, start) for end in ends for start in starts]
    return found


def find_inner_rows(
    found: Arrangement, picture: Picture, order: Sequence[str], flow: Sequence[Edge]
) -> None:
    """Within a loop, what is beside the main row has rows of its own."""
    frames = {node.id: node.cluster for node in picture.nodes}
    for cluster in picture.clusters:
        number = 0
        while cluster.kind == "loop":
            own = [n for n in order if frames[n] == cluster.id and n not in found.row]
            after: dict[str, list[str]] = {name: [] for name in own}
            for edge in flow:
                if edge.source in after and edge.target in after:
                    after[edge.source].append(edge.target)
            length: dict[str, int] = {}
            for name in reversed(own):
                length[name] = max((1 + length.get(end, 0) for end in after[name]), default=0)
            at = max(own, key=lambda name: length[name], default=None)
            if at is None or length[at] == 0:
                break
            while at is not None:
                found.row[at] = f"row {number} of {cluster.id}"
                found.inner.add(at)
                end = max(after[at], key=lambda name: length[name], default=None)
                if end is not None:
                    found.row_edges.add((at, end))
                at = end
            number += 1


def raise_delays(found: Arrangement, links: Links, nodes: Mapping[str, Node]) -> None:
    """A delay stands above the row, between what closes it and what reads it."""
    for node in nodes.values():
        if node.kind != "delay":
            continue
        readers = [e.target for e in links.out[node.id]]
        starts = [e.source for e in links.into[node.id] if e.back]
        if not readers or not starts:
            continue
        # The way from the delay to the row is a lane of its own, above which nothing can stand.
        lane = _lane(found, links, nodes, readers)
        first = max(
            [min(found.late[name] for name in readers), *(found.late[name] for name in lane)]
        )
        last = max(found.rank[name] for name in starts)
        middle = between(found, nodes, first, last, node.cluster)
        if middle is not None:
            found.above.setdefault(middle, []).append(node.id)
        else:
            start = max(starts, key=lambda name: (found.rank[name], name))
            found.gaps.setdefault(start, []).append(node.id)


def _lane(
    found: Arrangement, links: Links, nodes: Mapping[str, Node], start: Sequence[str]
) -> list[str]:
    """What is passed on the way from variables to a main row."""
    passed: dict[str, None] = {}
    stack = [name for name in start if name not in found.row]
    while stack:
        name = stack.pop()
        if name in passed:
            continue
        passed[name] = None
        ends = (e.target for e in links.out[name] if not e.back and e.style != "residual")
        stack += [end for end in ends if end not in found.row and nodes[end].kind != "delay"]
    return list(passed)


def top_outlets(found: Arrangement, nodes: Mapping[str, Node], links: Links) -> None:
    """What comes out of a delay stands above all in its column, where the arrow back comes from."""
    outlets = outlets_of(links, nodes)
    initial = [e.source for name in outlets for e in links.into[name]]
    outlets += [n for n in initial if nodes[n].side == "main" and nodes[n].kind != "delay"]
    for outlet in dict.fromkeys(outlets):
        found.outlets[outlet] = [
            node.id
            for node in nodes.values()
            if found.late[node.id] == found.late[outlet]
            and node.cluster == nodes[outlet].cluster
            and (node.side, node.phase) == ("main", "forward")
            and node.kind not in ("delay", "branch")
            and node.id not in outlets
        ]


def align_copies(found: Arrangement, picture: Picture) -> None:
    """In the copies of an unrolled loop, what is beside the main row stands below it."""
    follows = {cluster.id for cluster in picture.clusters if cluster.after is not None}
    copies = follows | {cluster.after for cluster in picture.clusters}
    places = {
        (node.cluster, found.late[node.id]): node.id
        for node in picture.nodes
        if node.id in found.row and node.id not in found.inner
    }
    for node in picture.nodes:
        if node.cluster in copies and node.id in found.inner:
            upper = places.get((node.cluster, found.late[node.id]))
            if upper is not None:
                found.outlets.setdefault(upper, []).append(node.id)


def between(
    found: Arrangement,
    nodes: Mapping[str, Node],
    first: int,
    last: int,
    cluster: str | None,
    phase: Phase = "forward",
    over: Mapping[str, object] | None = None,
) -> str | None:
    """The node of a main row that stands nearest to the middle between two ranks.

    Where ``over`` says at which nodes something else stands, it may be in another frame. Out of
    a frame, a tower is not sure to stand over its foot: one in the same frame is better, and one
    at which nothing else stands.
    """
    inner = [
        name
        for name in found.row
        if first < found.rank[name] < last
        and nodes[name].phase == phase
        and (over is not None or cluster is None or nodes[name].cluster == cluster)
    ]

    def distance(name: str) -> tuple[bool, bool, int, str]:
        away = abs(2 * found.rank[name] - first - last)
        stranger = over is not None and nodes[name].cluster != cluster
        return (over is not None and name in over, stranger, away, name)

    return min(inner, key=distance, default=None)

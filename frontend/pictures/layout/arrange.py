"""What the reader's eye should follow: the main row, who hangs below it, and what stands above it.

Reads a picture (with its Y-branches) and says how its elements belong together; ``dot`` turns that
into constraints for Graphviz. This file never computes a coordinate and writes no DOT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import networkx as nx

from ..picture import Edge, Node, Picture
from .arrangement import Arrangement, Links
from .loop_rows import (
    align_copies,
    between,
    find_inner_rows,
    outlets_of,
    raise_delays,
    successions,
    top_outlets,
)
from .side_rows import entrances, level_rows, line_up_weights, lower_sums, rising


def arrange(picture: Picture) -> Arrangement:
    """Find the main rows of ``picture``, and the place of parameters, delays, shared variables."""
    nodes = {node.id: node for node in picture.nodes}
    links = Links(picture)
    flow = [edge for edge in picture.edges if _flows(nodes[edge.source], nodes[edge.target], edge)]
    wider = _without_cycles(picture.nodes, [*flow, *_through_sides(links, nodes)])
    turns = _add_turns(wider, [*successions(picture, flow), *entrances(picture, flow)])
    levels = enumerate(nx.topological_generations(wider))
    found = Arrangement(rank={name: rank for rank, level in levels for name in level})
    order = list(found.rank)
    found.late = _late_ranks(found.rank, wider)
    found.successions = turns
    _find_rows(found, nodes, order, flow, outlets_of(links, nodes))
    find_inner_rows(found, picture, order, flow)
    _hang_parameters(found, links, nodes, rising(picture, links, nodes))
    _turn_back(found, picture, nodes)
    found.under = {
        node.id: node.under
        for node in picture.nodes
        if node.under is not None and node.id not in found.owner_of
    }
    _merge_hung(found)
    raise_delays(found, links, nodes)
    _raise_shared(found, links, nodes)
    lower_sums(found, links, nodes)
    line_up_weights(found, picture)
    top_outlets(found, nodes, links)
    align_copies(found, picture)
    level_rows(found, nodes)
    _stack_branches(found, nodes)
    found.aside = {
        node.id
        for node in picture.nodes
        if not links.out[node.id]
        and node.id not in found.row
        and node.side == "main"
        and any(edge.label for edge in links.into[node.id])
    }
    _find_ways_beside(found, flow, nodes)
    for base, tower in found.above.items():
        found.tower_of.update({name: (base, storey) for storey, name in enumerate(tower)})
    return found


def runs_left(source: Node, target: Node) -> bool:
    """Whether the link is drawn from right to left: gradients flow back under the forward row."""
    return source.phase != "forward" and target.phase != "forward"


def _flows(source: Node, target: Node, edge: Edge) -> bool:
    return (
        edge.style != "residual"
        and "delay" not in (source.kind, target.kind)
        and source.side == target.side == "main"
        and (source.phase == "forward") == (target.phase == "forward")
    )


def _through_sides(links: Links, nodes: Mapping[str, Node]) -> list[Edge]:
    """Computed parameters, ``H -> w -> G`` with w at the side of G: as a link from H to G."""

    def ends(name: str) -> list[str]:
        if nodes[name].side == "main":
            return [name]
        return [end for e in links.out[name] if e.style != "residual" for end in ends(e.target)]

    return [
        Edge(made.source, end)
        for node in nodes.values()
        if node.side == "parameter"
        for made in links.into[node.id]
        if nodes[made.source].side == "main" and made.style in ("normal", "backward")
        for end in ends(node.id)
    ]


def _without_cycles(nodes: Sequence[Node], links: Sequence[Edge]) -> nx.DiGraph[str]:
    graph = nx.DiGraph()
    graph.add_nodes_from(node.id for node in nodes)
    graph.add_edges_from((edge.source, edge.target) for edge in links)
    # A cycle without a delay should not come here; if it does, it is cut at its first node.
    while not nx.is_directed_acyclic_graph(graph):
        graph.remove_edge(*nx.find_cycle(graph)[-1])
    return graph


def _add_turns(graph: nx.DiGraph[str], turns: Sequence[Edge]) -> list[tuple[str, str]]:
    """Those of the `turns` that close no cycle: what leaves a frame may come back into it."""
    added = []
    for edge in turns:
        if not nx.has_path(graph, edge.target, edge.source):
            graph.add_edge(edge.source, edge.target)
            added.append((edge.source, edge.target))
    return added


def _find_rows(
    found: Arrangement,
    nodes: Mapping[str, Node],
    order: Sequence[str],
    flow: Sequence[Edge],
    outlets: Sequence[str],
) -> None:
    """In each connected part, the longest way is the main row; through loops, if there are any."""
    joined = nx.Graph()
    joined.add_nodes_from(order)
    joined.add_edges_from((edge.source, edge.target) for edge in flow)
    parts = enumerate(nx.connected_components(joined))
    part = {name: number for number, names in parts for name in names}
    place = {name: index for index, name in enumerate(order)}
    best = {name: (int(name in outlets), 0) for name in order}
    back: dict[str, str] = {}
    into: dict[str, list[str]] = {name: [] for name in order}
    for edge in flow:
        if place[edge.source] < place[edge.target]:
            into[edge.target].append(edge.source)
    ends: dict[int, str] = {}
    for name in order:
        for source in into[name]:
            way = best[source][0] + (name in outlets), best[source][1] + 1
            if way > best[name]:
                best[name], back[name] = way, source
        end = ends.get(part[name])
        # On equal length the cost ends the row.
        worth = (best[name], nodes[name].kind == "cost")
        if end is None or worth > (best[end], nodes[end].kind == "cost"):
            ends[part[name]] = name
    for number, end in enumerate(ends.values()):
        if best[end][1] == 0:
            continue
        at = end
        found.row[at] = f"row{number}"
        while at in back:
            found.row_edges.add((back[at], at))
            at = back[at]
            found.row[at] = f"row{number}"


def _hang_parameters(
    found: Arrangement, links: Links, nodes: Mapping[str, Node], risen: Collection[str]
) -> None:
    two_rows = any(node.phase != "forward" for node in nodes.values())
    # A weight that is computed comes with a row of its own, and takes the first place; the last one
    # on the way back, where the row is farther from the function.
    for node in sorted(
        nodes.values(), key=lambda n: n.kind != "computed" and bool(links.out[n.id])
    ):
        if node.side != "parameter" or node.kind in ("branch", "sum"):
            continue
        if node.phase == "forward":
            ends = [e.target for e in links.out[node.id] if nodes[e.target].phase == "forward"]
        else:
            ends = [e.source for e in links.into[node.id] if e.style != "residual"]
        if len(ends) == 1 and nodes[ends[0]].kind not in ("branch", "sum", "delay"):
            _hang(found, node, ends[0], two_rows or ends[0] in risen, links, nodes)


def _hang(
    found: Arrangement,
    node: Node,
    owner: str,
    upwards: bool,
    links: Links,
    nodes: Mapping[str, Node],
) -> None:
    """The first parameter goes below its function, a second above it; more come from the left.

    Over a backward row, the forward row's parameters come from above first. What comes over the top
    (delays, shared variables) keeps the place above for itself.
    """
    from_top = any(
        nodes[e.source].kind == "delay"
        or (nodes[e.source].kind, nodes[e.source].side) == ("branch", "parameter")
        for e in links.into[owner]
    )
    # A sequence out of the frame comes from above, where nothing keeps it from its element.
    enters = [e.source for e in links.into[node.id] if e.style == "normal" and e.label]
    element = any(nodes[name].cluster != node.cluster for name in enters)
    up_first = (upwards and node.phase == "forward") or element
    if up_first and not from_top and owner not in found.above:
        found.above[owner] = [node.id]
    elif owner not in found.below:
        found.below[owner] = [node.id]
        found.owner_of[node.id] = owner
    elif node.phase != "forward":
        found.below[owner].insert(0, node.id)
        found.owner_of[node.id] = owner
    elif not from_top and owner not in found.above:
        found.above[owner] = [node.id]


def _merge_hung(found: Arrangement) -> None:
    """What hangs below what hangs below is one column."""
    for owner in list(found.below):
        root = next((foot for foot, tower in found.above.items() if owner in tower), None)
        if owner in found.owner_of:
            found.below[found.owner_of[owner]][:0] = found.below.pop(owner)
        elif root is not None and root != owner:
            tower = found.below.pop(owner)
            found.above[root] += tower[::-1]
            for name in tower:
                del found.owner_of[name]


def _turn_back(found: Arrangement, picture: Picture, nodes: Mapping[str, Node]) -> None:
    """Where the forward row ends, the backward row starts right under it."""
    for edge in picture.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        if edge.style == "backward" and source.phase == "forward" and target.phase != "forward":
            found.turns.add((source.id, target.id))
            if target.id not in found.owner_of:
                found.below.setdefault(source.id, []).insert(0, target.id)
                found.owner_of[target.id] = source.id


def _raise_shared(found: Arrangement, links: Links, nodes: Mapping[str, Node]) -> None:
    for node in nodes.values():
        if node.kind != "branch" or node.side != "parameter":
            continue
        readers = [edge.target for edge in links.out[node.id] if edge.style != "residual"]
        if len({found.row.get(name) for name in readers}) > 1:
            continue  # over one row, its way to another would lead through this one
        ranks = [found.rank[name] for name in readers]
        first, last = min(ranks), max(ranks)
        raised = [node.id, *(edge.source for edge in links.into[node.id])]
        # Over a delay, if there is one on the way: its column is free down to the row.
        gap = next((end for end in found.gaps if first < found.rank[end] <= last), None)
        middle = between(found, nodes, first, last, node.cluster, over=found.above)
        if gap is not None:
            found.gaps[gap] += raised
            found.tower_of.update({name: (gap, storey) for storey, name in enumerate(raised)})
        elif middle is not None:
            found.above.setdefault(middle, []).extend(raised)


def _find_ways_beside(found: Arrangement, flow: Sequence[Edge], nodes: Mapping[str, Node]) -> None:
    """What leads from one node to the next beside a row, in one frame, is drawn in one line."""
    into = Counter(edge.target for edge in flow)
    out = Counter(edge.source for edge in flow)
    for edge in flow:  # in the order of drawing: a source comes before its targets
        one, other = edge.source, edge.target
        within = nodes[one].cluster == nodes[other].cluster
        if (
            within
            and into[other] == out[one] == 1
            and not {one, other} & {*found.row, *found.owner_of}
        ):
            found.beside[other] = found.beside.setdefault(one, f"way of {one}")


def _stack_branches(found: Arrangement, nodes: Mapping[str, Node]) -> None:
    """A function beside a row stands below the one of the row in its column, under its parameters.

    The shortcut of a residual connection, say: its parameters would come between the two.
    """
    columns = {
        (nodes[name].cluster, found.rank[name], found.late[name]): name
        for name in found.row
        if name in found.below and nodes[name].phase == "forward"
    }
    for name in found.below:
        node = nodes[name]
        upper = columns.get((node.cluster, found.rank[name], found.late[name]))
        if upper is not None and node.phase == "forward" and name not in found.row:
            columns[node.cluster, found.rank[name], found.late[name]] = name
            found.stacked.append((name, upper))


def _late_ranks(rank: dict[str, int], graph: nx.DiGraph[str]) -> dict[str, int]:
    """The last ranks at which nodes can stand before what reads them, as the layout draws them."""
    late = dict(rank)
    for name in reversed(rank):
        late[name] = min((late[end] - 1 for end in graph.successors(name)), default=rank[name])
    return late

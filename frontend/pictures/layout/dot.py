"""A picture as DOT text: the notation's forms, left to right, with the columns of ``columns``.

The package graphviz writes and quotes the text. The names in it are ``n0``, ``e0``, ``c0`` in the
picture's order. This file never runs Graphviz and never touches SVG.
"""

from __future__ import annotations

from graphviz import Digraph, escape

from ....compiler.unwinding import Steps, unwound
from ..picture import Cluster, ClusterKind, Edge, Node, Picture
from .arrange import arrange, runs_left
from .arrangement import Arrangement
from .columns import add_columns, floors
from .metrics import printable
from .notation import (
    CAPTION,
    CAPTION_FACE,
    FIXED,
    GRADIENT,
    INK,
    MATH_FACE,
    POINTS,
    RESIDUAL,
    TEXT,
    shape_of,
)

_GRAPH = {
    "rankdir": "LR",
    "nodesep": "0.32",
    "ranksep": "0.46",
    "newrank": "true",
    "remincross": "false",
    "compound": "true",
    "outputorder": "edgesfirst",
    "bgcolor": "white",
    "pad": "0.2",
    "fontname": CAPTION_FACE,
    "fontsize": "13",
    "fontcolor": CAPTION,
}
_NODE = {
    "fontname": MATH_FACE,
    "fontsize": "18",
    "fontcolor": TEXT,
    "style": "filled",
    "fixedsize": "true",
    "penwidth": "2.2",
}
# In this order: with "arrowsize" before the others, Graphviz bends links within a column otherwise.
_EDGE = (
    ("fontname", MATH_FACE),
    ("fontsize", "15"),
    ("fontcolor", TEXT),
    ("color", INK),
    ("penwidth", "1.8"),
    ("arrowsize", "0.8"),
)
_BESIDE = {"penwidth": "1.3", "margin": "14", "labeljust": "r", "labelloc": "b"}
_FRAMES: dict[ClusterKind, dict[str, str]] = {
    "loop": {"style": "rounded,dashed", "color": "#94A3B8", "bgcolor": "#F4F7FD", **_BESIDE},
    "block": {"style": "rounded", "color": "#C7CAFF", "bgcolor": "#FBFBFF", **_BESIDE},
    "plain": {
        "style": "",
        "bgcolor": "transparent",
        "penwidth": "0",
        "margin": "12",
        "labeljust": "l",
        "labelloc": "t",
    },
}
# Measured at 1500 nodes and 2000 links: 86 s with curves and full effort, 7 s so.
_MANY = 600
_EFFORT = {
    False: {"splines": "spline"},
    True: {"splines": "line", "mclimit": "0.2", "nslimit": "1", "nslimit1": "1"},
}
_UNSEEN = {"shape": "point", "style": "invis", "label": "", "width": "0.1"}
_WORD = {"fontname": CAPTION_FACE, "fontsize": "12", "fontcolor": CAPTION}
_FUNCTIONS = ("function", "operation")


def to_dot(picture: Picture) -> str:
    """The DOT text of ``picture``, whose Y-branches are already drawn (see ``branches``)."""
    names = {node.id: f"n{index}" for index, node in enumerate(picture.nodes)}
    nodes = {node.id: node for node in picture.nodes}
    found = arrange(picture)
    effort = _EFFORT[len(picture.nodes) > _MANY]
    root = Digraph("picture", graph_attr={**_GRAPH, **effort}, node_attr=_NODE)
    root.attr("edge", _attributes=_EDGE)
    # One frame around everything: only inside a cluster does Graphviz keep the order of a column.
    frame = Digraph("cluster", graph_attr={"label": label(picture.title), **_FRAMES["plain"]})
    unwound(_Frames(picture, names, found).fill(frame, None))
    clusters = {cluster.id: f"cluster_{index}" for index, cluster in enumerate(picture.clusters)}
    for index, edge in enumerate(picture.edges):
        _add_edge(frame, edge, f"e{index}", nodes, names, clusters, found)
    root.subgraph(frame)
    add_columns(root, picture, names, found)
    text: str = root.source
    return text


def label(text: str) -> str:
    """``text`` as a label that Graphviz shows letter by letter."""
    shown: str = escape(printable(text).replace("&", "&amp;"))
    return shown


class _Frames:
    """The frames of a picture, one in the other, with the nodes in them."""

    def __init__(self, picture: Picture, names: dict[str, str], found: Arrangement) -> None:
        self.names, self.found = names, found
        self.frames: dict[str | None, list[tuple[int, Cluster]]] = {}
        for index, cluster in enumerate(picture.clusters):
            self.frames.setdefault(cluster.parent, []).append((index, cluster))
        self.nodes: dict[str | None, list[Node]] = {}
        for node in picture.nodes:
            self.nodes.setdefault(node.cluster, []).append(node)
        self.gaps = {delays[0] for delays in found.gaps.values()}
        self.ends = set(floors(picture, found).values())

    def fill(self, graph: Digraph, name: str | None) -> Steps[None]:
        """Add what is in the frame `name` to its subgraph."""
        for index, cluster in self.frames.get(name, []):
            style = {"id": f"c{index}", "label": label(cluster.label), **_FRAMES[cluster.kind]}
            frame = Digraph(f"cluster_{index}", graph_attr=style)
            yield self.fill(frame, cluster.id)
            graph.subgraph(frame)
        for node in self.nodes.get(name, []):
            short = self.names[node.id]
            _add_node(graph, node, short, self.found)
            self._keep_together(graph, node)
            if node.id in self.gaps:
                graph.node(f"{short}_gap", height="0.3", **_UNSEEN)
            if node.id in self.ends:
                graph.node(f"{short}_floor", height="0.1", **_UNSEEN)

    def _keep_together(self, graph: Digraph, node: Node) -> None:
        """Nothing of another row comes between a function beside a row and what hangs under it.

        Where that is in the function's own frame: a node is in one frame alone.
        """
        hung = self.found.below.get(node.id, [])
        inside = {item.id for item in self.nodes[node.cluster]}
        in_row = node.id in self.found.row or node.phase != "forward"
        if in_row or not hung or not inside.issuperset(hung):
            return
        short = self.names[node.id]
        style = {"style": "invis", "margin": "0", "label": "", "id": f"{short}_column"}
        column = Digraph(f"cluster_{short}", graph_attr=style)
        for name in (node.id, *hung):
            column.node(self.names[name])
        graph.subgraph(column)


def _add_node(graph: Digraph, node: Node, name: str, found: Arrangement) -> None:
    shape = shape_of(node)
    facing = _facing(node) if shape.form == "bullet" else ""
    style = {
        "id": name,
        "class": " ".join(filter(None, (node.kind, node.phase, shape.form, facing))),
        "label": label(node.label if node.kind != "branch" else ""),
        "shape": {"circle": "circle", "dot": "point"}.get(shape.form, "box"),
        "width": f"{shape.width / POINTS:.3f}",
        "height": f"{shape.height / POINTS:.3f}",
        "color": shape.colours.line,
        "fillcolor": shape.colours.fill,
    }
    if shape.font_size == 15.0:
        style |= {"fontsize": "15", "penwidth": "1.8"}
    row = found.row.get(node.id) or found.beside.get(node.id)
    if row:
        style["group"] = label(row)
    graph.node(name, **style)


def _facing(node: Node) -> str:
    return "left" if (node.kind == "delay") != (node.phase != "forward") else "right"


def _add_edge(
    graph: Digraph,
    edge: Edge,
    name: str,
    nodes: dict[str, Node],
    names: dict[str, str],
    clusters: dict[str, str],
    found: Arrangement,
) -> None:
    source, target = nodes[edge.source], nodes[edge.target]
    delayed = "delay" in (source.kind, target.kind) and source.phase == "forward"
    beneath = edge.style == "residual" and found.under.get(target.id) == source.id
    words = f"{edge.style} stopped" if edge.stopped else edge.style
    style = {"id": name, "class": words, **_style(edge)}
    if edge.label:
        style |= {"xlabel" if _hangs(edge, found) else "label": label(edge.label), **_WORD}
    if edge.frame is not None:
        style["lhead"] = clusters[edge.frame]
    if edge.style != "residual":
        style["weight"] = str(_weight(edge, source, target, found))
    elif beneath:
        style["weight"] = "1"
    else:
        style["constraint"] = "false"
    if (target.id in found.gaps and not delayed) or edge.target in found.aside:
        style["minlen"] = "2"
    out, into = _ports(edge, source, target, found)
    ends = f"{names[edge.source]}{out}", f"{names[edge.target]}{into}"
    turned = _turned(source, target, found) or delayed
    if beneath:
        turned = True
    elif found.owner_of.get(source.id) == target.id:
        turned = False
    elif found.owner_of.get(target.id) == source.id:
        turned = True
    if edge.style == "stem":
        style["dir"] = "none"
    elif turned:
        style["dir"] = "back"
    graph.edge(*(ends[::-1] if turned else ends), **style)


def _hangs(edge: Edge, found: Arrangement) -> bool:
    """Whether the link leads from one node to the next in a column."""
    columns = [*found.below.values(), *([foot, *tower] for foot, tower in found.above.items())]
    return any({edge.source, edge.target} <= set(column) for column in columns)


def _style(edge: Edge) -> dict[str, str]:
    if edge.style == "residual":
        return {"style": "dashed", "color": RESIDUAL, "penwidth": "1.4", "arrowsize": "0.7"}
    if edge.style == "shared":
        return {"color": FIXED["parameter"].line, "penwidth": "1.2", "arrowsize": "0.7"}
    return {"color": GRADIENT} if edge.style == "backward" else {}


def _turned(source: Node, target: Node, found: Arrangement) -> bool:
    """Whether Graphviz is told the link the other way round: it is drawn leftward or downward."""
    if target.kind == "sum" and target.id in found.owner_of:
        return found.rank[source.id] < found.rank[found.owner_of[target.id]]
    if runs_left(source, target):
        return "delay" not in (source.kind, target.kind)
    foot, storey = found.tower_of.get(source.id, (None, -1))
    if foot is None:
        return False
    if foot == target.id:
        return True
    other, lower = found.tower_of.get(target.id, (None, -1))
    if other == foot:
        return storey > lower
    return source.kind == "branch" and found.rank[target.id] < found.rank[foot]


def _ports(edge: Edge, source: Node, target: Node, found: Arrangement) -> tuple[str, str]:
    """Where a link leaves and enters: a bullet's tip, its flat side, or from above."""
    if (source.id, target.id) in found.turns:
        return ":e", ":e"
    out = into = ""
    hangs = (
        found.owner_of.get(target.id) == source.id
        or found.tower_of.get(target.id, ("", 0))[0] == source.id
    )
    if source.kind in _FUNCTIONS and not hangs:
        out = ":w" if _facing(source) == "left" else ":e"
    lowered = target.id in found.owner_of and not hangs
    if edge.style == "residual" or (target.kind == "sum" and lowered):
        out = ":s"
    if source.kind in _FUNCTIONS and lowered and target.id not in found.row:
        out = ":s"
    if target.kind in _FUNCTIONS and (
        edge.style == "residual"
        or source.kind == "delay"
        or (source.kind == "branch" and source.id in found.tower_of and edge.style != "shared")
    ):
        into = ":n"
    return out, into


def _weight(edge: Edge, source: Node, target: Node, found: Arrangement) -> int:
    if (source.id, target.id) in found.row_edges:
        return 100
    if "delay" in (source.kind, target.kind):
        return 0
    if edge.style == "shared":
        return 0
    if source.kind == "branch" and target.kind in _FUNCTIONS:
        return 3
    if source.kind == "branch" or target.kind == "sum":
        return 1
    return 20 if source.kind in _FUNCTIONS else 2

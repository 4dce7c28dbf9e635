"""A picture as DOT text: the notation's forms, left to right, with the columns of ``columns``.

The names in the DOT are ``n0``, ``e0``, ``c0`` in the picture's order, so that no label can break
it. This file never runs Graphviz and never touches SVG.
"""

from __future__ import annotations

from ....compiler.unwinding import Steps, unwound
from ..picture import Cluster, Edge, Node, Picture
from .arrange import arrange, runs_left
from .arrangement import Arrangement
from .columns import column_lines, floors
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

_HEAD = f"""\
  graph [rankdir=LR, nodesep=0.32, ranksep=0.46, newrank=true, remincross=false,
         compound=true, outputorder=edgesfirst,
         bgcolor=white, pad=0.2, fontname="{CAPTION_FACE}", fontsize=13, fontcolor="{CAPTION}"];
  node  [fontname="{MATH_FACE}", fontsize=18, fontcolor="{TEXT}",
         style=filled, fixedsize=true, penwidth=2.2];
  edge  [fontname="{MATH_FACE}", fontsize=15, fontcolor="{TEXT}",
         color="{INK}", penwidth=1.8, arrowsize=0.8];"""

_FRAMES = {
    "loop": 'style="rounded,dashed", color="#94A3B8", bgcolor="#F4F7FD", penwidth=1.3, margin=14, '
    "labeljust=r, labelloc=b",
    "block": 'style="rounded", color="#C7CAFF", bgcolor="#FBFBFF", penwidth=1.3, margin=14, '
    "labeljust=r, labelloc=b",
    "plain": 'style="", bgcolor=transparent, penwidth=0, margin=12, labeljust=l, labelloc=t',
}
# Measured at 1500 nodes and 2000 links: 86 s with curves and full effort, 7 s so.
_MANY = 600
_EFFORT = {False: "splines=spline;", True: "splines=line; mclimit=0.2; nslimit=1; nslimit1=1;"}
_UNSEEN = 'shape=point, style=invis, label="", width=0.1'
_WORD = f'fontname="{CAPTION_FACE}", fontsize=12, fontcolor="{CAPTION}"'
_FUNCTIONS = ("function", "operation")


def to_dot(picture: Picture) -> str:
    """The DOT text of ``picture``, whose Y-branches are already drawn (see ``branches``)."""
    names = {node.id: f"n{index}" for index, node in enumerate(picture.nodes)}
    nodes = {node.id: node for node in picture.nodes}
    found = arrange(picture)
    # One frame around everything: only inside a cluster does Graphviz keep the order of a column.
    frame = f"graph [label={quote(picture.title)}, {_FRAMES['plain']}];"
    effort = _EFFORT[len(picture.nodes) > _MANY]
    lines = ["digraph picture {", _HEAD, f"  {effort}", "  subgraph cluster {", f"    {frame}"]
    lines += unwound(_frame(picture, _node_lines(picture, names, found), None, "    "))
    clusters = {cluster.id: f"cluster_{index}" for index, cluster in enumerate(picture.clusters)}
    for index, edge in enumerate(picture.edges):
        lines.append(f"    {_edge(edge, f'e{index}', nodes, names, clusters, found)}")
    lines.append("  }")
    lines += (f"  {line}" for line in column_lines(picture, names, found))
    return "\n".join([*lines, "}"]) + "\n"


def quote(text: str) -> str:
    """``text`` as a DOT string that Graphviz shows letter by letter."""
    shown = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return '"' + shown.replace("\n", "\\n") + '"'


def _frame(
    picture: Picture, node_lines: dict[str | None, list[str]], parent: str | None, margin: str
) -> Steps[list[str]]:
    lines: list[str] = []
    for index, cluster in enumerate(picture.clusters):
        if cluster.parent == parent:
            lines += [
                f"{margin}subgraph cluster_{index} {{",
                f"{margin}  {_frame_style(cluster, index)}",
            ]
            lines += yield _frame(picture, node_lines, cluster.id, margin + "  ")
            lines.append(f"{margin}}}")
    return lines + [margin + line for line in node_lines.get(parent, [])]


def _frame_style(cluster: Cluster, index: int) -> str:
    return f'graph [id="c{index}", label={quote(cluster.label)}, {_FRAMES[cluster.kind]}];'


def _node_lines(
    picture: Picture, names: dict[str, str], found: Arrangement
) -> dict[str | None, list[str]]:
    lines: dict[str | None, list[str]] = {}
    gaps = {delays[0] for delays in found.gaps.values()}
    ends = set(floors(picture, found).values())
    for node in picture.nodes:
        own = lines.setdefault(node.cluster, [])
        own.append(_node(node, names[node.id], found))
        if node.id in gaps:
            own.append(f"{names[node.id]}_gap [{_UNSEEN}, height=0.3];")
        if node.id in ends:
            own.append(f"{names[node.id]}_floor [{_UNSEEN}, height=0.1];")
    return lines


def _node(node: Node, name: str, found: Arrangement) -> str:
    shape = shape_of(node)
    form = {"circle": "circle", "dot": "point"}.get(shape.form, "box")
    facing = _facing(node) if shape.form == "bullet" else ""
    words = [
        f'id="{name}"',
        f'class="{" ".join(filter(None, (node.kind, node.phase, shape.form, facing)))}"',
        f"label={quote(node.label if node.kind != 'branch' else '')}",
        f"shape={form}",
        f"width={shape.width / POINTS:.3f}",
        f"height={shape.height / POINTS:.3f}",
        f'color="{shape.colours.line}"',
        f'fillcolor="{shape.colours.fill}"',
    ]
    if shape.font_size == 15.0:
        words.append("fontsize=15, penwidth=1.8")
    if node.id in found.row:
        words.append(f"group={quote(found.row[node.id])}")
    return f"{name} [{', '.join(words)}];"


def _facing(node: Node) -> str:
    return "left" if (node.kind == "delay") != (node.phase != "forward") else "right"


def _edge(
    edge: Edge,
    name: str,
    nodes: dict[str, Node],
    names: dict[str, str],
    clusters: dict[str, str],
    found: Arrangement,
) -> str:
    source, target = nodes[edge.source], nodes[edge.target]
    delayed = "delay" in (source.kind, target.kind) and source.phase == "forward"
    beneath = edge.style == "residual" and found.under.get(target.id) == source.id
    words = [f'id="{name}"', f'class="{edge.style}"', *_style(edge)]
    if edge.style == "residual":
        words.append("weight=1" if beneath else "constraint=false")
    if edge.label:
        upright = "xlabel" if _hangs(edge, found) else "label"
        words.append(f"{upright}={quote(edge.label)}, {_WORD}")
    if edge.frame is not None:
        words.append(f"lhead={clusters[edge.frame]}")
    if edge.style != "residual":
        words.append(f"weight={_weight(edge, source, target, found)}")
    if (target.id in found.gaps and not delayed) or edge.target in found.aside:
        words.append("minlen=2")
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
        words.append("dir=none")
    elif turned:
        words.append("dir=back")
    if turned:
        ends = ends[::-1]
    return f"{ends[0]} -> {ends[1]} [{', '.join(words)}];"


def _hangs(edge: Edge, found: Arrangement) -> bool:
    """Whether the link leads from one node to the next in a column."""
    columns = [*found.below.values(), *([foot, *tower] for foot, tower in found.above.items())]
    return any({edge.source, edge.target} <= set(column) for column in columns)


def _style(edge: Edge) -> list[str]:
    if edge.style == "residual":
        return [f'style=dashed, color="{RESIDUAL}", penwidth=1.4, arrowsize=0.7']
    if edge.style == "shared":
        return [f'color="{FIXED["parameter"].line}", penwidth=1.2, arrowsize=0.7']
    return [f'color="{GRADIENT}"'] if edge.style == "backward" else []


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
    if source.kind == "branch" or target.kind == "sum":
        return 1
    return 20 if source.kind in _FUNCTIONS else 2

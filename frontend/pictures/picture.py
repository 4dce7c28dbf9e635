"""What a picture is: plain frozen data between the graphs and the drawing.

Every stage (diagram as drawn, lowered graph, backward graph) becomes a ``Picture``; ``dot`` and
``export`` draw it. This file never draws, never measures, and knows no graph of the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

NodeKind = Literal[
    "observed",
    "computed",
    "parameter",
    "constant",
    "state",
    "function",
    "delay",
    "cost",
    "branch",
    "sum",
    "operation",
    "value",
]
Phase = Literal["forward", "backward", "update"]
Side = Literal["main", "parameter"]
EdgeStyle = Literal["normal", "stem", "residual", "backward", "shared"]
ClusterKind = Literal["block", "loop", "plain"]

VARIABLES: frozenset[str] = frozenset(
    {"observed", "computed", "parameter", "constant", "state", "value"}
)
"""The kinds that hold a value, drawn as circles; the others (but ``branch``) act on values."""

INPUT_KINDS: Mapping[str, NodeKind] = {
    "observed": "observed",
    "parameter": "parameter",
    "state": "state",
}
"""How an input of the compiler's graph is drawn, by its role."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element of the notation.

    ``label`` is plain Unicode and may have several lines. ``tooltip`` has one fact a line: shape,
    dtype, the user's file and line. A node of ``side="parameter"`` enters its reader from below
    instead of standing in the row. ``phase`` colours the compiler's graphs. A backward node may
    name in ``under`` the forward node that it stands beneath.
    """

    id: str
    kind: NodeKind
    label: str = ""
    tooltip: str = ""
    cluster: str | None = None
    side: Side = "main"
    phase: Phase = "forward"
    under: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A link from the node ``source`` to the node ``target``.

    ``stem`` has no arrowhead; ``residual`` joins a forward value to the backward node that uses it;
    ``backward`` carries a gradient; ``shared`` brings a parameter to one of many copies. A link is
    ``back`` if it closes a loop through a delay. With ``frame``, the name of a frame around the
    target, it ends at that frame. It ``starts`` if it brings what a delay begins with. It is
    ``stopped``, and has a mark across it, if no gradient comes back along it.
    """

    source: str
    target: str
    style: EdgeStyle = "normal"
    label: str = ""
    tooltip: str = ""
    back: bool = False
    frame: str | None = None
    starts: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """A frame around the nodes that name it; ``parent`` is the frame around this frame.

    All of it stands to the right of the frame that ``after`` names.
    """

    id: str
    label: str = ""
    kind: ClusterKind = "block"
    parent: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be drawn; the order of nodes and edges is the order of drawing."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    clusters: tuple[Cluster, ...] = ()

    _repr_mimebundle_: ClassVar[Callable[..., dict[str, str]]]  # `notebook` attaches it

    def __post_init__(self) -> None:
        """Refuse doubled and dangling names.

        Raises:
            ValueError: if an id occurs twice, or an edge or a cluster names one that does not
            exist.
        """
        nodes = _unique("node", (node.id for node in self.nodes))
        clusters = _unique("cluster", (cluster.id for cluster in self.clusters))
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in nodes:
                    raise ValueError(
                        f"edge {edge.source!r} -> {edge.target!r}: the picture has no node {end!r}"
                    )
            if edge.frame is not None and edge.frame not in clusters:
                raise ValueError(
                    f"edge {edge.source!r} -> {edge.target!r} ends at {edge.frame!r}, which the "
                    "picture lacks"
                )
        for node in self.nodes:
            if node.under is not None and node.under not in nodes:
                raise ValueError(f"{node.id!r} is under {node.under!r}, which the picture lacks")
        for owner, parent in [
            *((node.id, node.cluster) for node in self.nodes),
            *((cluster.id, cluster.parent) for cluster in self.clusters),
            *((cluster.id, cluster.after) for cluster in self.clusters),
        ]:
            if parent is not None and parent not in clusters:
                raise ValueError(f"{owner!r} is in cluster {parent!r}, which the picture lacks")
        parents = {cluster.id: cluster.parent for cluster in self.clusters}
        for cluster in self.clusters:
            seen, at = {cluster.id}, cluster.parent
            while at is not None:
                if at in seen:
                    raise ValueError(f"cluster {cluster.id!r} is inside itself")
                seen.add(at)
                at = parents[at]


def _unique(what: str, names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {what}s of the picture have the id {name!r}")
        seen.add(name)
    return seen

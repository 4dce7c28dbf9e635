"""What an arrangement says of a picture, and the links of its nodes.

``arrange`` finds it, ``loop_rows`` the part of it that loops need.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..picture import Edge, Picture


@dataclass
class Arrangement:
    """How the elements of a picture belong together.

    Attributes:
        rank: How many links lead to a node on the longest way.
        late: The last rank at which a node can stand before what reads it, as the layout has it.
        row: The nodes of a main row, with that row's name.
        beside: The nodes of a way beside a main row without branches, with that way's name.
        inner: The nodes of a row beside a main row, within a loop.
        row_edges: The links of the main rows.
        below: For a function, what enters (or leaves) it from below, from bottom to top.
        above: What stands above a node, from bottom to top.
        gaps: For a variable, the delays (and what stands on them) above the link into it, which
            is drawn longer for them.
        turns: The links where the forward row ends and the backward row begins.
        under: For a backward node, the forward node that it stands beneath.
        outlets: What comes out of a delay, with what stands in its column below it.
        aside: What leaves a loop beside its row, and is drawn one column further.
        stacked: Nodes of two rows in one column, of which the first stands below the second.
        successions: The ends of a frame and the beginnings of the frame that is right of it.
        owner_of: ``below``, read the other way.
        tower_of: ``above``, read the other way: the node at the foot, and the storey.
    """

    rank: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    row: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    row_edges: set[tuple[str, str]] = field(default_factory=set)
    below: dict[str, list[str]] = field(default_factory=dict)
    above: dict[str, list[str]] = field(default_factory=dict)
    gaps: dict[str, list[str]] = field(default_factory=dict)
    turns: set[tuple[str, str]] = field(default_factory=set)
    under: dict[str, str] = field(default_factory=dict)
    outlets: dict[str, list[str]] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    stacked: list[tuple[str, str]] = field(default_factory=list)
    successions: list[tuple[str, str]] = field(default_factory=list)
    owner_of: dict[str, str] = field(default_factory=dict)
    tower_of: dict[str, tuple[str, int]] = field(default_factory=dict)


class Links:
    """The edges that leave and enter each node."""

    def __init__(self, picture: Picture) -> None:
        self.out: dict[str, list[Edge]] = {node.id: [] for node in picture.nodes}
        self.into: dict[str, list[Edge]] = {node.id: [] for node in picture.nodes}
        for edge in picture.edges:
            self.out[edge.source].append(edge)
            self.into[edge.target].append(edge)

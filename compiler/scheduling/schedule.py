"""schedule: groups get their order and stored values their buffers; updates are made in place.

    loop [784,10] %7 = sub(%w, mul(...))    update %w <- %7      ->    %7 is written into w's buffer

A state may be overwritten by the group that computes its next value, if every other group that
reads it has run before, and the group itself reads each element before it writes it (`in_place`).
Where that cannot be, the value is stored aside and copied at the end.  By the same rule a temporary
lies over another one that its group is the last to read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Graph, Node
from .arrangement import arrange
from .fusion import Fusion, Group
from .placing import Placing, Rolled
from .template import Place, Storage


@dataclass(frozen=True)
class Schedule:
    """Groups in their order, buffers, the place of every node in memory, and last copies.

    `copies` are (from, to) pairs of buffers, made after all groups; `rolled` says of a group that
    is a loop how its steps run.
    """

    graph: Graph
    groups: tuple[Group, ...]
    storages: tuple[Storage, ...]
    places: dict[Node, Place]
    copies: tuple[tuple[int, int], ...]
    rolled: dict[Group, Rolled]


def schedule(fusion: Fusion) -> Schedule:
    """Order and buffers: Fusion -> Schedule."""
    graph = fusion.graph
    found = arrange(fusion)
    placing = Placing()
    places: dict[Node, Place] = {}
    for node in graph.inputs:
        role = "input" if node.attrs["role"] == "observed" else "state"
        places[node] = placing.buffer(Storage(node.attrs["name"], role, node.type))  # type: ignore[arg-type]
    for name, node in graph.outputs:
        places[node] = placing.buffer(Storage(name, "output", node.type))
    placing.constants(found.constants, places)
    for value, state in found.in_place.items():
        places[value] = places[state]
    rolled = placing.values(found, places)
    copies = tuple(
        (places[value].buffer, places[state].buffer)
        for state, value in graph.updates
        if value not in found.in_place
    )
    return Schedule(graph, found.order, tuple(placing.storages), places, copies, rolled)

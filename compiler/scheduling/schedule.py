"""schedule: groups get their order and stored values their buffers; updates are made in place.

    loop [784,10] %7 = sub(%w, mul(...))    update %w <- %7      ->    %7 is written into w's buffer

A state may be overwritten by the group that computes its next value, if every other group that
reads it has run before, and the group itself reads each element before it writes it (`in_place`).
Where that cannot be, the value is stored aside and copied at the end.  By the same rule a temporary
lies over another one that its group is the last to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..graph import Graph, Node
from .arrangement import arrange
from .fusion import Fusion, Group
from .placing import Gate, Placing, Rolled
from .template import Place, Storage


@dataclass(frozen=True)
class Copied:
    """A value that is read where `places` has it and written to `target`."""

    node: Node
    places: Mapping[Node, Place]
    target: Place


@dataclass(frozen=True)
class Computed:
    """A group that is computed once, its values where `places` has them.

    With a `gate`, whose group it is, what it says is looked at.
    """

    group: Group
    places: Mapping[Node, Place]
    gate: Gate | None = None


@dataclass(frozen=True)
class Repeated:
    """What a loop does at each of its steps."""

    loop: Rolled
    parts: Iterator[Part]


Part = Copied | Computed | Repeated


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

    def parts(self) -> Iterator[Part]:
        """What the program does, in its order."""
        yield from _parts(self.groups, self.places, self.rolled)
        values = {place.buffer: node for node, place in self.places.items()}
        for source, target in self.copies:
            yield Copied(values[source], self.places, Place(target))


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


def _parts(
    groups: Iterable[Group], places: Mapping[Node, Place], rolled: Mapping[Group, Rolled]
) -> Iterator[Part]:
    for group in groups:
        if group.kind != "recurrence":
            yield Computed(group, places)
            continue
        loop = rolled[group]
        for node, target in loop.starts:
            yield Copied(node, places, target)
        yield Repeated(loop, _step(loop))


def _step(loop: Rolled) -> Iterator[Part]:
    if loop.gate is not None:
        yield Computed(loop.gate.group, loop.places, loop.gate)
    yield from _parts(loop.groups, loop.places, loop.inner)
    for node, target in loop.ends:
        yield Copied(node, loop.places, target)

"""Where every value lies: buffers with named sizes, and for a loop where each step's values do.

A step of a loop is written for any step: its places move with the step's number, a size that
only the places know.  With s the number of the step and t its place in the sequences:

    sequence x        element t of the outer array
    stack of y        element t of the result
    carry z           slot t of a history of T + 1, its next value slot t + 1, where all are wanted;
                      else one slot, if the next value may overwrite it; else two slots in turn

So nothing is copied from step to step, and stacks of what is carried are views of its history.

A loop with a gate may leave out steps, and end at any.  So its carries have one slot each: a next
value that may not overwrite it is copied there at the end of the step.  Its stacks are zero at
first, and each step that is made fills its element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ...runtime.outcomes import HOLDS
from ...runtime.program import Skips
from ..graph import Graph, Node, Type
from ..graphs.views import resolve
from ..primitives.record import Builder
from ..primitives.recurrence import gate_of, result_source, role_of
from ..sizes import Dim, floor_divide, named
from .arrangement import Arrangement, arrange
from .fusion import Group
from .template import Place, Storage


@dataclass(frozen=True)
class Rolled:
    """A loop as groups that run once for each step.

    `step` is the name of the step's number; `starts` are the initial values of the carries and
    where they are put before the first step; `ends` are copies that end every step.  `gate` says
    whether a step is made: a group that writes HOLDS where it is.
    """

    step: str
    steps: Dim
    groups: tuple[Group, ...]
    places: dict[Node, Place]
    starts: tuple[tuple[Node, Place], ...]
    inner: dict[Group, Rolled]
    ends: tuple[tuple[Node, Place], ...] = ()
    gate: Gate | None = None


@dataclass(frozen=True)
class Gate:
    """What is looked at before each step of a loop.

    `group` computes HOLDS where the step is made, into `flag`; `skips` says what else is left out.
    """

    group: Group
    flag: int
    skips: Skips


@dataclass
class Placing:
    """Gives places to the values of a schedule, buffer after buffer."""

    storages: list[Storage] = field(default_factory=list)
    loops: int = 0

    def buffer(self, storage: Storage) -> Place:
        """A new buffer."""
        self.storages.append(storage)
        return Place(len(self.storages) - 1)

    def temporary(self, name: str, type: Type, over: int | None = None) -> Place:
        """A new temporary, named after what makes it."""
        return self.buffer(Storage(f"{name}{len(self.storages)}", "temporary", type, over=over))

    def constants(self, nodes: Iterable[Node], places: dict[Node, Place]) -> None:
        """A buffer for each array that is known."""
        first = sum(item.role == "constant" for item in self.storages)
        for number, node in enumerate(nodes, first):
            storage = Storage(f"constant{number}", "constant", node.type, node.attrs["value"])
            places[node] = self.buffer(storage)

    def values(self, found: Arrangement, places: dict[Node, Place]) -> dict[Group, Rolled]:
        """Places for what the groups store, in their order; loops with all that is in them."""
        rolled: dict[Group, Rolled] = {}
        waiting = set(found.temporaries)
        for group in found.order:
            if group.kind == "recurrence":
                rolled[group] = self.roll(group, places)
                continue
            for node in group.members:
                if node in waiting and node not in places:
                    places[node] = self.place(node, found, places)
        return rolled

    def place(self, node: Node, found: Arrangement, places: dict[Node, Place]) -> Place:
        """Where a temporary lies: in another one, over another one, or by itself."""
        part = found.parts.get(node)
        if part is not None:
            if part.whole not in places:
                places[part.whole] = self.temporary(part.whole.op, part.whole.type)
            return replace(places[part.whole].moved(part.offset), strides=part.strides)
        over = places[found.over[node]].buffer if node in found.over else None
        return self.temporary(node.op, node.type, over)

    def roll(self, group: Group, outer: dict[Node, Place]) -> Rolled:
        """Places for the results of a loop, and for all that its body computes."""
        assert group.body is not None
        loop = _Loop(group, group.body.graph)
        found = arrange(group.body, loop.histories())
        step, self.loops = named(f"step {self.loops}"), self.loops + 1
        places: dict[Node, Place] = {}
        for entry, item in loop.entries.items():
            if role_of(entry) != "carry":
                view = resolve(item)
                begin = outer[view.base].moved(view.offset)
                along = loop.place_of(step) * entry.type.count
                places[entry] = begin.moved(along if role_of(entry) == "sequence" else 0)
        starts: list[tuple[Node, Place]] = []
        ends: list[tuple[Node, Place]] = []
        for carry, value in loop.body.updates:
            slots = loop.slots_of(carry, overwritten=value in found.in_place)
            kept = self.temporary(
                f"{carry.attrs['name']}_", carry.type.with_shape((slots.count, *carry.shape))
            )

            def slot(number: Dim, kept: Place = kept, size: Dim = carry.type.count) -> Place:
                return kept.moved(number * size)

            places[carry] = slot(slots.at(step))
            if loop.gate is None or value in found.in_place:
                places[value] = slot(slots.at(step + 1))
            else:
                ends.append((value, slot(0)))
            starts.append((loop.entries[carry], slot(slots.at(0))))
            for result in group.members:
                if result.attrs["result"] == "last" and result.attrs["of"] == carry.attrs["name"]:
                    outer[result] = slot(slots.at(loop.steps))
                elif (
                    result.attrs["result"] == "stack" and result_source(loop.body, result) is value
                ):
                    outer[result] = slot(0 if loop.reverse else 1)
                elif (
                    result.attrs["result"] == "stack" and result_source(loop.body, result) is carry
                ):
                    outer[result] = slot(1 if loop.reverse else 0)
        stacks: dict[Node, Place] = {}
        for result in group.members:
            if result not in outer:
                value = result_source(loop.body, result)
                if value not in stacks:
                    stacks[value] = self.temporary(f"{result.attrs['of']}_", result.type)
                    if loop.gate is not None:
                        zeros = Builder(result.origin).fill(0, result.type)
                        starts.append((zeros, stacks[value]))
                    along = loop.place_of(step) * value.type.count
                    places[value] = stacks[value].moved(along)
                outer[result] = stacks[value]
        self.constants(found.constants, places)
        inner = self.values(found, places)
        gate = None if loop.gate is None else self.gate(loop.gate, places)
        return Rolled(
            str(step), loop.steps, found.order, places, tuple(starts), inner, tuple(ends), gate
        )

    def gate(self, entry: Node, places: dict[Node, Place]) -> Gate:
        """A buffer and a group for what says whether a step is made."""
        b = Builder(entry.origin)
        holds, fails = (b.constant(number, "int64") for number in (HOLDS, 0))
        flag = b.select(entry, holds, fails)
        places[flag] = place = self.temporary("gate", flag.type)
        group = Group("loop", (), members={flag: "full"})
        return Gate(group, place.buffer, "turn" if role_of(entry) == "sequence" else "loop")


@dataclass(frozen=True)
class _Slots:
    """The slots of a carry: which one holds its value before the step of a number."""

    count: Dim
    at: Callable[[Dim], Dim]


class _Loop:
    def __init__(self, group: Group, body: Graph) -> None:
        node = next(iter(group.members))
        self.results = list(group.members)
        self.body = body
        self.steps: Dim = node.attrs["steps"]
        self.reverse: bool = node.attrs["reverse"]
        self.gate = gate_of(body)
        self.entries = dict(zip(body.inputs, node.inputs, strict=True))

    def place_of(self, step: Dim) -> Dim:
        """The place in the sequences of the step of a number."""
        return self.steps - 1 - step if self.reverse else step

    def histories(self) -> set[Node]:
        """The carries all of whose values are wanted, where they have a place for each."""
        if self.gate is not None:
            return set()
        stacked = {
            result_source(self.body, n) for n in self.results if n.attrs["result"] == "stack"
        }
        return {carry for carry, value in self.body.updates if stacked & {carry, value}}

    def slots_of(self, carry: Node, overwritten: bool) -> _Slots:
        if carry in self.histories():
            return _Slots(self.steps + 1, lambda step: self.steps - step if self.reverse else step)
        if overwritten or self.gate is not None:
            return _Slots(1, lambda step: 0)
        return _Slots(2, lambda step: step - 2 * floor_divide(step, 2))

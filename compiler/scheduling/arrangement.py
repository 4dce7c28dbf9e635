"""The order of a graph's groups, and what lies over what: in place of a state, or a temporary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from ..graph import Node
from .fusion import Fusion, Group
from .in_place import bases_of, reads_before_writing, taken_over
from .joining import Part, parts_in_place
from .ordering import order_groups


@dataclass(frozen=True)
class Arrangement:
    """Groups in an order in which they can run, and where their stored values may lie.

    in_place      the state or carry that a next value overwrites
    temporaries   stored values that lie nowhere else, in their order
    over          the temporary in whose place another one lies
    parts         temporaries that lie inside of a concatenation
    constants     arrays that are read from memory
    """

    order: tuple[Group, ...]
    in_place: dict[Node, Node]
    temporaries: tuple[Node, ...]
    over: dict[Node, Node]
    parts: dict[Node, Part]
    constants: tuple[Node, ...]


def arrange(fusion: Fusion, apart: Set[Node] = frozenset()) -> Arrangement:
    """The arrangement of a fused graph; the states `apart` are not overwritten in place."""
    graph = fusion.graph
    group_of = {node: group for group in fusion.groups for node in group.members}
    reads = {group: bases_of(group) for group in fusion.groups}
    readers: dict[Node, set[Group]] = {}
    for group, bases in reads.items():
        for base in bases:
            readers.setdefault(base, set()).add(group)
    needs = {
        group: {group_of[base] for base in bases if base in group_of} - {group}
        for group, bases in reads.items()
    }
    # Checks come first, in their order, and what they are made from: where one fails, no state has
    # been written.
    ranges = list(dict.fromkeys(group_of[check.node] for check in graph.checks))
    for before, group in pairwise(ranges):
        needs[group].add(before)
    checks = _with_needed(ranges, needs)
    waiting = _Waiting(fusion.groups, needs)
    in_place: dict[Node, Node] = {}
    for state, value in graph.updates:
        writer = group_of[value]
        others = readers.get(state, set()) - {writer}
        if (
            state not in apart
            and writer not in checks
            and reads_before_writing(writer, state, value)
            and not any(waiting.waits(other, writer) for other in others)
        ):
            in_place[value] = state
            waiting.add(writer, others)
    for group in fusion.groups:
        if group not in checks:
            needs[group].update(ranges)
    named = {*graph.inputs, *(node for _, node in graph.outputs), *in_place}
    temporaries = dict.fromkeys(
        node
        for group in fusion.groups
        for node in group.members
        if node in fusion.stored and node not in named
    )
    order = order_groups(fusion.groups, needs, reads, temporaries)
    aside = [value for _, value in graph.updates if value not in in_place]
    # What a loop gives may be part of a history, which other results share.
    parts = parts_in_place(graph, fusion.groups)
    whole = [node for node in temporaries if node.op != "loop" and node not in parts]
    over = taken_over(order, reads, whole, aside)
    placed = tuple(n for group in order for n in group.members if n in temporaries)
    constants = dict.fromkeys(
        base for group in fusion.groups for base in reads[group] if _is_array(base)
    )
    return Arrangement(order, in_place, placed, over, parts, tuple(constants))


def _is_array(base: Node) -> bool:
    return base.op == "constant" and base.shape != ()


def _with_needed(groups: Iterable[Group], needs: dict[Group, set[Group]]) -> set[Group]:
    """Groups, and all that must have run before one of them."""
    found: set[Group] = set()
    stack = list(groups)
    while stack:
        group = stack.pop()
        if group not in found:
            found.add(group)
            stack.extend(needs[group])
    return found


class _Waiting:
    """What groups wait for: those in front of them at first, and others that are added."""

    def __init__(self, groups: Sequence[Group], needs: dict[Group, set[Group]]) -> None:
        self.place = {group: number for number, group in enumerate(groups)}
        self.needs = needs
        self.first = len(groups)  # the first place of a group that waits for one behind it
        for group in groups:
            self.add(group, needs[group])

    def add(self, group: Group, others: Set[Group]) -> None:
        """Let a group wait for others too."""
        self.needs[group].update(others)
        here = self.place[group]
        if any(self.place[other] > here for other in others):
            self.first = min(self.first, here)

    def waits(self, group: Group, other: Group) -> bool:
        """Whether `group` must run after `other`."""
        # Nothing in front of both leads back to a place behind it.
        least = min(self.place[other], self.first)
        seen: set[Group] = set()
        stack = [group]
        while stack:
            current = stack.pop()
            if current is other:
                return True
            if current not in seen and self.place[current] >= least:
                seen.add(current)
                stack.extend(self.needs[current])
        return False

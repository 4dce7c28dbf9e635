"""schedule: groups get their order and stored values their buffers; updates are made in place.

    loop [784,10] %7 = sub(%w, mul(...))    update %w <- %7      ->    %7 is written into w's buffer

A state may be overwritten by the group that computes its next value, if every other group that
reads it has run before, and the group itself reads each element before it writes it.  Where that
cannot be, the value is stored aside and copied at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..fusion import Fusion, Group
from ..graph import Graph, Node
from ..template import Storage
from ..views import resolve


@dataclass(frozen=True)
class Schedule:
    """Groups in their order, buffers, the buffer of every node in memory, and last copies.

    `copies` are (from, to) pairs of buffers, made after all groups.
    """

    graph: Graph
    groups: tuple[Group, ...]
    storages: tuple[Storage, ...]
    buffer_of: dict[Node, int]
    copies: tuple[tuple[int, int], ...]


def schedule(fusion: Fusion) -> Schedule:
    """Order and buffers: Fusion -> Schedule."""
    graph = fusion.graph
    group_of = {node: group for group in fusion.groups for node in group.members}
    reads = {group: _bases(group) for group in fusion.groups}
    readers: dict[Node, set[Group]] = {}
    for group, bases in reads.items():
        for base in bases:
            readers.setdefault(base, set()).add(group)
    needs = {
        group: {group_of[base] for base in bases if base in group_of} - {group}
        for group, bases in reads.items()
    }
    in_place: dict[Node, Node] = {}
    for state, value in graph.updates:
        writer = group_of[value]
        others = readers.get(state, set()) - {writer}
        if _reads_before_writing(writer, state, value) and not any(
            _waits(other, writer, needs) for other in others
        ):
            in_place[value] = state
            needs[writer] |= others
    # Checks come first: where one fails, nothing has been written.
    checks = {group_of[check.node] for check in graph.checks}
    for group in fusion.groups:
        if group not in checks:
            needs[group] |= checks
    storages: list[Storage] = []
    buffer_of: dict[Node, int] = {}

    def add(node: Node, storage: Storage) -> None:
        buffer_of[node] = len(storages)
        storages.append(storage)

    for node in graph.inputs:
        role = "input" if node.attrs["role"] == "observed" else "state"
        add(node, Storage(node.attrs["name"], role, node.type))  # type: ignore[arg-type]
    for name, node in graph.outputs:
        add(node, Storage(name, "output", node.type))
    for number, node in enumerate(_needed_constants(fusion.groups)):
        add(node, Storage(f"constant{number}", "constant", node.type, node.attrs["value"]))
    for group in fusion.groups:
        for node in group.members:
            if node in in_place:
                buffer_of[node] = buffer_of[in_place[node]]
            elif node in fusion.stored and node not in buffer_of:
                add(node, Storage(f"{node.op}{len(storages)}", "temporary", node.type))
    copies = tuple(
        (buffer_of[value], buffer_of[state])
        for state, value in graph.updates
        if value not in in_place
    )
    order = tuple(_ordered(fusion.groups, needs))
    return Schedule(graph, order, tuple(storages), buffer_of, copies)


def _bases(group: Group) -> list[Node]:
    """What a group reads from memory."""
    found: dict[Node, None] = {}
    for node in group.members:
        for item in node.inputs:
            base = resolve(item).base
            if base not in group.members:
                found[base] = None
    return list(found)


def _needed_constants(groups: Iterable[Group]) -> list[Node]:
    found: dict[Node, None] = {}
    for group in groups:
        for base in _bases(group):
            if base.op == "constant" and base.shape != ():
                found[base] = None
    return list(found)


def _reads_before_writing(group: Group, state: Node, value: Node) -> bool:
    """Whether a group reads each element of a state only where it then writes it."""
    if group.kind not in ("loop", "gemm") or group.reduced:
        return not any(
            resolve(item).base is state for node in group.members for item in node.inputs
        ) or (group.members[value] == "kept" and _kept_alone(group, state))
    for node in group.members:
        for item in node.inputs:
            view = resolve(item)
            if view.base is state and (
                not view.is_identity() or node.op in ("contract", "gather", "random_bits")
            ):
                return False
    return True


def _kept_alone(group: Group, state: Node) -> bool:
    """Whether only kept members read a state, each at its own place, after all reductions."""
    for node, level in group.members.items():
        for item in node.inputs:
            view = resolve(item)
            if view.base is state and not (level == "kept" and view.is_identity()):
                return False
            if view.base is state and node.op.startswith(("reduce", "arg")):
                return False
    return True


def _waits(group: Group, other: Group, needs: dict[Group, set[Group]]) -> bool:
    """Whether `group` must run after `other`."""
    seen: set[Group] = set()
    stack = [group]
    while stack:
        current = stack.pop()
        if current is other:
            return True
        if current not in seen:
            seen.add(current)
            stack.extend(needs[current])
    return False


def _ordered(groups: tuple[Group, ...], needs: dict[Group, set[Group]]) -> list[Group]:
    """The given order, except that a group waits until all that it needs have run."""
    done: dict[Group, None] = {}
    waiting = dict.fromkeys(groups)
    while waiting:
        ready = next(group for group in waiting if needs[group] <= done.keys())
        done[ready] = None
        del waiting[ready]
    return list(done)

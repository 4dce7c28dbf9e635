"""Which value may be written over what the same group reads: over a state, or over a temporary.

    loop [B,10] %8 = exp(%7)     %7 is read here for the last time     ->     %8 lies where %7 lay

A kernel's threads share its kept axes, and each goes through its loops one after another.  So a
group may write a value over a base if it reads each element of the base only at the point where it
then writes that element, and in no loop after the one that writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..graph import Node
from ..graphs.views import base_of, resolve, squeeze
from ..primitives.record import lookup
from .fusion import NEEDS_MEMORY, Group, ready_phases


def bases_of(group: Group) -> list[Node]:
    """What a group reads from memory, each once."""
    found: dict[Node, None] = {}
    for node in group.members:
        for item in node.inputs:
            base = base_of(item)
            if base not in group.members:
                found[base] = None
    return list(found)


def reads_before_writing(group: Group, base: Node, value: Node) -> bool:
    """Whether a group reads each element of a base only where it then writes that of a value."""
    readers = [
        (node, resolve(item))
        for node in group.members
        for item in node.inputs
        if base_of(item) is base
    ]
    if not readers:
        return True
    if group.kind == "put":  # What it is put into stays as it is, but for one row.
        into = value.inputs[0]
        return base_of(into) is base and len(readers) == 1 and readers[0][1].is_identity()
    if group.kind not in ("loop", "gemm") or group.members[value] == "column":
        return False
    for node, view in readers:
        if not view.is_identity() or node.op in NEEDS_MEMORY:
            return False
        if _level_of_reading(group, node) != group.members[value]:
            return False
    return group.members[value] == "kept" or _in_last_loop(group, value)


def taken_over(
    order: Sequence[Group],
    reads: Mapping[Group, Sequence[Node]],
    temporaries: Iterable[Node],
    read_at_end: Iterable[Node],
) -> dict[Node, Node]:
    """For the temporaries that may lie over another one: that one.

    A value takes the place of a temporary of as many bytes that its group is the last to read.
    `order` is the order in which the groups run, `reads` says what each reads from memory, and
    `read_at_end` are read after all of them.
    """
    last = {base: place for place, group in enumerate(order) for base in reads[group]}
    free = dict.fromkeys(temporaries)
    kept = set(read_at_end)
    found: dict[Node, Node] = {}
    taken: set[Node] = set()
    for place, group in enumerate(order):
        dying = [b for b in reads[group] if b in free and b not in kept and last[b] == place]
        for value in group.members:
            if value not in free:
                continue
            for base in dying:
                if (
                    base not in taken
                    and _same_bytes(base, value)
                    and reads_before_writing(group, base, value)
                ):
                    found[value] = base
                    taken.add(base)
                    break
    return found


def _level_of_reading(group: Group, node: Node) -> str:
    """Whether a member reads its operands at each point of the domain, or of the kept axes."""
    reduces = lookup(node.op).kind == "reduction"
    return "full" if reduces else group.members[node]


def _in_last_loop(group: Group, value: Node) -> bool:
    """Whether no loop of the group's kernel comes after the one that writes a full member."""
    ready = ready_phases(group)
    loops = [
        ready[node] - (lookup(node.op).kind == "reduction")
        for node, level in group.members.items()
        if level != "kept" or lookup(node.op).kind == "reduction"
    ]
    return ready[value] == max(loops)


def _same_bytes(one: Node, other: Node) -> bool:
    """Whether two values take as much memory for all sizes."""
    items = [node.type.item_bytes for node in (one, other)]
    return items[0] == items[1] and squeeze(one.shape) == squeeze(other.shape)

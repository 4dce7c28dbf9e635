"""Which phase of a loop kernel computes what, and which values are saved between phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from ..graph import Node
from ..primitives.record import lookup
from ..scheduling.fusion import Group
from .nest import Memory, Operand

CACHE = 65536
"""Bytes of the stack that a kernel may use for values that two phases need."""

DEAR = 4
"""Cost, in operations and loads, above which a value is saved between phases, not recomputed."""


def plan_phases(
    group: Group,
    operands: Mapping[Node, Sequence[Operand]],
    roots: Sequence[Sequence[Operand]],
    stored: Set[Node],
    row: int,
) -> tuple[list[set[Node]], set[Node]]:
    """The full members that each phase computes, and those saved for later phases.

    `roots` are what each phase must have, `stored` the members that have a buffer of their own,
    `row` the elements that a saved row would have.
    """
    needed: list[set[Node]] = []
    put_by: set[Node] = set()
    computed: set[Node] = set()
    room = CACHE
    for wanted in roots:
        found: set[Node] = set()
        stack = [item for item in wanted if isinstance(item, Node)]
        while stack:
            node = stack.pop()
            if node in found or node in put_by or group.members[node] == "kept":
                continue
            size = 0 if node in stored else row * node.type.item_bytes
            if node in computed and size <= room and _is_dear(node, group, operands, put_by):
                put_by.add(node)
                room -= size
                continue
            found.add(node)
            stack.extend(item for item in operands[node] if isinstance(item, Node))
        needed.append(found)
        computed |= found
    return needed, put_by


def _is_dear(
    node: Node,
    group: Group,
    operands: Mapping[Node, Sequence[Operand]],
    put_by: set[Node],
) -> bool:
    """Whether a value costs more to compute again than to store and to load."""
    seen: set[Operand] = set()
    stack: list[Operand] = [node]
    cost = 0
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        if item in put_by:
            cost += 1
        elif isinstance(item, Memory):
            cost += 1 if item.strides[-1] != 0 else 0
        elif isinstance(item, Node) and group.members[item] == "full":
            cost += lookup(item.op).flops
            stack.extend(operands[item])
    return cost > DEAR

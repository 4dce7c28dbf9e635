"""Which computations are the same but for the parts of values that they begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...graph import Node
from ...graphs.rewrite import attributes_key
from ...primitives.record import lookup


class Match(NamedTuple):
    """Equal computations: what all of them read, and the first one's parts with their axis."""

    shared: list[Node]
    parts: dict[Node, int]


def match(joint: Node, readers: Mapping[Node, int]) -> Match | None:
    """The computations that a concatenation joins, walked side by side; None where they differ."""
    found = Match([], {})
    placed: dict[Node, Sequence[Node]] = {}
    read: Counter[Node] = Counter(joint.inputs)
    waiting: list[Sequence[Node]] = [joint.inputs]
    while waiting:
        nodes = waiting.pop()
        first = nodes[0]
        if all(node is first for node in nodes):
            found.shared.append(first)
            continue
        if first in placed and placed[first] == nodes:
            continue
        if any(node in placed for node in nodes) or len({*nodes}) < len(nodes):
            return None
        placed.update(dict.fromkeys(nodes, nodes))
        axis = _axis_of_parts(nodes)
        if axis is not None:
            found.parts[first] = axis
        elif not _are_alike(nodes):
            return None
        else:
            read.update(item for node in nodes for item in node.inputs)
            waiting += zip(*(node.inputs for node in nodes), strict=True)
            if not first.inputs:
                found.shared.append(first)
    outside = any(readers[node] > read[node] for node in placed if node.inputs)
    return None if outside or not found.parts else found


def _are_alike(nodes: Sequence[Node]) -> bool:
    """Whether nodes are one operation that can be batched, or equal constants."""
    first = nodes[0]
    if first.op == "input" or (first.inputs and lookup(first.op).batch is None):
        return False
    key = attributes_key(first.attrs)
    return all(
        (node.op, node.type) == (first.op, first.type) and attributes_key(node.attrs) == key
        for node in nodes
    )


def _axis_of_parts(nodes: Sequence[Node]) -> int | None:
    """The axis along which nodes are equal parts of one value, one behind the other, if any."""
    first = nodes[0]
    if any(n.op != "slice" or n.inputs != first.inputs or n.shape != first.shape for n in nodes):
        return None
    if any(step != 1 for node in nodes for step in node.attrs["step"]):
        return None
    begin, after = first.attrs["start"], nodes[1].attrs["start"]
    moved = [axis for axis in range(len(begin)) if begin[axis] != after[axis]]
    if len(moved) != 1:
        return None
    axis = moved[0]
    extent = first.shape[axis]
    for place, node in enumerate(nodes):
        if node.attrs["start"] != (*begin[:axis], begin[axis] + extent * place, *begin[axis + 1 :]):
            return None
    return axis

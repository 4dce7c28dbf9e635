"""Weights in a drawing: parameters, and what is computed or observed in their place.

A weight is what a block reads without being given it.  This file names and places nothing.
"""

from __future__ import annotations

from ...drawing.drawn_nodes import DrawnBlock
from ...variables.kinds import FlatParts
from .outline import Outline


def is_weight(drawing: Outline, node: str) -> bool:
    """Whether a variable is read as a parameter wherever it is read, or cut out of such a one."""
    if drawing.variables[node].kind == "parameter":
        return True
    whole, readers = whole_of(drawing, node), drawing.readers.get(node, [])
    if whole is not None and is_weight(drawing, whole):
        return True
    return bool(readers) and all(_captures(drawing, node, reader) for reader in readers)


def _captures(drawing: Outline, node: str, reader: str) -> bool:
    """Whether a function reads a variable as a weight: its own, or of a block that it is in."""
    for block in (reader, *drawing.nodes[reader].path):
        arrows = drawing.graph.between(node, block)
        if arrows and all(arrow.captured for arrow in arrows):
            return True
    return False


def is_implicit(drawing: Outline, node: str) -> bool:
    """Whether a weight belongs to blocks that are drawn as bullets, and so is just "w"."""
    item = drawing.variables[node]
    readers = drawing.readers.get(node, [])
    if not readers or not all(isinstance(drawing.functions[r], DrawnBlock) for r in readers):
        return False
    if item.kind == "parameter":
        return item.variable.owner is not None
    return whole_of(drawing, node) is not None and is_weight(drawing, node)


def whole_of(drawing: Outline, node: str) -> str | None:
    """The vector of parameters that a variable is cut out of."""
    maker = drawing.makers.get(node)
    if maker is None or not cuts(drawing, maker):
        return None
    return drawing.graph.predecessors(maker)[0]


def cuts(drawing: Outline, function: str) -> bool:
    """Whether a function cuts a vector of parameters into its parts."""
    return isinstance(drawing.functions[function].application, FlatParts)

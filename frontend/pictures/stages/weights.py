"""Weights in a drawing: parameters, and what is computed or observed in their place.

A weight is what a block reads without being given it.  This file names and places nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...variables.kinds import FlatParts

if TYPE_CHECKING:
    from .from_diagram import Conversion


def is_weight(drawing: Conversion, node: str) -> bool:
    """Whether a variable is read as a parameter wherever it is read, or cut out of such a one."""
    if drawing.data[node]["kind"] == "parameter":
        return True
    whole, readers = whole_of(drawing, node), drawing.readers.get(node, [])
    if whole is not None and is_weight(drawing, whole):
        return True
    return bool(readers) and all(_captures(drawing, node, reader) for reader in readers)


def _captures(drawing: Conversion, node: str, reader: str) -> bool:
    """Whether a function reads a variable as a weight: its own, or of a block that it is in."""
    for block in (reader, *drawing.data[reader]["path"]):
        links = (drawing.graph.get_edge_data(node, block) or {}).values()
        if links and all(link["captured"] for link in links):
            return True
    return False


def is_implicit(drawing: Conversion, node: str) -> bool:
    """Whether a weight belongs to blocks that are drawn as bullets, and so is just "w"."""
    data = drawing.data[node]
    readers = drawing.readers.get(node, [])
    if not readers or not all(drawing.functions[reader]["opens"] for reader in readers):
        return False
    if data["kind"] == "parameter":
        return data["variable"].owner is not None
    return whole_of(drawing, node) is not None and is_weight(drawing, node)


def whole_of(drawing: Conversion, node: str) -> str | None:
    """The vector of parameters that a variable is cut out of."""
    maker = drawing.makers.get(node)
    if maker is None or not _cuts(drawing, maker):
        return None
    whole: str = next(iter(drawing.graph.predecessors(maker)))
    return whole


def _cuts(drawing: Conversion, function: str) -> bool:
    """Whether a function cuts a vector of parameters into its parts."""
    return isinstance(drawing.functions[function]["application"], FlatParts)


def starts_row(drawing: Conversion, node: str) -> bool:
    """Whether a parameter is the first input of an operation on nothing but parameters: A @ B."""
    for reader in drawing.readers.get(node, []):
        if drawing.functions[reader]["opens"]:
            continue
        links = sorted(drawing.graph.in_edges(reader, data="argument"), key=lambda link: link[2])
        inputs = list(dict.fromkeys(name for name, _, _ in links if name in drawing.circle_of))
        fixed = all(drawing.data[name]["kind"] in ("parameter", "constant") for name in inputs)
        if fixed and len(inputs) > 1 and inputs[0] == node:
            return True
    return False


def levels(drawing: Conversion) -> dict[str, int]:
    """Through how many weights each circle and function acts on what the diagram gives.

    The functions of the main net have 0, its weights and what computes them 1, the weights of that
    2 and so on.  The parts of a vector are weights on the level of the whole.
    """
    before: dict[str, list[tuple[str, int]]] = {}
    for edge in drawing.links:
        step = int(
            edge.source in drawing.circles
            and edge.target in drawing.functions
            and not _cuts(drawing, edge.target)
            and is_weight(drawing, edge.source)
        )
        before.setdefault(edge.target, []).append((edge.source, step))
    found = dict.fromkeys(
        (
            node
            for node in drawing.order
            if node in drawing.costs
            or (drawing.data[node].get("output") and not is_weight(drawing, node))
        ),
        0,
    )
    waiting = list(found)
    while waiting:
        node = waiting.pop(0)
        for source, step in before.get(node, []):
            if found[node] + step < found.get(source, len(drawing.order) + 1):
                found[source] = found[node] + step
                waiting.append(source)
    return found

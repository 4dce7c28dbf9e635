"""The notation: which form, size and colours each kind of node has.

The one table to change for another look. This file never places anything and writes no DOT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..picture import Node, NodeKind, Phase
from .metrics import width

Form = Literal["circle", "pill", "bullet", "box", "dot"]

INK = "#1E1E1E"
TEXT = "#0F172A"
CAPTION = "#64748B"
RESIDUAL = "#7C8AA5"
GRADIENT = "#B45309"
MATH_FACE = "Times-Italic"
CAPTION_FACE = "Helvetica"
POINTS = 72.0


@dataclass(frozen=True, slots=True)
class Colours:
    """Line and fill of a form."""

    line: str
    fill: str = "#FFFFFF"


FUNCTION: dict[Phase, Colours] = {
    "forward": Colours("#6666FF"),
    "backward": Colours("#E07B1A", "#FFF9F1"),
    "update": Colours("#0F9488", "#F2FBFA"),
}
DELAY: dict[Phase, Colours] = {
    "forward": Colours("#1E1E1E"),
    "backward": Colours("#B45309"),
    "update": Colours("#0F766E"),
}
VALUE: dict[Phase, Colours] = {
    "forward": Colours("#A5A8FF"),
    "backward": Colours("#F3B676"),
    "update": Colours("#7CC9C1"),
}
FIXED: dict[NodeKind, Colours] = {
    "observed": Colours("#000000", "#E2E5E2"),
    "parameter": Colours("#F47C7C"),
    "state": Colours("#0F766E", "#F2FBFA"),
    "constant": Colours("#94A3B8", "#F8FAFC"),
    "cost": Colours("#FF3333", "#FFF4F2"),
    "branch": Colours(INK, INK),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How one node is drawn; width and height are in points."""

    form: Form
    width: float
    height: float
    colours: Colours
    font_size: float


def shape_of(node: Node) -> Shape:
    """The form, size and colours of ``node``; the label always fits inside."""
    if node.kind == "branch":
        return Shape("dot", 6.5, 6.5, FIXED["branch"], 1.0)
    size = (
        18.0
        if node.kind
        in ("observed", "computed", "parameter", "constant", "state", "function", "cost")
        else 15.0
    )
    text = width(node.label, size)
    if node.kind == "sum":
        wide = max(19.0, text + 9)
        return Shape("circle", wide, wide, FUNCTION[node.phase], size)
    more = 1.15 * size * node.label.count("\n")
    if node.kind in ("function", "operation"):
        small = node.kind == "operation"
        low, wide = (38.0, 60.0) if small else (53.0, 76.0)
        return Shape(
            "bullet", max(wide, text + 0.42 * low + 12), low + more, FUNCTION[node.phase], size
        )
    if node.kind == "delay":
        return Shape("box", max(38.0, text + 16), 38.0 + more, DELAY[node.phase], size)
    if node.kind == "cost":
        return Shape("box", max(62.0, text + 20), 57.0 + more, FIXED["cost"], size)
    colours = VALUE[node.phase] if node.kind in ("computed", "value") else FIXED[node.kind]
    round_ = 46.0 if size > 15 else 36.0
    if more == 0 and text <= round_:
        return Shape("circle", max(round_, text + 13), max(round_, text + 13), colours, size)
    return Shape("pill", text + 28, round_ - 4 + more, colours, size)

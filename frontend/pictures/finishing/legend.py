"""The legend under a picture of several phases: which colour is forward, which is backward.

Adds to the SVG below what Graphviz drew. It never moves anything, and is absent from pictures of
one phase.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from ..layout.metrics import width
from ..layout.notation import CAPTION, FUNCTION, RESIDUAL
from ..picture import Phase, Picture
from .bullets import bullet

_SIZE = 13.0
_HEIGHT = 34.0


def add_legend(root: ElementTree.Element, picture: Picture, fonts: str) -> None:
    """Lengthen the drawing ``root`` by one line that explains the colours, if there are several."""
    phases: list[Phase] = [
        phase for phase in FUNCTION if any(node.phase == phase for node in picture.nodes)
    ]
    kept = any(edge.style == "residual" for edge in picture.edges)
    if len(phases) < 2 and not kept:
        return
    left, top, wide, high = (float(word) for word in root.get("viewBox", "0 0 0 0").split())
    group = ElementTree.Element("g", {"class": "legend"})
    x, y = left + 30.0, top + high + _HEIGHT / 2 - 8
    for phase in phases:
        colours = FUNCTION[phase]
        ElementTree.SubElement(
            group,
            "path",
            {
                "d": bullet(x, y - 8, x + 26, y + 8, "right" if phase == "forward" else "left"),
                "fill": colours.fill,
                "stroke": colours.line,
                "stroke-width": "1.8",
                "stroke-linejoin": "round",
            },
        )
        x = _caption(group, x + 34, y, phase, fonts)
    if kept:
        ElementTree.SubElement(
            group,
            "path",
            {
                "d": f"M{x:.2f},{y:.2f} L{x + 30:.2f},{y:.2f}",
                "stroke": RESIDUAL,
                "stroke-width": "1.4",
                "stroke-dasharray": "5,2",
                "fill": "none",
            },
        )
        x = _caption(group, x + 38, y, "forward value used by the backward pass", fonts)
    wide = max(wide, x - left)
    root.set("viewBox", f"{left:.2f} {top:.2f} {wide:.2f} {high + _HEIGHT:.2f}")
    root.set("width", f"{wide:.0f}pt")
    root.set("height", f"{high + _HEIGHT:.0f}pt")
    ground = ElementTree.Element(
        "rect",
        {
            "x": f"{left:.2f}",
            "y": f"{top:.2f}",
            "width": f"{wide:.2f}",
            "height": f"{high + _HEIGHT:.2f}",
            "fill": "white",
        },
    )
    root.insert(0, ground)
    root.append(group)


def _caption(group: ElementTree.Element, x: float, y: float, words: str, fonts: str) -> float:
    text = ElementTree.SubElement(
        group,
        "text",
        {
            "x": f"{x:.2f}",
            "y": f"{y + 4.5:.2f}",
            "font-family": fonts,
            "font-size": f"{_SIZE:.2f}",
            "fill": CAPTION.lower(),
        },
    )
    text.text = words
    return x + width(words, _SIZE, "caption") + 26

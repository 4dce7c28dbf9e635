"""The mark across an arrow along which no gradient comes back: two strokes, and "sg" beside them.

Graphviz draws the arrow; `mark_stops` adds to its group.  Moves nothing.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

from ..layout.notation import CAPTION, INK

_POINT = re.compile(r"(-?[\d.]+),(-?[\d.]+)")
_HALF = 7.0  # half of a stroke's length
_LEAN = 0.42  # how far a stroke leans along the arrow, of its length across
_APART = 2.6  # half of the distance of the strokes
_ASIDE = 18.0  # from the arrow to the middle of the word


def mark_stops(root: ElementTree.Element, fonts: str) -> None:
    """Mark the links of the class "stopped" in the SVG `root`, its namespace removed."""
    for group in root.iter("g"):
        path = group.find("path")
        if "stopped" not in group.get("class", "").split() or path is None:
            continue
        points = [(float(x), float(y)) for x, y in _POINT.findall(path.get("d", ""))]
        (x, y), (along, across) = _middle(points)
        strokes = []
        for shift in (-_APART, _APART):
            ends = []
            for side in (-_HALF, _HALF):
                forth = shift - _LEAN * side
                dx, dy = forth * along - side * across, forth * across + side * along
                ends.append(f"{x + dx:.2f},{y + dy:.2f}")
            strokes.append(f"M{ends[0]} L{ends[1]}")
        mark = {"d": " ".join(strokes), "stroke": INK, "stroke-width": "2.00", "fill": "none"}
        ElementTree.SubElement(group, "path", mark)
        up = 1 if along > 0 or (along == 0 and across > 0) else -1
        words = {
            "x": f"{x + up * _ASIDE * across:.2f}",
            "y": f"{y - up * _ASIDE * along + 4:.2f}",
            "text-anchor": "middle",
            "font-family": fonts,
            "font-size": "12.00",
            "fill": CAPTION.lower(),
        }
        ElementTree.SubElement(group, "text", words).text = "sg"


def _middle(points: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The middle of a chain of Bézier curves, and its direction there, of length 1."""
    count = (len(points) - 1) // 3
    first = 3 * ((count - 1) // 2)
    t = 0.5 if count % 2 else 1.0
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[first : first + 4]
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    place = (
        sum(w * x for w, x in zip(weights, (x0, x1, x2, x3), strict=True)),
        sum(w * y for w, y in zip(weights, (y0, y1, y2, y3), strict=True)),
    )
    slopes = ((1 - t) ** 2, 2 * t * (1 - t), t * t)
    dx = sum(w * d for w, d in zip(slopes, (x1 - x0, x2 - x1, x3 - x2), strict=True))
    dy = sum(w * d for w, d in zip(slopes, (y1 - y0, y2 - y1, y3 - y2), strict=True))
    length = math.hypot(dx, dy) or 1.0
    return place, (dx / length, dy / length)

"""The dashed links from forward values to backward functions, drawn as one smooth stroke each.

Graphviz leads them around every node, which makes long detours that cross one another; behind the
nodes, a stroke from top to bottom is easier to follow.  Changes nothing but these links.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

_POINT = re.compile(r"(-?[\d.]+),(-?[\d.]+)")
_HEAD = 9.0
_HALF = 3.2


def smooth(root: ElementTree.Element) -> None:
    """Redraw the links of the class "residual" in the SVG `root` that lead downwards."""
    for group in root.iter("g"):
        if group.get("class") != "edge residual":
            continue
        path, head = group.find("path"), group.find("polygon")
        if path is None or head is None:
            continue
        points = _points(path.get("d", ""))
        (x0, y0), tip = points[0], _tip(_points(head.get("points", "")), points)
        x1, y1 = tip
        if y1 - y0 < 2 * _HEAD:
            continue
        end = y1 - _HEAD
        bend = (end - y0) / 2
        path.set(
            "d",
            f"M{x0:.2f},{y0:.2f} C{x0:.2f},{y0 + bend:.2f} {x1:.2f},{end - bend:.2f} "
            f"{x1:.2f},{end:.2f}",
        )
        head.set(
            "points",
            f"{x1 - _HALF:.2f},{end:.2f} {x1:.2f},{y1:.2f} {x1 + _HALF:.2f},{end:.2f} "
            f"{x1 - _HALF:.2f},{end:.2f}",
        )


def _tip(head: list[tuple[float, float]], path: list[tuple[float, float]]) -> tuple[float, float]:
    """The corner of an arrowhead that is farthest from the path that it ends."""
    ends = (path[0], path[-1])

    def away(point: tuple[float, float]) -> float:
        return min((point[0] - x) ** 2 + (point[1] - y) ** 2 for x, y in ends)

    return max(head, key=away)


def _points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in _POINT.findall(text)]

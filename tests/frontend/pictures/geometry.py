"""Where the layout put things: boxes of nodes and courses of arrows, for tests of the drawing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from diagrad.frontend.pictures.layout.branches import with_branches
from diagrad.frontend.pictures.layout.dot import to_dot
from diagrad.frontend.pictures.layout.layout import lay_out
from diagrad.frontend.pictures.picture import Edge, Picture

SVG = "{http://www.w3.org/2000/svg}"
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right - 1
            and other.left < self.right - 1
            and self.top < other.bottom - 1
            and other.top < self.bottom - 1
        )

    def holds(self, point: Point) -> bool:
        x, y = point
        return self.left + 3 < x < self.right - 3 and self.top + 3 < y < self.bottom - 3


@dataclass(frozen=True)
class Layout:
    """The boxes of a picture's nodes by id, and the courses of its arrows."""

    boxes: dict[str, Box]
    courses: list[tuple[Edge, list[Point]]]


def layout(picture: Picture) -> Layout:
    drawn = with_branches(picture)
    root = ElementTree.fromstring(lay_out(to_dot(drawn)).encode())
    boxes, courses = {}, []
    for group in root.iter(f"{SVG}g"):
        word = group.get("class", "").split(" ")[0]
        index = int(re.sub(r"\D", "", group.get("id", "0")) or 0)
        if word == "node" and re.fullmatch(r"n\d+", group.get("id", "")):
            boxes[drawn.nodes[index].id] = _box(group)
        elif word == "edge" and re.fullmatch(r"e\d+", group.get("id", "")):
            path = group.find(f"{SVG}path")
            assert path is not None
            courses.append((drawn.edges[index], list(_course(_points(path.get("d", ""))))))
    return Layout(boxes, courses)


def _box(group: ElementTree.Element) -> Box:
    ellipse = group.find(f"{SVG}ellipse")
    if ellipse is not None:
        cx, cy, rx, ry = (float(ellipse.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
        return Box(cx - rx, cy - ry, cx + rx, cy + ry)
    polygon = group.find(f"{SVG}polygon")
    assert polygon is not None
    points = _points(polygon.get("points", ""))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs), min(ys), max(xs), max(ys))


def _points(text: str) -> list[Point]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", text)]


def _course(points: list[Point]) -> Iterator[Point]:
    """Points along the Bezier curves of a path."""
    for k in range(0, len(points) - 3, 3):
        a, b, c, d = points[k : k + 4]
        for step in range(21):
            t = step / 20
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            xs, ys = zip(a, b, c, d, strict=True)
            yield (
                sum(w * x for w, x in zip(weights, xs, strict=True)),
                sum(w * y for w, y in zip(weights, ys, strict=True)),
            )

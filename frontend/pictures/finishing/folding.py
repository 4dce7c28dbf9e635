"""A long row of a drawing, broken into lines one under the other, as text is.

The drawing is cut between two columns, where the fewest links lead across and no frame but the
outermost stands.  Each link that is cut ends at the margin with a number, and goes on from the
same number in the next line.  SVG elements in, SVG elements out; nothing is laid out again.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..layout.notation import CAPTION

WIDEST = 1250.0
"""Points up to which a drawing stays one line: what a screen shows of it without scrolling."""

_SLACK = 1.3  # how much wider than a line may be what does not pay to cut
_SHARE = 0.7  # how much of a drawing may be left in one line
_MOST = 4  # links that one cut may lead across
_GAP = 30.0
_MARGIN = 26.0
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class _Box:
    """The extent of a group of the SVG."""

    left: float
    top: float
    right: float
    bottom: float


def fold(root: ElementTree.Element, fonts: str, widest: float = WIDEST) -> None:
    """Break the drawing `root` into lines where it is wider than `widest` points.

    A drawing that cannot be cut stays as it is.

    Args:
        root: the SVG that Graphviz made, its namespace removed.
        fonts: the font family of the numbers at the margin.
        widest: the width of a line, in points.
    """
    wide = float(root.get("viewBox", "0 0 0 0").split()[2])
    graph = root.find("g")
    if graph is None or wide <= _SLACK * widest:
        return
    groups = [(group, _box(group)) for group in graph.findall("g") if len(group)]
    edges = [(g, b) for g, b in groups if g.get("class", "").startswith("edge")]
    solid = [(g, b) for g, b in groups if not g.get("class", "").startswith("edge")]
    # The outermost frame has no line; its label is the title.
    frames = [b for g, b in solid if not (g.get("class") == "cluster" and _is_outermost(g))]
    cuts = _cuts(frames, edges, widest)
    if not cuts:
        return
    _Lines(root, graph, groups, cuts, fonts).draw()


def _is_outermost(group: ElementTree.Element) -> bool:
    return not re.fullmatch(r"c\d+", group.get("id", ""))


def _cuts(
    solid: Sequence[_Box],
    edges: Sequence[tuple[ElementTree.Element, _Box]],
    widest: float,
) -> list[float]:
    """Where to cut: into lines of about one length, across the fewest links, but no arrowhead.

    What cannot be cut, such as a frame, may make a line longer; nothing is cut if that leaves most
    of the drawing in one line.
    """
    first = start = min(b.left for b in solid)
    end = max(b.right for b in solid)
    across = {x: [g for g, box in edges if box.left < x < box.right] for x in _gaps(solid)}
    crossing = {
        x: len(links)
        for x, links in across.items()
        if len(links) <= _MOST and all(_height(group, x) is not None for group in links)
    }
    cuts: list[float] = []
    while end - start > widest:
        even = (end - start) / math.ceil((end - start) / widest)
        last = start + widest - _MARGIN
        room = [x for x in crossing if start + 0.6 * even <= x <= last]
        room = room or [x for x in crossing if x > last][:1]
        if not room:
            break
        start = min(room, key=lambda x: (crossing[x], abs(x - start - even)))
        cuts.append(start)
    ends = [first, *cuts, end]
    longest = max(b - a for a, b in itertools.pairwise(ends))
    return cuts if longest <= _SHARE * (end - first) else []


def _gaps(boxes: Iterable[_Box]) -> Iterable[float]:
    """The middles of the spaces between boxes, from left to right."""
    reach = None
    for box in sorted(boxes, key=lambda box: box.left):
        if reach is not None and box.left > reach + 4:
            yield (reach + box.left) / 2
        reach = box.right if reach is None else max(reach, box.right)


class _Lines:
    def __init__(
        self,
        root: ElementTree.Element,
        graph: ElementTree.Element,
        groups: Sequence[tuple[ElementTree.Element, _Box]],
        cuts: Sequence[float],
        fonts: str,
    ) -> None:
        self.root, self.graph, self.groups, self.fonts = root, graph, groups, fonts
        self.ends = [float("-inf"), *cuts, float("inf")]
        self.numbers = itertools.count(1)

    def draw(self) -> None:
        outer = [group for group, _ in self.groups if self.is_title(group)]
        inner = [(g, b) for g, b in self.groups if not self.is_title(g)]
        lines: list[list[tuple[ElementTree.Element, _Box, bool]]] = [[] for _ in self.ends[1:]]
        for group, box in inner:
            first, last = self.line(box.left), self.line(box.right)
            for line in range(first, last + 1):
                lines[line].append((group, box, first != last))
            self.graph.remove(group)
        left = min(box.left for _, box in inner)
        title = _box(outer[0]) if outer else None
        y = title.top + _GAP if title is not None else 0.0
        right = y_end = 0.0
        marks: dict[tuple[int, int], int] = {}  # the number at a cut of a link
        for line, parts in enumerate(lines):
            start = left if line == 0 else self.ends[line] - _MARGIN
            dx = left - start
            tops = [b.top for _, b, crosses in parts if not crosses] or [0.0]
            bottoms = [b.bottom for _, b, crosses in parts if not crosses] or [0.0]
            heights = [y for g, b, crosses in parts if crosses for y in self.crossings(g, line)]
            top, bottom = min([*tops, *heights]) - 8, max([*bottoms, *heights]) + 8
            holder = ElementTree.SubElement(
                self.graph,
                "g",
                {"class": "line", "transform": f"translate({dx:.2f} {y - top:.2f})"},
            )
            for group, _, crosses in parts:
                if crosses:
                    self.part(holder, group, line, top, bottom, marks)
                else:
                    holder.append(group)
            far = max(b.right for _, b, crosses in parts if not crosses)
            right = max(
                right, (self.ends[line + 1] + _MARGIN if line < len(lines) - 1 else far) + dx
            )
            y += bottom - top + _GAP
            y_end = y
        self.resize(left, right, y_end)

    def is_title(self, group: ElementTree.Element) -> bool:
        return group.get("class") == "cluster" and _is_outermost(group)

    def line(self, x: float) -> int:
        return next(k for k, end in enumerate(self.ends[1:]) if x < end)

    def crossings(self, group: ElementTree.Element, line: int) -> list[float]:
        """The heights at which a link leads across the ends of a line."""
        found = []
        for cut in self.ends[line : line + 2]:
            y = _height(group, cut)
            if y is not None:
                found.append(y)
        return found

    def part(
        self,
        holder: ElementTree.Element,
        group: ElementTree.Element,
        line: int,
        top: float,
        bottom: float,
        marks: dict[tuple[int, int], int],
    ) -> None:
        """The part of a link that is in a line, with numbers where it is cut."""
        start, end = self.ends[line], self.ends[line + 1]
        piece = group if _box(group).left >= start else copy.deepcopy(group)
        name = f"{group.get('id')}-{line}"
        if piece is not group:
            piece.attrib.pop("id", None)
        clip = ElementTree.SubElement(holder, "clipPath", {"id": f"part-{name}"})
        x0, x1 = max(start, _box(group).left - 20), min(end, _box(group).right + 20)
        size = {"x": x0, "y": top - 400, "width": x1 - x0, "height": bottom - top + 800}
        ElementTree.SubElement(clip, "rect", {key: f"{value:.2f}" for key, value in size.items()})
        piece = copy.deepcopy(piece)
        for text in piece.findall("text"):
            if not x0 <= float(text.get("x", "0")) <= x1:
                piece.remove(text)
        piece.set("clip-path", f"url(#part-{name})")
        holder.append(piece)
        for number, (cut, shift) in enumerate(((start, -1), (end, 1))):
            y = _height(group, cut)
            if y is None:
                continue
            key = id(group), line - 1 + number
            mark = marks.setdefault(key, 0) or next(self.numbers)
            marks[key] = mark
            self.mark(holder, cut + shift * 11, y, str(mark))

    def mark(self, holder: ElementTree.Element, x: float, y: float, number: str) -> None:
        """A number in a circle at the margin."""
        shape = {"cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": "9", "fill": "white", "stroke": CAPTION}
        ElementTree.SubElement(holder, "circle", shape)
        words = {
            "x": f"{x:.2f}",
            "y": f"{y + 4:.2f}",
            "text-anchor": "middle",
            "font-family": self.fonts,
            "font-size": "11.00",
            "fill": CAPTION.lower(),
        }
        ElementTree.SubElement(holder, "text", words).text = number

    def resize(self, left: float, right: float, bottom: float) -> None:
        place = _NUMBER.findall(self.graph.get("transform", "").split("translate")[-1])
        dx, dy = (float(word) for word in place[:2])
        pad = left + dx
        ground = self.graph.find("polygon")
        if ground is not None:
            self.graph.remove(ground)
        for group, _ in self.groups:
            if self.is_title(group):
                for frame in (*group.findall("polygon"), *group.findall("path")):
                    group.remove(frame)
        wide, high = right + dx + max(pad, 14), bottom + dy
        self.root.set("viewBox", f"0.00 0.00 {wide:.2f} {high:.2f}")
        self.root.set("width", f"{wide:.0f}pt")
        self.root.set("height", f"{high:.0f}pt")
        shape = {"width": f"{wide:.2f}", "height": f"{high:.2f}", "fill": "white"}
        self.root.insert(0, ElementTree.Element("rect", shape))


def _box(group: ElementTree.Element) -> _Box:
    """The extent of a group's shapes and labels; that of the curves by their control points."""
    xs: list[float] = []
    ys: list[float] = []
    for element in group.iter():
        if element.tag == "ellipse":
            cx, cy, rx, ry = (float(element.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
            xs += [cx - rx, cx + rx]
            ys += [cy - ry, cy + ry]
        elif element.tag in ("path", "polygon"):
            points = _points(element)
            xs += [x for x, _ in points]
            ys += [y for _, y in points]
        elif element.tag == "text":
            xs.append(float(element.get("x", "0")))
            ys.append(float(element.get("y", "0")))
    return _Box(min(xs), min(ys), max(xs), max(ys)) if xs else _Box(0.0, 0.0, 0.0, 0.0)


def _points(element: ElementTree.Element) -> list[tuple[float, float]]:
    words = _NUMBER.findall(element.get("d", element.get("points", "")))
    values = [float(word) for word in words]
    return list(zip(values[::2], values[1::2], strict=False))


def _height(group: ElementTree.Element, x: float) -> float | None:
    """The height at which a link's curve is at `x`; None where it does not get there."""
    path = group.find("path")
    points = [] if path is None else _points(path)
    for k in range(0, len(points) - 3, 3):
        course = [_bezier(points[k : k + 4], step / 40) for step in range(41)]
        for (x0, y0), (x1, y1) in itertools.pairwise(course):
            if min(x0, x1) <= x <= max(x0, x1) and x0 != x1:
                return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None


def _bezier(points: Sequence[tuple[float, float]], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x = sum(weight * point[0] for weight, point in zip(weights, points, strict=True))
    y = sum(weight * point[1] for weight, point in zip(weights, points, strict=True))
    return x, y

"""The last touch on Graphviz's SVG: forms, tooltips, fonts, accessibility, legend.

SVG text in, SVG text out; nothing in it depends on the machine. Never moves what Graphviz placed,
except a bullet's label by the length of its round end, and dashed links (``residuals``).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from ..layout.metrics import printable
from ..picture import Picture
from .bullets import bullet, depth, pill
from .folding import fold
from .ids import own_ids
from .legend import add_legend
from .residuals import smooth
from .stops import mark_stops

MATH_FONTS = "Times New Roman, Times, serif"
CAPTION_FONTS = "Helvetica, Arial, sans-serif"
_SVG = "http://www.w3.org/2000/svg"


def finish(svg: str, picture: Picture) -> str:
    """The finished SVG of ``picture``, from the one that Graphviz made of its DOT."""
    root = ElementTree.fromstring(svg.encode("utf-8"))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.tail = None if element.tail is None or not element.tail.strip() else element.tail
        element.attrib.pop("{http://www.w3.org/XML/1998/namespace}space", None)
    smooth(root)
    mark_stops(root, CAPTION_FONTS)
    if not any(cluster.after for cluster in picture.clusters):  # those are side by side on purpose
        fold(root, CAPTION_FONTS)
    titles = _titles(picture)
    for group in root.iter("g"):
        if group.get("class", "").startswith("node"):
            _reshape(group)
        _name(group, titles)
    _fonts(root)
    add_legend(root, picture, CAPTION_FONTS)
    root.set("role", "img")
    root.set("aria-labelledby", "title")
    root.set("xmlns", _SVG)
    title = ElementTree.Element("title", {"id": "title"})
    title.text = printable(picture.title) or "diagram"
    root.insert(0, title)
    own_ids(root)
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="unicode")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + text + "\n"


def _titles(picture: Picture) -> dict[str, str]:
    label = {node.id: node.label or node.id for node in picture.nodes}
    titles: dict[str, str] = {}
    for index, node in enumerate(picture.nodes):
        titles[f"n{index}"] = node.tooltip or label[node.id]
    for index, edge in enumerate(picture.edges):
        titles[f"e{index}"] = edge.tooltip
    for index, cluster in enumerate(picture.clusters):
        titles[f"c{index}"] = cluster.label
    return titles


def _name(group: ElementTree.Element, titles: dict[str, str]) -> None:
    """The group's <title>, which browsers show under the mouse."""
    title = group.find("title")
    if title is None:
        return
    text = titles.get(group.get("id", ""), "")
    if text:
        title.text = printable(text)
    else:
        group.remove(title)


def _reshape(group: ElementTree.Element) -> None:
    words = group.get("class", "").split()
    box = group.find("polygon")
    if box is None or not {"bullet", "pill"} & set(words):
        return
    points = [tuple(map(float, point.split(","))) for point in box.get("points", "").split()]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
    box.tag = "path"
    del box.attrib["points"]
    if "pill" in words:
        box.set("d", pill(x0, y0, x1, y1))
        return
    left = "left" in words
    box.set("d", bullet(x0, y0, x1, y1, "left" if left else "right"))
    box.set("stroke-linejoin", "round")
    # The eye takes a bullet's middle nearer to its flat side.
    shift = 0.13 * depth(x1 - x0, y1 - y0) * (1 if left else -1)
    for text in group.findall("text"):
        text.set("x", f"{float(text.get('x', '0')) + shift:.2f}")


def _fonts(root: ElementTree.Element) -> None:
    for text in root.iter("text"):
        italic = re.search("times", text.get("font-family", ""), re.IGNORECASE)
        text.set("font-family", MATH_FONTS if italic else CAPTION_FONTS)
        if italic:
            text.set("font-style", "italic")

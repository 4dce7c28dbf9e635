"""Long rows are broken into lines; dashed links are one stroke each."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

import diagrad as dg
from diagrad.frontend.pictures import Edge, Node, Picture, to_svg
from diagrad.frontend.pictures.finishing.folding import WIDEST
from diagrad.frontend.pictures.stages.stages import stage_picture

from .geometry import SVG


def chain(length: int) -> Picture:
    nodes = tuple(Node(f"f{index}", "function", f"f{index}") for index in range(length))
    edges = tuple(Edge(f"f{index}", f"f{index + 1}") for index in range(length - 1))
    return Picture("chain", nodes, edges)


def parse(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(picture).encode())


def size(root: ElementTree.Element) -> tuple[float, float]:
    words = root.get("viewBox", "").split()
    return float(words[2]), float(words[3])


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_short_row_is_one_line(length: int) -> None:
    root = parse(chain(length))
    assert [group for group in root.iter(f"{SVG}g") if group.get("class") == "line"] == []


@pytest.mark.parametrize("length", [20, 41])
def test_a_long_row_is_broken(length: int) -> None:
    root = parse(chain(length))
    wide, high = size(root)
    lines = [group for group in root.iter(f"{SVG}g") if group.get("class") == "line"]
    assert len(lines) > 1 and wide < 1.1 * WIDEST and high > size(parse(chain(7)))[1]
    shown = [text.text for text in root.iter(f"{SVG}text")]
    assert [text for text in shown if re.fullmatch(r"f\d+", text or "")] == [
        f"f{index}" for index in range(length)
    ]
    # Each cut link ends and goes on at the same number.
    marks = [text for text in shown if re.fullmatch(r"\d+", text or "")]
    assert marks == [str(k // 2 + 1) for k in range(2 * (len(lines) - 1))]
    heights = [float((g.get("transform") or "").split()[1].rstrip(")")) for g in lines]
    assert heights == sorted(heights)


def test_ids_stay_unique() -> None:
    ids = [element.get("id") for element in parse(chain(30)).iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_the_way_back_is_broken_with_the_way_forth() -> None:
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 4))
    z = x
    for index in range(8):
        z = dg.tanh(dg.Linear(4, 4, name=f"f{index}")(z))
    root = parse(stage_picture(dg.Diagram("deep", cost=dg.squared_error(z, y)), "backward"))
    lines = [group for group in root.iter(f"{SVG}g") if group.get("class") == "line"]
    assert len(lines) > 1 and size(root)[0] < 1.1 * WIDEST
    for line in lines:
        words = [group.get("class", "") for group in line.iter(f"{SVG}g")]
        assert any("function forward" in word for word in words)
        assert any("function backward" in word for word in words)


@pytest.mark.parametrize(("frames", "lines"), [(3, 3), (1, 0)])
def test_a_frame_longer_than_a_line_is_a_line(frames: int, lines: int) -> None:
    """But a drawing that is little else is left as it is."""
    z = dg.observed("x", ("B", 4))
    for index in range(frames):
        layers = [dg.Linear(4, 4, name=f"layer{index}") for index in range(8)]
        z = dg.Chain(layers, name=f"part{index}")(z)
    root = parse(stage_picture(dg.Diagram("parts", {"z": z}), "drawn", depth=2))
    found = [group for group in root.iter(f"{SVG}g") if group.get("class") == "line"]
    assert len(found) == lines
    assert 1.3 * WIDEST < size(root)[0] < 2 * WIDEST
    for index, line in enumerate(found):
        words = [text.text for text in line.iter(f"{SVG}text")]
        assert "part" in str(words), (index, words)


def test_dashed_links_are_one_stroke() -> None:
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 4))
    diagram = dg.Diagram("small", cost=dg.squared_error(dg.Linear(4, 4, name="f")(x), y))
    root = parse(stage_picture(diagram, "backward"))
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == "edge residual"]
    assert groups
    for group in groups:
        path = group.find(f"{SVG}path")
        assert path is not None
        points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get("d", ""))
        assert len(points) == 4 and float(points[-1][1]) > float(points[0][1])

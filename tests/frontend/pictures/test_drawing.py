"""From a picture to SVG: escaping, tooltips, forms, the same bytes every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

import pytest

from diagrad.frontend.pictures import Cluster, Edge, Node, Picture, to_svg
from diagrad.frontend.pictures.layout.arrangement import Arrangement
from diagrad.frontend.pictures.layout.branches import with_branches
from diagrad.frontend.pictures.layout.dot import to_dot
from diagrad.frontend.pictures.layout.loop_rows import align_copies

SVG = "{http://www.w3.org/2000/svg}"
ODD = [
    'a "quoted" name',
    "<b>no markup</b>",
    "<>",
    "a & b",
    "&lt;",
    "&copy; &#65;",
    "back\\slash",
    "ends in \\",
    "\\N \\n \\l \\G",
    "ȳ ∂C/∂w x̂ 漢字 🙂",
    "%s {} | : ;",
    "-> [x]",
    "",
]


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.encode())


def texts(root: ElementTree.Element) -> list[str]:
    return [(text.text or "").replace("\u00a0", " ") for text in root.iter(f"{SVG}text")]


def titles(root: ElementTree.Element) -> list[str]:
    return [title.text or "" for title in root.iter(f"{SVG}title")]


@pytest.mark.parametrize("label", ODD)
@pytest.mark.parametrize("kind", ["observed", "function", "delay"])
def test_odd_labels_are_shown_letter_by_letter(label: str, kind: str) -> None:
    node = Node(label or "n", kind, label, f"tip {label}", cluster=label)  # type: ignore[arg-type]
    picture = Picture(f"t {label}", (node,), (), (Cluster(label, f"c {label}"),))
    root = parse(to_svg(picture))
    wanted = {f"t {label}".strip(), f"c {label}".strip(), *([label] if label else [])}
    assert wanted <= {text.strip() for text in texts(root)}
    assert f"tip {label}" in titles(root)


def test_quoting() -> None:
    dot = to_dot(Picture("t", (Node("n", "function", 'a"b\\c&d\r\ne'), Node("m", "delay", "<b>"))))
    assert 'label="a\\"b\\\\c&amp;d\ne"' in dot
    assert 'label="<b>"' in dot  # no HTML of Graphviz


def test_lines_of_a_label_are_lines_of_text() -> None:
    root = parse(to_svg(Picture("", (Node("f", "function", "Linear\nrelu"),))))
    assert texts(root) == ["Linear", "relu"]


def test_tooltips_are_titles(recurrent: Picture) -> None:
    found = titles(parse(to_svg(recurrent)))
    assert "x: float32[B, T, 8]\nrnn.py:3" in found
    assert "z(t)" in found  # no tooltip: its label
    assert not [title for title in found if re.fullmatch(r"[nec]\d+.*|cluster.*", title)]


def test_the_picture_has_a_name_for_screen_readers(recurrent: Picture) -> None:
    root = parse(to_svg(recurrent))
    assert root.get("role") == "img"
    first = root[0]
    assert (first.tag, first.text) == (f"{SVG}title", recurrent.title)
    assert root.get("aria-labelledby") == first.get("id")


def test_functions_are_bullets_and_long_names_pills(classifier: Picture) -> None:
    root = parse(to_svg(classifier))
    forms = {}
    for group in root.iter(f"{SVG}g"):
        words = group.get("class", "").split()
        if words[:1] == ["node"]:
            shape = next(child for child in group if child.tag not in (f"{SVG}title", f"{SVG}text"))
            forms[texts(group)[0]] = shape.tag.removeprefix(SVG)
    assert forms == {
        "x": "ellipse",
        "Linear(784, 10)": "path",
        "net/0/weight": "path",
        "net/0/bias": "path",
        "scores": "ellipse",
        "y": "ellipse",
        "cross entropy": "polygon",
    }


def test_the_delay_is_a_box(recurrent: Picture) -> None:
    dot = to_dot(with_branches(recurrent))
    assert 'class="delay forward box"' in dot
    assert 'class="function forward bullet right"' in dot


def test_gradients_flow_back_under_the_forward_row(backward: Picture) -> None:
    root = parse(to_svg(backward))
    place = {}
    for group in root.iter(f"{SVG}g"):
        if group.get("class", "").startswith("node"):
            text = next(group.iter(f"{SVG}text"))
            place[text.text] = float(text.get("x", "")), float(text.get("y", ""))
    assert place["x"][0] < place["f(x, w)"][0] < place["ȳ"][0] < place["C(y, ȳ)"][0]
    assert place["fᵀ"][0] < place["∂ȳ"][0] < place["C′"][0]
    assert place["fᵀ"][1] > place["f(x, w)"][1] > place["w"][1]


@pytest.mark.parametrize("name", ["recurrent", "hypernetwork", "classifier"])
def test_parameters_enter_from_below(name: str, request: pytest.FixtureRequest) -> None:
    sample = request.getfixturevalue(name)
    root = parse(to_svg(sample))
    height = {
        group.get("id", "").split("-")[1]: float(next(group.iter(f"{SVG}text")).get("y", ""))
        for group in root.iter(f"{SVG}g")
        if group.get("class", "").startswith("node") and "branch" not in group.get("class", "")
    }
    drawn = with_branches(sample)
    names = {node.id: f"n{index}" for index, node in enumerate(drawn.nodes)}
    first: dict[str, str] = {}
    for edge in sample.edges:
        if next(n for n in sample.nodes if n.id == edge.source).side == "parameter":
            first.setdefault(edge.target, edge.source)
    for target, source in first.items():
        if source != "v":  # the shared one comes from above
            assert height[names[source]] > height[names[target]], (source, target)


def test_the_legend_explains_several_phases(backward: Picture, recurrent: Picture) -> None:
    assert texts(parse(to_svg(backward)))[-3:] == [
        "forward",
        "backward",
        "forward value used by the backward pass",
    ]
    assert "forward" not in texts(parse(to_svg(recurrent)))


def test_a_stem_has_no_arrowhead(recurrent: Picture) -> None:
    root = parse(to_svg(recurrent))
    heads = {
        group.get("class"): len(group.findall(f"{SVG}polygon"))
        for group in root.iter(f"{SVG}g")
        if group.get("class", "").startswith("edge")
    }
    assert heads == {"edge stem": 0, "edge normal": 1}


def test_the_same_bytes_every_time(sample: Picture) -> None:
    with ThreadPoolExecutor(4) as pool:
        svgs = set(pool.map(to_svg, [sample] * 8))
    assert len(svgs) == 1
    (svg,) = svgs
    assert parse(svg).tag == f"{SVG}svg"
    assert "xlink" not in svg and "Graphviz" not in svg


def test_nothing_to_draw() -> None:
    assert parse(to_svg(Picture("", ()))).tag == f"{SVG}svg"


def test_a_cycle_without_a_delay_is_still_drawn() -> None:
    nodes = tuple(Node(name, "function", name) for name in "abc")
    edges = (Edge("a", "b"), Edge("b", "c"), Edge("c", "a"))
    assert texts(parse(to_svg(Picture("", nodes, edges)))) == ["a", "b", "c"]


def test_a_row_in_a_loop_is_not_known_by_its_name() -> None:
    nodes = Node("a of b", "computed", cluster="two"), Node("f", "function", cluster="two")
    picture = Picture("", nodes, (), (Cluster("one"), Cluster("two", after="one")))
    rows = {"a of b": "beside a of b", "f": "row0"}
    found = Arrangement(late={"a of b": 0, "f": 0}, row=rows)
    align_copies(found, picture)
    assert found.outlets == {}
    found.inner.add("a of b")
    align_copies(found, picture)
    assert found.outlets == {"f": ["a of b"]}


def test_large_pictures_are_drawn_with_less_effort() -> None:
    nodes = tuple(Node(f"o{index}", "operation", "add") for index in range(700))
    edges = tuple(Edge(f"o{index // 2}", f"o{index}") for index in range(1, 700))
    assert "splines=line" in to_dot(Picture("", nodes, edges))
    assert "splines=spline" in to_dot(Picture("", nodes[:9], edges[:8]))
    assert len(texts(parse(to_svg(Picture("", nodes, edges))))) == 700

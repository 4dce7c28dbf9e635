"""Every diagram at every stage: whole, and without anything on top of anything else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

import diagrad as dg
from diagrad.frontend.drawing.drawn import drawn_graph
from diagrad.frontend.pictures import Picture, to_svg
from diagrad.frontend.pictures.layout.branches import with_branches
from diagrad.frontend.pictures.stages.from_diagram import from_diagram
from diagrad.frontend.pictures.stages.stages import STAGES, stage_picture

from .diagrams import DIAGRAMS, classifier
from .geometry import SVG, layout

CASES = [
    ("drawn", 1), ("drawn", 2), ("drawn", None), ("graph", 1), ("graph", None),
    ("backward", 1), ("backward", 2), ("kernels", 1),
]  # fmt: skip


@pytest.fixture(params=DIAGRAMS, ids=lambda draw: draw.__name__)
def draw(request: pytest.FixtureRequest) -> Callable[[], dg.Diagram]:
    found: Callable[[], dg.Diagram] = request.param
    return found


@pytest.mark.parametrize(("stage", "depth"), CASES)
def test_nothing_covers_anything(
    draw: Callable[[], dg.Diagram], stage: str, depth: int | None
) -> None:
    found = layout(stage_picture(draw(), stage, depth))
    for (one, box), (other, further) in combinations(found.boxes.items(), 2):
        assert not box.meets(further), f"{one} covers {other}"
    for edge, course in found.courses:
        for name, box in found.boxes.items():
            if name not in (edge.source, edge.target):
                assert not any(map(box.holds, course)), f"{edge.source} -> {edge.target}: {name}"


@pytest.mark.parametrize(("stage", "depth"), [*CASES, ("backward", None)])
def test_the_same_picture_every_time(
    draw: Callable[[], dg.Diagram], stage: str, depth: int | None
) -> None:
    one, other = stage_picture(draw(), stage, depth), stage_picture(draw(), stage, depth)
    assert one == other
    assert one.title == draw().name


@pytest.mark.parametrize("depth", [1, 2, None])
def test_parameters_enter_from_below_and_gradients_leave_so(
    draw: Callable[[], dg.Diagram], depth: int | None
) -> None:
    picture = stage_picture(draw(), "drawn", depth)
    assert _wrong_sides(picture) == []
    if depth is not None:
        back = stage_picture(draw(), "backward", depth)
        boxes = layout(back).boxes
        for node in back.nodes:
            if node.under is not None:
                assert boxes[node.id].middle[1] > boxes[node.under].middle[1], node.id


def _wrong_sides(picture: Picture) -> list[str]:
    """Parameters that are not below their reader, though they alone enter it from the side."""
    boxes = layout(picture).boxes
    sides = {node.id for node in picture.nodes if node.side == "parameter"}
    enters = [edge for edge in picture.edges if edge.source in sides]
    return [
        edge.source
        for edge in enters
        if [other.source for other in enters].count(edge.source) == 1
        and [other.target for other in enters].count(edge.target) == 1
        and boxes[edge.source].top < boxes[edge.target].bottom
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_svg_and_png(stage: str, tmp_path: Path) -> None:
    svg = classifier().render(tmp_path / "a.svg", stage=stage)
    png = classifier().render(tmp_path / "a.png", stage=stage)
    root = ElementTree.fromstring(svg.read_bytes())
    drawn = with_branches(stage_picture(classifier(), stage))
    parts = [group for group in root.iter(f"{SVG}g") if group.get("id")]  # of a cut link, one
    groups = [group.get("class", "").split(" ")[0] for group in parts]
    assert groups.count("node") == len(drawn.nodes)
    assert groups.count("edge") == len(drawn.edges)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_tooltips_tell_the_type_and_the_line() -> None:
    titles = [
        title.text or ""
        for title in ElementTree.fromstring(to_svg(stage_picture(classifier()))).iter(f"{SVG}title")
    ]
    (scores,) = [title for title in titles if title.startswith("scores: ")]
    kind, where = scores.split("\n")
    assert kind == "scores: float32 (B, 10)" and where.startswith("diagrams.py:")
    (net,) = [title for title in titles if title.startswith("net: Chain")]
    assert net.split("\n")[1:3] == ["→ float32 (B, 10)", "203,530 parameters"]
    (weights,) = [title for title in titles if title.startswith("net/0/weight: ")]
    assert weights.count("\n") == 4 and "net/2/bias: float32 (10,)" in weights


def test_an_unknown_stage(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        classifier().render(tmp_path / "a.svg", stage="rolled")
    assert str(error.value) == (
        "render expects a stage out of drawn, unrolled, graph, backward, kernels, got 'rolled'"
    )


@pytest.mark.parametrize("depth", [0, -1, True, "1", 1.0])
def test_a_wrong_depth(depth: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        classifier().render(tmp_path / "a.svg", depth=depth)  # type: ignore[arg-type]
    assert (
        str(error.value) == f"render expects a depth of 1 or more, or None for all, got {depth!r}"
    )


def test_a_diagram_without_a_cost() -> None:
    x = dg.observed("x", ("B", 4))
    diagram = dg.Diagram("plain", {"y": dg.Linear(4, 3)(x)})
    for stage in ("drawn", "graph", "kernels"):
        assert stage_picture(diagram, stage).nodes
    with pytest.raises(dg.DiagramError, match="has no cost whose gradients could be drawn"):
        stage_picture(diagram, "backward")


def test_what_a_block_updates_itself_is_not_drawn() -> None:
    """The averages of a batch norm are among its parameters; a state of the user's is drawn."""
    x = dg.observed("x", ("B", 4))
    net = dg.Chain(dg.Linear(4, 3), dg.BatchNorm(3), name="net")
    y = net(x)
    count = dg.state("count")
    dg.update(count, count + 1.0)
    diagram = dg.Diagram("norm", {"y": y, "count": count})
    for depth in (1, 2, None):
        picture = from_diagram(drawn_graph(diagram), depth)
        texts = [node.label for node in picture.nodes]
        assert not any("running" in text for text in texts if "next" in text)
        assert sum("update" in text for text in texts) == 1
        assert sum(node.kind == "state" for node in picture.nodes) == 2  # count, before and after
    assert "running_mean" in str(from_diagram(drawn_graph(diagram), 1).nodes)

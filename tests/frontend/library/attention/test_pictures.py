"""Pictures of attention: heads side by side, ways around over their row, as papers draw them."""

from typing import Any

import pytest

import diagrad as dg
from diagrad.frontend.pictures import Node, Picture
from diagrad.frontend.pictures.layout.branches import with_branches
from diagrad.frontend.pictures.stages.stages import stage_picture

from ...pictures.geometry import Layout, layout


def drawn(block: Any, *sources: str, **options: Any) -> tuple[Picture, Layout]:
    """The inside of a block, and where everything stands."""
    x = [dg.observed(name, ("B", f"T{name}", 12)) for name in sources]
    picture = stage_picture(dg.Diagram("picture", block(*x, **options)), depth=2)
    return with_branches(picture), layout(picture)


def node(picture: Picture, label: str) -> Node:
    (found,) = (item for item in picture.nodes if item.label.replace("\n", " ") == label)
    return found


LAYERS = {
    "pre": (dg.TransformerEncoderLayer(12, 4, norm_first=True), "x"),
    "post": (dg.TransformerEncoderLayer(12, 4), "x"),
    "decoder": (dg.TransformerDecoderLayer(12, 4, norm_first=True), "xm"),
    "decoder post": (dg.TransformerDecoderLayer(12, 4), "xm"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_ways_around_lead_over_the_row_to_the_sums(name: str) -> None:
    block, sources = LAYERS[name]
    picture, found = drawn(block, *sources)
    kinds = {item.id: item for item in picture.nodes}
    around = [
        (edge, course)
        for edge, course in found.courses
        if kinds[edge.source].kind == "branch" and kinds[edge.target].label == "+"
    ]
    assert len(around) == (3 if name.startswith("decoder") else 2)
    for edge, course in around:
        level = found.boxes[edge.target].middle[1]
        assert max(y for _, y in course) < level + 1
        assert min(y for _, y in course) < level - 20
        assert not any(box.holds(point) for box in found.boxes.values() for point in course[2:-2])


@pytest.mark.parametrize("name", LAYERS)
def test_a_branch_of_what_a_layer_reads_is_in_its_frame(name: str) -> None:
    block, sources = LAYERS[name]
    picture, _ = drawn(block, *sources)
    (frame,) = picture.clusters
    branches = [item for item in picture.nodes if item.kind == "branch"]
    assert {item.cluster for item in branches} == {frame.id}
    assert node(picture, "x").cluster is None


HEADS: dict[str, tuple[Any, str]] = {
    "self": (dg.MultiHeadAttention(12, 4, name="look"), "x"),
    "rotary": (dg.MultiHeadAttention(12, 2, rotary=True, causal=True, name="look"), "x"),
    "cross": (dg.MultiHeadAttention(12, 4, name="look"), "xm"),
}


@pytest.mark.parametrize("name", HEADS)
def test_queries_keys_and_values_are_three_straight_rows(name: str) -> None:
    block, sources = HEADS[name]
    picture, found = drawn(block, *sources)
    bullets = [item.label.partition("(")[0].strip() for item in picture.nodes if "(" in item.label]
    assert sorted(bullets) == sorted(
        ["query", "key", "value", *["split heads"] * 3, "attention", "join heads", "output"]
    )
    label = {item.id: item.label.partition("(")[0].strip() for item in picture.nodes}
    into = {edge.target: edge.source for edge in picture.edges if edge.style == "normal"}
    place = {label[item.id]: item.id for item in picture.nodes if item.kind == "function"}
    rows = []
    for edge in picture.edges:
        if edge.target == place["attention"]:
            at, heights = edge.source, [found.boxes[edge.source].middle[1]]
            while label[at] not in ("query", "key", "value"):
                at = into[at]
                heights.append(found.boxes[at].middle[1])
            assert max(heights) - min(heights) < 12
            rows.append(sum(heights) / len(heights))
            assert found.boxes[at].right < found.boxes[place["attention"]].left
    assert len(rows) == 3
    rows.sort()
    assert rows[1] - rows[0] > 40
    assert rows[2] - rows[1] > 40


@pytest.mark.parametrize("name", HEADS)
def test_a_weight_hangs_right_under_its_function(name: str) -> None:
    block, sources = HEADS[name]
    picture, found = drawn(block, *sources)
    kinds = {item.id: item.kind for item in picture.nodes}
    links = [edge for edge in picture.edges if kinds[edge.source] == "parameter"]
    assert len(links) == 4
    for edge in links:
        weight, function = found.boxes[edge.source], found.boxes[edge.target]
        assert abs(weight.middle[0] - function.middle[0]) < 2
        assert 0 < weight.top - function.bottom < 60

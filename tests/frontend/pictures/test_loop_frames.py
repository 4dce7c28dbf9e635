"""Loops in pictures: frames, delays and indices; unrolled; and the way back through them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

import diagrad as dg
from diagrad.frontend.pictures import Picture, to_svg
from diagrad.frontend.pictures.stages.stages import stage_picture

from .diagrams import classifier
from .geometry import layout
from .recurrent import RECURRENT, both_ways, elman, lstm, masked, nested, power, translator


def labels(picture: Picture, *kinds: str) -> list[str]:
    return [node.label for node in picture.nodes if node.kind in kinds]


def arrows(picture: Picture, style: str = "normal") -> set[tuple[str, str, str]]:
    label = {node.id: node.label for node in picture.nodes}
    return {
        (label[edge.source], label[edge.target], edge.label)
        for edge in picture.edges
        if edge.style == style
    }


def captions(picture: Picture) -> list[str]:
    return [frame.label for frame in picture.clusters]


@pytest.fixture(params=RECURRENT, ids=lambda draw: draw.__name__)
def draw(request: pytest.FixtureRequest) -> Callable[[], dg.Diagram]:
    found: Callable[[], dg.Diagram] = request.param
    return found


def test_the_simplest_loop_as_on_a_slide() -> None:
    picture = stage_picture(power())
    assert captions(picture) == ["t = 1 … T"]
    assert {
        ("z₀", "z(t−1)", "init"),
        ("z(t−1)", "z(t−1) @ w", ""),
        ("z(t−1) @ w", "z(t)", ""),
        ("z(t)", "z⁻¹", ""),
        ("z⁻¹", "z(t−1)", ""),
        ("z(t)", "Z", "stack"),
        ("z(t)", "last", "last"),
    } <= arrows(picture)
    (back,) = (edge for edge in picture.edges if edge.back)
    kinds = {node.id: node.kind for node in picture.nodes}
    assert kinds[back.target] == "delay"
    frames = {node.label: node.cluster for node in picture.nodes}
    assert frames["z(t)"] == frames["z⁻¹"] == frames["w"] == picture.clusters[0].id
    assert frames["z₀"] is frames["Z"] is None


def test_elements_of_what_is_observed_are_observed() -> None:
    picture = stage_picture(elman())
    assert labels(picture, "observed") == ["x", "x(t)", "y", "y(t)"]
    assert {("x", "x(t)", "each"), ("y", "y(t)", "each")} <= arrows(picture)
    assert labels(picture, "cost") == ["squared error\n(z₄(t), y(t))", "sum over t\nof C(t)"]


def test_masks_are_told_at_the_frame() -> None:
    picture = stage_picture(masked())
    assert captions(picture) == ["t = 1 … T,  truncated every 2"]
    assert labels(picture, "delay") == ["z⁻²"] and "h(t−2)" in labels(picture, "computed")
    assert labels(picture, "function") == ["h(t−2) @ u", "+", "tanh(z₂(t))", "z₃²"]
    (lengths,) = (edge for edge in picture.edges if edge.frame is not None)
    assert (lengths.source, lengths.label) == ("n", "lengths")
    assert lengths.frame == picture.clusters[0].id


def test_checkpoints_are_told_at_the_frame() -> None:
    assert captions(stage_picture(elman(checkpoint=5))) == ["t = 1 … T,  checkpoint every 5"]


def test_reversed_loops_look_ahead() -> None:
    picture = stage_picture(both_ways())
    assert captions(picture) == ["forth:  t = 1 … T", "back:  t = T … 1,  reversed"]
    assert {"f(t−1)", "b(t+1)"} <= set(labels(picture, "computed"))


def test_nested_frames() -> None:
    picture = stage_picture(nested())
    outer, inner = picture.clusters
    assert (outer.label, inner.label) == ("t = 1 … T", "k = 1 … K")
    assert (outer.parent, inner.parent) == (None, outer.id)
    frames = {node.label: node.cluster for node in picture.nodes}
    assert frames["h(k)"] == frames["x(t, k)"] == inner.id
    assert frames["H(t)"] == frames["x(t)"] == outer.id


def test_a_loop_in_a_block() -> None:
    class Net(dg.Block):
        def __init__(self) -> None:
            self.w = dg.parameter("w", (3,))

        def forward(self, x: dg.Variable) -> dg.Variable:
            t = dg.loop("t")
            z = t.delay("z", 1.0, shape=(3,))
            following = z * self.w + t.each(x)
            t.close(z, following)
            return t.last(following)

    diagram = dg.Diagram("inside", {"y": Net()(dg.observed("x", ("T", 3)))})
    assert stage_picture(diagram).clusters == ()
    block, loop = sorted(stage_picture(diagram, depth=2).clusters, key=lambda c: c.parent or "")
    assert (block.label, block.kind, loop.label, loop.parent) == (
        "net",
        "block",
        "t = 1 … T",
        "net",
    )
    assert captions(stage_picture(diagram, "unrolled", 2, 2)) == ["t = 1", "t = 2", "net"]


def test_a_state_starts_a_delay() -> None:
    t = dg.loop("t", steps=3)
    h = t.delay("h", state=dg.state("h", (2,)))
    following = dg.tanh(h)
    t.close(h, following)
    picture = stage_picture(dg.Diagram("kept", {"y": t.last(following)}))
    assert labels(picture, "state") == ["h", "next h"]
    assert ("h", "h(t−1)", "init") in arrows(picture)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_unrolled(steps: int) -> None:
    picture = stage_picture(power(), "unrolled", steps=steps)
    assert captions(picture) == [f"t = {step}" for step in range(1, steps + 1)]
    assert [frame.after for frame in picture.clusters] == [
        None, *(frame.id for frame in picture.clusters[:-1]),
    ]  # fmt: skip
    for step in range(1, steps + 1):
        assert (f"z({step - 1})", f"z({step - 1}) @ w", "") in arrows(picture)
        assert (f"z({step})", "Z", "stack") in arrows(picture)
    assert ("z₀", "z(0)", "init") in arrows(picture)
    assert [end for end in arrows(picture) if end[2] == "last"] == [(f"z({steps})", "last", "last")]
    assert labels(picture, "parameter") == ["w"] and not labels(picture, "delay")
    assert len(arrows(picture, "shared")) == steps


def test_elements_unrolled() -> None:
    picture = stage_picture(elman(), "unrolled", steps=2)
    assert sorted(labels(picture, "observed")) == ["x(1)", "x(2)", "y(1)", "y(2)"]
    computed = labels(picture, "computed")
    assert {"Y(1)", "Y(2)", "h(1)", "h(2)", "h(0) = 0"} <= set(computed)
    assert labels(picture, "function").count("h(0) @ u") == 1
    assert labels(picture, "cost").count("sum") == 1


def test_unrolled_delays_of_several_steps() -> None:
    picture = stage_picture(masked(), "unrolled", steps=3)
    found = {(start, end) for start, end, _ in arrows(picture) if end.endswith("@ u")}
    assert found == {
        ("h(−1) = 0", "h(−1) @ u"), ("h(0) = 0", "h(0) @ u"),
        ("h(1)", "h(1) @ u"),
    }  # fmt: skip
    assert captions(picture) == ["t = 1", "t = 2", "t = 3,  no gradient to before"]


def test_unrolled_loops_after_one_another_and_back() -> None:
    assert captions(stage_picture(translator(), "unrolled", steps=2)) == [
        "encoder:  t = 1", "encoder:  t = 2", "decoder:  t = 1", "decoder:  t = 2",
    ]  # fmt: skip
    picture = stage_picture(both_ways(), "unrolled", steps=2)
    assert captions(picture)[2:] == ["back:  t = 2", "back:  t = 1"]
    assert {"b(3) = 0", "b(2)", "b(1)"} <= set(labels(picture, "computed"))


def test_inner_loops_stay_rolled() -> None:
    picture = stage_picture(nested(), "unrolled", steps=2)
    assert captions(picture).count("k = 1 … K") == 2 == labels(picture, "delay").count("z⁻¹")
    inner = [frame for frame in picture.clusters if frame.label.startswith("k")]
    assert len({frame.parent for frame in inner}) == 2
    assert {"x(1, k)", "x(2, k)"} <= set(labels(picture, "observed"))


@pytest.mark.parametrize("length", [0, 1, 3])
def test_loops_of_a_known_number_of_steps(length: int) -> None:
    x = dg.observed("x", (length, 3))
    t = dg.loop("t")
    z = t.delay("z", 1.0, shape=(3,))
    following = z + t.each(x)
    t.close(z, following)
    diagram = dg.Diagram("known", {"y": t.last(following)})
    picture = stage_picture(diagram, "unrolled")
    assert len(picture.clusters) == length
    assert [start for start, _, word in arrows(picture) if word == "last"] == [
        f"z({length})" if length else "z(0) = 1"
    ]
    assert len(stage_picture(diagram, "unrolled", steps=2).clusters) == min(2, length)


def test_a_diagram_without_loops_is_the_same_unrolled() -> None:
    assert stage_picture(classifier(), "unrolled") == stage_picture(classifier())


def test_the_way_back() -> None:
    picture = stage_picture(power(), "backward")
    assert captions(picture) == ["t = 1 … T", "∂ t = T … 1"]
    back = arrows(picture, "backward")
    assert {
        ("∂last", "∂z(t)", "init"),
        ("∂z(t)", "∂(@)", ""),
        ("∂(@)", "∂z(t−1)", ""),
        ("∂z(t−1)", "z⁺¹", ""),
        ("z⁺¹", "∂z(t)", ""),
        ("∂(@)", "∂w", "sum over t"),
    } <= back
    kept = {(start, end) for start, end, _ in arrows(picture, "residual")}
    assert any(end == "∂(@)" and start.startswith("z") for start, end in kept)
    frames = {node.label: node.cluster for node in picture.nodes}
    assert frames["∂z(t)"] == frames["∂w"] == picture.clusters[1].id


def test_the_way_back_of_nested_loops_sums_over_both() -> None:
    picture = stage_picture(nested(), "backward")
    assert ("∂f", "∂w₁", "sum over t, k") in arrows(picture, "backward")
    frames = {frame.label: frame for frame in picture.clusters}
    assert frames["∂ k = K … 1"].parent == frames["∂ t = T … 1"].id


def test_primitives_of_a_loop_are_in_a_frame() -> None:
    picture = stage_picture(nested(), "graph")
    frames = {frame.label: frame for frame in picture.clusters}
    outer, inner = frames["t:  1 … T"], frames["k:  1 … K"]
    assert inner.parent == outer.id
    assert {node.label for node in picture.nodes if node.cluster == inner.id} >= {
        "tanh",
        "h",
        "z⁻¹",
    }
    assert "loop" not in labels(picture, "operation")
    assert labels(picture, "operation").count("last") == 2
    assert len([edge for edge in picture.edges if edge.back]) == 2


def test_kernels_of_a_loop_are_in_a_frame() -> None:
    picture = stage_picture(elman(), "kernels")
    assert captions(picture) == ["t:  1 … T", "t:  T … 1"]
    inside = {node.cluster: node.phase for node in picture.nodes if node.kind == "operation"}
    assert [inside[frame.id] for frame in picture.clusters] == ["forward", "backward"]
    assert labels(picture, "delay") == ["z⁻¹", "z⁻¹"]


@pytest.mark.parametrize("stage", ["drawn", "unrolled", "backward"])
def test_nothing_covers_anything(draw: Callable[[], dg.Diagram], stage: str) -> None:
    steps = 3 if stage == "unrolled" else None
    boxes = layout(stage_picture(draw(), stage, steps=steps)).boxes
    for (one, box), (other, further) in combinations(boxes.items(), 2):
        assert not box.meets(further), f"{one} covers {other}"


@pytest.mark.parametrize("depth", [1, 2, None])
@pytest.mark.parametrize("stage", ["drawn", "unrolled", "graph", "backward", "kernels"])
def test_every_stage_is_drawn(
    draw: Callable[[], dg.Diagram], stage: str, depth: int | None
) -> None:
    steps = 2 if stage == "unrolled" else None
    picture = stage_picture(draw(), stage, depth, steps)
    assert picture == stage_picture(draw(), stage, depth, steps)
    if depth == 1:
        assert ElementTree.fromstring(to_svg(picture).encode()).get("role") == "img"


@pytest.mark.parametrize("draw", [power, elman, translator])
def test_time_goes_from_left_to_right(draw: Callable[[], dg.Diagram]) -> None:
    picture = stage_picture(draw(), "unrolled", steps=3)
    boxes = layout(picture).boxes
    frames = {node.id: node.cluster for node in picture.nodes if node.side == "main"}
    for frame in picture.clusters:
        if frame.after is not None:
            before = max(boxes[n].right for n, at in frames.items() if at == frame.after)
            assert before < min(boxes[n].left for n, at in frames.items() if at == frame.id)


@pytest.mark.parametrize("draw", [power, elman, translator])
def test_the_arrow_back_is_above_the_row(draw: Callable[[], dg.Diagram]) -> None:
    picture = stage_picture(draw())
    boxes = layout(picture).boxes
    for edge in picture.edges:
        if edge.back:
            assert boxes[edge.target].bottom < boxes[edge.source].top + 8


def test_a_named_number_of_steps(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        elman().render(tmp_path / "a.svg", stage="unrolled")
    assert str(error.value) == (
        "render expects steps, the number of copies, for the stage 'unrolled' of loop 't', which "
        "has T steps: give render(..., steps=4)"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("steps", [0, -1, True, "2", 1.0])
def test_a_wrong_number_of_steps(steps: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        elman().render(tmp_path / "a.svg", stage="unrolled", steps=steps)  # type: ignore[arg-type]
    assert str(error.value) == f"render expects steps to be an integer of 1 or more, got {steps!r}"


def test_steps_of_another_stage(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="expects steps only for the stage 'unrolled', got 'drawn'"
    ):
        elman().render(tmp_path / "a.svg", steps=3)


def test_what_a_block_is_given_of_its_own_stands_as_the_arrows_lead() -> None:
    """The gates of the cell are given what the cell computes: no frame is right of itself."""
    picture = stage_picture(lstm(), depth=None)
    kinds = {node.id: node.kind for node in picture.nodes}
    placed = layout(picture).boxes
    for edge in picture.edges:
        ends = {kinds[edge.source], kinds[edge.target]}
        if not ends & {"delay", "parameter"}:
            assert placed[edge.source].middle[0] < placed[edge.target].middle[0] + 1, edge

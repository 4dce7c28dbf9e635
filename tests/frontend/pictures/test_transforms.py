"""Weights that are shared or computed: what they are called, and where they stand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import diagrad as dg
from diagrad.frontend.pictures import Picture
from diagrad.frontend.pictures.stages.stages import stage_picture

from .geometry import Layout, layout
from .test_from_diagram import arrows, labels, node
from .transforms import (
    TRANSFORMS,
    bound,
    deep,
    hypernetwork_block,
    in_a_loop,
    in_two_layers,
    low_rank,
    of_the_input,
)


def places(picture: Picture) -> dict[str, tuple[float, float]]:
    """The middles of the nodes, by label."""
    found: Layout = layout(picture)
    return {node.label: found.boxes[node.id].middle for node in picture.nodes}


def test_computed_weights_are_w_and_what_computes_them_has_u() -> None:
    picture = stage_picture(bound())
    assert labels(picture, "function") == ["H(z, u)", "G(x, w)"]
    assert labels(picture, "parameter") == ["u"] and labels(picture, "computed") == ["w", "out"]
    assert node(picture, "w").side == "parameter"


def test_on_the_next_level_they_are_u_and_v() -> None:
    assert labels(stage_picture(deep()), "function") == ["K(s, v)", "H(z, u)", "G(x, w)"]


def test_the_parts_of_a_vector_are_numbered_for_each_bullet() -> None:
    picture = stage_picture(bound(), depth=2)
    assert {("cut(w)", "w₁"), ("w₁", "Linear(x, w₁)"), ("cut(w)", "w₂")} <= arrows(picture)
    assert node(picture, "w₁").tooltip.splitlines()[:2] == [
        "weight: float32 (4, 8)", "bias: float32 (8,)",
    ]  # fmt: skip
    assert node(picture, "w₁").cluster == node(picture, "cut(w)").cluster


def test_the_parts_have_the_names_of_parameters() -> None:
    computed = labels(stage_picture(bound(), depth=None), "computed")
    assert [name for name in computed if name in ("weight", "bias")] == ["weight", "bias"] * 2


def test_a_hypernetwork_as_on_a_slide() -> None:
    at = places(stage_picture(of_the_input()))
    x, main, outer = at["x"], at["G(x, w)"], at["H(x, u)"]
    w, u = at["w"], at["u"]
    assert x[1] == pytest.approx(main[1], abs=1) and outer[1] == pytest.approx(w[1], abs=1)
    assert main[1] < w[1] and w[0] == pytest.approx(main[0], abs=1)
    assert outer[0] < w[0] and outer[1] < u[1] and outer[0] == pytest.approx(u[0], abs=1)


def test_inside_of_a_frame_as_well() -> None:
    at = places(stage_picture(hypernetwork_block(), depth=2))
    assert at["x"][1] == pytest.approx(at["G(x, w)"][1], abs=1)
    assert at["z"][1] == pytest.approx(at["H(z, u)"][1], abs=1) == pytest.approx(at["w"][1], abs=1)
    assert at["G(x, w)"][1] < at["w"][1] and at["x"][0] < at["H(z, u)"][0]


def test_the_way_back_is_the_mirror_image() -> None:
    at = places(stage_picture(bound(), "backward"))
    rows = [at[name][1] for name in ("u", "H(z, u)", "G(x, w)", "∂G", "∂H", "∂u")]
    assert rows == sorted(rows)
    assert at["w"][1] == pytest.approx(at["H(z, u)"][1], abs=1)
    assert at["∂w"][1] == pytest.approx(at["∂H"][1], abs=1)
    assert at["out"][1] == pytest.approx(at["G(x, w)"][1], abs=1)
    assert at["∂out"][1] == pytest.approx(at["∂G"][1], abs=1)


def test_the_way_back_through_two_hypernetworks() -> None:
    at = places(stage_picture(deep(), "backward"))
    rows = [at[name][1] for name in ("K(s, v)", "H(z, u)", "G(x, w)", "∂G", "∂H", "∂K")]
    assert rows == sorted(rows)


def test_a_shared_weight_stands_above_with_what_computes_it() -> None:
    at = places(stage_picture(in_two_layers()))
    assert at["u"][1] < at["share(u)"][1] == pytest.approx(at["w"][1], abs=1)
    assert at["w"][1] < at["f(x, w)"][1] == pytest.approx(at["g(z₂, w)"][1], abs=1)
    assert at["f(x, w)"][0] < at["w"][0] < at["g(z₂, w)"][0]


def test_the_gradients_of_a_shared_weight_meet_below() -> None:
    picture = stage_picture(in_two_layers(), "backward")
    at, found = places(picture), layout(picture)
    (total,) = (name for name in found.boxes if name.endswith(" sum"))
    assert at["∂f"][1] < found.boxes[total].middle[1] < at["∂w"][1]
    assert at["∂f"][0] < found.boxes[total].middle[0] < at["∂g"][0]


def test_the_first_of_two_parameters_begins_the_row() -> None:
    picture = stage_picture(low_rank())
    assert node(picture, "A").side == "main" and node(picture, "B").side == "parameter"
    at = places(picture)
    assert at["A"][1] == pytest.approx(at["A @ B"][1], abs=1) == pytest.approx(at["w"][1], abs=1)


def test_weights_of_a_loop_that_are_computed_once_are_out_of_it() -> None:
    picture = stage_picture(in_a_loop())
    assert node(picture, "w").cluster is None and node(picture, "w").side == "parameter"
    unrolled = stage_picture(in_a_loop(), "unrolled", steps=3)
    assert labels(unrolled, "computed").count("w") == 1


@pytest.mark.parametrize("make", TRANSFORMS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("stage", ["drawn", "backward", "graph"])
def test_no_node_lies_on_another(make: Callable[[], dg.Diagram], stage: str) -> None:
    boxes = list(layout(stage_picture(make(), stage, 2)).boxes.values())
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])

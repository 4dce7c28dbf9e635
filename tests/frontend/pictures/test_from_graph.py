"""Stages "graph" and "kernels": primitives and kernels as small bullets."""

from __future__ import annotations

import diagrad as dg
from diagrad.frontend.pictures import Picture
from diagrad.frontend.pictures.stages.stages import stage_picture

from .diagrams import classifier, penalty, sharing, siamese


def labels(picture: Picture, *kinds: str) -> list[str]:
    return [node.label for node in picture.nodes if node.kind in kinds]


def test_primitives_with_their_numbers() -> None:
    picture = stage_picture(sharing(), "graph")
    assert sorted(labels(picture, "operation")) == sorted(
        ["@", "tanh", "@", "tanh", "−", "(·)²", "sum", "−", "(·)²", "sum", "/ B"]
    )
    assert labels(picture, "cost") == ["C"]


def test_a_bias_enters_without_its_broadcast() -> None:
    picture = stage_picture(classifier(), "graph")
    assert "broadcast" not in labels(picture, "operation")
    (bias, _) = (node for node in picture.nodes if node.label == "bias")
    (edge,) = (edge for edge in picture.edges if edge.source == bias.id)
    assert edge.tooltip == "float32 (256,), broadcast to (B, 256)"
    assert bias.tooltip.startswith("net/0/bias: float32 (256,)\ndiagrams.py:")


def test_an_output_is_a_circle_on_the_way() -> None:
    picture = stage_picture(classifier(), "graph")
    (scores,) = (node.id for node in picture.nodes if node.label == "scores")
    assert len([edge for edge in picture.edges if edge.target == scores]) == 1
    assert len([edge for edge in picture.edges if edge.source == scores]) == 2


def test_frames_are_blocks_down_to_the_depth() -> None:
    one = stage_picture(classifier(), "graph", 1)
    assert [frame.label for frame in one.clusters] == ["net", "cross entropy"]
    every = stage_picture(classifier(), "graph", None)
    assert [frame.label for frame in every.clusters] == [
        "net", "Linear", "relu", "Linear", "cross entropy",
    ]  # fmt: skip
    assert [frame.parent for frame in every.clusters] == [None, "net", "net", "net", None]


def test_a_block_used_twice_has_two_frames() -> None:
    picture = stage_picture(siamese(), "graph")
    assert [frame.label for frame in picture.clusters].count("enc") == 2


def test_a_gradient_in_the_cost_has_frames_of_its_own() -> None:
    picture = stage_picture(penalty(), "graph")
    assert "∂net" in [frame.label for frame in picture.clusters]
    assert {node.phase for node in picture.nodes} == {"forward"}


def test_tooltips_of_primitives() -> None:
    picture = stage_picture(classifier(), "graph")
    tips = [node.tooltip.split("\n") for node in picture.nodes if node.label == "@"]
    assert tips[0][:2] == ["contract: float32 (B, 256)", "ab,bc->ac"]
    assert tips[0][2].startswith("diagrams.py:")


def test_a_convolution_is_a_bullet_with_its_kernel() -> None:
    x = dg.observed("x", ("T", 6, 6, 2, "B"))
    net = dg.Conv2d(2, 2, 3, padding=1, name="net")
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=("B", 2, 6, 6))
    z_next = dg.tanh(net(z) + t.each(x).T)
    t.close(z, z_next)
    y = dg.ConvTranspose2d(2, 2, 3, bias=False, name="back")(t.last(z_next))
    picture = stage_picture(dg.Diagram("test", {"y": y}), "graph")
    found = labels(picture, "operation")
    assert found.count("⋆") == found.count("⋆ᵀ") == 1
    name = {node.id: node.label for node in picture.nodes}
    read = {name[e.source] for e in picture.edges if name[e.target] in ("⋆", "⋆ᵀ")}
    assert "weight" in read
    assert [name[e.source] for e in picture.edges if name[e.target] == "y"] == ["⋆ᵀ"]
    # Only what the user turned is a bullet.
    assert found.count("ᵀ") == 1


def test_arrays_are_circles() -> None:
    x = dg.observed("x", ("B", 3))
    diagram = dg.Diagram("arrays", {"y": x * dg.constant([1.0, 2.0, 3.0])})
    assert labels(stage_picture(diagram, "graph"), "constant") == ["const"]


def test_kernels_tell_what_they_do() -> None:
    picture = stage_picture(classifier(), "kernels")
    kernels = [node for node in picture.nodes if node.kind == "operation"]
    assert {node.phase for node in kernels} == {"forward", "backward"}
    (first,) = (node.tooltip for node in kernels if "reads net/0/bias" in node.tooltip)
    assert first.startswith("gemm over (B, 256)\ncontract: float32 (B, 256)  net/0\n")
    assert first.endswith("\nreads net/0/weight\nreads net/0/bias")
    written = [line for node in kernels for line in node.tooltip.split("\n")]
    assert {line for line in written if line.startswith("writes")} == {
        f"writes ∂net/{index}/{name}" for index in (0, 2) for name in ("weight", "bias")
    }
    assert labels(picture, "parameter") == []

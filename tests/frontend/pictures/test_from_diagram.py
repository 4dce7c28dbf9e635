"""Stage "drawn": which circles, bullets and arrows there are, and what is written in them."""

from __future__ import annotations

from typing import Any

import numpy as np

import diagrad as dg
from diagrad.frontend.pictures import Node, Picture
from diagrad.frontend.pictures.layout.arrange import arrange
from diagrad.frontend.pictures.stages.stages import stage_picture

from .diagrams import (
    Residual,
    autoencoder,
    classifier,
    hypernetwork,
    penalty,
    residual,
    sharing,
    siamese,
)


def labels(picture: Picture, *kinds: str) -> list[str]:
    return [node.label for node in picture.nodes if node.kind in kinds]


def arrows(picture: Picture) -> set[tuple[str, str]]:
    label = {node.id: node.label for node in picture.nodes}
    return {(label[edge.source], label[edge.target]) for edge in picture.edges}


def node(picture: Picture, label: str) -> Node:
    (found,) = (node for node in picture.nodes if node.label == label)
    return found


def test_the_classifier_as_on_a_slide() -> None:
    picture = stage_picture(classifier())
    assert picture.clusters == ()
    assert arrows(picture) == {
        ("x", "net(x, w)"),
        ("w", "net(x, w)"),
        ("net(x, w)", "scores"),
        ("scores", "cross entropy\n(scores, y)"),
        ("y", "cross entropy\n(scores, y)"),
    }
    kinds = {node.label.split("(")[0].split("\n")[0]: node.kind for node in picture.nodes}
    assert kinds == {
        "x": "observed", "w": "parameter", "net": "function", "scores": "computed",
        "y": "observed", "cross entropy": "cost",
    }  # fmt: skip
    assert {node.label for node in picture.nodes if node.side == "parameter"} == {"w", "y"}


def test_one_level_is_opened() -> None:
    picture = stage_picture(classifier(), depth=2)
    assert labels(picture, "function") == ["Linear(x, w₁)", "relu(z₁)", "Linear(z₂, w₂)"]
    assert [(frame.label, frame.parent) for frame in picture.clusters] == [("net", None)]
    frame = picture.clusters[0].id
    assert node(picture, "relu(z₁)").cluster == node(picture, "w₁").cluster == frame
    assert node(picture, "scores").cluster is None and node(picture, "x").cluster is None


def test_parameters_of_what_is_open_have_their_names() -> None:
    picture = stage_picture(classifier(), depth=3)
    assert labels(picture, "parameter") == ["weight", "bias", "weight", "bias"]
    assert [frame.label for frame in picture.clusters] == ["net", "Linear", "Linear"]
    assert {frame.parent for frame in picture.clusters[1:]} == {picture.clusters[0].id}
    assert "relu(z₂)" in labels(picture, "function")  # a function of the package stays closed


def test_everything_is_opened() -> None:
    picture = stage_picture(classifier(), depth=None)
    assert "max(z₂, 0)" in labels(picture, "function")
    assert [frame.label for frame in picture.clusters][-1] == "cross entropy"
    assert labels(picture, "cost")[0].startswith("mean(")


def test_users_blocks_have_the_names_of_attributes() -> None:
    picture = stage_picture(residual(), depth=2)
    assert [label for label in labels(picture, "function") if "inner" in label] == [
        "inner(z₃, w₁)", "inner(z₇, w₃)",
    ]  # fmt: skip
    assert [frame.label for frame in picture.clusters] == ["stem", "first", "second", "head"]


def test_a_shared_parameter_is_one_circle() -> None:
    picture = stage_picture(sharing())
    assert labels(picture, "parameter") == ["W"]
    assert {end for start, end in arrows(picture) if start == "W"} == {"x₁ @ W", "x₂ @ W"}


def test_a_block_used_twice_has_one_circle_of_parameters() -> None:
    picture = stage_picture(siamese())
    assert labels(picture, "parameter") == ["w"]
    assert {end for start, end in arrows(picture) if start == "w"} == {"enc(x₁, w)", "enc(x₂, w)"}


def test_some_shared_and_some_own() -> None:
    x = dg.observed("x", ("B", 4))
    u = dg.parameter("u", (4, 4))
    one, two = dg.Linear(4, 4, weight=u, name="f"), dg.Linear(4, 4, weight=u, name="g")
    picture = stage_picture(dg.Diagram("tied", {"y": two(one(x))}))
    assert sorted(labels(picture, "parameter")) == ["b₁", "b₂", "u"]
    assert "f(x, u, b₁)" in labels(picture, "function")


def test_a_weight_that_is_computed_enters_from_the_side() -> None:
    picture = stage_picture(hypernetwork())
    assert node(picture, "w").side == "parameter" and node(picture, "z").side == "main"
    assert {"G(x, w, b)", "H(c, u)"} <= set(labels(picture, "function"))


def test_a_cost_has_no_output() -> None:
    picture = stage_picture(penalty())
    assert labels(picture, "cost") == ["squared error\n(prediction, y)", "+"]
    assert ("squared error\n(prediction, y)", "+") in arrows(picture)
    assert ("squared error\n(prediction, y)", "∂C/∂x") in arrows(picture)
    assert ("x", "∂C/∂x") in arrows(picture)


def test_a_target_that_is_read_elsewhere_stays_in_the_row() -> None:
    assert node(stage_picture(autoencoder()), "x").side == "main"


def test_numbers_are_told_within_the_bullet() -> None:
    x = dg.observed("x", ("B", 3))
    y = (2.0 * x - 1.0) / dg.size("B")
    picture = stage_picture(dg.Diagram("numbers", {"y": y}))
    assert labels(picture, "function") == ["2 · x", "z₁ − 1", "z₂ / B"]
    assert labels(picture, "constant") == []


def test_arrays_are_circles() -> None:
    x = dg.observed("x", ("B", 3))
    plain = dg.constant(np.ones((3, 2), np.float32))
    known = dg.constant(np.ones((3, 2), np.float32), name="basis")
    picture = stage_picture(dg.Diagram("arrays", {"a": x @ plain, "b": x @ known}))
    assert sorted(labels(picture, "constant")) == ["basis", "const"]
    assert all(item.side == "parameter" for item in picture.nodes if item.kind == "constant")


def test_names_that_are_taken() -> None:
    w, z = dg.observed("w", ("B", 4)), dg.observed("z", ("B", 4))
    out = dg.tanh(dg.Linear(4, 4, name="f")(w) + z)
    picture = stage_picture(dg.Diagram("taken", {"y": dg.exp(out)}))
    assert labels(picture, "parameter") == ["v"]
    assert labels(picture, "computed") == ["h₁", "h₂", "h₃", "y"]


def test_results_that_nobody_reads_are_not_drawn() -> None:
    @dg.block
    def pair(x: dg.Variable) -> tuple[dg.Variable, dg.Variable]:
        return dg.tanh(x), dg.exp(x)

    first, _ = pair(dg.observed("x", (3,)))
    picture = stage_picture(dg.Diagram("pair", {"y": first}))
    assert labels(picture, "computed") == ["y"]


def test_a_cost_within_a_block() -> None:
    class Model(dg.Block):
        def __init__(self) -> None:
            self.net = dg.Linear(4, 3)

        def forward(self, x: dg.Variable, y: dg.Variable) -> dg.Variable:
            result: dg.Variable = dg.cross_entropy(self.net(x), y)
            return result

    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B",), dtype=dg.int32)
    diagram = dg.Diagram("model", cost=Model()(x, y))
    assert labels(stage_picture(diagram), "cost") == ["model(x, y, w)"]
    assert labels(stage_picture(diagram, depth=2), "cost") == ["cross entropy\n(z, y)"]


def test_an_input_that_is_an_output() -> None:
    x = dg.observed("x", (3,))
    picture = stage_picture(dg.Diagram("same", {"x": x, "y": dg.tanh(x)}))
    assert labels(picture, "observed") == ["x"] and labels(picture, "computed") == ["y"]


def test_depth_beyond_all_blocks() -> None:
    x = dg.observed("x", ("B", 8))
    diagram = dg.Diagram("deep", {"y": Residual(8, "r")(x)})
    assert stage_picture(diagram, depth=9) == stage_picture(diagram, depth=3)


def test_several_costs_are_numbered() -> None:
    x, y = dg.observed("x", ("B",)), dg.observed("y", ("B",))
    total = dg.squared_error(x, y) + 0.5 * dg.huber(x, y)
    picture = stage_picture(dg.Diagram("two costs", cost=total))
    assert labels(picture, "function") == ["0.5 · C₂"]
    assert labels(picture, "cost") == ["squared error\n(x, y)", "huber(x, y)", "+"]


def test_a_parameter_as_cost() -> None:
    picture = stage_picture(dg.Diagram("bare", cost=dg.parameter("w")))
    assert labels(picture, "parameter") == ["w"]


def test_a_shortcut_stands_under_its_block_with_its_own_weight() -> None:
    net = dg.Residual(dg.Linear(8, 4), shortcut=dg.Linear(8, 4, bias=False), name="r")
    picture = stage_picture(dg.Diagram("shortcut", {"y": net(dg.observed("x", ("B", 8)))}), depth=2)
    placed = arrange(picture)
    names = {node.id: node.label for node in picture.nodes}
    assert [(names[lower], names[upper]) for lower, upper in placed.stacked] == [
        ("shortcut(x, w₂)", "block(x, w₁)")
    ]
    assert {names[owner]: [names[n] for n in hung] for owner, hung in placed.below.items()} == {
        "block(x, w₁)": ["w₁"], "shortcut(x, w₂)": ["w₂"],
    }  # fmt: skip


def test_the_input_of_a_residual_connection_goes_past_its_block() -> None:
    net = dg.Residual(dg.Linear(8, 8), name="r")
    picture = stage_picture(dg.Diagram("past", {"y": net(dg.observed("x", ("B", 8)))}), depth=2)
    assert {end for start, end in arrows(picture) if start == "x"} == {"block(x, w)", "+"}


def stopped_in(picture: Picture) -> list[tuple[str, str]]:
    label = {node.id: node.label for node in picture.nodes}
    return [(label[edge.source], label[edge.target]) for edge in picture.edges if edge.stopped]


def test_a_stopped_gradient_is_a_mark_on_the_arrow() -> None:
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 4))
    cost = dg.squared_error(dg.Linear(4, 4)(x), dg.stop_gradient(dg.Linear(4, 4)(y)))
    picture = stage_picture(dg.Diagram("two branches", cost=cost))
    assert stopped_in(picture) == [("z₂", "squared error\n(z₁, z₂)")]
    (edge,) = [edge for edge in picture.edges if edge.stopped]
    assert edge.tooltip == "float32 (B, 4)\nno gradient comes back"
    assert not any("stop" in node.label for node in picture.nodes)


def test_where_a_stopped_gradient_keeps_its_circle() -> None:
    x = dg.observed("x", (4,))
    z, named = dg.stop_gradient(x), dg.stop_gradient(x)
    named.name = "copy"
    for outputs, marks in (
        ({"total": dg.sum(named)}, [("x", "copy")]),
        ({"total": dg.sum(z), "z": z}, [("x", "z")]),
        ({"total": x * z}, [("x", "z")]),
        ({"total": dg.sum(z)}, [("x", "sum(x)")]),
    ):
        assert stopped_in(stage_picture(dg.Diagram("plain", outputs))) == marks


def test_a_cost_whose_gradient_is_stopped_is_a_cost_node() -> None:
    x = dg.observed("x", (4,))
    picture = stage_picture(dg.Diagram("plain", cost=dg.stop_gradient(dg.sum(x))))
    assert labels(picture, "cost") == ["stop gradient\n(z)"]
    assert stopped_in(picture) == []


def test_a_number_has_no_gradient_to_be_stopped() -> None:
    x = dg.observed("x", ("B", 2))
    picture = stage_picture(dg.Diagram("plain", x * dg.stop_gradient(np.ones(2, np.float32))))
    assert stopped_in(picture) == []
    assert "stop gradient\n(const)" in labels(picture, "function")


def test_a_stopped_gradient_in_a_loop() -> None:
    x = dg.observed("x", ("T", 4))
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(4,))
    after = dg.tanh(t.each(x) + dg.stop_gradient(z))
    t.close(z, after)
    picture = stage_picture(dg.Diagram("cut", {"z": t.last(dg.stop_gradient(after))}))
    assert stopped_in(picture) == [("z(t−1)", "+"), ("z(t)", "h₂(t)")]


def test_a_function_may_be_of_no_module() -> None:
    """As those are that are run by `exec` in a dict of one's own."""
    space: dict[str, Any] = {"dg": dg}
    exec("twice = dg.block(lambda x: x + x)", space)
    diagram = dg.Diagram("twice", {"y": space["twice"](dg.observed("x", (2,)))})
    assert labels(stage_picture(diagram, depth=2), "function") == ["+"]

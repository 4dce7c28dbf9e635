"""Stage "backward": the drawing and its mirror image, and what the one keeps for the other."""

from __future__ import annotations

import diagrad as dg
from diagrad.frontend.pictures import Picture
from diagrad.frontend.pictures.stages.stages import stage_picture

from .diagrams import autoencoder, classifier, hypernetwork, penalty, residual, sharing


def arrows(picture: Picture, style: str) -> set[tuple[str, str]]:
    label = {node.id: node.label for node in picture.nodes}
    return {
        (label[edge.source], label[edge.target]) for edge in picture.edges if edge.style == style
    }


def backward(picture: Picture, kind: str) -> list[str]:
    return [node.label for node in picture.nodes if (node.phase, node.kind) == ("backward", kind)]


def test_the_classifier() -> None:
    picture = stage_picture(classifier(), "backward")
    cost = "cross entropy\n(scores, y)"
    assert backward(picture, "function") == ["∂net", "∂cross entropy"]
    assert sorted(backward(picture, "value")) == ["∂scores", "∂w"]
    assert arrows(picture, "backward") == {
        (cost, "∂cross entropy"),
        ("∂cross entropy", "∂scores"),
        ("∂scores", "∂net"),
        ("∂net", "∂w"),
    }
    assert arrows(picture, "residual") == {("x", "∂net"), ("net(x, w)", "∂net")}


def test_the_forward_part_is_the_drawing() -> None:
    drawn, back = stage_picture(residual()), stage_picture(residual(), "backward")
    front = [node for node in back.nodes if node.phase == "forward"]
    assert tuple(front) == drawn.nodes
    assert set(drawn.edges) <= set(back.edges)


def test_backward_stands_under_forward() -> None:
    picture = stage_picture(residual(), "backward", 2)
    under = {node.id: node.under for node in picture.nodes if node.phase == "backward"}
    assert {foot for foot in under.values() if foot is not None} == {
        node.id
        for node in picture.nodes
        if node.phase == "forward" and node.kind in ("function", "cost")
    }
    assert all(name == f"∂{foot}" for name, foot in under.items() if foot is not None)


def test_gradients_of_a_shared_parameter_meet() -> None:
    picture = stage_picture(sharing(), "backward")
    assert backward(picture, "value").count("∂W") == 1
    into = [edge for edge in picture.edges if edge.target == "∂W"]
    assert len(into) == 2 and {edge.style for edge in into} == {"backward"}


def test_gradients_go_where_parameters_are() -> None:
    picture = stage_picture(hypernetwork(), "backward")
    assert set(backward(picture, "value")) == {"∂prediction", "∂w", "∂b", "∂z", "∂u"}
    picture = stage_picture(autoencoder(), "backward")
    assert "∂x" not in backward(picture, "value")


def test_a_stopped_gradient_goes_nowhere() -> None:
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 4))
    code = dg.Linear(4, 4, name="f")(x)
    out = code + dg.stop_gradient(dg.Linear(4, 4, name="g")(code) - code)
    picture = stage_picture(
        dg.Diagram("through", {"out": out}, dg.squared_error(out, y)), "backward"
    )
    assert backward(picture, "function") == ["∂f", "∂(+)", "∂squared error"]
    assert "∂w₂" not in backward(picture, "value")
    (stopped,) = [edge for edge in picture.edges if edge.stopped]
    label = {node.id: node.label for node in picture.nodes}
    assert (label[stopped.source], label[stopped.target]) == ("z₃", "+")
    assert f"∂{stopped.source}" not in label


def test_a_penalty_of_a_gradient() -> None:
    picture = stage_picture(penalty(), "backward")
    assert {"∂(∂C/∂x)", "∂net", "∂squared error"} <= set(backward(picture, "function"))
    assert ("∂(∂C/∂x)", "∂squared error") in arrows(picture, "backward")
    assert ("net(x, w)", "∂net") in arrows(picture, "residual")


def test_every_primitive() -> None:
    picture = stage_picture(classifier(), "backward", None)
    assert len(backward(picture, "operation")) > 5
    assert sorted(backward(picture, "value")) == ["∂bias", "∂bias", "∂weight", "∂weight"]
    assert all(node.cluster is None for node in picture.nodes if node.phase == "backward")
    label = {node.id: node.phase for node in picture.nodes}
    for edge in picture.edges:
        crosses = (label[edge.source], label[edge.target]) == ("forward", "backward")
        assert crosses == (edge.style == "residual")


def test_a_cost_without_parameters() -> None:
    x, y = dg.observed("x", ("B",)), dg.observed("y", ("B",))
    diagram = dg.Diagram("plain", cost=dg.squared_error(x, y))
    for depth in (1, None):
        assert {node.phase for node in stage_picture(diagram, "backward", depth).nodes} == {
            "forward"
        }

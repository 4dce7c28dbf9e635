"""Y-branches: picture in, picture out."""

from __future__ import annotations

from diagrad.frontend.pictures import Cluster, Edge, Node, Picture
from diagrad.frontend.pictures.layout.branches import with_branches


def test_two_readers_make_a_branch(hypernetwork: Picture) -> None:
    drawn = with_branches(hypernetwork)
    assert [node.id for node in drawn.nodes if node.kind == "branch"] == ["x branch"]
    assert drawn.edges[:3] == (
        Edge("x", "x branch", "stem"),
        Edge("x branch", "G"),
        Edge("x branch", "H"),
    )


def test_one_reader_makes_none(classifier: Picture) -> None:
    assert with_branches(classifier) == classifier


def test_the_way_into_a_delay_is_no_branch(recurrent: Picture) -> None:
    drawn = with_branches(recurrent)
    assert [node.id for node in drawn.nodes if node.kind == "branch"] == ["v branch"]


def test_a_residual_edge_is_no_branch(backward: Picture) -> None:
    assert with_branches(backward) == backward


def test_a_name_that_is_taken_is_not_taken_twice() -> None:
    nodes = (Node("v", "parameter"), Node("v branch", "function"), Node("g", "function"))
    drawn = with_branches(Picture("p", nodes, (Edge("v", "v branch"), Edge("v", "g"))))
    assert [node.id for node in drawn.nodes] == ["v", "v branch'", "v branch", "g"]


def test_a_residual_edge_starts_at_the_dot() -> None:
    nodes = tuple(Node(name, "function") for name in "fgh")
    edges = (Edge("v", "f"), Edge("v", "g"), Edge("v", "h", "residual"))
    drawn = with_branches(Picture("p", (Node("v", "observed"), *nodes), edges))
    assert drawn.edges[-1] == Edge("v branch", "h", "residual")


def test_the_dot_stands_in_the_frame_that_alone_reads_the_variable() -> None:
    frames = (Cluster("a"), Cluster("b", parent="a"), Cluster("c", parent="a"))

    def dot(*readers: str, at: str | None = None) -> str | None:
        nodes = [Node(f"f{i}", "function", cluster=name or None) for i, name in enumerate(readers)]
        edges = tuple(Edge("v", node.id) for node in nodes)
        picture = Picture("p", (Node("v", "observed", cluster=at), *nodes), edges, frames)
        (found,) = (node for node in with_branches(picture).nodes if node.kind == "branch")
        return found.cluster

    assert dot("b", "b") == "b"
    assert dot("b", "a") == "a"
    assert dot("b", "c") == "a"
    assert dot("b", "") is None
    assert dot("b", "b", at="a") == "b"
    assert dot("a", "", at="b") == "b"


def test_gradients_that_meet_are_added() -> None:
    nodes = (
        Node("f", "function", phase="backward"),
        Node("g", "function", phase="backward"),
        Node("d", "delay", phase="backward"),
        Node("v", "value", "∂v", "∂v: float32", side="parameter", phase="backward"),
    )
    edges = tuple(Edge(name, "v", "backward") for name in "fgd")
    drawn = with_branches(Picture("p", nodes, edges))
    (plus,) = (node for node in drawn.nodes if node.kind == "sum")
    assert plus == Node("v sum", "sum", "+", "sum\n∂v: float32", None, "parameter", "backward")
    assert drawn.edges == (
        Edge("f", "v sum", "backward"),
        Edge("g", "v sum", "backward"),
        Edge("v sum", "v", "backward"),
        Edge("d", "v", "backward"),
    )


def test_one_gradient_is_no_sum() -> None:
    nodes = (Node("f", "function", phase="backward"), Node("v", "value", phase="backward"))
    picture = Picture("p", nodes, (Edge("f", "v", "backward"),))
    assert with_branches(picture) == picture

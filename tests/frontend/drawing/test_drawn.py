"""What was drawn, as a NetworkX graph."""

from __future__ import annotations

import networkx as nx
import pytest

import diagrad as dg
from diagrad.frontend.drawing.drawn import drawn_graph

from ..pictures.diagrams import DIAGRAMS, classifier, hypernetwork, penalty, sharing, siamese


def of_kind(graph: nx.MultiDiGraph, kind: str) -> list[str]:
    return [node for node, data in graph.nodes(data=True) if data["kind"] == kind]


def test_variables_and_functions_have_their_names() -> None:
    graph = classifier().graph
    assert of_kind(graph, "observed") == ["x", "y"]
    assert sorted(of_kind(graph, "parameter")) == [
        "net/0/bias", "net/0/weight", "net/2/bias", "net/2/weight",
    ]  # fmt: skip
    assert of_kind(graph, "cost") == ["cross_entropy"]
    assert graph.nodes["scores"]["kind"] == "computed"
    assert graph.graph == {"name": "classifier", "cost": "cross_entropy.out"}


def test_a_variable_has_its_type_and_line() -> None:
    data = classifier().graph.nodes["scores"]
    assert [str(extent) for extent in data["shape"]] == ["B", "10"]
    assert data["dtype"] == "float32"
    assert data["name"] == data["output"] == "scores"
    assert data["where"].startswith("diagrams.py:")
    assert data["path"] == ()
    assert data["variable"].kind == "computed"


def test_blocks_nest() -> None:
    graph = classifier().graph
    path = {node: data["path"] for node, data in graph.nodes(data=True)}
    assert path["net"] == ()
    assert path["net/0"] == path["net/relu"] == ("net",)
    assert path["net/0/matmul"] == path["net/0/weight"] == ("net", "net/0")
    assert graph.nodes["net"]["opens"] and not graph.nodes["net/0/matmul"]["opens"]


def test_the_ports_of_a_block_are_the_variables_outside() -> None:
    graph = classifier().graph
    assert set(graph.successors("x")) == {"net", "net/0", "net/0/matmul"}
    assert set(graph.predecessors("scores")) == {"net", "net/2", "net/2/add"}


def test_edges_know_their_place() -> None:
    graph = classifier().graph
    into = {edge[0]: edge[2] for edge in graph.in_edges("net", data=True)}
    assert into["x"] == {"argument": 0, "captured": False}
    assert [into[name]["captured"] for name in into] == [False, True, True, True, True]
    assert graph.edges["net", "scores", 0] == {"result": 0}
    given = graph.in_edges("cross_entropy", data="argument")
    assert sorted((place, name) for name, _, place in given) == [(0, "scores"), (1, "y")]


def test_attributes_of_networkx() -> None:
    graph = classifier().graph
    kinds = nx.get_node_attributes(graph, "kind")
    assert kinds["x"] == "observed" and kinds["net/0/weight"] == "parameter"
    assert kinds["net"] == kinds["net/relu"] == "function" and kinds["cross_entropy"] == "cost"
    shared = {"kind", "name", "path", "loops", "where"}
    variable = shared | {"output", "shape", "dtype", "variable"}
    function = shared | {"label", "opens", "application"}
    for node, data in graph.nodes(data=True):
        assert set(data) == (
            variable if node in nx.get_node_attributes(graph, "shape") else function
        )
    assert graph.nodes["net/0"]["label"] == "0"


def test_what_comes_before_a_function_is_in_the_order_of_its_arguments() -> None:
    w, x = dg.parameter("w", (3,)), dg.observed("x", (3,))
    graph = dg.Diagram("order", {"sum": x + w, "difference": w - x}).graph
    assert list(graph.predecessors("add")) == ["x", "w"]
    assert list(graph.predecessors("subtract")) == ["w", "x"]


def test_a_copy_changes_alone() -> None:
    drawn = drawn_graph(hypernetwork())
    before = list(drawn.nodes), list(drawn.arrows)
    copy = drawn.copy()
    assert (list(copy.nodes), list(copy.arrows)) == before
    readers = copy.successors("x")
    copy.remove(["x"])
    assert "x" not in copy.nodes and not any("x" in ends for ends in copy.arrows)
    assert readers and all("x" not in copy.predecessors(reader) for reader in readers)
    copy.disconnect(readers[0])
    assert copy.predecessors(readers[0]) == copy.arguments(readers[0]) == []
    assert (list(drawn.nodes), list(drawn.arrows)) == before


def test_one_variable_given_twice_makes_two_arrows() -> None:
    x = dg.observed("x", (3,))
    graph = dg.Diagram("square", {"y": x * x}).graph
    assert graph.number_of_edges("x", "multiply") == 2


def test_a_block_used_twice_is_there_twice() -> None:
    graph = siamese().graph
    assert {"enc", "enc 2"} <= set(graph)
    assert graph.nodes["enc 2"]["name"] == "enc"
    assert {"enc", "enc 2", "enc/0", "enc/0 2"} <= set(graph.successors("enc/0/weight"))
    assert graph.nodes["enc/0/weight"]["path"] == ()  # no block is around all of its readers


def test_a_weight_that_is_computed_is_captured() -> None:
    graph = hypernetwork().graph
    (link,) = graph.get_edge_data("reshape.out", "G").values()
    assert link == {"argument": 1, "captured": True}


def test_names_of_connected_variables() -> None:
    x = dg.observed("x", (3,))
    hidden = dg.variable("hidden", (3,))
    y = dg.exp(hidden)
    dg.connect(hidden, dg.tanh(x))
    graph = dg.Diagram("later", {"y": y}).graph
    assert set(graph) == {"x", "tanh", "hidden", "exp", "y"}
    assert list(nx.topological_sort(graph)) == ["x", "tanh", "hidden", "exp", "y"]


@dg.block
def both(x: dg.Variable) -> tuple[dg.Variable, dg.Variable, dg.Variable]:
    """What it is given, and one result twice."""
    y = dg.tanh(x)
    return x, y, y


def test_a_block_that_returns_what_it_is_given() -> None:
    x = dg.observed("x", (3,))
    a, b, c = both(x)
    graph = dg.Diagram("same", {"a": a, "b": b, "c": c}).graph
    assert set(graph.predecessors("a")) == {"both", "both/identity"}
    assert set(graph.predecessors("b")) == {"both", "both/tanh"}
    assert set(graph.predecessors("c")) == {"both", "both/identity 2"}
    assert list(graph.predecessors("both/identity 2")) == ["b"]


def test_equal_names_do_not_meet() -> None:
    x, net = dg.observed("x", ("B", 4)), dg.observed("net", ("B", 4))
    graph = dg.Diagram("clash", {"y": dg.Linear(4, 4, name="net")(x) + net}).graph
    assert {"net", "net 2"} <= set(graph)
    assert {graph.nodes["net"]["kind"], graph.nodes["net 2"]["kind"]} == {"observed", "function"}


def test_the_random_key_is_not_drawn() -> None:
    noise = dg.random_normal(("B", 4))
    x = dg.observed("x", ("B", 4))
    graph = dg.Diagram("noise", {"y": x + noise}).graph
    assert of_kind(graph, "parameter") == []


def test_a_gradient_is_drawn_as_a_function() -> None:
    graph = penalty().graph
    assert set(graph.predecessors("gradient")) == {"squared_error.out", "x"}


def test_a_shared_parameter_is_one_node() -> None:
    assert list(sharing().graph.successors("W")) == ["matmul", "matmul 2"]


@pytest.mark.parametrize("draw", DIAGRAMS)
def test_every_graph_is_acyclic_and_whole(draw: object) -> None:
    graph = draw().graph  # type: ignore[operator]
    assert nx.is_directed_acyclic_graph(graph)
    for node, data in graph.nodes(data=True):
        functions = "opens" in data
        assert all(("opens" in graph.nodes[other]) != functions for other in graph.successors(node))
        assert all(graph.nodes[block]["opens"] for block in data["path"])

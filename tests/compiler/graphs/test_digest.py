"""The digest of a graph: the same for the same graph, another for any difference in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Check, Graph, Node, Origin, Type
from diagrad.compiler.graphs.digest import digest
from diagrad.compiler.primitives.record import Builder
from diagrad.compiler.sizes import named

from .. import nets
from ..building import given, graph

B = named("B")


def drawn(**changes: Any) -> Graph:
    """A graph with an attribute of every kind; `changes` name what is otherwise in it."""
    told: dict[str, Any] = {
        "dtype": "float32", "width": 4, "value": 0.5, "array": (1.0, 2.0, 3.0, 4.0), "axis": 1,
        "x": "x", "w": "w", "role": "parameter", "output": "y", "graph": "net", "path": "net/0",
        "where": "m.py:3", "direction": "forward", "size": B, "op": "sin", "high": 9, "low": 0,
        "shape": (B, 4), "order": False, "update": True, "check": "i", "body": "cos",
        "call": "block",
    }  # fmt: skip
    assert told.keys() >= changes.keys()
    told |= changes
    b = Builder(Origin(told["path"], told["where"], told["direction"]))
    dtype = told["dtype"]
    x = given(told["x"], "B", told["width"], dtype=dtype)
    w = given(told["w"], "B", told["width"], dtype=dtype, role=told["role"])
    i = given("i", "B", dtype="int32")
    port = given("0", "B", told["width"], dtype=dtype, role="port")
    body = Graph(told["call"], (port,), (("0", b.apply(told["body"], port)),))
    called = b.call(b.apply(told["op"], x), body=body, output="0")
    row = b.constant(np.resize(told["array"], told["width"]), dtype)
    wide = b.broadcast(row, shape=x.shape, axes=(told["axis"],))
    scale = b.mul(b.constant(told["value"], dtype), b.size(size=told["size"], dtype=dtype))
    last = b.mul(b.add(called, wide), b.spread(scale, x.shape))
    pair = (w, last) if told["order"] else (last, w)
    total = b.sub(*pair)
    found = graph(
        x, i, w, outputs={told["output"]: total}, updates={w: total} if told["update"] else {}
    )
    node = b.first_outside(i, low=told["low"], high=told["high"])
    check = Check(node, told["check"], told["low"], told["high"])
    return replace(found, name=told["graph"], checks=(check,))


def test_the_same_graph_drawn_again() -> None:
    one, other = digest(drawn()), digest(drawn())
    assert one.key == other.key and len(one.key) == 32
    assert [array.tobytes() for array in one.arrays] == [
        np.array([1, 2, 3, 4], np.float32).tobytes()
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "float64"}, {"width": 5}, {"value": -0.5}, {"value": 0.50000006},
        {"value": 0.0}, {"value": -0.0}, {"array": (1.0, 2.0, 3.0, 5.0)}, {"x": "z"}, {"w": "z"},
        {"role": "state"}, {"output": "z"}, {"graph": "z"}, {"path": "net/1"}, {"where": "m.py:4"},
        {"direction": "backward"}, {"size": B * 2}, {"size": 3}, {"op": "tanh"}, {"high": 8},
        {"low": 1}, {"order": True}, {"update": False}, {"check": "z"}, {"body": "exp"},
        {"call": "z"},
    ],
    ids=str,
)  # fmt: skip
def test_any_change_gives_another(change: dict[str, Any]) -> None:
    found = {digest(drawn()).key, digest(drawn(**change)).key}
    assert len(found) == 2
    if change.get("value") == 0:
        assert digest(drawn(value=0.0)).key != digest(drawn(value=-0.0)).key


NETS: dict[str, Callable[..., nets.Net]] = {"lstm": nets.lstm, "nested": nets.nested}


@pytest.mark.parametrize("name", NETS)
def test_loops(name: str) -> None:
    keys = [
        digest(NETS[name](**options).derivatives()).key
        for options in ({}, {"reverse": True}, {"keep": "carries"}, {"steps": 9})
    ]
    assert len(set(keys)) == 4
    assert keys[0] == digest(NETS[name]().derivatives()).key


@pytest.mark.parametrize("name", NETS)
def test_every_node_of_every_body_counts(name: str) -> None:
    whole = NETS[name]().derivatives()
    keys = {digest(changed).key for changed in each_changed(whole)}
    count = len(whole.all_nodes())
    assert len(keys) == len(list(each_changed(whole))) > count
    assert digest(whole).key not in keys


def each_changed(whole: Graph) -> Iterator[Graph]:
    """The graph with another origin for one node in turn, those of bodies included."""
    order = whole.all_nodes()
    bodies = {id(n.attrs["body"]): n.attrs["body"] for n in order if n.op == "loop"}
    for body in bodies.values():
        for new in each_changed(body):
            yield with_nodes(whole, order, {"body": (body, new)})
    for node in order:
        yield with_nodes(whole, order, {"node": (node, replace(node, origin=Origin("other")))})


def with_nodes(whole: Graph, order: Sequence[Node], change: dict[str, tuple[Any, Any]]) -> Graph:
    done: dict[Node, Node] = {}
    for node in order:
        new = node
        if "node" in change and node is change["node"][0]:
            new = change["node"][1]
        if "body" in change and node.attrs.get("body") is change["body"][0]:
            new = replace(node, attrs={**node.attrs, "body": change["body"][1]})
        done[node] = replace(new, inputs=tuple(done[item] for item in node.inputs))
    return whole.rebuilt(done)


def test_sharing_is_part_of_a_graph() -> None:
    b = Builder()
    x = given("x", 3)
    apart = graph(x, y=b.add(b.sin(x), b.sin(x)))
    shared = b.sin(x)
    assert digest(apart).key != digest(graph(x, y=b.add(shared, shared))).key


def test_arrays_by_their_elements_and_shape() -> None:
    b = Builder()

    def key(values: Any, dtype: str) -> bytes:
        return digest(graph(y=b.constant(values, dtype))).key

    values = np.arange(12)
    shapes = [values, values.reshape(3, 4), values.reshape(4, 3), values.reshape(3, 4).T]
    kinds = [
        (shape, dtype) for shape in shapes for dtype in ("int64", "float64", "uint32", "int32")
    ]
    assert len({key(*kind) for kind in kinds}) == len(kinds)
    apart = np.arange(24)[::2]
    assert key(apart, "int64") == key(apart.copy(), "int64")
    assert key(np.zeros((0, 3)), "int64") != key(np.zeros((3, 0)), "int64")
    assert key([0.0], "float64") != key([-0.0], "float64")


def test_names_and_sizes_are_told_apart() -> None:
    node = given("x", 3)
    odd = [
        replace(node, attrs={**node.attrs, "role": value})
        for value in ("B", B, ("B",), (B,), 1, True, 1.0, None, "None", Type("B"), (), ((),))
    ]
    assert len({digest(Graph("g", (item,), (("y", item),))).key for item in odd}) == len(odd)


def test_an_attribute_of_no_known_kind() -> None:
    node = replace(given("x", 3), attrs={"name": object()})
    with pytest.raises(
        TypeError, match="an attribute of a node is object, which has no exact text"
    ):
        digest(Graph("g", (node,), (("y", node),)))

"""The text of a graph, the order of its nodes, and what a node is."""

from collections.abc import Callable

import numpy as np

from diagrad.compiler.graph import Check, Graph, Node, Origin, Type, topological
from diagrad.compiler.primitives.record import Builder
from diagrad.compiler.sizes import named

from ..building import b, given, graph, number, state


def test_text(golden: Callable[[str, str], None]) -> None:
    x, w = given("x", "B", 3), state("w", 3, 4)
    forward = Builder(Origin("net/fc", "m.py:1"))
    y = forward.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))
    table = forward.constant(np.arange(4), "float32")
    z = forward.add(y, forward.broadcast(table, shape=y.shape, axes=(1,)))
    backward = Builder(Origin("net/fc", "m.py:1", "backward", z))
    g = backward.contract(x, backward.fill(0.5, z.type), a=(0, 1), b=(0, 2), out=(1, 2))
    update = Builder(Origin("", "", "update"))
    golden(
        "graph/text",
        str(graph(x, w, updates={w: update.sub(w, g)}, scores=z, part=forward.slice(
            z, start=(0, 1), stop=(named("B"), 4), step=(1, 2)))),
    )  # fmt: skip


def test_text_of_bodies_and_checks(golden: Callable[[str, str], None]) -> None:
    port = b.apply("input", name="0", type=Type("int32", (named("B"),)), role="port")
    body = Graph("net", (port,), (("0", b.neg(port)),))
    y = given("y", "B", dtype="int32")
    call = Builder(Origin("net")).call(y, body=body, output="0")
    check = Check(b.first_outside(y, low=0, high=10), "y", 0, 10)
    golden("graph/call", str(Graph("test", (y,), (("z", call),), (), (check,))))


def test_equal_nodes_are_different_nodes() -> None:
    x = given("x")
    one, other = b.neg(x), b.neg(x)
    assert one != other and len({one, other}) == 2
    assert repr(one) == "<neg: float32[]>"


def test_inputs_come_first_and_once() -> None:
    x = given("x", 2)
    y = b.add(x, x)
    z = b.mul(y, b.add(y, x))
    order = list(topological([z, y, z]))
    assert [node.op for node in order] == ["input", "add", "add", "mul"]
    assert len(set(order)) == len(order)
    place = {node: i for i, node in enumerate(order)}
    assert all(place[item] < place[node] for node in order for item in node.inputs)


def test_deep_graphs_need_no_deep_stack() -> None:
    node: Node = given("x")
    for _ in range(20_000):
        node = b.neg(node)
    assert sum(1 for _ in topological([node])) == 20_001


def test_roots_are_checks_outputs_and_updates() -> None:
    w = state("w", 3, dtype="int32")
    y, step = b.neg(w), b.add(w, number(1, w))
    check = Check(b.first_outside(w, low=0, high=2), "w", 0, 2)
    whole = Graph("test", (w,), (("y", y),), ((w, step),), (check,))
    assert set(whole.roots) == {check.node, y, step}


def test_rebuilt_takes_new_nodes_everywhere() -> None:
    w = state("w", 3, dtype="int32")
    y, step = b.neg(w), b.add(w, number(1, w))
    check = Check(b.first_outside(w, low=0, high=2), "w", 0, 2)
    old = Graph("test", (w,), (("y", y),), ((w, step),), (check,))
    copies = {node: Node(node.op, node.inputs, node.attrs, node.type) for node in (w, *old.roots)}
    new = old.rebuilt(copies)
    assert new.inputs == (copies[w],)
    assert new.outputs == (("y", copies[y]),)
    assert new.updates == ((copies[w], copies[step]),)
    assert new.checks[0].node is copies[check.node]


def test_types() -> None:
    batch = Type("float32", (named("B"), 3))
    assert str(batch) == "float32[B,3]" and str(Type("bool")) == "bool[]"
    assert batch.rank == 2 and batch.count == named("B") * 3 and batch.is_float
    assert Type("float64").count == 1 and not Type("int32").is_float
    assert batch.with_shape([2]) == Type("float32", (2,))
    assert batch.with_dtype("int32") == Type("int32", batch.shape)

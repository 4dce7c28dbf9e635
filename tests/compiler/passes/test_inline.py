"""inline: calls give way to the bodies of their blocks, at any depth."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diagrad.compiler.graph import Graph, Node, Origin, Type
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.primitives.record import Builder

from ..building import b, given, graph, number, numbers, run


def body(name: str, inputs: int, make: Callable[..., tuple[Node, ...]]) -> Graph:
    """A body of float32[3] ports."""
    inner = Builder(Origin(name))
    ports = tuple(
        inner.apply("input", name=str(i), type=Type("float32", (3,)), role="port")
        for i in range(inputs)
    )
    outputs = make(inner, *ports)
    return Graph(name, ports, tuple((str(i), node) for i, node in enumerate(outputs)))


def call(block: Graph, *inputs: Node, output: int = 0) -> Node:
    return b.call(*inputs, body=block, output=str(output))


def test_nested_bodies(golden: Callable[[str, str], None]) -> None:
    inner = body("net/inner", 1, lambda m, x: (m.tanh(x),))
    outer = body("net", 2, lambda m, x, w: (m.call(m.mul(x, w), body=inner, output="0"), m.neg(x)))
    x, w = given("x", 3), given("w", 3)
    whole = graph(x, w, y=call(outer, x, w), z=call(outer, x, w, output=1))
    golden("inline/nested", f"{whole}\n{inline(whole)}")


def test_a_block_used_twice_is_two_bodies() -> None:
    square = body("square", 1, lambda m, x: (m.mul(x, x),))
    x = given("x", 3)
    whole = graph(x, y=call(square, call(square, x)))
    flat = inline(whole)
    assert [node.op for node in flat.nodes()] == ["input", "mul", "mul"]
    value = np.array([1, 2, -3], np.float32)
    np.testing.assert_array_equal(run(flat, {"x": value})["y"], value**4)


def test_several_outputs_of_one_call_share_its_body() -> None:
    both = body("both", 1, lambda m, x: (m.exp(x), m.neg(m.exp(x))))
    x = given("x", 3)
    flat = inline(graph(x, y=call(both, x), z=call(both, x, output=1)))
    assert [node.op for node in flat.nodes()].count("exp") == 2
    assert inline(graph(x, y=b.add(call(both, x), call(both, x)))).outputs[0][1].inputs[0] is not x


def test_an_output_may_be_a_port() -> None:
    same = body("same", 2, lambda m, x, y: (y, x))
    x, y = given("x", 3), given("y", 3)
    flat = inline(graph(x, y, first=call(same, x, y), second=call(same, x, y, output=1)))
    assert dict(flat.outputs) == {"first": y, "second": x}


def test_without_calls_nothing_changes() -> None:
    x = given("x", 3)
    whole = graph(x, y=b.add(x, number(1, x)))
    assert inline(whole) == whole


def test_origins_and_values_are_kept() -> None:
    net = body("net", 1, lambda m, x: (m.sin(m.add(x, m.fill(1.0, x.type))),))
    x = given("x", 3)
    flat = inline(replace(graph(x, y=call(net, x)), name="whole"))
    assert flat.name == "whole"
    assert {node.origin.path for node in flat.nodes() if node is not x} == {"net"}
    value = numbers(3)
    np.testing.assert_allclose(run(flat, {"x": value})["y"], np.sin(value + 1), rtol=1e-6)

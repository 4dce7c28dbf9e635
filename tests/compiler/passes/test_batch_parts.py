"""batch_parts: equal computations of the parts of a value are one, and others stay apart."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.batch_parts.batch_parts import batch_parts
from diagrad.compiler.pipeline import prepare

from ..building import b, given, graph, number, numbers, run

SIZES = {"B": 5}


def layer(x: Node, weight: Node, bias: Node, slope: float = 0.0) -> Node:
    """relu(x W + b) of one part of the weights, with an axis of one in front."""
    w = b.reshape(weight, shape=weight.shape[1:])
    product = b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))
    row = b.reshape(bias, shape=bias.shape[1:])
    sum_ = b.add(product, b.broadcast(row, shape=product.shape, axes=(1,)))
    answer = b.maximum(sum_, number(slope, sum_))
    return b.reshape(answer, shape=(1, *answer.shape))


def inputs(count: int) -> tuple[Node, Node, Node]:
    return (
        given("x", "B", 4, dtype="float64"),
        given("w", count, 4, 3, dtype="float64"),
        given("b", count, 3, dtype="float64"),
    )


def layers(count: int, change: Callable[[int], float] = lambda place: 0.0) -> Graph:
    x, w, bias = inputs(count)
    parts = [
        layer(x, b.slice_axis(w, 0, i, i + 1), b.slice_axis(bias, 0, i, i + 1), change(i))
        for i in range(count)
    ]
    joint = b.concatenate(*parts, axis=0)
    cost = b.reduce_sum(b.mul(joint, joint), axes=(0, 1, 2))
    return graph(x, w, bias, y=joint, cost=cost, gx=b.gradient(cost, x), gw=b.gradient(cost, w))


def products(found: Graph) -> int:
    return sum(node.op == "contract" for node in found.nodes())


def arrays(count: int) -> dict[str, np.ndarray]:
    shapes = {"x": (5, 4), "w": (count, 4, 3), "b": (count, 3)}
    return {n: numbers(*s, seed=len(s), dtype="float64") for n, s in shapes.items()}


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("count", [2, 5])
def test_layers_on_the_parts_of_a_weight_are_one_product(count: int, target: str) -> None:
    drawn = layers(count)
    joined = batch_parts(drawn)
    verify(joined)
    assert (products(drawn), products(joined)) == (count, 1)
    assert not any(node.op == "concatenate" for node in joined.nodes())
    ready = prepare(drawn)
    assert products(ready) == 3  # forward, and the gradients of x and of w
    given_ = arrays(count)
    found = run(ready, given_, target, SIZES)
    x, w, bias = given_["x"], given_["w"], given_["b"]
    y = np.maximum(np.einsum("bi,eio->ebo", x, w) + bias[:, None], 0)
    np.testing.assert_allclose(found["y"], y, rtol=1e-12)
    np.testing.assert_allclose(found["gx"], 2 * np.einsum("ebo,eio->bi", y, w), rtol=1e-12)
    np.testing.assert_allclose(found["gw"], 2 * np.einsum("ebo,bi->eio", y, x), rtol=1e-12)


def test_computations_that_differ_stay_apart() -> None:
    drawn = layers(3, lambda place: 0.5 * (place == 1))
    assert batch_parts(drawn) is drawn


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("wide", [1, 2])
def test_parts_along_any_axis_are_joined_along_any(axis: int, wide: int) -> None:
    x = given("x", 6, 6, "B", dtype="float64")
    count, along = 6 // wide, min(axis, 1)
    parts = [b.slice_axis(x, along, wide * i, wide * i + wide) for i in range(count)]
    joint = b.concatenate(*(b.sin(b.mul(part, part)) for part in parts), axis=axis)
    drawn = graph(x, y=joint)
    joined = batch_parts(drawn)
    verify(joined)
    assert [node.op for node in joined.nodes()].count("sin") == 1
    value = numbers(6, 6, 5, dtype="float64")
    wanted = np.concatenate(np.split(np.sin(value * value), count, along), axis)
    for target in ("reference", "cpu"):
        found = run(prepare(drawn), {"x": value}, target, SIZES)["y"]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_chains_of_parts_are_joined_at_once() -> None:
    """What stands for one concatenation is what the next one reads."""
    x, w, bias = inputs(2)

    def stacked(value: Node) -> Node:
        parts = [
            layer(value, b.slice_axis(w, 0, i, i + 1), b.slice_axis(bias, 0, i, i + 1))
            for i in range(2)
        ]
        return b.concatenate(*parts, axis=0)

    def mixed(value: Node) -> Node:
        both = b.reduce_sum(stacked(value), axes=(0,))
        return b.pad(both, low=(0, 0), inner=(1, 1), shape=(*both.shape[:1], 4))

    drawn = graph(x, w, bias, y=mixed(mixed(x)))
    joined = batch_parts(drawn)
    verify(joined)
    assert (products(drawn), products(joined)) == (4, 2)
    wanted = run(drawn, arrays(2), sizes=SIZES)["y"]
    np.testing.assert_allclose(run(joined, arrays(2), sizes=SIZES)["y"], wanted, rtol=1e-12)


def test_a_reader_from_outside_keeps_them_apart() -> None:
    x, w, bias = inputs(2)
    slices = [(b.slice_axis(w, 0, i, i + 1), b.slice_axis(bias, 0, i, i + 1)) for i in range(2)]
    parts = [layer(x, *pair) for pair in slices]
    joint = b.concatenate(*parts, axis=0)
    cost = b.reduce_sum(joint, axes=(0, 1, 2))
    for other in (parts[0], slices[1][0], b.gradient(cost, slices[0][0])):
        drawn = graph(x, w, bias, y=joint, other=other)
        assert batch_parts(drawn) is drawn


def test_parts_out_of_order_or_of_two_values_stay_apart() -> None:
    x, other = given("x", 4, "B"), given("other", 4, "B")
    orders: list[list[tuple[Node, int]]] = [
        [(x, 1), (x, 0)], [(x, 0), (x, 2), (x, 1)], [(x, 0), (other, 1)], [(x, 0), (x, 0)],
        [(x, 0), (x, 1), (x, 1)],
    ]  # fmt: skip
    for order in orders:
        parts = [b.sin(b.slice_axis(node, 0, i, i + 1)) for node, i in order]
        drawn = graph(x, other, y=b.concatenate(*parts, axis=0))
        assert batch_parts(drawn) is drawn, order

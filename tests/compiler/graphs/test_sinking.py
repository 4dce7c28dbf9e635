"""Reshapes that sink: the meaning stays, and what follows a value in parts has its parts."""

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.rewrite import rewrite
from diagrad.compiler.graphs.sinking import Sinking
from diagrad.compiler.graphs.verify import verify

from ..building import Array, b, expression, given, graph, number, numbers, run

X, W = given("x", "B", 4), given("w", 4, 3, 2, 5)
LINE, SIX, PLANE = given("line", 5), given("six", 6), given("plane", 6, 5)
WHOLE, LYING = given("whole", "B", 6, 5), given("lying", 5, "B", 6)
INPUTS = (X, W, LINE, SIX, PLANE, WHOLE, LYING)
PARTED = b.contract(X, W, a=(0, 1), b=(1, 2, 3, 4), out=(0, 2, 3, 4))
Y = b.reshape(PARTED, shape=(X.shape[0], 6, 5))


def repeated(x: Node, *axes: int) -> Node:
    result: Node = b.broadcast(x, shape=Y.shape, axes=axes)
    return result


COPIED = b.reshape(b.transpose(PLANE, axes=(1, 0)), shape=(6, 5))
SINKING: dict[str, Node] = {
    "alone": b.tanh(Y),
    "number": b.maximum(Y, number(0.0, Y)),
    "itself": b.mul(b.exp(Y), Y),
    "line": b.add(Y, repeated(LINE, 2)),
    "rows": b.add(Y, repeated(SIX, 1)),
    "plane": b.add(Y, repeated(PLANE, 1, 2)),
    "whole": b.mul(b.tanh(Y), WHOLE),
    "lying otherwise": b.mul(Y, b.transpose(LYING, axes=(1, 2, 0))),
    "backwards": b.mul(Y, b.flip(WHOLE, axes=(1,))),
    "backwards rows": b.sub(Y, repeated(b.flip(SIX, axes=(0,)), 1)),
    "second operand": b.sub(WHOLE, Y),
    "sum of parts": b.reduce_sum(b.exp(Y), axes=(1,)),
    "sum of others": b.reduce_sum(b.exp(Y), axes=(0, 2)),
    "sum of all": b.reduce_sum(Y, axes=(0, 1, 2)),
}  # fmt: skip
STAYING: dict[str, Node] = {
    "copied": b.add(Y, repeated(COPIED, 1, 2)),
    "largest": b.reduce_max(Y, axes=(1,)),
    "another reshape": b.exp(b.reshape(WHOLE, shape=(X.shape[0], 30))),
}
ALL = {**SINKING, **STAYING}


def sunk(node: Node) -> Graph:
    sinking = Sinking()

    def moved(item: Node, _: Node) -> Node:
        parts = item.op == "reshape" and item.inputs[0].op == "contract"
        return sinking.noted(item) if parts else sinking.moved(item)

    found = rewrite(graph(*INPUTS, y=node), moved)
    verify(found)
    return found


@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize("name", ALL)
def test_the_meaning_stays(name: str, batch: int) -> None:
    shapes = [(batch, 4), (4, 3, 2, 5), (5,), (6,), (6, 5), (batch, 6, 5), (5, batch, 6)]
    arrays: dict[str, Array] = {
        node.attrs["name"]: numbers(*shape, seed=seed)
        for seed, (node, shape) in enumerate(zip(INPUTS, shapes, strict=True))
    }
    sizes = {"B": batch}
    wanted = run(graph(*INPUTS, y=ALL[name]), arrays, sizes=sizes)["y"]
    for target in ("reference", "cpu"):
        found = run(sunk(ALL[name]), arrays, target, sizes)["y"]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SINKING)
def test_reshapes_sink(name: str) -> None:
    found = sunk(SINKING[name])
    root = found.outputs[0][1]
    read = [(n, item) for n in found.nodes() for item in n.inputs]
    above = [n for n, item in read if item.op == "reshape" and item.inputs[0].op == "contract"]
    assert not above, [n.op for n in above]
    assert root.op == "reshape" or root.shape == (), expression(root)


@pytest.mark.parametrize("name", STAYING)
def test_others_stay(name: str) -> None:
    assert expression(sunk(STAYING[name]).outputs[0][1]) == expression(STAYING[name])

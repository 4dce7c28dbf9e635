"""Repeated operands: one product for all places where a weight stands, and one for its gradient."""

from collections.abc import Callable

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.sizes import named

from ...building import b, expression, given, graph, number, numbers, run

B = named("B")
X, G = given("x", "B", 6, 3), given("g", "B", 6, 5)
W, V, ONE = given("w", 3, 5), given("v", 3), given("one", 1, 3)
INPUTS = (X, G, W, V, ONE)


def over(places: int, x: Node = W) -> Node:
    """A value, repeated at so many places."""
    return b.broadcast(x, shape=(places, *x.shape), axes=tuple(range(1, x.type.rank + 1)))


def grid(x: Node = W) -> Node:
    """A value, repeated at 2 x 3 places."""
    return b.broadcast(x, shape=(2, 3, *x.shape), axes=tuple(range(2, x.type.rank + 2)))


def product(weight: Node) -> Node:
    """A product of its own at each of six places."""
    return b.contract(X, weight, a=(0, 1, 2), b=(1, 2, 3), out=(0, 1, 3))


EACH = b.contract(X, G, a=(0, 1, 2), b=(0, 1, 3), out=(1, 2, 3))
"""The gradient of the weight at each place."""

CASES = {
    "a product with repeats": [
        product(over(6)),
        product(b.reshape(grid(), shape=(6, 3, 5))),
        product(b.transpose(b.broadcast(W, shape=(3, 6, 5), axes=(0, 2)), axes=(1, 0, 2))),
        product(b.slice(over(7), start=(1, 0, 0), stop=(7, 3, 5), step=(1, 1, 1))),
        b.contract(over(6), X, a=(1, 2, 3), b=(0, 1, 2), out=(0, 1, 3)),
        b.contract(X, over(6, V), a=(0, 1, 2), b=(1, 2), out=(0, 1)),
        b.contract(over(6, V), over(6), a=(0, 1), b=(0, 1, 2), out=(0, 2)),
    ],
    "repeats that stay": [
        b.contract(over(6), V, a=(0, 1, 2), b=(1,), out=(0, 2)),
        b.contract(X, over(6), a=(0, 1, 2), b=(1, 2, 3), out=(0, 3)),
    ],
    "other forms of repeats": [
        b.reshape(grid(V), shape=(6, 3)),
        b.reshape(grid(V), shape=(2, 9)),
        b.reshape(b.broadcast(ONE, shape=(1, 4, 3), axes=(0, 2)), shape=(4, 1, 3)),
        b.slice(over(6, V), start=(0, 1), stop=(6, 3), step=(2, 1)),
        b.reshape(over(0, V), shape=(3, 0)),
    ],
    "axes of one element": [
        b.contract(ONE, W, a=(0, 1), b=(1, 2), out=(0, 2)),
        b.contract(ONE, b.reshape(W, shape=(3, 1, 5)), a=(0, 1), b=(1, 2, 3), out=(2, 3, 0)),
        b.contract(ONE, b.reshape(W, shape=(1, 15)), a=(0, 1), b=(0, 2), out=(2, 1)),
        b.contract(b.reshape(V, shape=(3, 1)), ONE, a=(0, 1), b=(1, 0), out=()),
        b.contract(ONE, ONE, a=(0, 1), b=(0, 2), out=(0, 1, 2)),
    ],
    "a sum of products": [
        b.reduce_sum(EACH, axes=(0,)),
        b.reduce_sum(b.reshape(EACH, shape=(2, 3, 3, 5)), axes=(0, 1)),
    ],
    "sums that stay": [
        b.reduce_sum(b.reshape(EACH, shape=(2, 3, 3, 5)), axes=(0,)),
        b.reduce_sum(EACH, axes=(0, 1)),
    ],
}  # fmt: skip


def simplified(node: Node) -> Node:
    whole = simplify(graph(*INPUTS, y=node))
    verify(whole)
    return whole.outputs[0][1]


def test_rules(golden: Callable[[str, str], None]) -> None:
    lines = []
    for rule, nodes in CASES.items():
        lines.append(rule)
        for node in nodes:
            before, after = expression(node), expression(simplified(node))
            lines += [f"    {before}", f"        {'stays' if before == after else '->  ' + after}"]
    golden("simplify/repeats", "\n".join(lines))


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_the_values_stay(batch: int) -> None:
    arrays = {
        "x": numbers(batch, 6, 3), "g": numbers(batch, 6, 5, seed=1), "w": numbers(3, 5, seed=2),
        "v": numbers(3, seed=3), "one": numbers(1, 3, seed=4),
    }  # fmt: skip
    nodes = [node for nodes in CASES.values() for node in nodes]
    whole = graph(*INPUTS, outputs={f"y{i}": node for i, node in enumerate(nodes)})
    wanted = run(whole, arrays, sizes={"B": batch})
    for target in ("reference", "cpu"):
        found = run(simplify(whole), arrays, target, sizes={"B": batch})
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_product_that_something_else_reads_is_not_made_twice() -> None:
    total = b.reduce_sum(EACH, axes=(0,))
    for other in (EACH, b.exp(EACH)):
        whole = simplify(graph(*INPUTS, y=total, z=other))
        assert [n.op for n in whole.nodes()].count("contract") == 1
    scaled = b.mul(EACH, number(2, EACH))
    assert expression(simplified(b.reduce_sum(scaled, axes=(0,)))).startswith("reduce_sum(mul(")


def prepared(wanted: dict[str, dg.Variable]) -> Graph:
    return prepare(dg.Diagram("shared", wanted).lower())


def test_a_weight_shared_by_all_places_has_one_product_and_its_gradients_too() -> None:
    x, u = dg.observed("x", ("B", 6, 3)), dg.parameter("u", (15,))
    w = dg.share(u, np.broadcast_to(np.arange(15).reshape(3, 5), (2, 3, 3, 5)))
    y = dg.einsum("bpk,pkm->bpm", x, w.reshape((6, 3, 5)))
    by_u, by_x = dg.gradient(dg.sum(dg.exp(y)), [u, x])
    nodes = prepared({"y": y, "u": by_u, "x_": by_x}).nodes()
    shapes = [tuple(map(str, n.shape)) for n in nodes if n.op == "contract"]
    assert shapes == [("B", "6", "5"), ("3", "5"), ("B", "6", "3")]
    assert {n.op for n in nodes} == {"input", "reshape", "contract", "exp"}

"""layout: what follows a convolution is computed in its order, and means what it meant."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.layout import layout
from diagrad.compiler.sizes import evaluate

from ..building import b, given, graph, number, numbers, run
from ..convolving import attributes

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axes that bring channels before space, and behind it."""
X, W = given("x", 2, 6, 7, 3, dtype="float64"), given("w", 3, 3, 3, 5, dtype="float64")
CHANNELS, PLANE = given("c", 5, dtype="float64"), given("p", 2, 5, 4, 5, dtype="float64")
INPUTS = (X, W, CHANNELS, PLANE)
ARRAYS = {
    node.attrs["name"]: numbers(*(evaluate(n, {}) for n in node.shape), seed=seed, dtype="float64")
    for seed, node in enumerate(INPUTS)
}


def conv(x: Node, w: Node = W) -> Node:
    """A convolution as users draw it: channels before space, (2, 5, 4, 5)."""
    return b.transpose(b.conv(x, w, **attributes(2)), axes=FIRST)


Y = conv(X)
POOL = {
    "axes": (2, 3), "size": (2, 3), "stride": (1, 2), "dilation": (1, 1), "low": (0, 1),
    "high": (0, 0),
}  # fmt: skip
POOLED, CODE = b.tanh(b.max_pool(Y, **POOL)), b.max_code(Y, **POOL)
CUT = b.windows(Y, axis=3, size=3, stride=2, dilation=1)
FOLLOWING: dict[str, Node] = {
    "elementwise": b.tanh(Y),
    "number": b.maximum(Y, number(0.0, Y)),
    "two": b.mul(Y, conv(b.exp(X))),
    "plane": b.add(PLANE, Y),
    "channels": b.add(Y, b.broadcast(CHANNELS, shape=Y.shape, axes=(1,))),
    "turned plane": b.mul(Y, b.transpose(b.transpose(PLANE, axes=LAST), axes=FIRST)),
    "cast": b.cast(Y, dtype="float32"),
    "sum": b.reduce_sum(Y, axes=(1,)),
    "sums": b.reduce_sum(Y, axes=(0, 2, 3)),
    "sum of all": b.reduce_sum(Y, axes=(0, 1, 2, 3)),
    "max": b.reduce_max(Y, axes=(2,)),
    "min": b.reduce_min(Y, axes=(1, 3)),
    "argmax": b.argmax(Y, axes=(1,)),
    "argmin": b.argmin(Y, axes=(2,)),
    "pad": b.pad(Y, low=(0, 1, 2, 0), inner=(1, 1, 1, 2), shape=(2, 7, 8, 9)),
    "slice": b.slice(Y, start=(0, 1, 0, 1), stop=(2, 5, 3, 5), step=(1, 2, 1, 3)),
    "flip": b.flip(Y, axes=(1, 3)),
    "concatenate": b.concatenate(Y, PLANE, b.exp(Y), axis=1),
    "windows": CUT,
    "overlap": b.overlap_add(b.sin(CUT), axis=3, stride=2, dilation=1, extent=5),
    "max_pool": b.max_pool(Y, **POOL),
    "max_code": b.max_code(Y, **POOL),
    "pool_take": b.pool_take(Y, CODE, **POOL),
    "pool_spread": b.pool_spread(POOLED, CODE, **POOL, extents=(4, 5)),
    "sum_pool": b.sum_pool(Y, **POOL),
    "sum_spread": b.sum_spread(POOLED, **POOL, extents=(4, 5)),
}  # fmt: skip


def laid_out(**outputs: Node) -> Graph:
    found = layout(graph(*INPUTS, outputs=outputs))
    verify(found)
    return found


@pytest.mark.parametrize("name", FOLLOWING)
def test_the_meaning_stays(name: str) -> None:
    node = FOLLOWING[name]
    wanted = run(graph(*INPUTS, y=node), ARRAYS)["y"]
    found = run(laid_out(y=node), ARRAYS)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FOLLOWING)
def test_nothing_is_computed_from_another_order(name: str) -> None:
    """Transpositions of convolutions, and of what follows them, stand at the outputs alone."""
    found = laid_out(y=FOLLOWING[name])
    root = found.outputs[0][1]
    for node in found.nodes():
        transposed = node.op == "transpose" and node.inputs[0] not in INPUTS
        assert not transposed or node is root, node.inputs[0].op


def test_a_net_of_convolutions_has_one_transposition() -> None:
    """In front of the flat vector that a linear layer reads."""
    w = given("v", 3, 3, 5, 5, dtype="float64")
    y = conv(X)
    for _ in range(2):
        y = b.maximum(y, number(0.0, y))
        y = b.pad(y, low=(0, 0, 1, 1), inner=(1,) * 4, shape=(2, 5, 6, 7))
        y = b.transpose(b.conv(b.transpose(y, axes=LAST), w, **attributes(2)), axes=FIRST)
    flat = b.reshape(b.max_pool(y, **POOL), shape=(2, 5 * 3 * 2))
    found = layout(graph(X, W, w, y=flat))
    verify(found)
    assert [node.op for node in found.nodes()].count("transpose") == 1
    assert found.outputs[0][1].inputs[0].op == "transpose"
    arrays = {**ARRAYS, "v": numbers(3, 3, 5, 5, dtype="float64")}
    wanted = run(graph(X, W, w, y=flat), arrays)["y"]
    np.testing.assert_allclose(run(found, arrays)["y"], wanted, rtol=1e-12)


Chain = Callable[[Node], Node]
CHAINS: list[Chain] = [
    lambda y: b.exp(y),
    lambda y: b.transpose(y, axes=tuple(reversed(range(y.type.rank)))),
    lambda y: b.flip(y, axes=(0, y.type.rank - 1)),
    lambda y: b.windows(y, axis=1, size=2, stride=1, dilation=1),
    lambda y: b.windows(y, axis=y.type.rank - 1, size=1, stride=2, dilation=1),
    lambda y: b.reduce_sum(y, axes=(1,)),
    lambda y: b.concatenate(y, b.neg(y), axis=y.type.rank - 1),
    lambda y: b.slice_axis(y, 0, 1, y.shape[0]),
    lambda y: b.mul(y, b.broadcast(b.reduce_max(y, axes=(0,)), shape=y.shape,
                                   axes=tuple(range(1, y.type.rank)))),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_chains(seed: int) -> None:
    """Random functions one on another, whose results lie in ever other orders."""
    draw = np.random.default_rng(seed)
    nodes = [Y]
    for number_ in draw.integers(0, len(CHAINS), 5):
        y = nodes[-1]
        if y.type.rank > 2 and all(int(str(n)) > 1 for n in y.shape[:2]):
            nodes.append(CHAINS[number_](y))
    outputs = {f"y{i}": node for i, node in enumerate(nodes)}
    wanted = run(graph(*INPUTS, outputs=outputs), ARRAYS)
    for name, value in run(laid_out(**outputs), ARRAYS).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-11, atol=1e-11, err_msg=name)


def test_what_follows_no_convolution_stays() -> None:
    y = b.exp(b.transpose(PLANE, axes=LAST))
    whole = graph(*INPUTS, y=y)
    assert layout(whole).outputs == whole.outputs

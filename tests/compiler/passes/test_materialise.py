"""materialise: copies where a value must lie in memory, and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.graphs.views import resolve
from diagrad.compiler.passes.materialise import IN_MEMORY, materialise
from diagrad.compiler.primitives.known import is_known
from diagrad.compiler.primitives.record import lookup
from diagrad.compiler.sizes import named

from ..building import b, expression, given, graph, number, numbers, run, state

B = named("B")
X, Y, W = given("x", "B", 4), given("y", "B", 4), given("w", 4, 6)
CUBE, S = given("cube", "B", 2, 3), given("s")
COPIES: dict[str, list[Node]] = {
    "reshape": [
        b.reshape(b.transpose(X, axes=(1, 0)), shape=(B * 4,)),
        b.exp(b.reshape(X, shape=(B * 4,))),
        b.exp(b.reshape(b.transpose(CUBE, axes=(0, 2, 1)), shape=(B * 3, 2))),
        b.exp(b.reshape(b.flip(X, axes=(0, 1)), shape=(B * 4,))),
        b.exp(b.reshape(b.flip(X, axes=(1,)), shape=(B * 4,))),
    ],
    "outputs": [X, b.transpose(X, axes=(1, 0)), b.exp(X), b.constant([1, 2], "int32")],
    "known scalars": [
        b.size(size=B, dtype="float32"), b.mul(b.size(size=B, dtype="float32"), number(2, S)),
        b.exp(number(1, X)), b.contract(S, b.constant(2, "float32"), a=(), b=(), out=()),
    ],
    "contractions": [
        b.contract(X, W, a=(0, 1), b=(1, 2), out=(0, 2)),
        b.contract(b.transpose(X, axes=(1, 0)), X, a=(1, 0), b=(0, 2), out=(1, 2)),
        b.contract(X, number(2, W), a=(0, 1), b=(1, 2), out=(0, 2)),
        b.contract(b.cast(b.iota(axis=0, shape=(4,), dtype="int32"), dtype="float32"), W,
                   a=(0,), b=(0, 1), out=(1,)),
        b.contract(CUBE, CUBE, a=(0, 1, 2), b=(3, 1, 2), out=(0, 3)),
        b.contract(CUBE, CUBE, a=(0, 1, 2), b=(0, 3, 2), out=(1, 3)),
        b.contract(X, b.broadcast(b.reduce_sum(X, axes=(1,)), shape=(B, 4), axes=(0,)),
                   a=(0, 1), b=(0, 1), out=()),
    ],
    "indices": [
        b.gather(W, b.iota(axis=0, shape=(3,), dtype="int32"), axis=0),
        b.gather(W, b.cast(X, dtype="int32"), axis=1),
        b.cumsum(number(1, X), axis=0, reverse=False),
        b.scatter_add(b.cast(S, dtype="int32"), number(1, S), axis=0, size=5),
    ],
}  # fmt: skip
INPUTS = (X, Y, W, CUBE, S)
NAMES = list(COPIES)


def whole(*nodes: Node) -> Graph:
    return graph(*INPUTS, outputs={f"y{i}": node for i, node in enumerate(nodes)})


@pytest.mark.parametrize("name", NAMES)
def test_copies(name: str, golden: Callable[[str, str], None]) -> None:
    lines = []
    for node in COPIES[name]:
        made = materialise(whole(node)).outputs[0][1]
        before, after = expression(node), expression(made)
        lines += [before, f"    {'stays' if before == after else '->  ' + after}"]
    golden(f"materialise/{name.replace(' ', '_')}", "\n".join(lines))


def test_afterwards_everything_lies_somewhere() -> None:
    nodes = [node for group in COPIES.values() for node in group]
    made = materialise(whole(*nodes))
    verify(made)
    for node in made.nodes():
        view = resolve(node)
        assert lookup(view.base.op).kind != "view"
        if node.op in IN_MEMORY:
            for item in node.inputs:
                base = resolve(item).base
                assert not is_known(base) and base.op != "iota", expression(node)
    assert len(set(made.roots)) == len(nodes)
    for root in made.roots:
        assert lookup(root.op).kind not in ("view", "source") and not is_known(root)


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_the_values_stay(batch: int, target: str) -> None:
    nodes = [node for group in COPIES.values() for node in group]
    arrays = {
        "x": np.abs(numbers(batch, 4)), "y": numbers(batch, 4, seed=1), "w": numbers(4, 6),
        "cube": numbers(batch, 2, 3), "s": np.float32(1.5),
    }  # fmt: skip
    wanted = run(whole(*nodes), arrays, sizes={"B": batch})
    got = run(materialise(whole(*nodes)), arrays, target, sizes={"B": batch})
    for i, node in enumerate(nodes):
        np.testing.assert_allclose(
            got[f"y{i}"], wanted[f"y{i}"], rtol=1e-5, atol=1e-6, err_msg=expression(node)
        )


def test_roots_are_different_nodes() -> None:
    w, v = state("w", 3), state("v", 3)
    y = b.exp(w)
    made = materialise(graph(w, v, updates={w: v, v: w}, y=y, again=y, state=w))
    assert [expression(node) for node in made.roots] == [
        "exp(w)", "copy(exp(w))", "copy(w)", "copy(v)", "copy(w)",
    ]  # fmt: skip
    assert len(set(made.roots)) == 5


def test_windows_are_copied_in_long_rows() -> None:
    image, g = given("image", "B", 2, 7), given("g", "B", 6, 5)
    kernel, units = given("kernel", 6, 2, 3), given("units", 5, 2, 3)
    seen = b.windows(image, axis=2, size=3, stride=1, dilation=1)
    labels = (0, 1, 2, 3)
    rows = b.contract(seen, kernel, a=labels, b=(4, 1, 3), out=(0, 4, 2))
    slope = b.contract(g, seen, a=(0, 4, 2), b=labels, out=(4, 1, 3))
    local = b.contract(seen, units, a=labels, b=(2, 1, 3), out=(0, 2))
    made = materialise(graph(image, g, kernel, units, rows=rows, slope=slope, local=local))
    copied = {
        (expression(node), tuple(map(str, node.shape)))
        for node in made.nodes()
        if node.op == "copy"
    }
    cut = "windows(image, axis=2, size=3, stride=1, dilation=1)"
    assert copied == {
        (f"copy(transpose({cut}, axes=(1,3,0,2)))", ("2", "3", "B", "5")),
        (f"copy(transpose({cut}, axes=(2,1,3,0)))", ("5", "2", "3", "B")),
        ("copy(transpose(g, axes=(1,0,2)))", ("6", "B", "5")),
    }
    by_unit = b.contract(g, seen, a=(0, 4, 2), b=labels, out=(4, 2, 1, 3))  # one sum: as they lie
    assert "copy" not in {node.op for node in materialise(graph(image, g, y=by_unit)).nodes()}


def test_known_scalars() -> None:
    size = b.size(size=B, dtype="float32")
    assert is_known(size) and is_known(b.exp(b.mul(size, b.constant(2, "float32"))))
    assert not is_known(b.copy(size)) and not is_known(S) and not is_known(b.add(S, size))
    assert not is_known(number(2, X)) and not is_known(b.constant([1, 2], "int32"))

"""simplify: every rule on a graph built by hand, and the same values from fewer nodes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.simplify.simplify import RULES, simplify
from diagrad.compiler.sizes import named

from ...building import b, expression, given, graph, number, numbers, run, state

B = named("B")
X, Y = given("x", "B", 3), given("y", "B", 3)
L, U, M = given("i", "B", dtype="int32"), given("u", 2, dtype="uint32"), given("m", 4, dtype="bool")
V, W, S = given("v", 3), given("w", 3, 5), given("s")
ONE = given("one", 1, 3)


def n(value: float, like: Node = X) -> Node:
    return number(value, like)


def cut(x: Node, start: tuple[int, ...], stop: tuple[object, ...], *step: int) -> Node:
    return b.slice(x, start=start, stop=stop, step=step or (1,) * x.type.rank)


def cut_windows(x: Node, size: int, stride: int, dilation: int = 1) -> Node:
    return b.windows(x, axis=x.type.rank - 1, size=size, stride=stride, dilation=dilation)


def added(x: Node, stride: int, extent: int) -> Node:
    return b.overlap_add(x, axis=x.type.rank - 2, stride=stride, dilation=1, extent=extent)


def rows(value: Node) -> Node:
    """A vector, repeated for every sample."""
    return b.broadcast(value, shape=(B, *value.shape), axes=(1,))


ARITHMETIC = {
    "add 0": [b.add(X, n(0)), b.add(n(0), X), b.add(L, n(0, L))],
    "add negated": [b.add(X, b.neg(Y)), b.add(b.neg(X), Y)],
    "sub 0": [b.sub(X, n(0)), b.sub(n(0), X), b.sub(n(0, L), L)],
    "sub negated": [b.sub(X, b.neg(Y)), b.sub(b.neg(X), Y)],
    "mul 1": [b.mul(X, n(1)), b.mul(n(1), X)],
    "mul -1": [b.mul(X, n(-1)), b.mul(n(-1), X), b.mul(U, n(2**32 - 1, U))],
    "mul 0 stays": [b.mul(X, n(0)), b.mul(n(0), X)],
    "sub itself stays": [b.sub(X, X), b.div(X, X)],
    "div": [b.div(X, n(1)), b.div(X, n(4)), b.div(X, n(-0.5)), b.div(X, n(3)), b.div(X, n(0))],
    "div at the limits": [b.div(X, n(2.0**127)), b.div(X, n(2.0**126)), b.div(X, n(2.0**-127))],
    "pow 1": [b.pow(X, n(1)), b.pow(X, n(2))],
    "neg twice": [b.neg(b.neg(X)), b.neg(b.neg(b.neg(X)))],
    "cast": [b.cast(X, dtype="float32"), b.cast(X, dtype="int32"), b.cast(n(2.7), dtype="int32")],
    "select": [
        b.select(n(True, b.gt(X, Y)), X, Y), b.select(n(False, b.gt(X, Y)), X, Y),
        b.select(b.gt(X, Y), X, X), b.select(M, n(1, M), M),
    ],
    "constants": [
        b.mul(n(2), b.add(n(3), n(4))), b.exp(n(0)), b.gt(n(2), n(1)), b.sqrt(n(-1)),
        b.div(n(1), n(0)), b.stop_gradient(X),
    ],
    "numbers": [
        b.mul(b.broadcast(S, shape=(3,), axes=()), number(2, V)),
        b.exp(b.broadcast(b.size(size=B, dtype="float32"), shape=(3,), axes=())),
    ],
    "sizes": [b.size(size=7, dtype="float32"), b.size(size=B, dtype="float32")],
}  # fmt: skip
VIEWS = {
    "reshape": [
        b.reshape(b.reshape(X, shape=(B * 3,)), shape=(3, B)), b.reshape(X, shape=(B, 3)),
        b.reshape(b.reshape(X, shape=(3, B)), shape=(B, 3)), b.reshape(n(2), shape=(B * 3,)),
        b.reshape(b.transpose(X, axes=(1, 0)), shape=(B * 3,)),
    ],
    "transpose": [
        b.transpose(X, axes=(0, 1)), b.transpose(b.transpose(X, axes=(1, 0)), axes=(1, 0)),
        b.transpose(n(2), axes=(1, 0)), b.transpose(rows(V), axes=(1, 0)),
        b.transpose(b.broadcast(X, shape=(B, 2, 3), axes=(0, 2)), axes=(2, 1, 0)),
        b.transpose(b.broadcast(X, shape=(B, 2, 3), axes=(0, 2)), axes=(1, 0, 2)),
    ],
    "broadcast": [
        b.broadcast(X, shape=(B, 3), axes=(0, 1)),
        b.broadcast(rows(V), shape=(B, 2, 3), axes=(0, 2)),
    ],
    "slice": [
        cut(X, (0, 0), (B, 3)), cut(X, (0, 1), (B, 3)), cut(X, (0, 0), (B, 3), 1, 2),
        cut(n(2), (0, 1), (B, 3)), cut(ONE, (0, 0), (1, 3), 2, 1),
    ],
    "flip": [
        b.flip(X, axes=()), b.flip(b.flip(X, axes=(0,)), axes=(0,)),
        b.flip(b.flip(X, axes=(0,)), axes=(1,)),
    ],
    "windows": [
        cut_windows(X, 3, 3), cut_windows(X, 3, 1), cut_windows(X, 1, 1), cut_windows(X, 1, 2),
        cut_windows(W, 2, 2), cut_windows(V, 1, 1, dilation=5),
        cut_windows(b.pad(L, low=(1,), inner=(1,), shape=(B + 1,)), 1, 1),
        cut_windows(b.reshape(W, shape=(15,)), 5, 5), cut_windows(n(2), 2, 1),
        cut_windows(b.reshape(W, shape=(15,)), 5, 5, dilation=2),
    ],
    "overlap_add": [
        added(cut_windows(b.reshape(W, shape=(15,)), 5, 5), 5, 15),
        added(cut_windows(b.reshape(W, shape=(15,)), 5, 4), 4, 15),
        added(b.exp(cut_windows(X, 3, 1)), 1, 3), added(b.exp(cut_windows(X, 1, 2)), 2, 3),
    ],
    "pad": [
        b.pad(X, low=(0, 0), inner=(1, 1), shape=(B, 3)),
        b.pad(X, low=(0, 1), inner=(1, 1), shape=(B, 4)),
    ],
    "concatenate": [
        b.concatenate(X, axis=0), b.concatenate(cut(X, (0, 0), (B, 0)), X, axis=1),
        b.concatenate(X, cut(X, (0, 0), (B, 0)), Y, axis=1), b.concatenate(X, Y, axis=0),
        b.concatenate(cut(V, (0,), (0,)), cut(V, (1,), (1,)), axis=0),
    ],
    "iota": [
        b.iota(axis=1, shape=(B, 3), dtype="int32"), b.iota(axis=0, shape=(3,), dtype="int32"),
    ],
}  # fmt: skip
SUMS = {
    "nothing to sum": [
        b.reduce_sum(ONE, axes=(0,)), b.reduce_max(ONE, axes=()), b.reduce_sum(X, axes=(0,)),
        b.argmax(ONE, axes=(0,)), b.argmin(ONE, axes=(0,)), b.argmin(ONE, axes=(1,)),
        b.reduce_min(ONE, axes=(0,)),
    ],
    "sum of a sum": [
        b.reduce_sum(b.reduce_sum(X, axes=(1,)), axes=(0,)),
        b.reduce_max(b.reduce_max(X, axes=(0,)), axes=(0,)),
        b.reduce_max(b.reduce_min(X, axes=(0,)), axes=(0,)),
    ],
    "sum of repeats": [
        b.reduce_sum(rows(V), axes=(0,)), b.reduce_sum(rows(V), axes=(0, 1)),
        b.reduce_sum(rows(V), axes=(1,)), b.reduce_sum(n(1), axes=(0, 1)),
        b.reduce_sum(number(1, L), axes=(0,)), b.reduce_max(rows(V), axes=(0,)),
        b.reduce_sum(b.broadcast(V, shape=(0, 3), axes=(1,)), axes=(0,)),
    ],
    "contraction of a transpose": [
        b.contract(b.transpose(X, axes=(1, 0)), W, a=(1, 0), b=(1, 2), out=(0, 2)),
        b.contract(X, b.transpose(W, axes=(1, 0)), a=(0, 1), b=(2, 1), out=(0, 2)),
    ],
    "contraction with a number": [
        b.contract(X, number(2, W), a=(0, 1), b=(1, 2), out=(0, 2)),
        b.contract(number(0.5, X), W, a=(0, 1), b=(1, 2), out=(2, 0)),
        b.contract(V, number(1, V), a=(0,), b=(0,), out=()),
        b.contract(V, n(3, given("z", 4)), a=(0,), b=(1,), out=(0, 1)),
    ],
}  # fmt: skip
INPUTS = (X, Y, L, U, M, V, W, S, ONE)


def simplified(node: Node) -> Node:
    whole = simplify(graph(*INPUTS, y=node))
    verify(whole)
    return whole.outputs[0][1]


@pytest.mark.parametrize("name", ["arithmetic", "views", "sums"])
def test_rules(name: str, golden: Callable[[str, str], None]) -> None:
    cases = {"arithmetic": ARITHMETIC, "views": VIEWS, "sums": SUMS}[name]
    lines = []
    for rule, nodes in cases.items():
        lines.append(f"{rule}")
        for node in nodes:
            before, after = expression(node), expression(simplified(node))
            lines.append(f"    {before:60} {'stays' if before == after else '->  ' + after}")
    golden(f"simplify/{name}", "\n".join(lines))


def test_every_rule_is_tried() -> None:
    tried = {
        item.op
        for cases in (ARITHMETIC, VIEWS, SUMS)
        for nodes in cases.values()
        for node in nodes
        if expression(node) != expression(simplified(node))
        for item in graph(*INPUTS, y=node).nodes()
    }
    assert set(RULES) <= tried


def test_equal_nodes_become_one() -> None:
    first, second = b.exp(b.add(X, Y)), b.exp(b.add(X, Y))
    other = b.exp(b.add(Y, X))
    whole = simplify(graph(X, Y, y=first, z=second, other=other))
    found = dict(whole.outputs)
    assert found["y"] is found["z"] and found["y"] is not found["other"]
    assert len([node for node in whole.nodes() if node.op == "add"]) == 2


def test_constants_are_equal_by_type_and_bits() -> None:
    def constant(value: object, dtype: str) -> Node:
        return b.constant(value, dtype)

    arrays = [
        constant([1, 2], "int32"), constant([1, 2], "int64"), constant([[1, 2]], "int32"),
        constant([[1], [2]], "int32"), constant(0.0, "float32"), constant(-0.0, "float32"),
        constant(np.nan, "float32"), constant(1, "bool"), constant(1, "int32"),
    ]  # fmt: skip
    whole = simplify(graph(outputs={f"a{i}": node for i, node in enumerate(arrays)}))
    assert len({node for _, node in whole.outputs}) == len(arrays)
    again = simplify(graph(a=constant([1, 2], "int32"), b=constant([1, 2], "int32")))
    assert len(set(again.roots)) == 1


def test_what_nobody_needs_is_gone() -> None:
    w = state("w", 3)
    whole = simplify(graph(X, w, updates={w: b.add(w, b.mul(w, number(0, w)))}, y=X))
    assert whole.inputs == (X, w)
    assert [node.op for node in whole.nodes()] == ["input", "input", "constant", "broadcast", "mul",
                                                   "add"]  # fmt: skip


def test_twice_is_once() -> None:
    for cases in (ARITHMETIC, VIEWS, SUMS):
        for nodes in cases.values():
            for node in nodes:
                once = simplified(node)
                assert expression(simplified(once)) == expression(once)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_the_values_stay(batch: int) -> None:
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    arrays: dict[str, Any] = {
        "x": numbers(batch, 3), "y": numbers(batch, 3, seed=1), "s": np.float32(1.5),
        "i": np.arange(batch, dtype=np.int32), "u": np.array([0, 7], np.uint32),
        "m": np.array([0, 1, 1, 0], bool), "v": odd if batch else numbers(3), "w": numbers(3, 5),
        "one": numbers(1, 3),
    }  # fmt: skip
    if batch > 2:
        arrays["x"][1] = odd
    nodes = [n for c in (ARITHMETIC, VIEWS, SUMS) for group in c.values() for n in group]
    whole = graph(*INPUTS, outputs={f"y{i}": node for i, node in enumerate(nodes)})
    wanted = run(whole, arrays, sizes={"B": batch})
    got = run(simplify(whole), arrays, sizes={"B": batch})
    for i, node in enumerate(nodes):
        np.testing.assert_allclose(
            got[f"y{i}"], wanted[f"y{i}"], rtol=1e-6, err_msg=expression(node)
        )


FILLS = (0.0, 1.0, -1.0, 2.0, 0.5)


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> Node:
    """A random elementwise expression of x, y and numbers."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 2:
        return draw(st.sampled_from([X, Y, *(n(value) for value in FILLS)]))
    if kind < 4:
        return b.apply(draw(st.sampled_from(["neg", "abs", "sign"])), draw(trees(depth - 1)))
    x, y = draw(trees(depth - 1)), draw(trees(depth - 1))
    if kind == 4:
        return b.select(b.apply(draw(st.sampled_from(["lt", "ge", "eq"])), x, y), x, y)
    op = draw(st.sampled_from(["add", "sub", "mul", "div", "maximum", "minimum"]))
    return b.apply(op, x, y)


@settings(max_examples=200, deadline=None)
@hypothesis_given(trees())
def test_random_expressions_keep_their_values(node: Node) -> None:
    values = [0.0, 1.5, -2.0, np.nan, np.inf, -np.inf]
    x, y = (v.reshape(-1, 3).astype(np.float32) for v in np.meshgrid(values, values))
    whole: Graph = graph(X, Y, z=node)
    smaller = simplify(whole)
    verify(smaller)
    assert len(smaller.nodes()) <= len(whole.nodes())
    arrays = {"x": x, "y": y}
    np.testing.assert_array_equal(
        run(smaller, arrays, sizes={"B": 12})["z"], run(whole, arrays, sizes={"B": 12})["z"]
    )

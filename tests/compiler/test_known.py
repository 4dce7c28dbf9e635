"""What is known before a program runs: scalars of sizes and constants, and what fills an array."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.known import fill_value, filled_with, is_known
from diagrad.compiler.sizes import named

from .building import b, given, graph, number, run, state

SIZE = b.size(size=named("B"), dtype="float32")
HALF = b.constant(0.5, "float32")


def test_known_are_functions_of_sizes_and_constants_alone() -> None:
    x = given("x")
    assert is_known(HALF) and is_known(SIZE) and is_known(b.sqrt(b.div(SIZE, HALF)))
    assert not is_known(x) and not is_known(b.add(SIZE, x)) and not is_known(b.copy(SIZE))
    assert not is_known(b.spread(SIZE, (3,)))  # an array
    assert not is_known(b.constant([0.5], "float32"))


def test_a_long_chain_of_known_numbers_needs_no_deep_stack() -> None:
    node: Node = SIZE
    other: Node = given("x")
    for _ in range(5000):
        node, other = b.neg(node), b.neg(other)
    assert is_known(node) and not is_known(other)


def test_what_fills_an_array() -> None:
    x = given("x", 3)
    repeated = b.reshape(b.spread(b.reshape(HALF, shape=(1,)).inputs[0], (2, 3)), shape=(6,))
    assert filled_with(repeated) is HALF and fill_value(repeated) == np.float32(0.5)
    assert filled_with(b.spread(SIZE, (3,))) is SIZE and fill_value(b.spread(SIZE, (3,))) is None
    assert filled_with(b.broadcast(x, shape=(2, 3), axes=(1,))) is x
    assert fill_value(b.constant([0.5], "float32")) is None
    assert fill_value(b.neg(HALF)) is None and fill_value(x) is None


@pytest.mark.parametrize(
    ("value", "dtypes", "wanted"),
    [
        (0.1, ("float64",), np.float64(np.float32(0.1))),
        (2.7, ("int64", "float32"), np.float32(2)),
        (np.inf, ("int32",), np.int32(2**31 - 1)),
        (np.nan, ("int64",), np.int64(0)),
        (1e-40, ("bool",), np.bool_(False)),
    ],
)
def test_a_cast_fills_with_what_it_makes_of_the_constant(
    value: float, dtypes: tuple[str, ...], wanted: Any
) -> None:
    node = b.fill(value, given("x", 3).type)
    for dtype in dtypes:
        node = b.cast(node, dtype=dtype)
    found = fill_value(node)
    assert found.dtype == wanted.dtype and found == wanted
    np.testing.assert_array_equal(run(graph(y=node), {})["y"], np.full(3, wanted))


@pytest.mark.parametrize("wrap", ["plain", "cast", "reshape"])
def test_a_constant_wins_its_ties(wrap: str) -> None:
    x = state("x", 3)
    other = number(0, x)
    if wrap == "cast":
        other = b.cast(b.fill(0, x.type.with_dtype("float64")), dtype="float32")
    if wrap == "reshape":
        other = b.reshape(b.spread(b.constant(0, "float32"), (3, 1)), shape=(3,))
    cost = b.reduce_sum(b.maximum(x, other), axes=(0,))
    found = run(prepare(graph(x, g=b.gradient(cost, x))), {"x": np.array([-1, 0, 2], np.float32)})
    np.testing.assert_array_equal(found["g"], [0, 0, 1])


def test_a_known_number_enters_the_body_of_a_loop() -> None:
    e = given("e", 4, role="sequence")
    s, k = given("s", 4, role="carry"), given("k", role="invariant")
    following = b.add(s, b.mul(e, b.spread(k, (4,))))
    body = Graph("body", (e, s, k), (("s", following),), ((s, following),))
    x, z = given("x", "B", 4), given("z", 4)
    share = b.sqrt(b.div(b.constant(1, "float32"), b.add(SIZE, HALF)))
    for value, names in ((share, ["e", "s"]), (b.add(share, given("u")), ["e", "s", "k"])):
        inputs = [item for item in (x, z, *value.inputs) if item.op == "input"]
        y = b.loop(
            x, z, value, body=body, steps=named("B"), reverse=False, keep="all", result="last",
            of="s",
        )  # fmt: skip
        before = graph(*inputs, y=y)
        after = simplify(before)
        (loop,) = (item for item in after.nodes() if item.op == "loop")
        assert [entry.attrs["name"] for entry in loop.attrs["body"].inputs] == names
        arrays: dict[str, Any] = {
            "x": np.arange(20, dtype=np.float32).reshape(5, 4),
            "z": np.ones(4, np.float32),
        }
        arrays |= {"u": np.float32(0.25)} if len(inputs) == 3 else {}
        factor = np.sqrt(1 / np.float32(5.5)) + arrays.get("u", 0)
        sizes = {"B": 5}
        wanted = 1 + factor * arrays["x"].sum(axis=0)
        for found in (before, after):
            np.testing.assert_allclose(run(found, arrays, sizes=sizes)["y"], wanted, rtol=1e-6)
            np.testing.assert_allclose(run(found, arrays, "cpu", sizes)["y"], wanted, rtol=1e-5)

"""unroll: several steps of a loop in one turn, or a copy of the body for every step."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.errors import InvalidGraphError
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.options import Options, Unroll
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.recurrence import results_of
from diagrad.compiler.sizes import Dim

from ..building import Array, b, given, graph, numbers, run

STEPS = (0, 1, 2, 7, 8)


def looped(steps: int | str, reverse: bool = False, slopes: bool = False, **more: Any) -> Graph:
    """z(t) = tanh(z(t-1) + x(t) w), its stack, sum and last value, and their derivatives."""
    entries = (
        given("x", 2, dtype="float64", role="sequence"),
        given("z", 2, dtype="float64", role="carry"),
        given("w", 2, dtype="float64", role="invariant"),
    )
    x, z, w = entries
    following = b.tanh(b.add(z, b.mul(x, w)))
    body = Graph("rnn", entries, (("y", b.mul(following, z)),), ((z, following),))
    outer = [given(name, *shape, dtype="float64") for name, shape in (
        ("x", (steps, 2)), ("z", (2,)), ("w", (2,))
    )]  # fmt: skip
    extent: Dim = outer[0].shape[0]
    attrs = {"body": body, "steps": extent, "reverse": reverse, "keep": "all", **more}
    results = {
        kind: b.loop(*outer, result=kind, of=of, **attrs)
        for kind, of in (("stack", "y"), ("sum", "y"), ("last", "z"))
    }
    if not slopes:
        return graph(*outer, outputs=results)
    cost = b.reduce_sum(b.mul(results["sum"], b.sin(results["last"])), axes=(0,))
    cost = b.add(cost, b.reduce_sum(b.sin(results["stack"]), axes=(0, 1)))
    found = {f"d{n}": b.gradient(cost, item) for n, item in zip("xzw", outer, strict=True)}
    return graph(*outer, outputs={**results, "cost": cost, **found})


def by_hand(x: Array, z: Array, w: Array, reverse: bool) -> dict[str, Array]:
    """The results of `looped`, step after step."""
    stack, total = np.zeros_like(x), np.zeros(2)
    for t in range(len(x))[::-1] if reverse else range(len(x)):
        following = np.tanh(z + x[t] * w)
        stack[t] = following * z
        total = total + stack[t]
        z = following
    cost = total @ np.sin(z) + np.sin(stack).sum()
    return {"stack": stack, "sum": total, "last": z, "cost": np.asarray(cost)}


def arrays_of(steps: int) -> dict[str, Array]:
    shapes = {"x": (steps, 2), "z": (2,), "w": (2,)}
    return {
        name: numbers(*shape, seed=seed, dtype="float64")
        for seed, (name, shape) in enumerate(shapes.items())
    }


def turns(found: Graph) -> list[tuple[str, int]]:
    """Of each loop: its turns, and how often its body has the step."""
    return [
        (str(node.attrs["steps"]), sum(n.op == "tanh" for n in node.attrs["body"].nodes()))
        for node, *_ in results_of(found.nodes()).values()
    ]


@pytest.mark.parametrize(
    ("steps", "copies", "wanted", "outside"),
    [
        (8, 1, [("8", 1)], 0),
        (8, 2, [("4", 2)], 0),
        (7, 2, [("3", 2)], 1),
        (7, 3, [("2", 3)], 1),
        (7, 5, [("1", 5)], 2),
        (7, 7, [], 7),
        (7, 8, [], 7),
        (7, "all", [], 7),
        (1, "all", [], 1),
        (0, 3, [], 0),
        (0, "all", [], 0),
        ("T", 1, [("T", 1)], 0),
        ("T", 3, [("((T)//3)", 3), ("-3*((T)//3)+T", 1)], 0),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_turns_and_what_is_left_over(
    steps: int | str, copies: Unroll, wanted: list[tuple[str, int]], outside: int, reverse: bool
) -> None:
    drawn = looped(steps, reverse)
    found = unroll(drawn, copies)
    verify(found)
    assert sorted(turns(found)) == sorted(wanted)
    assert sum(node.op == "tanh" for node in found.nodes()) == outside
    if copies == 1:
        assert found is drawn


def test_two_steps(golden: Any) -> None:
    golden("unroll/all", str(simplify(unroll(looped(2), "all"))))
    golden("unroll/turns", str(simplify(unroll(looped("T"), 2))))


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("copies", [1, 2, 3, 5, "all"])
def test_the_results_are_those_of_a_loop_in_python(
    copies: Unroll, reverse: bool, target: str
) -> None:
    """And the derivatives their central differences."""
    named = None
    if copies != "all":
        named = prepare(looped("T", reverse, slopes=True), Options(unroll=copies))
    for steps in STEPS:
        known = prepare(looped(steps, reverse, slopes=True), Options(unroll=copies))
        arrays = arrays_of(steps)
        wanted = by_hand(**arrays, reverse=reverse)
        for found in (known, named) if named is not None else (known,):
            values = run(found, arrays, target, {"T": steps})
            for name, value in wanted.items():
                np.testing.assert_allclose(values[name], value, rtol=1e-12, atol=1e-14)
            for name, value in arrays.items():
                along = numbers(*value.shape, seed=5, dtype="float64")
                costs = [
                    by_hand(**{**arrays, name: value + by * along}, reverse=reverse)["cost"]
                    for by in (-2e-3, -1e-3, 1e-3, 2e-3)
                ]
                slope = np.dot((1, -8, 8, -1), costs) / 12e-3
                np.testing.assert_allclose((values[f"d{name}"] * along).sum(), slope, atol=1e-8)


def test_what_a_loop_says_counts_more_than_the_option() -> None:
    assert turns(unroll(looped(8, unroll=4), 2)) == [("2", 4)]
    assert turns(unroll(looped(8, unroll=1), "all")) == [("8", 1)]
    assert turns(unroll(looped(8, unroll="all"), 1)) == []
    ready = prepare(looped(8, slopes=True, unroll=4))
    bodies = [node.attrs["body"] for node, *_ in results_of(ready.nodes()).values()]
    assert len(bodies) == 2  # forward and back, 4 steps in a turn of each
    assert {node.attrs["steps"] for node in ready.nodes() if node.op == "loop"} == {2}


def test_only_all_unrolls_a_loop_of_segments() -> None:
    """Its steps are loops of many steps, which are unrolled themselves."""
    assert turns(unroll(looped(8, keep="carries"), 2)) == [("8", 1)]
    assert turns(unroll(looped(8, keep="carries"), "all")) == []
    ready = prepare(looped(8, slopes=True, keep=("every", 4)), Options(unroll=2))
    outer = [node for node, *_ in results_of(ready.nodes()).values()]
    assert {node.attrs["steps"] for node in outer} == {2}
    inner = [n for node in outer for n in node.attrs["body"].nodes() if n.op == "loop"]
    assert {node.attrs["steps"] for node in inner} == {2}


def test_all_of_a_number_of_steps_that_has_a_name() -> None:
    with pytest.raises(InvalidGraphError) as error:
        unroll(looped("T"), "all")
    assert str(error.value) == (
        "all steps of loop rnn () are to be unrolled: expected a known number of them, got T"
    )


def test_the_way_back_has_as_many_steps_in_a_turn() -> None:
    rolled = simplify(differentiate(looped("T", slopes=True)))
    found = unroll(rolled, 3)
    verify(found)
    steps = [str(node.attrs["steps"]) for node, *_ in results_of(found.nodes()).values()]
    assert sorted(steps) == ["((T)//3)"] * 2 + ["-3*((T)//3)+T"] * 2


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("copies", [1, 3, 64, "all"])
def test_a_long_sum_is_as_exact_as_rolled(copies: Unroll, target: str) -> None:
    """Off by at most 72 eps of the terms' absolute values, whatever the number of steps."""
    entry = given("x", 16, role="sequence")
    body = Graph("sum", (entry,), (("y", b.mul(entry, entry)),), ())
    x = given("x", 3000, 16)
    attrs = {"body": body, "steps": 3000, "reverse": False, "keep": "all"}
    drawn = graph(x, y=b.loop(x, result="sum", of="y", **attrs))
    values = numbers(3000, 16)
    found = run(simplify(unroll(drawn, copies)), {"x": values}, target)["y"]
    exact = (values.astype("float64") ** 2).sum(axis=0)
    assert np.abs(found - exact).max() <= 72 * np.finfo("float32").eps * exact.max()


def test_a_graph_without_loops_is_the_same() -> None:
    x = given("x", 3)
    without = graph(x, y=b.neg(x))
    assert unroll(without, "all") is without and unroll(without, 4) is without

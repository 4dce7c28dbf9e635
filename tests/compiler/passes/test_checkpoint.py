"""checkpoint: a loop of loops in the place of one that keeps every K-th state."""

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.checkpoint import checkpoint
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.primitives.recurrence import results_of
from diagrad.compiler.sizes import Dim, named

from ..building import b, given, graph, numbers, run

K = 3


def looped(steps: int | str, reverse: bool = False, keep: object = ("every", K)) -> Graph:
    """z(t) = tanh(z(t-1) + x(t) w), all of its results, and their derivatives."""
    entries = (
        given("x", 2, dtype="float64", role="sequence"),
        given("z", 2, dtype="float64", role="carry"),
        given("w", 2, dtype="float64", role="invariant"),
    )
    x, z, w = entries
    following = b.tanh(b.add(z, b.mul(x, w)))
    body = Graph("rnn", entries, (("y", b.mul(z, x)),), ((z, following),))
    outer = [given(name, *shape, dtype="float64") for name, shape in (
        ("x", (steps, 2)), ("z", (2,)), ("w", (2,))
    )]  # fmt: skip
    extent: Dim = outer[0].shape[0]
    results = {
        kind: b.loop(
            *outer, body=body, steps=extent, reverse=reverse, result=kind, of=of, keep=keep
        )
        for kind, of in (("stack", "y"), ("sum", "y"), ("last", "z"))
    }
    cost = b.reduce_sum(b.mul(results["sum"], results["last"]), axes=(0,))
    cost = b.add(cost, b.reduce_sum(b.sin(results["stack"]), axes=(0, 1)))
    slopes = {f"d{name}": b.gradient(cost, item) for name, item in zip("xzw", outer, strict=True)}
    return graph(*outer, outputs={**results, **slopes})


def described(found: Graph) -> set[tuple[str, str, str]]:
    """Of each loop: its steps, what its derivative keeps, and the steps of the loop inside."""
    lines = set()
    for first, *_ in results_of(found.nodes()).values():
        inner = results_of(first.attrs["body"].nodes()).values()
        steps = ",".join(str(item[0].attrs["steps"]) for item in inner)
        lines.add((str(first.attrs["steps"]), first.attrs["keep"], steps))
    return lines


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        (6, {("2", "carries", "3")}),
        (7, {("2", "carries", "3"), ("1", "all", "")}),
        (2, {("2", "all", "")}),
        (0, {("0", "all", "")}),
        ("T", {("((T)//3)", "carries", "3"), ("-3*((T)//3)+T", "all", "")}),
    ],
)
def test_segments_and_what_is_left_over(
    steps: int | str, wanted: set[tuple[str, str, str]]
) -> None:
    found = checkpoint(looped(steps))
    verify(found)
    assert described(found) == wanted


def test_a_number_of_steps_that_divides_leaves_nothing_over() -> None:
    entry = given("x", dtype="float64", role="sequence")
    body = Graph("map", (entry,), (("y", b.sin(entry)),), ())
    steps = named("S") * K
    x = b.apply("iota", axis=0, shape=(steps,), dtype="float64")
    y = b.loop(x, body=body, steps=steps, reverse=False, result="stack", of="y", keep=("every", K))
    assert described(checkpoint(graph(y=y))) == {("S", "carries", "3")}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 9])
def test_the_values_and_derivatives_stay(steps: int, reverse: bool) -> None:
    arrays = {
        "x": numbers(steps, 2, dtype="float64"),
        "z": numbers(2, seed=1, dtype="float64"),
        "w": numbers(2, seed=2, dtype="float64"),
    }
    plain = differentiate(looped("T", reverse, keep="all"))
    kept = differentiate(checkpoint(looped("T", reverse)))
    verify(kept)
    wanted, found = (run(item, arrays, sizes={"T": steps}) for item in (plain, kept))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


def test_the_derivative_keeps_one_state_for_each_segment() -> None:
    """Nothing that is as long as the loop is stored for the way back, but what is asked for."""

    def stored(found: Graph) -> list[Node]:
        return [
            node
            for node in found.nodes()
            if node.op == "loop" and node.attrs["result"] == "stack" and "kept" in node.attrs["of"]
        ]

    plain = stored(differentiate(looped("T", keep="all")))
    kept = stored(differentiate(checkpoint(looped("T"))))
    assert {str(node.shape[0]) for node in plain} == {"T"}
    assert {str(node.shape[0]) for node in kept} == {"((T)//3)", "-3*((T)//3)+T"}


def test_a_graph_without_such_loops_is_the_same() -> None:
    plain = looped("T", keep="all")
    assert described(checkpoint(plain)) == {("T", "all", "")}
    x = given("x", 3)
    without = graph(x, y=b.neg(x))
    assert checkpoint(without) is without

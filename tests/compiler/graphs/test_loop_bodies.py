"""Loops: rolled and unrolled are the same, and so are their derivatives of any order."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.binding import assign_sizes
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.primitives.recurrence import results_of
from diagrad.compiler.sizes import named

from ..building import b, given, graph, run

T, B = named("T"), named("B")
H = 3


def product(x: Node, w: Node) -> Node:
    return b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))


def recurrent(reverse: bool = False, keep: str = "all") -> tuple[dict[str, Node], dict[str, Node]]:
    """z(t) = tanh(z(t-1) w + x(t)); y(t) = z(t) z(t-1) c: its inputs, and its results."""
    entries = {
        "x": given("x", "B", H, dtype="float64", role="sequence"),
        "z": given("z", "B", H, dtype="float64", role="carry"),
        "w": given("w", H, H, dtype="float64", role="invariant"),
        "c": given("c", "B", H, dtype="float64", role="invariant"),
    }
    x, z, w, c = entries.values()
    following = b.tanh(b.add(product(z, w), x))
    y = b.mul(b.mul(following, z), c)
    body = Graph("rnn", tuple(entries.values()), (("y", y), ("z", following)), ((z, following),))
    outer = {
        "x": given("x", "T", "B", H, dtype="float64"),
        "z": given("z", "B", H, dtype="float64"),
        "w": given("w", H, H, dtype="float64", role="parameter"),
        "c": given("c", "B", H, dtype="float64"),
    }
    results = {
        f"{result}_{of}": b.loop(
            *outer.values(), body=body, steps=T, reverse=reverse, result=result, of=of, keep=keep
        )
        for result, of in (("stack", "y"), ("stack", "z"), ("sum", "y"), ("last", "z"))
    }
    return outer, results


def arrays(steps: int, batch: int) -> dict[str, Any]:
    rng = np.random.default_rng(steps * 10 + batch)
    shapes = {"x": (steps, batch, H), "z": (batch, H), "w": (H, H), "c": (batch, H)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def total(x: Node) -> Node:
    return b.reduce_sum(x, axes=tuple(range(x.type.rank)))


@pytest.mark.parametrize("keep", ["all", "carries"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_rolled_is_unrolled_to_the_third_derivative(
    steps: int, batch: int, reverse: bool, keep: str
) -> None:
    outer, results = recurrent(reverse, keep)
    cost = b.add(
        total(b.sin(results["stack_y"])), total(b.mul(results["last_z"], results["sum_y"]))
    )
    outputs = {**results, "cost": cost}
    for order in (1, 2, 3):
        found = {name: b.gradient(cost, item) for name, item in outer.items()}
        outputs |= {f"{order} {name}": item for name, item in found.items()}
        cost = b.add(total(b.mul(found["w"], found["w"])), total(b.sin(found["x"])))
    drawn = graph(*outer.values(), outputs=outputs)
    sizes = {"T": steps, "B": batch}
    given_arrays = arrays(steps, batch)
    rolled = simplify(differentiate(drawn))
    verify(rolled)
    flat = differentiate(simplify(unroll(assign_sizes(drawn, sizes), "all")))
    verify(flat)
    wanted = run(flat, given_arrays, sizes={"B": batch})
    found_values = run(rolled, given_arrays, sizes=sizes)
    again = run(unroll(assign_sizes(rolled, sizes), "all"), given_arrays, sizes={"B": batch})
    for name, value in wanted.items():
        scale = 1 + np.abs(value).max(initial=0)
        np.testing.assert_allclose(found_values[name], value, atol=1e-9 * scale, err_msg=name)
        np.testing.assert_allclose(again[name], value, atol=1e-9 * scale, err_msg=name)


def test_one_loop_forward_and_one_backward() -> None:
    outer, results = recurrent()
    cost = total(results["stack_y"])
    drawn = graph(*outer.values(), cost=cost, w=b.gradient(cost, outer["w"]), z=results["last_z"])
    assert len(results_of(differentiate(drawn).nodes())) == 2

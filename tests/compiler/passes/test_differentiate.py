"""differentiate: gradients as graphs, of any order, and what they cite."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.errors import InvalidGraphError, TypeRuleError
from diagrad.compiler.graph import Graph, Node, Origin
from diagrad.compiler.graphs import reverse as module
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.record import PRIMITIVES, Builder

from ..building import b, given, graph, number, numbers, run, state

X = np.array([0.3, 0.8, 1.7])


def total(x: Node) -> Node:
    return b.reduce_sum(x, axes=tuple(range(x.type.rank)))


def slope(y: Node, x: Node) -> Node:
    """The gradient of the sum of y's elements."""
    return b.gradient(total(y), x)


def test_before_and_after(golden: Callable[[str, str], None]) -> None:
    x, w = given("x", "B", 3), state("w", 3, 2)
    net = Builder(Origin("net", "m.py:1"))
    y = net.tanh(net.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2)))
    cost = Builder(Origin("cost", "m.py:2")).reduce_sum(y, axes=(0, 1))
    whole = graph(x, w, cost=cost, slope=b.gradient(cost, w))
    golden("differentiate/dense", f"{whole}\n{differentiate(whole)}")


THIRD: dict[str, tuple[Callable[[Node], Node], list[Callable[[np.ndarray], np.ndarray]]]] = {
    "cube": (
        lambda x: b.mul(x, b.mul(x, x)),
        [lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6 + 0 * x],
    ),
    "exp": (
        lambda x: b.exp(b.scale(x, 2.0)),
        [lambda x: 2 * np.exp(2 * x), lambda x: 4 * np.exp(2 * x), lambda x: 8 * np.exp(2 * x)],
    ),
    "log": (b.log, [lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3]),
    "sin": (b.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)]),
    "inverse": (
        lambda x: b.div(number(1, x), x),
        [lambda x: -1 / x**2, lambda x: 2 / x**3, lambda x: -6 / x**4],
    ),
    "root": (
        b.sqrt,
        [lambda x: x**-0.5 / 2, lambda x: -(x**-1.5) / 4, lambda x: 3 * x**-2.5 / 8],
    ),
    "power": (
        lambda x: b.pow(x, number(2.5, x)),
        [lambda x: 2.5 * x**1.5, lambda x: 3.75 * x**0.5, lambda x: 1.875 * x**-0.5],
    ),
    "tanh": (
        b.tanh,
        [
            lambda x: 1 - np.tanh(x) ** 2,
            lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
            lambda x: (6 * np.tanh(x) ** 2 - 2) * (1 - np.tanh(x) ** 2),
        ],
    ),
    "erf": (
        b.erf,
        [
            lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)),
            lambda x: -4 / np.sqrt(np.pi) * x * np.exp(-(x**2)),
            lambda x: (8 * x**2 - 4) / np.sqrt(np.pi) * np.exp(-(x**2)),
        ],
    ),
}


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_to_the_third_order(target: str) -> None:
    x = given("x", 3, dtype="float64")
    outputs = {}
    for name, (function, _) in THIRD.items():
        y = function(x)
        for order in (1, 2, 3):
            y = slope(y, x)
            outputs[f"{name} {order}"] = y
    values = run(prepare(graph(x, outputs=outputs)), {"x": X}, target)
    for name, (_, forms) in THIRD.items():
        for order, form in enumerate(forms, 1):
            got = values[f"{name} {order}"]
            np.testing.assert_allclose(got, form(X), rtol=1e-12, err_msg=f"{name} {order}")


def test_a_gradient_of_what_does_not_depend_is_zero() -> None:
    x, y = given("x", 3), given("y", "B", 2)
    floor = b.floor(x)
    whole = b.cast(b.cast(x, dtype="int32"), dtype="float32")
    chosen = b.select(b.gt(x, number(0, x)), number(1, x), number(2, x))
    outputs = {
        "other": slope(x, y), "integer": slope(whole, x),
        "floor": slope(floor, x), "mask": slope(chosen, x), "stopped": slope(b.stop_gradient(x), x),
        "itself": b.gradient(total(x), x),
    }  # fmt: skip
    arrays = {"x": numbers(3), "y": numbers(4, 2)}
    values = run(differentiate(graph(x, y, outputs=outputs)), arrays, sizes={"B": 4})
    assert values["other"].shape == (4, 2) and not values["other"].any()
    for name in ("integer", "floor", "mask", "stopped"):
        assert not values[name].any() and values[name].dtype == "float32"
    assert values["itself"].tolist() == [1, 1, 1]


def test_the_gradient_of_a_cost_by_itself_is_one() -> None:
    x = given("x")
    assert run(differentiate(graph(x, g=b.gradient(x, x))), {"x": np.float32(3)})["g"] == 1


def test_what_is_used_twice_adds_up() -> None:
    x = given("x", 3, dtype="float64")
    y = b.exp(x)
    shared = b.add(b.mul(y, y), b.add(y, x))
    values = run(differentiate(graph(x, g=slope(shared, x))), {"x": X})
    np.testing.assert_allclose(values["g"], 2 * np.exp(2 * X) + np.exp(X) + 1)
    square = run(differentiate(graph(x, g=slope(b.mul(x, x), x))), {"x": X})
    np.testing.assert_allclose(square["g"], 2 * X)


def test_through_a_variable_in_between() -> None:
    x = given("x", 3, dtype="float64")
    y = b.sin(x)
    z = b.mul(y, y)
    values = run(differentiate(graph(x, to_y=slope(z, y), to_x=slope(z, x))), {"x": X})
    np.testing.assert_allclose(values["to_y"], 2 * np.sin(X))
    np.testing.assert_allclose(values["to_x"], 2 * np.sin(X) * np.cos(X))


def test_a_gradient_inside_of_a_cost() -> None:
    """The penalty of a gradient: d/dx (d exp(x) / dx)^2 = 2 exp(2 x)."""
    x = given("x", 3, dtype="float64")
    g = slope(b.exp(x), x)
    values = run(differentiate(graph(x, g=slope(b.mul(g, g), x), first=g)), {"x": X})
    np.testing.assert_allclose(values["g"], 2 * np.exp(2 * X))
    np.testing.assert_allclose(values["first"], np.exp(X))


def test_one_cost_is_swept_once() -> None:
    x, y = given("x", 3), given("y", 3)
    cost = total(b.mul(b.exp(x), b.exp(y)))
    whole = differentiate(graph(x, y, gx=b.gradient(cost, x), gy=b.gradient(cost, y)))
    backward = [node.op for node in whole.nodes() if node.origin.direction == "backward"]
    assert backward.count("mul") == 4  # two for the product, one for each exponential


def test_backward_nodes_cite_their_forward_nodes() -> None:
    x = given("x", 3)
    net = Builder(Origin("net", "m.py:7"))
    y = net.tanh(x)
    whole = differentiate(graph(x, y=y, g=slope(y, x)))
    backward = [node for node in whole.nodes() if node.origin.direction == "backward"]
    citing = [node for node in backward if node.origin.forward is y]
    assert citing and all(node.origin.path == "net" for node in citing)
    assert all(node.origin.where == "m.py:7" for node in citing)
    assert all(node.origin.forward is not None for node in backward)


def test_updates_are_differentiated() -> None:
    w = state("w", 3, dtype="float64")
    step = b.sub(w, b.scale(slope(b.mul(w, w), w), 0.25))
    arrays = {"w": X.copy()}
    run(differentiate(graph(w, updates={w: step})), arrays)
    np.testing.assert_allclose(arrays["w"], X / 2)


def test_without_gradients_nothing_changes() -> None:
    x = given("x", 3)
    whole: Graph = graph(x, y=b.exp(x))
    assert differentiate(whole) is whole


def test_only_scalars_of_floats_have_gradients() -> None:
    x, i = given("x", 3), given("i", dtype="int32")
    with pytest.raises(TypeRuleError) as error:
        b.gradient(x, x)
    assert str(error.value) == "expected a scalar float cost, got float32[3]"
    with pytest.raises(TypeRuleError) as error:
        b.gradient(total(x), i)
    assert str(error.value) == "expected a float variable, got int32[]"


def test_a_wrong_rule_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    wrong = replace(PRIMITIVES["exp"], vjp=lambda b, n, g: (b.reduce_sum(g, axes=(0,)),))
    monkeypatch.setattr(module, "lookup", lambda op: wrong if op == "exp" else PRIMITIVES[op])
    x = given("x", 3)
    with pytest.raises(InvalidGraphError) as error:
        differentiate(graph(x, g=slope(b.exp(x), x)))
    assert str(error.value) == ("the derivative rule of exp gave float32[] for an input float32[3]")

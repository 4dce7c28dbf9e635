"""Gradients and Jacobians as variables: used again, differentiated again, trained through."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target, run

VALUE = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def observed(name: str = "x", shape: Any = (2, 3)) -> Any:
    return dg.observed(name, shape, "float64")


@pytest.mark.parametrize("target", TARGETS)
def test_one_variable_or_several(target: Target) -> None:
    x, y = observed(), observed("y")
    cost = dg.sum(x * x * y)
    alone = dg.gradient(cost, x)
    both = dg.gradient(cost, (x, y))
    assert isinstance(alone, dg.Variable) and isinstance(both, list)
    assert alone.shape == (2, 3) and alone.dtype == "float64"
    assert dg.gradient(cost, []) == []
    assert dg.gradient(cost, {}) == {}
    named = dg.gradient(cost, {"net/x": x, "y": y})
    assert list(named) == ["net/x", "y"]
    outputs = {"alone": alone, "x": both[0], "y": both[1], "named": named["net/x"]}
    found = run(outputs, target, x=VALUE, y=VALUE + 1)
    for name in ("alone", "x", "named"):
        np.testing.assert_allclose(found[name], 2 * VALUE * (VALUE + 1))
    np.testing.assert_allclose(found["y"], VALUE**2)


@pytest.mark.parametrize("target", TARGETS)
def test_by_a_computed_variable(target: Target) -> None:
    x = observed()
    y = dg.tanh(x)
    inner = dg.gradient(dg.sum(y * y * y), y)
    found = run({"inner": inner}, target, x=VALUE)
    np.testing.assert_allclose(found["inner"], 3 * np.tanh(VALUE) ** 2)


@pytest.mark.parametrize("target", TARGETS)
def test_where_the_cost_does_not_depend(target: Target) -> None:
    x, y = observed(), observed("y")
    found = run({"zero": dg.gradient(dg.sum(x), y), "one": dg.gradient(dg.sum(x), x) + y * 0.0},
                target, x=VALUE, y=VALUE)  # fmt: skip
    np.testing.assert_array_equal(found["zero"], np.zeros((2, 3)))
    np.testing.assert_array_equal(found["one"], np.ones((2, 3)))


@pytest.mark.parametrize("target", TARGETS)
def test_through_blocks_and_what_they_capture(target: Target) -> None:
    x, scale = observed(), observed("scale", (3,))

    @dg.block
    def gained(x: Any) -> Any:
        return dg.block(lambda z: z * scale)(x) * x

    cost = dg.sum(gained(x))
    found = run({"x": dg.gradient(cost, x), "scale": dg.gradient(cost, scale)},
                target, x=VALUE, scale=np.arange(3.0))  # fmt: skip
    np.testing.assert_allclose(found["x"], 2 * VALUE * np.arange(3.0))
    np.testing.assert_allclose(found["scale"], (VALUE**2).sum(axis=0))


@pytest.mark.parametrize("target", TARGETS)
def test_inside_of_a_block(target: Target) -> None:
    """A block may use a gradient as a learning rule does."""

    @dg.block
    def descend(w: Any, x: Any) -> Any:
        for _ in range(3):
            w = w - 0.1 * dg.gradient(dg.sum((w * x) ** 2), w)
        return w

    w, x = observed("w"), observed()
    found = run({"w": descend(w, x)}, target, w=VALUE, x=VALUE)
    np.testing.assert_allclose(found["w"], VALUE * (1 - 0.2 * VALUE**2) ** 3)


@pytest.mark.parametrize("target", TARGETS)
def test_to_the_third_order(target: Target) -> None:
    x = observed("x", ())
    outputs, y = {}, dg.exp(2.0 * x) + x**4
    for order in range(4):
        outputs[f"d{order}"] = y
        y = dg.gradient(y, x)
    found = run(outputs, target, x=np.array(0.5))
    wanted = [2.0**n * np.e + k for n, k in enumerate([1 / 16, 1 / 2, 3, 12])]
    np.testing.assert_allclose([found[f"d{n}"] for n in range(4)], wanted, rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_hessian_times_vector(target: Target) -> None:
    x, v = observed("x", (4,)), observed("v", (4,))
    slope = dg.gradient(dg.sum(dg.sin(x[1:] * x[:-1])), x)
    product = dg.gradient(dg.sum(slope * v), x)
    hessian = dg.jacobian(slope, x)
    rng = np.random.default_rng(3)
    here, along = rng.normal(size=(2, 4))
    program = dg.Diagram("h", {"slope": slope, "product": product, "hessian": hessian}).compile(
        target=target
    )

    def at(x: Array) -> dict[str, Array]:
        return program.run(x=x, v=along)

    found = at(here)
    np.testing.assert_allclose(found["hessian"], found["hessian"].T, atol=1e-14)
    np.testing.assert_allclose(found["hessian"] @ along, found["product"], rtol=1e-12)
    width = 1e-6
    difference = (at(here + width * along)["slope"] - at(here - width * along)["slope"]) / 2 / width
    np.testing.assert_allclose(found["product"], difference, atol=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_jacobian(target: Target) -> None:
    x, w = observed("x", (3,)), observed("w", (3, 2))
    y = dg.tanh(x @ w)
    outputs = {"x": dg.jacobian(y, x), "w": dg.jacobian(y, w), "scalar": dg.jacobian(y[0], x)}
    assert [item.shape for item in outputs.values()] == [(2, 3), (2, 3, 2), (3,)]
    values = {"x": VALUE[0], "w": VALUE.T}
    found = run(outputs, target, **values)
    inner = 1 - np.tanh(VALUE[0] @ VALUE.T) ** 2
    np.testing.assert_allclose(found["x"], inner[:, None] * VALUE)
    by_w = np.einsum("o,oj,i->oij", inner, np.eye(2), VALUE[0])
    np.testing.assert_allclose(found["w"], by_w, atol=1e-15)
    np.testing.assert_allclose(found["scalar"], found["x"][0])


@pytest.mark.parametrize("target", TARGETS)
def test_jacobian_by_a_variable_of_named_size(target: Target) -> None:
    x = observed("x", ("B", 2))
    found = dg.jacobian(dg.sum(x * x, axis=0), x)
    assert [str(extent) for extent in found.shape] == ["2", "B", "2"]
    value = run({"j": found}, target, x=VALUE[:, :2])["j"]
    np.testing.assert_allclose(value, np.einsum("ij,jk->kij", 2 * VALUE[:, :2], np.eye(2)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_penalty_on_the_gradient_is_trained_through(target: Target) -> None:
    """The step of cost + penalty is the one that central differences of the cost give."""
    x = observed("x", ("B", 2))
    net = dg.Chain(dg.Linear(2, 5, dtype="float64"), dg.tanh, dg.Linear(5, 1, dtype="float64"))
    answer = net(x)
    penalty = dg.sum(dg.gradient(dg.sum(answer), x) ** 2)
    diagram = dg.Diagram("penalty", {"answer": answer}, cost=dg.mean(answer**2) + penalty)
    program = diagram.compile(optimizer=dg.SGD(1.0), target=target, seed=5)
    start = {name: array.copy() for name, array in program.parameters.items()}
    value = np.random.default_rng(0).normal(size=(4, 2))
    program.step(x=value)
    slopes = {name: start[name] - array for name, array in program.parameters.items()}

    def cost_at(name: str, along: Array, width: float) -> float:
        for other, array in start.items():
            program.parameters[other] = array
        program.parameters[name] = start[name] + width * along
        return float(program.run(x=value)["cost"])

    for name, slope in slopes.items():
        along = np.random.default_rng(1).normal(size=slope.shape)
        difference = (cost_at(name, along, 1e-5) - cost_at(name, along, -1e-5)) / 2e-5
        np.testing.assert_allclose(np.sum(slope * along), difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_stop_gradient(target: Target) -> None:
    x = observed()
    found = run({"g": dg.gradient(dg.sum(x * dg.stop_gradient(x)), x)}, target, x=VALUE)
    np.testing.assert_array_equal(found["g"], VALUE)

"""NeuralODE against steps in NumPy and the exact solution, and its errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, text
from .recurrent_cases import Array

METHODS: tuple[Any, ...] = ("euler", "midpoint", "rk4")


def step(field: Callable[[Array, float], Array], z: Array, t: float, dt: float, how: str) -> Array:
    first = field(z, t)
    if how == "euler":
        return z + dt * first
    second = field(z + dt / 2 * first, t + dt / 2)
    if how == "midpoint":
        return z + dt * second
    third = field(z + dt / 2 * second, t + dt / 2)
    fourth = field(z + dt * third, t + dt)
    fourth_order: Array = z + dt / 6 * (first + 2 * second + 2 * third + fourth)
    return fourth_order


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_steps_of_a_field_of_state_and_time(method: Any, target: Target) -> None:
    z = dg.observed("z", ("B", 3), "float64")
    linear = dg.Linear(3, 3, dtype="float64")
    solver = dg.NeuralODE(
        lambda z, t: dg.tanh(linear(z)) * dg.cos(3 * t), 0.1, 4, method, time=True, trajectory=True
    )
    last, states = solver(z)
    program = dg.Diagram("test", {"last": last, "states": states}).compile(target=target)
    weight = next(iter(program.parameters.values()))
    for samples in (3, 1, 0):
        value = np.random.default_rng(samples).normal(size=(samples, 3))
        found = program.run(z=value)
        assert found["states"].shape == (4, samples, 3)
        for number in range(4):
            value = step(
                lambda z, t: np.tanh(z @ weight) * np.cos(3 * t), value, 0.1 * number, 0.1, method
            )
            np.testing.assert_allclose(found["states"][number], value, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(found["last"], found["states"][3])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence(method: Any, order: int, target: Target) -> None:
    """A rotation, whose exact solution is known, at step widths that halve."""
    field = dg.constant(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    z = dg.observed("z", (2,), "float64")
    ends = {f"n{n}": dg.NeuralODE(lambda z: field @ z, 1 / n, n, method)(z) for n in (16, 32, 64)}
    found = dg.Diagram("test", ends).compile(target=target).run(z=np.array([1.0, 0.0]))
    exact = np.array([np.cos(1), -np.sin(1)])
    errors = [np.linalg.norm(value - exact) for value in found.values()]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, [order, order], atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method: Any) -> None:
    matrix = np.random.default_rng(0).normal(size=(2, 2))
    solver = dg.NeuralODE(lambda z: dg.tanh(z @ matrix), 0.2, 3, method, checkpoint=2)
    check_derivatives(solver, np.random.default_rng(1).normal(size=(3, 2)))


def test_a_block_for_a_field_is_held() -> None:
    z = dg.observed("z", ("B", 2))
    solver = dg.NeuralODE(dg.Chain(dg.Linear(2, 4), dg.tanh, dg.Linear(4, 2)), 0.1, 5, name="ode")
    program = dg.Diagram("test", {"z": solver(z)}).compile(target="reference")
    names = [f"ode/field/{i}/{name}" for i in (0, 2) for name in ("weight", "bias")]
    assert list(program.parameters) == names
    nothing = dg.Diagram("test", {"z": dg.NeuralODE(dg.tanh, 0.1, 0)(z)}).compile()
    value = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(nothing.run(z=value)["z"], value)


def test_errors() -> None:
    z = dg.observed("z", ("B", 2))
    with pytest.raises(ValueError) as error:
        dg.NeuralODE(dg.tanh, 0.1, 5, "heun", name="ode")  # type: ignore[arg-type]
    assert text(error.value) == (
        "NeuralODE 'ode' (m.py:1) expects method to be 'euler', 'midpoint' or 'rk4', got 'heun'"
    )
    with pytest.raises(dg.ShapeError) as mistake:
        dg.Diagram("test", {"z": dg.NeuralODE(lambda z: dg.sum(z, 1), 0.1, 5, name="ode")(z)})
    assert text(mistake.value) == (
        "NeuralODE 'ode' (m.py:1) expects a field of float32 (B, 2) like z, got float32 (B,) from "
        "sum (m.py:1)"
    )
    with pytest.raises(ValueError) as rate:
        dg.LeakyIntegrator(3, 1.5)
    assert text(rate.value) == "LeakyIntegrator (m.py:1) expects a rate in [0, 1], got 1.5"
    with pytest.raises(dg.ShapeError) as shape:
        dg.Diagram("test", {"z": dg.LeakyIntegrator(3, 0.5, name="leak")(z, z)})
    assert text(shape.value) == (
        "LeakyIntegrator 'leak' (m.py:1) expects variables of shape (..., 3), got (B, 2) from "
        "observed 'z' (m.py:1)"
    )

"""Initialisers: their distributions, that dtypes and neighbours do not matter, and their errors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.init import initial_value

from .evaluating import text

init = dg.init
SHAPE = (300, 200)
SCALED = {
    "kaiming_uniform": (init.kaiming_uniform(), 2 / 300),
    "kaiming_uniform outputs": (init.kaiming_uniform(mode="outputs"), 2 / 200),
    "kaiming_uniform tanh": (init.kaiming_uniform("tanh"), (5 / 3) ** 2 / 300),
    "kaiming_normal": (init.kaiming_normal(), 2 / 300),
    "kaiming_normal fan": (init.kaiming_normal(fan=(50, 1)), 2 / 50),
    "xavier_uniform": (init.xavier_uniform(), 2 / 500),
    "xavier_normal": (init.xavier_normal(), 2 / 500),
    "lecun_uniform": (init.lecun_uniform(), 1 / 300),
    "lecun_normal": (init.lecun_normal(), 1 / 300),
    "uniform": (init.uniform(-2, 1), 9 / 12),
    "normal": (init.normal(3.0, 0.5), 0.25),
}


def draw(initialiser: Any, shape: tuple[int, ...] = SHAPE, dtype: str = "float64") -> Any:
    return initialiser(np.random.default_rng(0), shape, dtype)


@pytest.mark.parametrize("name", SCALED)
def test_variance(name: str) -> None:
    initialiser, variance = SCALED[name]
    value = draw(initialiser)
    assert value.var() == pytest.approx(variance, rel=0.02)
    if "uniform" in name:
        half = math.sqrt(3 * variance)
        assert abs(value - value.mean()).max() == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize("name", SCALED)
def test_every_dtype_sees_the_same_numbers(name: str) -> None:
    initialiser, _ = SCALED[name]
    narrow = draw(initialiser, dtype="float32")
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, draw(initialiser).astype(np.float32))


def test_means() -> None:
    assert draw(init.uniform(-2, 1)).mean() == pytest.approx(-0.5, abs=0.01)
    assert draw(init.normal(3.0, 0.5)).mean() == pytest.approx(3.0, abs=0.01)


def test_fans_of_a_convolution() -> None:
    value = draw(init.lecun_normal(), (30, 5, 5, 40))
    assert value.var() == pytest.approx(1 / (30 * 25), rel=0.03)
    value = draw(init.kaiming_normal("linear", mode="outputs"), (30, 5, 5, 40))
    assert value.var() == pytest.approx(1 / (40 * 25), rel=0.03)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4), (6, 1)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    value = draw(init.orthogonal(2.0), shape).reshape(-1, shape[-1])
    small = value.T @ value if value.shape[0] >= value.shape[1] else value @ value.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_constants() -> None:
    np.testing.assert_array_equal(draw(init.zeros, (2,)), [0, 0])
    np.testing.assert_array_equal(draw(init.ones, (2,)), [1, 1])
    np.testing.assert_array_equal(draw(init.constant(0.5), (2,)), [0.5, 0.5])
    np.testing.assert_array_equal(draw(init.identity(3), (2, 3)), [[3, 0, 0], [0, 3, 0]])


def test_initialisers_are_compared_and_printed_by_what_they_are() -> None:
    assert init.uniform(0, 1) == init.uniform(0, 1) != init.uniform(0, 2)
    assert repr(init.constant(2.0)) == "Constant(value=2.0)"


def test_what_a_parameter_starts_with_depends_on_seed_and_name_alone() -> None:
    weight = dg.parameter("w", (4, 3))
    first = initial_value(weight, "net/w", 0)
    assert first.dtype == np.float32 and first.shape == (4, 3)
    np.testing.assert_array_equal(first, initial_value(weight, "net/w", 0))
    assert (first != initial_value(weight, "net/v", 0)).all()
    assert (first != initial_value(weight, "net/w", 1)).all()
    wide = initial_value(dg.parameter("w", (4, 3), dtype="float64"), "net/w", 0)
    np.testing.assert_array_equal(first, wide.astype(np.float32))


def test_by_default_weights_are_lecuns_and_biases_zero() -> None:
    weight = initial_value(dg.parameter("w", (300, 200)), "w", 0)
    assert np.abs(weight).max() == pytest.approx(math.sqrt(3 / 300), rel=1e-3)
    assert not initial_value(dg.parameter("b", (5,)), "b", 0).any()
    assert initial_value(dg.parameter("s"), "s", 0).shape == ()


def test_numbers_arrays_and_functions() -> None:
    given = np.arange(6.0).reshape(3, 2).T
    cases = [
        (2, np.full((2, 3), 2)),
        (0.5, np.full((2, 3), 0.5)),
        (given, given),
        (given.tolist(), given),
        (lambda rng, shape, dtype: np.ones(shape), np.ones((2, 3))),
    ]
    for value, expected in cases:
        found = initial_value(dg.parameter("w", (2, 3), init=value), "w", 0)
        assert found.dtype == np.float32 and found.flags.c_contiguous and found.flags.writeable
        np.testing.assert_array_equal(found, expected)
        assert found is not value


def test_a_value_that_does_not_fit() -> None:
    weight = dg.parameter("w", (2, 3), init=np.ones((3, 2)))
    with pytest.raises(dg.ShapeError) as error:
        initial_value(weight, "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values of shape (2, 3), got (3, 2)"
    )
    count = dg.parameter("n", (2,), init=0.5, dtype="int32")
    with pytest.raises(dg.DtypeError) as wrong:
        initial_value(count, "n", 0)
    assert text(wrong.value) == (
        "parameter 'n' (m.py:1) expects initial values that become int32, got float64"
    )


def test_an_initialiser_that_is_none() -> None:
    with pytest.raises(TypeError) as error:
        initial_value(dg.parameter("w", (2, 3), init=init.xavier_normal), "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values of an initialiser, got the function "
        "xavier_normal: call it, dg.init.xavier_normal()"
    )
    with pytest.raises(TypeError) as error:
        initial_value(dg.parameter("w", (2, 3), init="xavier"), "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values from an initialiser of dg.init, a number or "
        "an array, got str"
    )


def test_shapes_that_an_initialiser_cannot_take() -> None:
    expected = {
        init.lecun_normal(): "expected a weight of two or more axes to count its inputs, got shape "
        "(5,): give fan=(inputs, outputs)",
        init.orthogonal(): "orthogonal expects two or more axes, got (5,)",
        init.identity(): "identity expects two axes, got (5,)",
    }
    for initialiser, message in expected.items():
        with pytest.raises(dg.ShapeError) as error:
            draw(initialiser, (5,))
        assert str(error.value) == message


def test_arguments_out_of_range() -> None:
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: init.uniform(1, 0), "uniform expects low <= high, got 1 and 0"),
        (lambda: init.normal(0, -1), "normal expects a deviation of 0 or more, got -1"),
        (
            lambda: init.kaiming_uniform("relu6"),
            "expected a nonlinearity out of linear, sigmoid, tanh, relu, leaky_relu, selu, got "
            "'relu6'",
        ),
    ]
    for make, message in cases:
        with pytest.raises(ValueError) as error:
            make()
        assert str(error.value) == message

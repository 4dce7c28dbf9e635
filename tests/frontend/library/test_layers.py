"""Linear and Flatten: values, whose parameters they hold, and their errors word for word."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, run, text


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_linear(shape: tuple[int, ...], target: Target) -> None:
    x = dg.observed("x", shape)
    fc = dg.Linear(4, 5, bias_init=dg.init.normal(), name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    value = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weight, bias = program.parameters["fc/weight"], program.parameters["fc/bias"]
    assert weight.shape == (4, 5) and bias.shape == (5,) and bias.any()
    np.testing.assert_allclose(
        program.run(x=value)["y"], value @ weight + bias, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_bias(target: Target) -> None:
    x = dg.observed("x", ("B", 4))
    fc = dg.Linear(4, 5, bias=False, weight_init=dg.init.ones, name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    assert list(program.parameters) == ["fc/weight"]
    y = program.run(x=np.ones((2, 4), np.float32))["y"]
    np.testing.assert_array_equal(y, np.full((2, 5), 4))


@pytest.mark.parametrize("target", TARGETS)
def test_in_double_precision(target: Target) -> None:
    x = dg.observed("x", ("B", 4), "float64")
    fc = dg.Linear(4, 5, dtype="float64", name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    value = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(
        program.run(x=value)["y"], value @ program.parameters["fc/weight"], rtol=1e-13
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_weight_that_a_network_computes(target: Target) -> None:
    u = dg.observed("u", (2, 3))
    x = dg.observed("x", ("B", 2))
    y = dg.Linear(2, 3, weight=dg.relu(u), bias=u[0])(x)
    values = {"u": np.array([[1.0, -1, 2], [3, 4, -5]]), "x": np.eye(2)}
    arrays = {name: value.astype(np.float32) for name, value in values.items()}
    found = run({"y": y}, target, **arrays)["y"]
    np.testing.assert_array_equal(found, np.maximum(values["u"], 0) + values["u"][0])


@pytest.mark.parametrize("target", TARGETS)
def test_arrays_are_constants(target: Target) -> None:
    fc = dg.Linear(3, 3, bias=False, weight_init=dg.init.identity(), name="fc")
    scores = fc(np.zeros((4, 3), np.float32))
    outputs = {
        "p": dg.softmax(scores),
        "q": dg.softmax(np.zeros((4, 3))),
        "c": dg.cross_entropy(np.zeros((4, 3)), np.zeros(4, np.int64)),
    }
    found = run(outputs, target)
    np.testing.assert_allclose(found["p"], np.full((4, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(found["q"], np.full((4, 3), 1 / 3), rtol=1e-14)
    assert found["c"] == pytest.approx(np.log(3), rel=1e-14)


def test_a_parameter_that_two_layers_share_keeps_its_name() -> None:
    weight, bias = dg.parameter("shared", (4, 4)), dg.parameter("shift", (4,))
    x = dg.observed("x", ("B", 4))
    first = dg.Linear(4, 4, weight=weight, bias=bias, name="first")
    second = dg.Linear(4, 4, weight=weight, name="second")
    diagram = dg.Diagram("test", {"y": second(first(x))})
    assert list(diagram.parameters) == ["shared", "shift", "second/bias"]
    assert first.parameters() == {"shared": weight, "shift": bias}


def test_parameters_of_a_chain() -> None:
    x = dg.observed("x", ("B", 2, 3))
    net = dg.Chain(dg.Flatten(), dg.Linear(6, 4), dg.relu, dg.Linear(4, 1), name="net")
    diagram = dg.Diagram("test", {"y": net(x)})
    assert {name: item.shape for name, item in diagram.parameters.items()} == {
        "net/1/weight": (6, 4), "net/1/bias": (4,), "net/3/weight": (4, 1), "net/3/bias": (1,),
    }  # fmt: skip


def test_a_wrong_number_of_features() -> None:
    x = dg.observed("x", ("B", 16, 4, 4))
    flat = dg.Flatten(name="flat")(x)
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": dg.Linear(400, 120, name="fc1")(flat)})
    assert text(error.value) == (
        "Linear 'fc1' (m.py:1) expects 400 features, got 256 from Flatten 'flat' (m.py:1)"
    )


def test_the_places_in_an_error_are_the_users_lines() -> None:
    x = dg.observed("x", ("B", 16, 4, 4))
    flat = dg.Flatten(name="flat")(x)
    y = dg.Linear(400, 120, name="fc1")(flat)
    (mistake,) = y.mistakes
    line = test_the_places_in_an_error_are_the_users_lines.__code__.co_firstlineno
    assert str(mistake) == (
        f"Linear 'fc1' (test_layers.py:{line + 3}) expects 400 features, got 256 from "
        f"Flatten 'flat' (test_layers.py:{line + 2})"
    )


def test_wrong_features_inside_a_chain() -> None:
    x = dg.observed("x", ("B", 3))
    net = dg.Chain(dg.Linear(3, 4), dg.relu, dg.Linear(5, 1), name="net")
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": net(x)})
    assert text(error.value) == (
        "Linear 'net/2' (m.py:1) expects 5 features, got 4 from relu (m.py:1)"
    )


def test_other_mistakes() -> None:
    wide = dg.observed("wide", ("B", 3), "float64")
    number = dg.observed("number", ())
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: dg.Linear(3, 2, name="fc")(number), dg.ShapeError,
         "Linear 'fc' (m.py:1) expects 3 features, got shape () from observed 'number' (m.py:1)"),
        (lambda: dg.Linear(3, 2, name="fc")(wide), dg.DtypeError,
         "Linear 'fc' (m.py:1) expects float32 features like its weight, got float64 from observed "
         "'wide' (m.py:1): convert one with .astype(\"float32\")"),
        (lambda: dg.Flatten(name="flat")(number), dg.ShapeError,
         "Flatten 'flat' (m.py:1) expects more than 1 axes, got () from observed 'number' "
         "(m.py:1)"),
    ]  # fmt: skip
    for make, kind, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is kind
        assert text(mistake) == expected


@pytest.mark.parametrize("target", TARGETS)
def test_flatten(target: Target) -> None:
    x = dg.observed("x", ("B", 2, 3, 4))
    value = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    outputs = {"all": dg.Flatten(0)(x), "rest": dg.Flatten()(x), "last": dg.Flatten(2)(x)}
    found = run(outputs, target, x=value)
    assert {name: item.shape for name, item in found.items()} == {
        "all": (48,), "rest": (2, 24), "last": (2, 2, 12),
    }  # fmt: skip
    with pytest.raises(ValueError) as error:
        dg.Flatten(-1)
    assert re.sub(r":\d+", "", str(error.value)) == (
        "Flatten (test_layers.py) expects start to be an integer of 0 or more, got -1"
    )

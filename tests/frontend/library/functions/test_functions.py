"""The functions: values and derivatives against PyTorch and finite differences, errors."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, apply, assert_close, check_derivatives, gradients, text

# Smooth and not, at kinks and at both ends.
POSITIVE = np.array([1e-4, 0.25, 0.5, 1.0, 2.0, 3.0, 20.0, 90.0, 200.0, 1e4])
POINTS = np.concatenate([-POSITIVE, [0.0], POSITIVE])
ELEMENTWISE: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "relu": (lambda x: dg.relu(x), "relu", {}),
    "leaky_relu": (lambda x: dg.leaky_relu(x), "leaky_relu", {}),
    "leaky_relu 0.2": (
        lambda x: dg.leaky_relu(x, slope=0.2), "leaky_relu", {"negative_slope": 0.2}
    ),
    "elu": (lambda x: dg.elu(x), "elu", {}),
    "elu 0.5": (lambda x: dg.elu(x, alpha=0.5), "elu", {"alpha": 0.5}),
    "gelu": (lambda x: dg.gelu(x), "gelu", {}),
    "gelu tanh": (lambda x: dg.gelu(x, approximate="tanh"), "gelu", {"approximate": "tanh"}),
    "silu": (lambda x: dg.silu(x), "silu", {}),
    "softplus": (lambda x: dg.softplus(x), "softplus", {"threshold": 1e9}),
    "hard_tanh": (lambda x: dg.hard_tanh(x), "hardtanh", {}),
    "soft_shrink": (lambda x: dg.soft_shrink(x), "softshrink", {}),
    "hard_shrink": (lambda x: dg.hard_shrink(x), "hardshrink", {}),
}  # fmt: skip
ROWS: dict[str, Callable[..., Any]] = {
    "softmax": lambda x, **options: dg.softmax(x, **options),
    "log_softmax": lambda x, **options: dg.log_softmax(x, **options),
    "logsumexp": lambda x, **options: dg.logsumexp(x, **options),
}
TOLERANCE = {"float32": (3e-6, 1e-6), "float64": (1e-12, 1e-12)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_gradient_are_pytorchs(name: str, dtype: str, target: Target) -> None:
    torch = pytest.importorskip("torch")
    function, theirs, options = ELEMENTWISE[name]
    x = POINTS.astype(dtype)
    wanted = torch.tensor(x, requires_grad=True)
    value = getattr(torch.nn.functional, theirs)(wanted, **options)
    if name == "softplus":  # theirs overflows without its threshold
        value = torch.logaddexp(wanted, torch.zeros_like(wanted))
    value.sum().backward()
    ours = apply(function, x, target=target)
    assert ours.dtype == dtype
    assert_close(ours, value.detach().numpy(), *TOLERANCE[dtype])
    (slope,) = gradients(function, x, target=target)
    assert_close(slope, wanted.grad.numpy(), *TOLERANCE[dtype])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivatives_to_second_order(name: str) -> None:
    check_derivatives(ELEMENTWISE[name][0], np.array([-3.3, -1.7, -0.6, -0.3, 0.2, 0.7, 1.6, 4.1]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivatives_are_finite_everywhere(name: str, target: Target) -> None:
    function = ELEMENTWISE[name][0]
    most = np.finfo(np.float32).max
    x = np.concatenate([POINTS, [-most, -1e20, 1e20, most]]).astype(np.float32)

    def slope(x: Any) -> Any:
        return dg.gradient(dg.sum(function(x)), x)

    assert np.isfinite(apply(slope, x, target=target)).all()
    assert np.isfinite(gradients(slope, x, target=target)[0]).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_stays_nan(name: str, target: Target) -> None:
    value = apply(ELEMENTWISE[name][0], np.array([np.nan, 1.0], np.float32), target=target)
    assert np.isnan(value).tolist() == [True, False]


def test_derivatives_at_zero() -> None:
    zero = np.zeros(1)
    expected = {
        "relu": 0.0, "leaky_relu": 0.01, "elu": 1.0, "elu 0.5": 0.5, "gelu": 0.5,
        "gelu tanh": 0.5, "silu": 0.5, "softplus": 0.5, "hard_tanh": 1.0, "soft_shrink": 0.0,
        "hard_shrink": 0.0,
    }  # fmt: skip
    found = {name: gradients(ELEMENTWISE[name][0], zero)[0][0] for name in expected}
    assert found == pytest.approx(expected)
    (curve,) = gradients(lambda x: dg.gradient(dg.sum(dg.softplus(x)), x), zero)
    assert curve[0] == 0.25


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_pytorchs(name: str, axis: int, dtype: str, target: Target) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, 2)).astype(dtype) * 30
    x[0, 0] = 1e4
    weights = rng.normal(size=x.shape if name != "logsumexp" else np.sum(x, axis).shape)
    wanted = torch.tensor(x.astype(np.float64), requires_grad=True)
    value = getattr(torch, name)(wanted, axis)
    (value * torch.tensor(weights)).sum().backward()
    ours = apply(lambda x: ROWS[name](x, axis=axis), x, target=target)
    assert_close(ours, value.detach().numpy(), *TOLERANCE[dtype])
    scale = dg.constant(weights, dtype)
    (slope,) = gradients(lambda x: ROWS[name](x, axis=axis) * scale, x, target=target)
    assert_close(slope, wanted.grad.numpy(), *TOLERANCE[dtype])


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("name", ROWS)
def test_derivatives_of_rows_to_second_order(name: str, axis: int) -> None:
    x = np.random.default_rng(1).normal(size=(4, 3)) * 2
    check_derivatives(lambda x: ROWS[name](x, axis=axis), x)


@pytest.mark.parametrize("target", TARGETS)
def test_logsumexp_over_nothing_but_minus_infinity(target: Target) -> None:
    x = np.array([[-np.inf, -np.inf], [0.0, -np.inf], [np.inf, 1.0]], np.float32)
    np.testing.assert_array_equal(apply(dg.logsumexp, x, target=target), [-np.inf, 0.0, np.inf])
    (slope,) = gradients(dg.logsumexp, x[:2], target=target)
    np.testing.assert_array_equal(slope, [[0.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize("target", TARGETS)
def test_infinite_scores(target: Target) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[inf, 1, 2], [inf, inf, 1], [-inf, -inf, -inf], [-inf, 0, 0]], np.float32)
    wanted = [[nan, 0, 0], [nan, nan, 0], [nan, nan, nan], [0, 0.5, 0.5]]
    np.testing.assert_allclose(apply(dg.softmax, x, target=target), wanted, 1e-6)
    logs = [[nan, -inf, -inf], [nan, nan, -inf], [nan, nan, nan], [-inf, *[-math.log(2)] * 2]]
    np.testing.assert_allclose(apply(dg.log_softmax, x, target=target), logs, 1e-6)
    np.testing.assert_array_equal(
        apply(lambda x: dg.cross_entropy(x, dg.constant([1, 2, 0, 0]), reduction="none"), x,
              target=target), [inf, inf, nan, inf],
    )  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_logsumexp_over_several_axes(target: Target) -> None:
    x = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
    expected = np.log(np.exp(x).sum((0, 2)))
    ours = apply(lambda x: dg.logsumexp(x, axis=(0, 2)), x, target=target)
    assert_close(ours, expected, rtol=1e-6)
    ours = apply(lambda x: dg.logsumexp(x, axis=(0, 2), keepdims=True), x, target=target)
    assert_close(ours, expected[None, :, None], rtol=1e-6)
    ours = apply(lambda x: dg.logsumexp(x, axis=None), x, target=target)
    assert_close(ours, math.log(np.exp(x).sum()), rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_a_softmax_sums_to_one_for_scores_of_any_size(target: Target) -> None:
    x = np.array([[3e38, -3e38, 0.0], [-3e38, -3e38, -3e38], [1.0, 2.0, -np.inf]], np.float32)
    y = apply(dg.softmax, x, target=target)
    assert_close(y.sum(-1), 1.0, rtol=1e-6)
    assert y[2, 2] == 0


def test_each_is_drawn_as_one_bullet() -> None:
    x = dg.observed("x", ("B", 3))
    names = [
        "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "softmax", "log_softmax",
        "logsumexp", "hard_tanh", "soft_shrink", "hard_shrink",
    ]  # fmt: skip
    for name in names:
        producer = getattr(dg, name)(x).producer
        assert producer.label == name
        assert producer.inputs == (x,)
        assert getattr(dg, name).__doc__


def test_integers_are_no_scores() -> None:
    x = dg.observed("x", ("B", 3), "int32")
    with pytest.raises(dg.DtypeError) as error:
        dg.Diagram("test", {"y": dg.softmax(x)})
    assert text(error.value) == (
        "softmax (m.py:1) expects floats, got int32 from observed 'x' (m.py:1): convert it with "
        '.astype("float32")'
    )


def test_a_number_has_no_axis_to_sum_over() -> None:
    x = dg.observed("x", ())
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": dg.logsumexp(x)})
    assert text(error.value) == (
        "logsumexp (m.py:1) expects at least one axis, got shape () from observed 'x' (m.py:1)"
    )


def test_options_out_of_range() -> None:
    x = dg.observed("x", (3,))
    with pytest.raises(ValueError) as error:
        dg.gelu(x, approximate="sigmoid")
    line = r" \(test_functions.py:\d+\)"
    assert re.sub(line, "", str(error.value)) == (
        "gelu expects approximate to be 'none' or 'tanh', got 'sigmoid'"
    )
    for name in ("soft_shrink", "hard_shrink"):
        for threshold in (-1, float("nan")):
            with pytest.raises(ValueError) as error:
                getattr(dg, name)(x, threshold=threshold)
            assert re.sub(line, "", str(error.value)) == (
                f"{name} expects threshold to be a number of 0 or more, got {threshold}"
            )

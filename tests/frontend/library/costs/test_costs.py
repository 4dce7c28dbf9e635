"""The costs: values and gradients against PyTorch, extreme scores, errors word for word."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import (
    TARGETS,
    Array,
    Target,
    apply,
    assert_close,
    check_derivatives,
    gradients,
    text,
)

ELEMENTS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "squared_error": (dg.squared_error, "mse_loss", {}),
    "absolute_error": (dg.absolute_error, "l1_loss", {}),
    "huber": (dg.huber, "huber_loss", {}),
    "huber 0.3": (lambda *v, **o: dg.huber(*v, delta=0.3, **o), "huber_loss", {"delta": 0.3}),
    "binary_cross_entropy": (dg.binary_cross_entropy, "binary_cross_entropy_with_logits", {}),
}
LABELS = {"cross_entropy": "cross_entropy", "nll": "nll_loss"}
TOLERANCE = {"float32": (3e-6, 1e-7), "float64": (1e-12, 1e-14)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ELEMENTS)
def test_costs_of_elements_are_pytorchs(
    name: str, reduction: str, dtype: str, target: Target
) -> None:
    torch = pytest.importorskip("torch")
    function, theirs, options = ELEMENTS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3)).astype(dtype) * 2
    t = rng.uniform(size=(7, 3)).astype(dtype)
    x[0, 0] = t[0, 0]
    wanted = torch.tensor(x, requires_grad=True)
    value = getattr(torch.nn.functional, theirs)(
        wanted, torch.tensor(t), reduction=reduction, **options
    )
    value.sum().backward()

    def ours(x: Any, t: Any) -> Any:
        return function(x, t, reduction=reduction)

    assert_close(apply(ours, x, t, target=target), value.detach().numpy(), *TOLERANCE[dtype])
    slope = gradients(ours, x, t, target=target)[0]
    assert_close(slope, wanted.grad.numpy(), *TOLERANCE[dtype])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels_dtype", ["int32", "int64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LABELS)
def test_costs_of_labels_are_pytorchs(
    name: str, reduction: str, labels_dtype: str, dtype: str, target: Target
) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 5)).astype(dtype) * 3
    labels = rng.integers(0, 5, 6).astype(labels_dtype)
    wanted = torch.tensor(x, requires_grad=True)
    value = getattr(torch.nn.functional, LABELS[name])(
        wanted, torch.tensor(labels).long(), reduction=reduction
    )
    value.sum().backward()
    ours = _with_labels(name, labels, reduction)
    assert_close(apply(ours, x, target=target), value.detach().numpy(), *TOLERANCE[dtype])
    slope = gradients(ours, x, target=target)[0]
    assert_close(slope, wanted.grad.numpy(), *TOLERANCE[dtype])


def _with_labels(name: str, labels: Array, reduction: str = "mean") -> Callable[..., Any]:
    cost = getattr(dg, name)
    return lambda x: cost(x, dg.constant(labels), reduction=reduction)


@pytest.mark.parametrize("target", TARGETS)
def test_labels_of_several_axes_and_of_none(target: Target) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    labels = np.array([[0, 3, 1], [2, 2, 0]])
    flat = apply(_with_labels("cross_entropy", labels.reshape(-1)), x.reshape(6, 4), target=target)
    assert_close(apply(_with_labels("cross_entropy", labels), x, target=target), flat, rtol=1e-14)
    one = apply(_with_labels("cross_entropy", labels[0, 1]), x[0, 1], target=target)
    expected = np.log(np.exp(x[0, 1]).sum()) - x[0, 1, 3]
    assert_close(one, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTS)
def test_derivatives_of_elements_to_second_order(name: str) -> None:
    rng = np.random.default_rng(3)
    check_derivatives(ELEMENTS[name][0], rng.normal(size=(3, 2)), rng.uniform(size=(3, 2)))


@pytest.mark.parametrize("name", LABELS)
def test_derivatives_of_labels_to_second_order(name: str) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4))
    check_derivatives(_with_labels(name, np.array([3, 0, 1])), x)


@pytest.mark.parametrize("target", TARGETS)
def test_hinge(target: Target) -> None:
    score = np.array([2.0, 1.0, 0.5, -3.0, 0.0], np.float32)
    side = np.array([1.0, 1.0, 1.0, 1.0, -1.0], np.float32)

    def costs(score: Any, side: Any) -> Any:
        return dg.hinge(score, side, reduction="none")

    np.testing.assert_array_equal(
        apply(costs, score, side, target=target), [0.0, 0.0, 0.5, 4.0, 1.0]
    )
    np.testing.assert_array_equal(
        gradients(costs, score, side, target=target)[0], [0.0, 0.0, -1.0, -1.0, 1.0]
    )


@pytest.mark.parametrize("target", TARGETS)
def test_costs_of_large_scores_are_finite_and_precise(target: Target) -> None:
    x = np.array([[1e30, 0.0], [0.0, 1e30], [-1e30, -1e30], [0.0, -np.inf]], np.float32)
    labels = np.array([0, 0, 1, 0])
    ours = _with_labels("cross_entropy", labels, "none")
    assert_close(apply(ours, x, target=target), [0.0, 1e30, np.log(2.0), 0.0], rtol=1e-6)
    assert_close(
        gradients(ours, x, target=target)[0], [[0, 0], [-1, 1], [0.5, -0.5], [0, 0]], atol=1e-7
    )
    x = np.array([20.0, -20.0, 1e30, -1e30, 1e30], np.float32)
    t = np.array([1.0, 0.0, 1.0, 0.0, 0.0], np.float32)

    def binary(x: Any, t: Any) -> Any:
        return dg.binary_cross_entropy(x, t, reduction="none")

    small = np.log1p(np.exp(-20.0))
    assert_close(apply(binary, x, t, target=target), [small, small, 0, 0, 1e30], 1e-6)
    slope = gradients(binary, x, t, target=target)[0]
    assert_close(slope, [-small, small, 0, 0, 1], atol=1e-7)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LABELS)
def test_a_computed_label_outside_the_classes_costs_nan(name: str, target: Target) -> None:
    x = np.zeros((4, 3), np.float32)
    labels = np.array([0, -1, 3, 2], np.int32)

    def ours(x: Any, labels: Any) -> Any:
        return getattr(dg, name)(x, labels + 0, reduction="none")

    assert np.isnan(apply(ours, x, labels, target=target)).tolist() == [False, True, True, False]


@pytest.mark.parametrize("target", TARGETS)
def test_classes_may_be_a_named_size(target: Target) -> None:
    x = dg.observed("x", ("B", "C"))
    y = dg.observed("y", ("B",), "int32")
    program = dg.Diagram("test", cost=dg.cross_entropy(x, y)).compile(target=target)
    for classes in (2, 5):
        found = program.run(x=np.zeros((3, classes), np.float32), y=np.ones(3, np.int32))
        assert found["cost"] == pytest.approx(np.log(classes))


@pytest.mark.parametrize("target", TARGETS)
def test_an_empty_batch_costs_nothing_in_a_sum_and_nan_in_a_mean(target: Target) -> None:
    x = np.zeros((0, 3), np.float32)
    assert apply(lambda x: dg.squared_error(x, 1.0 * x, "sum"), x, target=target) == 0
    assert np.isnan(apply(lambda x: dg.squared_error(x, 1.0 * x), x, target=target))


@pytest.mark.parametrize("target", TARGETS)
def test_an_observed_label_outside_the_classes_is_found_before_the_step(target: Target) -> None:
    x = dg.observed("x", ("B", 3))
    y = dg.observed("y", ("B",), "int32")
    scores = dg.Linear(3, 3, name="fc")(x)
    program = dg.Diagram("test", cost=dg.cross_entropy(scores, y)).compile(
        optimizer=dg.SGD(1.0), target=target
    )
    before = program.parameters["fc/weight"].copy()
    with pytest.raises(dg.InputError) as error:
        program.step(x=np.ones((2, 3), np.float32), y=np.array([0, 3], np.int32))
    assert text(error.value) == (
        "step of 'test': input 'y' (m.py:1) expects values in [0, 3), got 3 at index (1,): nothing "
        "was changed"
    )
    np.testing.assert_array_equal(program.parameters["fc/weight"], before)
    assert program.states["step"] == 0


def test_a_cost_is_drawn_as_one_cost_node() -> None:
    from diagrad.frontend.drawing.blocks import CostFunction

    x = dg.observed("x", ("B", 3))
    y = dg.observed("y", ("B",), "int64")
    for value in (dg.cross_entropy(x, y), dg.squared_error(x, 2.0 * x)):
        assert value.producer is not None and isinstance(value.producer.block, CostFunction)
        assert value.shape == ()

    @dg.cost
    def energy(x: Any) -> Any:
        return dg.mean(x * x)

    assert isinstance(energy(x).producer.block, CostFunction)
    assert energy(x).producer.label == "energy"


MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], Any, Any, type[Exception], str]] = {
    "classic": (
        lambda x, y: dg.squared_error(x, y), ("B", 1), ("B",), dg.ShapeError,
        "squared_error (m.py:1) expects prediction and target of one shape, got (B, 1) from "
        "observed 'x' (m.py:1) and (B,) from observed 'y' (m.py:1): nothing is broadcast, reshape "
        "one of them",
    ),
    "binary": (
        lambda x, y: dg.binary_cross_entropy(x, y), ("B",), ("N",), dg.ShapeError,
        "binary_cross_entropy (m.py:1) expects scores and targets of one shape, got (B,) from "
        "observed 'x' (m.py:1) and (N,) from observed 'y' (m.py:1): nothing is broadcast, reshape "
        "one of them",
    ),
    "dtype": (
        lambda x, y: dg.huber(x, y.astype("float64")), ("B",), ("B",), dg.DtypeError,
        "huber (m.py:1) expects target of dtype float32 like prediction, got float64 from astype "
        'float64 (m.py:1): convert it with .astype("float32")',
    ),
    "integers": (
        lambda x, y: dg.absolute_error(x.astype("int32"), y), ("B",), ("B",), dg.DtypeError,
        "absolute_error (m.py:1) expects prediction of dtype float32 or float64, got int32 from "
        'astype int32 (m.py:1): convert it with .astype("float32")',
    ),
    "labels": (
        lambda x, y: dg.cross_entropy(x, y.astype("int32")), ("B", 10), ("B", 1), dg.ShapeError,
        "cross_entropy (m.py:1) expects labels of shape (B,), got (B, 1) from astype int32 "
        "(m.py:1): one class number for each sample of the scores (B, 10)",
    ),
    "float labels": (
        lambda x, y: dg.cross_entropy(x, y), ("B", 10), ("B",), dg.DtypeError,
        "cross_entropy (m.py:1) expects labels of dtype int32 or int64, got float32 from observed "
        "'y' (m.py:1): labels are class numbers, or probabilities of shape (B, 10)",
    ),
    "integer scores": (
        lambda x, y: dg.nll(x.astype("int32"), y), ("B", 10), ("B",), dg.DtypeError,
        "nll (m.py:1) expects log-probabilities of dtype float32 or float64, got int32 from astype "
        'int32 (m.py:1): convert it with .astype("float32")',
    ),
    "no classes": (
        lambda x, y: dg.nll(x, y), (), (), dg.ShapeError,
        "nll (m.py:1) expects log-probabilities of shape (..., classes), got () from observed 'x' "
        "(m.py:1)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str) -> None:
    function, left, right, kind, expected = MISTAKES[name]
    x, y = dg.observed("x", left), dg.observed("y", right)
    with pytest.raises(kind) as error:
        dg.Diagram("test", cost=function(x, y))
    assert text(error.value) == expected


def plain(error: Any) -> str:
    """A message without the line that it is about."""
    return re.sub(r" \(test_costs.py:\d+\)", "", str(error.value))


def test_options_out_of_range() -> None:
    x = dg.observed("x", (3,))
    with pytest.raises(ValueError) as error:
        dg.squared_error(x, x, reduction="average")
    assert plain(error) == (
        "squared_error expects reduction to be 'mean', 'sum' or 'none', got 'average'"
    )
    with pytest.raises(ValueError) as error:
        dg.huber(x, x, delta=0)
    assert plain(error) == "huber expects delta to be a number above 0, got 0"

"""Costs of classes beside PyTorch's: weights, ignored labels, smoothing, probabilities, maps."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, apply, gradients, text
from ..comparing import Case, derivatives_are_differences, same_as_torch

REDUCTIONS = ("mean", "sum", "none")


def of_labels(name: str, options: dict[str, Any], weighted: bool, shape: tuple[int, ...]) -> Case:
    """Scores with classes on axis 1, labels some of which are ignored, perhaps weights."""
    rng = np.random.default_rng(len(shape))
    scores = 2 * rng.normal(size=shape)
    labels = rng.integers(0, shape[1], shape[:1] + shape[2:])
    if options.get("ignore_index") == -100 and labels.size > 2:
        labels.flat[::3] = -100
    arrays = [scores, labels] + [rng.uniform(0.2, 2, shape[1])] * weighted
    called = {"nll": "nll_loss", "multi_margin": "multi_margin_loss"}.get(name, name)
    known = {k: v for k, v in options.items() if v is not None}

    def ours(scores: Any, labels: Any, weight: Any = None) -> Any:
        return getattr(dg, name)(scores, labels, axis=1, weight=weight, **options)

    def theirs(torch: Any, scores: Any, labels: Any, weight: Any = None) -> Any:
        return getattr(torch, called)(scores, labels, weight=weight, **known)

    return Case(ours, theirs, tuple(arrays), fixed=(2,))  # PyTorch has no derivative by weights


def label_cases() -> Iterator[tuple[str, Case]]:
    smoothed = [("cross_entropy", 0.0), ("cross_entropy", 0.3), ("nll", 0.0)]
    for reduction, (name, smoothing), ignore, weighted in itertools.product(
        REDUCTIONS, smoothed, (None, -100, 1), (False, True)
    ):
        options: dict[str, Any] = {"reduction": reduction, "ignore_index": ignore}
        if smoothing:
            options["label_smoothing"] = smoothing
        shape = (4, 3, 2) if weighted else (5, 3)
        yield f"{name} {weighted} {options}", of_labels(name, options, weighted, shape)
    for reduction, p in itertools.product(REDUCTIONS, (1, 2)):
        options = {"reduction": reduction, "p": p, "margin": 0.7}
        yield f"multi_margin {options}", of_labels("multi_margin", options, p == 2, (5, 3))


def of_shares(options: dict[str, Any], weighted: bool, shape: tuple[int, ...]) -> Case:
    rng = np.random.default_rng(len(shape))
    shares = np.moveaxis(rng.dirichlet(np.ones(shape[1]), shape[:1] + shape[2:]), -1, 1)
    arrays = [rng.normal(size=shape), shares] + [rng.uniform(0.2, 2, shape[1])] * weighted

    def ours(scores: Any, shares: Any, weight: Any = None) -> Any:
        return dg.cross_entropy(scores, shares, axis=1, weight=weight, **options)

    def theirs(torch: Any, scores: Any, shares: Any, weight: Any = None) -> Any:
        return torch.cross_entropy(scores, shares, weight=weight, **options)

    return Case(ours, theirs, tuple(arrays), fixed=(2,))


def share_cases() -> Iterator[tuple[str, Case]]:
    for reduction, smoothing, weighted in itertools.product(REDUCTIONS, (0, 0.2), (False, True)):
        options = {"reduction": reduction, "label_smoothing": smoothing}
        shape = (3, 4, 2) if weighted else (3, 4)
        yield f"shares {weighted} {options}", of_shares(options, weighted, shape)


def sized_cases() -> Iterator[tuple[str, Case]]:
    """No samples, one, and one class."""
    for shape, reduction in itertools.product([(0, 3), (1, 3), (2, 1), (1, 2, 0)], REDUCTIONS):
        for name in ("cross_entropy", "nll"):
            options = {"reduction": reduction, "ignore_index": -100}
            yield f"{name} {shape} {options}", of_labels(name, options, True, shape)
        yield f"shares {shape} {reduction}", of_shares({"reduction": reduction}, True, shape)


CASES = dict([*label_cases(), *share_cases()])


def test_costs_of_classes_are_pytorchs() -> None:
    same_as_torch(CASES, targets=("reference",))


def test_compiled_in_float32_too() -> None:
    same_as_torch(dict(list(CASES.items())[::5]), "float32", ("cpu",))


def test_sizes_of_0_and_1_too() -> None:
    cases = dict(sized_cases())
    same_as_torch(cases, targets=("reference",))
    same_as_torch({k: case for k, case in cases.items() if "mean" in k}, targets=("cpu",))


def test_derivatives_to_second_order() -> None:
    derivatives_are_differences({k: case for k, case in CASES.items() if "mean" in k})


@pytest.mark.parametrize("target", TARGETS)
def test_all_labels_ignored(target: Target) -> None:
    labels = dg.constant(np.array([7, 7]))
    x = np.ones((2, 3))

    def mean(x: Any) -> Any:
        return dg.cross_entropy(x, labels, ignore_index=7)

    assert np.isnan(apply(mean, x, target=target))
    found = gradients(lambda x: dg.nll(x, labels, "sum", ignore_index=7), x, target=target)
    np.testing.assert_array_equal(found[0], np.zeros((2, 3)))


def test_an_impossible_class_without_a_share_costs_nothing() -> None:
    x, shares = np.array([[0.0, -np.inf, 1.0]]), np.array([[0.25, 0.0, 0.75]])
    expected = np.log(1 + np.e) - 0.75
    assert apply(dg.cross_entropy, x, shares) == pytest.approx(expected)
    slopes = gradients(dg.cross_entropy, x, shares)
    e = np.exp(1)
    np.testing.assert_allclose(slopes[0], [[1 / (1 + e) - 0.25, 0, e / (1 + e) - 0.75]], rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_labels_are_checked_before_a_step_unless_they_are_ignored(target: Target) -> None:
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",), "int32")
    cost = dg.cross_entropy(x, y, ignore_index=-100)
    program = dg.Diagram("test", cost=cost).compile(target=target)
    scores = np.zeros((3, 3), np.float32)
    found = program.run(x=scores, y=np.array([0, -100, 2], np.int32))["cost"]
    assert found == pytest.approx(np.log(3))
    with pytest.raises(dg.InputError, match=r"expects values in \[0, 3\), got -5 at index \(1,\)"):
        program.run(x=scores, y=np.array([0, -5, 2], np.int32))


@pytest.mark.parametrize("target", TARGETS)
def test_labels_of_small_integers(target: Target) -> None:
    """255 is what maps of classes as images have where nobody has looked."""
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",), "uint8")
    cost = dg.cross_entropy(x, y, ignore_index=255)
    program = dg.Diagram("test", cost=cost).compile(target=target)
    scores = np.zeros((2, 3), np.float32)
    assert program.run(x=scores, y=np.array([1, 255], np.uint8))["cost"] == pytest.approx(np.log(3))
    with pytest.raises(dg.InputError, match=r"got 254 at index \(1,\)"):
        program.run(x=scores, y=np.array([1, 254], np.uint8))


def test_fixed_labels_are_checked_when_the_cost_is_drawn() -> None:
    x = dg.observed("x", (2, 3))
    dg.Diagram("test", cost=dg.nll(x, np.array([0, -1]), ignore_index=-1))
    with pytest.raises(dg.ShapeError, match=r"labels in \[0, 3\), not 3 at \(0,\)"):
        dg.Diagram("test", cost=dg.nll(x, np.array([3, -1]), ignore_index=-1))


def test_classes_of_a_named_size() -> None:
    x, y = dg.observed("x", ("B", "C", "H")), dg.observed("y", ("B", "H"), "int64")
    w = dg.observed("w", ("C",))
    cost = dg.cross_entropy(x, y, weight=w, label_smoothing=0.5, axis=1)
    program = dg.Diagram("test", cost=cost).compile(target="reference")
    for classes in (2, 5):
        inputs = {"x": np.zeros((3, classes, 2), np.float32), "y": np.ones((3, 2), np.int64)}
        found = program.run(**inputs, w=np.ones(classes, np.float32))["cost"]
        assert found == pytest.approx(np.log(classes))


MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "weights": (
        lambda x, y: dg.cross_entropy(x, y, weight=np.ones(3, np.float32), axis=1), dg.ShapeError,
        "cross_entropy (m.py:1) expects weight of shape (5,), got (3,) from constant (m.py:1)",
    ),
    "weights of another dtype": (
        lambda x, y: dg.nll(x, y, weight=np.ones(5), axis=1), dg.DtypeError,
        "nll (m.py:1) expects weight of dtype float32 like log-probabilities, got float64 from "
        'constant (m.py:1): convert it with .astype("float32")',
    ),
    "axis": (
        lambda x, y: dg.cross_entropy(x, y, axis=3), dg.ShapeError,
        "cross_entropy (m.py:1) expects an axis of the scores (B, 5, 4), got 3",
    ),
    "the other axis": (
        lambda x, y: dg.cross_entropy(x, y), dg.ShapeError,
        "cross_entropy (m.py:1) expects labels of shape (B, 5), got (B, 4) from observed 'y' "
        "(m.py:1): one class number for each sample of the scores (B, 5, 4)",
    ),
    "ignored probabilities": (
        lambda x, y: dg.cross_entropy(x, dg.softmax(x, 1), ignore_index=0), ValueError,
        "cross_entropy (m.py:1) expects no ignore_index beside probabilities, got 0: give samples "
        "that shall not count probabilities of 0",
    ),
    "probabilities": (
        lambda x, y: dg.nll(x, dg.softmax(x, 1)), dg.DtypeError,
        "nll (m.py:1) expects labels of dtype int32 or int64, got float32 from softmax (m.py:1): "
        "labels are class numbers",
    ),
    "smoothing": (
        lambda x, y: dg.cross_entropy(x, y, label_smoothing=1.5, axis=1), ValueError,
        "cross_entropy (m.py:1) expects label_smoothing to be a number of 0 or more and of 1 or "
        "less, got 1.5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str) -> None:
    function, kind, expected = MISTAKES[name]
    x, y = dg.observed("x", ("B", 5, 4)), dg.observed("y", ("B", 4), "int32")
    with pytest.raises(kind) as error:
        dg.Diagram("test", cost=dg.sum(function(x, y)))
    assert text(error.value) == expected


def test_costs_of_samples_are_drawn_as_a_function() -> None:
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",), "int32")
    each = dg.cross_entropy(x, y, "none")
    assert _kind(dg.mean(each * dg.observed("w", ("B",)))) == "function"
    assert _kind(dg.cross_entropy(x, y)) == "cost"


def _kind(cost: Any) -> str:
    graph = dg.Diagram("test", cost=cost).graph
    (kind,) = (f["kind"] for _, f in graph.nodes(data=True) if f.get("label") == "cross_entropy")
    return str(kind)

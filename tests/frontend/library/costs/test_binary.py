"""Costs of yes or no beside PyTorch's, with weights, of scores and of probabilities."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, apply, gradients, text
from ..comparing import Case, derivatives_are_differences, same_as_torch

REDUCTIONS = ("mean", "sum", "none")


def weighted(shape: tuple[int, ...], reduction: str, weight: bool, pos: bool) -> Case:
    """Scores and targets, and a weight of each element or of each column."""
    rng = np.random.default_rng(3)
    arrays = [2 * rng.normal(size=shape), rng.uniform(size=shape)]
    arrays += [rng.uniform(0.5, 2, shape[1:])] if weight else []
    arrays += [rng.uniform(0.5, 3, shape if weight else shape[1:])] if pos else []

    def options(rest: tuple[Any, ...]) -> dict[str, Any]:
        return {
            "reduction": reduction,
            "weight": rest[0] if weight else None,
            "pos_weight": rest[-1] if pos else None,
        }

    return Case(
        lambda x, t, *rest: dg.binary_cross_entropy(x, t, **options(rest)),
        lambda torch, x, t, *rest: torch.binary_cross_entropy_with_logits(x, t, **options(rest)),
        tuple(arrays),
        fixed=(2, 3),  # PyTorch has no derivatives by weights
    )


def of_probabilities(reduction: str, weight: bool) -> Case:
    rng = np.random.default_rng(4)
    arrays = [rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(size=(4, 3))]
    arrays += [rng.uniform(0.5, 2, (4, 3))] * weight
    return Case(
        lambda p, t, w=None: dg.binary_cross_entropy(p, t, reduction, weight=w, from_logits=False),
        lambda torch, p, t, w=None: torch.binary_cross_entropy(p, t, w, reduction=reduction),
        tuple(arrays), fixed=(2,),
    )  # fmt: skip


def sigmoid_focal_loss(torch: Any, x: Any, t: Any, alpha: Any, gamma: Any, reduction: str) -> Any:
    """torchvision's, of the paper."""
    p = x.sigmoid()
    entropy = torch.binary_cross_entropy_with_logits(x, t, reduction="none")
    told = p * t + (1 - p) * (1 - t)
    loss = entropy * (1 - told) ** gamma
    if alpha is not None:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return {"mean": loss.mean(), "sum": loss.sum(), "none": loss}[reduction]


def focal(alpha: float | None, gamma: float, reduction: str) -> Case:
    rng = np.random.default_rng(5)
    return Case(
        lambda x, t: dg.focal(x, t, alpha, gamma, reduction),
        lambda torch, x, t: sigmoid_focal_loss(torch, x, t, alpha, gamma, reduction),
        (2 * rng.normal(size=(4, 3)), rng.integers(0, 2, (4, 3)).astype(float)),
    )


def cases() -> Iterator[tuple[str, Case]]:
    flags = (False, True)
    for reduction, weight, pos in itertools.product(REDUCTIONS, flags, flags):
        yield f"scores {reduction} {weight} {pos}", weighted((4, 3), reduction, weight, pos)
    for shape, reduction in itertools.product([(0, 3), (1, 1)], ("mean", "sum")):
        yield f"scores {shape} {reduction}", weighted(shape, reduction, True, True)
    for reduction, weight in itertools.product(REDUCTIONS, flags):
        yield f"probabilities {reduction} {weight}", of_probabilities(reduction, weight)
    for (alpha, gamma), reduction in itertools.product(
        [(0.25, 2.0), (None, 1.5), (0.5, 0.0), (0.9, 0.5)], REDUCTIONS
    ):
        yield f"focal {alpha} {gamma} {reduction}", focal(alpha, gamma, reduction)


CASES = dict(cases())


def test_binary_costs_are_pytorchs() -> None:
    same_as_torch(CASES, targets=("reference",))


def test_compiled_in_float32_too() -> None:
    same_as_torch({k: c for k, c in CASES.items() if "mean" in k}, "float32", ("cpu",))


def test_derivatives_to_second_order() -> None:
    derivatives_are_differences({k: c for k, c in CASES.items() if "none" in k or "sum" in k})


@pytest.mark.parametrize("target", TARGETS)
def test_probabilities_of_0_and_1(target: Target) -> None:
    def costs(p: Any, t: Any) -> Any:
        return dg.binary_cross_entropy(p, t, "none", from_logits=False)

    p, t = np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    found = apply(costs, p, t, target=target)
    np.testing.assert_allclose(found, [0, 100, 100, 0, np.log(2)], rtol=1e-12)
    slopes = gradients(costs, p, t, target=target)[0]
    np.testing.assert_allclose(slopes, [1, 0, 0, -1, -2], rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_great_scores(target: Target) -> None:
    """Of scores that are right without a doubt, costs and gradients are 0; none is NaN."""
    x = np.array([np.inf, -np.inf, 1e30, 900.0, -900.0], np.float32)
    t = np.array([1.0, 0.0, 1.0, 0.0, 1.0], np.float32)

    def weighted(x: Any, t: Any) -> Any:
        return dg.binary_cross_entropy(x, t, "none", weight=2.0, pos_weight=3.0)

    np.testing.assert_allclose(apply(weighted, x, t, target=target), [0, 0, 0, 1800, 5400])
    np.testing.assert_allclose(gradients(weighted, x, t, target=target)[0], [0, 0, 0, 2, -6])

    def focal(x: Any, t: Any) -> Any:
        return dg.focal(x, t, None, 0.5, "none")

    np.testing.assert_allclose(apply(focal, x, t, target=target), [0, 0, 0, 900, 900])
    np.testing.assert_allclose(gradients(focal, x, t, target=target)[0], [0, 0, 0, 1, -1])


MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "weights": (
        lambda x, t: dg.binary_cross_entropy(x, t, weight=np.ones(4, np.float32)), dg.ShapeError,
        "binary_cross_entropy (m.py:1) expects weight that broadcast to the shape (B, 3) of the "
        "scores, got (4,) from constant (m.py:1)",
    ),
    "more axes": (
        lambda x, t: dg.binary_cross_entropy(x, t, pos_weight=dg.expand_dims(t, 0)), dg.ShapeError,
        "binary_cross_entropy (m.py:1) expects pos_weight that broadcast to the shape (B, 3) of "
        "the scores, got (1, B, 3) from expand_dims (m.py:1)",
    ),
    "gamma": (
        lambda x, t: dg.focal(x, t, gamma=-1), ValueError,
        "focal (m.py:1) expects gamma to be a number of 0 or more, got -1",
    ),
    "alpha": (
        lambda x, t: dg.focal(x, t, 2.0), ValueError,
        "focal (m.py:1) expects alpha to be a number of 0 or more and of 1 or less, got 2.0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str) -> None:
    function, kind, expected = MISTAKES[name]
    x, t = dg.observed("x", ("B", 3)), dg.observed("t", ("B", 3))
    with pytest.raises(kind) as error:
        dg.Diagram("test", cost=function(x, t))
    assert text(error.value) == expected

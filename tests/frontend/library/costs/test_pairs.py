"""Costs of densities and of pairs beside PyTorch's."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, apply, gradients, run, text
from ..comparing import Case, derivatives_are_differences, same_as_torch

REDUCTIONS = ("mean", "sum", "none")
FLAGS = (False, True)


def log_softmax(x: Any) -> Any:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def kl_div(torch: Any, x: Any, t: Any, logs: bool, reduction: str) -> Any:
    """PyTorch's, which warns of its "mean"."""
    each = torch.kl_div(x, t, reduction="none", log_target=logs)
    return {"mean": each.mean, "sum": each.sum, "none": lambda: each}[reduction]()


def densities(shape: tuple[int, ...]) -> Iterator[tuple[str, Case]]:
    rng = np.random.default_rng(len(shape))
    x, shares = log_softmax(rng.normal(size=shape)), rng.uniform(0.05, 1, shape)
    counts, variance = rng.integers(0, 5, shape).astype(float), rng.uniform(0.3, 2, shape)
    for reduction, logs in itertools.product(REDUCTIONS, FLAGS):
        yield (
            f"kl {shape} {reduction} {logs}",
            Case(
                lambda x, t, r=reduction, n=logs: dg.kl_divergence(x, t, r, log_targets=n),
                lambda torch, x, t, r=reduction, n=logs: kl_div(torch, x, t, n, r),
                (x, np.log(shares) if logs else shares),
            ),
        )
    for reduction, logs, full in itertools.product(REDUCTIONS, FLAGS, FLAGS):
        options = {"log_input": logs, "full": full}
        yield f"poisson {shape} {reduction} {options}", Case(
            lambda x, t, r=reduction, o=options: dg.poisson_nll(x, t, r, **o),
            lambda torch, x, t, r=reduction, o=options: torch.poisson_nll_loss(
                x, t, reduction=r, **o
            ),
            (x if logs else np.exp(x), counts), fixed=(1,),
        )  # fmt: skip
    one = variance[..., :1]
    for reduction, full, given in itertools.product(REDUCTIONS, FLAGS, (variance, one)):
        yield (
            f"gaussian {reduction} {full} {given.shape} {shape}",
            Case(
                lambda x, t, v, r=reduction, f=full: dg.gaussian_nll(x, t, v, r, full=f),
                lambda torch, x, t, v, r=reduction, f=full: torch.gaussian_nll_loss(
                    x, t, v, full=f, reduction=r
                ),
                (x, shares, given),
            ),
        )


def similarities(shape: tuple[int, ...]) -> Iterator[tuple[str, Case]]:
    rng = np.random.default_rng(len(shape))
    vectors = [rng.normal(size=shape) for _ in range(3)]
    side = np.where(rng.integers(0, 2, shape[:-1]), 1.0, -1.0)
    each = np.where(rng.integers(0, 2, shape), 1.0, -1.0)
    for reduction, margin in itertools.product(REDUCTIONS, (0.0, 0.4)):
        yield f"cosine {shape} {reduction} {margin}", Case(
            lambda x, y, t, r=reduction, m=margin: dg.cosine(x, y, t, m, r),
            lambda torch, x, y, t, r=reduction, m=margin: torch.cosine_embedding_loss(
                x, y, t, m, reduction=r
            ),
            (*vectors[:2], side), fixed=(2,),
        )  # fmt: skip
        yield f"margin {shape} {reduction} {margin}", Case(
            lambda x, y, t, r=reduction, m=margin: dg.margin(x, y, t, m, r),
            lambda torch, x, y, t, r=reduction, m=margin: torch.margin_ranking_loss(
                x, y, t, m, reduction=r
            ),
            (*vectors[:2], each), fixed=(2,),
        )  # fmt: skip
    for reduction, p, swap in itertools.product(REDUCTIONS, (1.0, 2.0, 3.0), FLAGS):
        yield (
            f"triplet {shape} {reduction} {p} {swap}",
            Case(
                lambda a, b, c, r=reduction, p=p, s=swap: dg.triplet(a, b, c, 0.8, r, p=p, swap=s),
                lambda torch, a, b, c, r=reduction, p=p, s=swap: torch.triplet_margin_loss(
                    a, b, c, 0.8, p, swap=s, reduction=r
                ),
                tuple(vectors),
            ),
        )


CASES = dict([*densities((4, 3)), *similarities((4, 3))])


def test_costs_are_pytorchs() -> None:
    same_as_torch(CASES, targets=("reference",))


def test_compiled_in_float32_too() -> None:
    same_as_torch({k: c for k, c in CASES.items() if "mean" in k}, "float32", ("cpu",))


def test_sizes_of_0_and_1_too() -> None:
    found: dict[str, Case] = {}
    for shape in ((0, 3), (1, 1)):
        found |= dict([*densities(shape), *similarities(shape)])
    same_as_torch({k: c for k, c in found.items() if "sum" in k}, targets=("reference",))


def test_derivatives_to_second_order() -> None:
    derivatives_are_differences({k: c for k, c in CASES.items() if "none" in k or "mean" in k})


@pytest.mark.parametrize("target", TARGETS)
def test_what_never_happens(target: Target) -> None:
    """A share of 0 costs nothing, of an impossible class too; the gradients are finite."""

    def each(x: Any, t: Any) -> Any:
        return dg.kl_divergence(x, t, "none")

    x, t = np.array([-np.inf, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(apply(each, x, t, target=target), [0, 0, 0])
    slopes = gradients(each, x, t, target=target)
    np.testing.assert_array_equal(slopes[0], [0, 0, -1])
    np.testing.assert_array_equal(slopes[1], [0, 1, 1])

    def logs(x: Any, t: Any) -> Any:
        return dg.kl_divergence(x, t, "none", log_targets=True)

    with np.errstate(divide="ignore"):
        t = np.log(t)
    np.testing.assert_array_equal(apply(logs, x, t, target=target), [0, 0, 0])


@pytest.mark.parametrize("target", TARGETS)
def test_variances_that_are_too_small_or_none(target: Target) -> None:
    """Below epsilon they count as that, with its gradient, as in PyTorch; below 0 they are none."""
    torch = pytest.importorskip("torch")

    def each(x: Any, t: Any, v: Any) -> Any:
        return dg.gaussian_nll(x, t, v, "none", epsilon=0.1)

    x, t, v = np.zeros(3), np.ones(3), np.array([0.0, 0.05, 2.0])
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, t, v)]
    wanted = torch.nn.functional.gaussian_nll_loss(*tensors, eps=0.1, reduction="none")
    wanted.sum().backward()
    np.testing.assert_allclose(apply(each, x, t, v, target=target), wanted.detach().numpy())
    for found, tensor in zip(gradients(each, x, t, v, target=target), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy())
    assert np.isnan(apply(each, x, t, -v - 1, target=target)).all()


def test_derivatives_at_the_margin_are_0() -> None:
    x = dg.observed("x", (1, 1), "float64")
    zero, one = dg.constant(np.zeros((1, 1))), dg.constant(np.ones(1))
    costs = {
        "cosine": dg.cosine(x, x, -one, 1.0),
        "margin": dg.margin(x, zero, dg.constant(np.ones((1, 1))), 2.0),
        "triplet": dg.triplet(zero, zero, x, 2.0, epsilon=0.0),
        "multi_margin": dg.multi_margin(
            dg.concatenate([x, zero], 1), np.zeros(1, np.int64), 1, 2.0
        ),
    }
    found = run({k: dg.gradient(cost, x) for k, cost in costs.items()}, x=np.full((1, 1), 2.0))
    assert {k: v.item() for k, v in found.items()} == dict.fromkeys(costs, 0.0)


MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "three shapes": (
        lambda x, y: dg.triplet(x, x, y), dg.ShapeError,
        "triplet (m.py:1) expects anchor and negative of one shape, got (B, 3) from observed 'x' "
        "(m.py:1) and (B,) from observed 'y' (m.py:1): nothing is broadcast, reshape one of them",
    ),
    "pairs": (
        lambda x, y: dg.cosine(x, x, x), dg.ShapeError,
        "cosine (m.py:1) expects target of shape (B,), got (B, 3) from observed 'x' (m.py:1): one "
        "number for each pair",
    ),
    "integer sides": (
        lambda x, y: dg.cosine(x, x, y.astype("int64")), dg.DtypeError,
        "cosine (m.py:1) expects target of dtype float32 like first, got int64 from astype int64 "
        '(m.py:1): convert it with .astype("float32")',
    ),
    "variance": (
        lambda x, y: dg.gaussian_nll(x, x, y), dg.ShapeError,
        "gaussian_nll (m.py:1) expects variance of shape (B, 3), or (B, 1), got (B,) from observed "
        "'y' (m.py:1)",
    ),
    "margin": (
        lambda x, y: dg.triplet(x, x, x, 0), ValueError,
        "triplet (m.py:1) expects margin to be a number above 0, got 0",
    ),
    "flag": (
        lambda x, y: dg.poisson_nll(x, x, full=1), TypeError,
        "poisson_nll (m.py:1) expects full to be True or False, got 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str) -> None:
    function, kind, expected = MISTAKES[name]
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",))
    with pytest.raises(kind) as error:
        dg.Diagram("test", cost=function(x, y))
    assert text(error.value) == expected


def test_scores_that_are_no_logarithms_are_told() -> None:
    x = dg.observed("x", ("B", 3))
    with pytest.warns(dg.DiagramWarning, match=r"expects log-probabilities, got softmax"):
        dg.kl_divergence(dg.softmax(x), x)

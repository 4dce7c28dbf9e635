"""Costs of joint embeddings: against the authors' formulas in PyTorch, derivatives, mistakes."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target, apply, assert_close, check_derivatives, gradients

TOLERANCE = {"float32": (1e-5, 2e-6), "float64": (1e-11, 1e-13)}
SIZES = [(2, 1), (7, 5), (64, 16)]


def codes(samples: int, width: int, dtype: str = "float64") -> list[Array]:
    rng = np.random.default_rng([samples, width])
    first = rng.normal(size=(samples, width))
    return [first.astype(dtype), (first + 0.5 * rng.normal(size=first.shape)).astype(dtype)]


def nt_xent(torch: Any, a: Any, b: Any, temperature: float) -> Any:
    """SimCLR's: 2 B rows, each beside all others but itself."""
    both = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    count = len(a)
    scores = both @ both.T / temperature
    scores = scores.masked_fill(torch.eye(2 * count, dtype=torch.bool), -torch.inf)
    partner = torch.cat([torch.arange(count) + count, torch.arange(count)])
    return torch.nn.functional.cross_entropy(scores, partner)


def clip_cost(torch: Any, a: Any, b: Any, temperature: float) -> Any:
    """CLIP's: cross entropies of rows and columns."""
    a, b = (torch.nn.functional.normalize(item, dim=1) for item in (a, b))
    scores, labels = a @ b.T / temperature, torch.arange(len(a))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(scores, labels) + cross_entropy(scores.T, labels)) / 2


def vicreg(torch: Any, x: Any, y: Any, weights: tuple[float, float, float]) -> Any:
    """As the authors' program has it."""
    same = torch.nn.functional.mse_loss(x, y)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    deviations = torch.sqrt(x.var(dim=0) + 0.0001), torch.sqrt(y.var(dim=0) + 0.0001)
    spread = sum(torch.mean(torch.relu(1 - item)) / 2 for item in deviations)
    apart: Any = 0.0
    for item in (x, y):
        products = (item.T @ item) / (len(item) - 1)
        beside = products - torch.diag(torch.diagonal(products))
        apart = apart + beside.pow(2).sum() / item.shape[1]
    return weights[0] * same + weights[1] * spread + weights[2] * apart


CASES: dict[str, tuple[Any, Any]] = {
    "contrastive": (
        lambda a, b: dg.info_nce(a, b, 0.2),
        lambda torch, a, b: clip_cost(torch, a, b, 0.2),
    ),
    "SimCLR": (
        lambda a, b: dg.info_nce(a, b, 0.5, same_view=True),
        lambda torch, a, b: nt_xent(torch, a, b, 0.5),
    ),
    "VICReg": (dg.vicreg, lambda torch, a, b: vicreg(torch, a, b, (25.0, 25.0, 1.0))),
    "VICReg, other weights": (
        lambda a, b: dg.vicreg(a, b, invariance=0.5, variance=0.0, covariance=3.0),
        lambda torch, a, b: vicreg(torch, a, b, (0.5, 0.0, 3.0)),
    ),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_costs_are_the_authors(
    name: str, size: tuple[int, int], dtype: str, target: Target
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    ours, theirs = CASES[name]
    arrays = codes(*size, dtype)
    tensors = [torch.tensor(item, requires_grad=True) for item in arrays]
    cost = theirs(torch, *tensors)
    cost.backward()
    rtol, atol = TOLERANCE[dtype]
    assert_close(apply(ours, *arrays, target=target), cost.item(), rtol, atol)
    for found, tensor in zip(gradients(ours, *arrays, target=target), tensors, strict=True):
        scale = float(tensor.grad.abs().max())
        assert_close(found, tensor.grad, 50 * rtol, 50 * atol + 10 * rtol * scale)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_to_second_order(name: str) -> None:
    check_derivatives(CASES[name][0], *(0.3 * item for item in codes(7, 3)), width=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_one_sample_has_no_others(target: Target) -> None:
    arrays = codes(1, 3, "float32")
    assert_close(apply(dg.info_nce, *arrays, target=target), 0.0, atol=1e-6)
    assert np.isnan(apply(dg.vicreg, *arrays, target=target))


@pytest.mark.parametrize("target", TARGETS)
def test_batches_of_all_sizes(target: Target) -> None:
    a, b = dg.observed("a", ("B", 4)), dg.observed("b", ("B", 4))
    outputs = {"nce": dg.info_nce(a, b), "vicreg": dg.vicreg(a, b)}
    program = dg.Diagram("test", outputs).compile(target=target)
    for samples in (0, 2, 3, 11):
        x, y = codes(samples, 4, "float32")
        found = program.run(a=x, b=y)
        for name, function in (("nce", dg.info_nce), ("vicreg", dg.vicreg)):
            assert_close(found[name], apply(function, x, y, target=target), 1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_extreme_codes(target: Target) -> None:
    """Neither a small temperature nor a code of 0 or of great length makes a NaN."""
    a = np.array([[0.0, 0.0], [1e15, 0.0], [0.0, 1e-9]], np.float32)
    cost = apply(lambda a, b: dg.info_nce(a, b, 1e-3), a, a[::-1].copy(), target=target)
    assert np.isfinite(cost) and cost > 100
    for found in gradients(lambda a, b: dg.info_nce(a, b, 1e-3), a, a + 0.0, target=target):
        assert np.isfinite(found).all()


def test_right_codes_cost_less_than_wrong_ones() -> None:
    a, b = codes(16, 8)
    for cost in (dg.info_nce, lambda a, b: dg.info_nce(a, b, same_view=True), dg.vicreg):
        assert apply(cost, a, b) < apply(cost, a, b[::-1].copy())
    # A collapse costs the most: log B, and the whole of the variance term.
    assert_close(apply(dg.info_nce, a * 0 + 1, b * 0 + 1), np.log(16))
    assert_close(apply(dg.vicreg, a * 0, b * 0), 25 * (1 - 0.01))


def test_mistakes_are_explained() -> None:
    a, b = dg.observed("a", ("B", 4)), dg.observed("b", ("B", 3))
    c, whole = dg.observed("c", ("B", 4), "float64"), dg.observed("whole", ("B", 4), "int32")
    for label, function in (("info_nce", dg.info_nce), ("vicreg", dg.vicreg)):
        for error, given, words in (
            (
                dg.ShapeError,
                (a, b),
                "the codes of two views of one shape, got (B, 4) from observed 'a'",
            ),
            (dg.ShapeError, (dg.sum(a, 1), a), "codes (B, D), got (B,) from"),
            (dg.DtypeError, (a, c), "the codes of two views of one dtype, got float32 from"),
            (dg.DtypeError, (whole, whole), "codes of dtype float32 or float64, got int32"),
        ):
            with pytest.raises(error, match=label) as caught:
                dg.Diagram("test", function(*given))
            assert words in str(caught.value)
    with pytest.raises(ValueError, match=r"info_nce .*expects temperature to be a number above 0"):
        dg.info_nce(a, a, 0.0)
    with pytest.raises(ValueError, match=r"vicreg .*expects variance to be a number of 0 or more"):
        dg.vicreg(a, a, variance=-1.0)


def test_info_nce_of_each_sample() -> None:
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in codes(7, 5))
    scores = a @ b.T / 0.2
    both = [np.log(np.exp(s).sum(1)) - np.diag(s) for s in (scores, scores.T)]
    wanted = (both[0] + both[1]) / 2
    for reduction, value in (("none", wanted), ("sum", wanted.sum()), ("mean", wanted.mean())):
        found = apply(lambda a, b, r=reduction: dg.info_nce(a, b, 0.2, reduction=r), *codes(7, 5))
        assert_close(found, value, rtol=1e-12)

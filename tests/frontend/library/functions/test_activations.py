"""The activations beside PyTorch's: values and gradients, at kinks and at both ends."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, apply, gradients, run, text
from ..comparing import Case, derivatives_are_differences, same_as_torch

POSITIVE = np.array([1e-4, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 20.0, 90.0, 200.0, 1e4])
POINTS = np.concatenate([-POSITIVE, [0.0], POSITIVE])
SMOOTH = np.array([-3.3, -1.7, -0.6, -0.3, 0.2, 0.7, 1.6, 4.1, 6.3])

# With the derivative at 0.
ELEMENTWISE: dict[str, tuple[Callable[..., Any], Callable[..., Any], float]] = {
    "celu": (lambda x: dg.celu(x), lambda torch, x: torch.celu(x), 1.0),
    "celu 2": (lambda x: dg.celu(x, 2.0), lambda torch, x: torch.celu(x, 2.0), 1.0),
    "elu 0.5": (lambda x: dg.elu(x, 0.5), lambda torch, x: torch.elu(x, 0.5), 0.5),
    "selu": (lambda x: dg.selu(x), lambda torch, x: torch.selu(x), 1.7580993408473766),
    "relu6": (lambda x: dg.relu6(x), lambda torch, x: torch.relu6(x), 0.0),
    "hard_tanh": (lambda x: dg.hard_tanh(x, -2, 3), lambda torch, x: torch.hardtanh(x, -2, 3), 1.0),
    "hard_sigmoid": (  # theirs has the derivative 1/6 in single precision only
        lambda x: dg.hard_sigmoid(x), lambda torch, x: torch.relu6(x + 3) / 6, 1 / 6
    ),
    "hard_swish": (lambda x: dg.hard_swish(x), lambda torch, x: torch.hardswish(x), 0.5),
    "threshold": (
        lambda x: dg.threshold(x, 0.5, -7.0), lambda torch, x: torch.threshold(x, 0.5, -7.0), 0.0
    ),
    "mish": (lambda x: dg.mish(x), lambda torch, x: torch.mish(x), 0.6),
    "softplus": (
        lambda x: dg.softplus(x, 2.0), lambda torch, x: torch.softplus(x, 2.0), 0.5
    ),
    "log_sigmoid": (lambda x: dg.log_sigmoid(x), lambda torch, x: torch.logsigmoid(x), 0.5),
    "softsign": (lambda x: dg.softsign(x), lambda torch, x: torch.softsign(x), 1.0),
    "tanh_shrink": (lambda x: dg.tanh_shrink(x), lambda torch, x: torch.tanhshrink(x), 0.0),
}  # fmt: skip


def elementwise(points: Any) -> dict[str, Case]:
    return {name: Case(ours, theirs, (points,)) for name, (ours, theirs, _) in ELEMENTWISE.items()}


def rows() -> Iterator[tuple[str, Case]]:
    rng = np.random.default_rng(0)
    for shape, axis in [((4, 6), -1), ((2, 3, 4), 0), ((1, 4, 2), 1), ((0, 4), -1)]:
        x, y = rng.normal(size=shape), rng.normal(size=shape)
        key = f"{shape} {axis}"
        yield (
            f"softmin {key}",
            Case(
                lambda x, a=axis: dg.softmin(x, a),
                lambda torch, x, a=axis: torch.softmin(x, a),
                (x,),
            ),
        )
        if shape[axis] % 2 == 0:
            yield (
                f"glu {key}",
                Case(
                    lambda x, a=axis: dg.glu(x, a), lambda torch, x, a=axis: torch.glu(x, a), (x,)
                ),
            )
        yield f"cosine {key}", Case(
            lambda x, y, a=axis: dg.cosine_similarity(x, y, a),
            lambda torch, x, y, a=axis: torch.cosine_similarity(x, y, a), (x, y),
        )  # fmt: skip
        for p in (1.0, 2.0, 3.0, np.inf):
            yield f"normalize {key} {p}", Case(
                lambda x, a=axis, p=p: dg.normalize(x, p, a),
                lambda torch, x, a=axis, p=p: torch.normalize(x, p, a), (x,),
            )  # fmt: skip
        for p, keep in itertools.product((1.0, 2.0, 3.0), (False, True)):
            yield f"distance {key} {p} {keep}", Case(
                lambda x, y, p=p, k=keep: dg.pairwise_distance(x, y, p, keepdims=k),
                lambda torch, x, y, p=p, k=keep: torch.pairwise_distance(x, y, p, keepdim=k),
                (x, y),
            )  # fmt: skip


ROWS = dict(rows())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elements_are_pytorchs(dtype: str) -> None:
    same_as_torch(elementwise(POINTS), dtype)


def test_rows_are_pytorchs() -> None:
    same_as_torch(ROWS, targets=("reference",))
    same_as_torch({k: case for k, case in ROWS.items() if "(2, 3, 4)" in k}, targets=("cpu",))


def test_derivatives_to_second_order() -> None:
    smooth = {k: case for k, case in ROWS.items() if "inf" not in k}
    derivatives_are_differences(elementwise(SMOOTH) | smooth)


@pytest.mark.parametrize("target", TARGETS)
def test_far_out_and_nan(target: Target) -> None:
    """Values and both derivatives are finite at the greatest numbers, and NaN stays NaN."""
    most = np.finfo(np.float32).max
    x = dg.observed("x", (4,))
    outputs = {}
    for name, (ours, _, _) in ELEMENTWISE.items():
        slope = dg.gradient(dg.sum(ours(x)), x)
        outputs[f"{name} value"] = ours(x)
        outputs[f"{name} slope"] = slope
        outputs[f"{name} curve"] = dg.gradient(dg.sum(slope), x)
    found = run(outputs, target, x=np.array([-most, -1e20, 1e20, np.nan], np.float32))
    for key, value in found.items():
        assert np.isfinite(value[:3]).all(), key
        assert np.isnan(value[3]) or "value" not in key, key


def test_derivatives_at_zero() -> None:
    x = dg.observed("x", (1,), "float64")
    slopes = {k: dg.gradient(dg.sum(ours(x)), x) for k, (ours, _, _) in ELEMENTWISE.items()}
    found = {k: float(v[0]) for k, v in run(slopes, x=np.zeros(1)).items()}
    assert found == pytest.approx({name: slope for name, (_, _, slope) in ELEMENTWISE.items()})


@pytest.mark.parametrize("target", TARGETS)
def test_vectors_of_zeros(target: Target) -> None:
    """Normalised they stay zeros; gradients are finite, and PyTorch's."""
    torch = pytest.importorskip("torch")
    zero = np.zeros((2, 3))
    np.testing.assert_array_equal(apply(dg.normalize, zero, target=target), zero)
    x = torch.zeros((2, 3), dtype=torch.float64, requires_grad=True)
    torch.nn.functional.normalize(x, dim=-1).sum().backward()
    (slope,) = gradients(dg.normalize, zero, target=target)
    np.testing.assert_allclose(slope, x.grad.numpy())
    assert apply(dg.cosine_similarity, zero, zero, target=target).tolist() == [0, 0]

    def plain(x: Any, y: Any) -> Any:
        return dg.pairwise_distance(x, y, epsilon=0.0)

    np.testing.assert_array_equal(gradients(plain, zero, zero, target=target)[0], zero)


@pytest.mark.parametrize("target", TARGETS)
def test_draws_of_gumbel_softmax_have_the_probabilities(target: Target) -> None:
    probabilities = np.array([0.1, 0.2, 0.7])
    x = dg.constant(np.log(np.tile(probabilities, (3000, 1))))
    smooth = dg.gumbel_softmax(x, 0.5, stream="draws")
    hard = dg.gumbel_softmax(x, 0.5, True, stream="draws")
    found = run({"smooth": smooth, "hard": hard}, target)
    np.testing.assert_allclose(found["smooth"].sum(-1), 1, rtol=1e-12)
    np.testing.assert_array_equal(found["hard"].argmax(-1), found["smooth"].argmax(-1))
    np.testing.assert_array_equal(np.sort(found["hard"], -1), np.tile([0, 0, 1.0], (3000, 1)))
    np.testing.assert_allclose(found["hard"].mean(0), probabilities, atol=0.03)


def test_gumbel_softmax_has_the_gradient_of_the_softmax_of_its_noise() -> None:
    x = dg.observed("x", (2, 4, 3), "float64")
    u = dg.random_uniform((2, 4, 3), "draws", "float64")
    noise = -dg.log(-dg.log(1.0 - u))
    wanted = dg.softmax((x + noise) / 0.5, 1)
    weights = dg.constant(np.random.default_rng(1).normal(size=(2, 4, 3)))
    outputs = {"wanted": wanted, "slope": dg.gradient(dg.sum(wanted * weights), x)}
    for hard in (False, True):
        y = dg.gumbel_softmax(x, 0.5, hard, 1, "draws")
        outputs |= {f"y{hard}": y, f"slope{hard}": dg.gradient(dg.sum(y * weights), x)}
    found = run(outputs, x=np.random.default_rng(0).normal(size=(2, 4, 3)))
    np.testing.assert_allclose(found["yFalse"], found["wanted"], rtol=1e-9)
    np.testing.assert_allclose(found["slopeFalse"], found["slope"], rtol=1e-9)
    np.testing.assert_allclose(found["slopeTrue"], found["slope"], rtol=1e-9)


def test_pixels_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 18, 3, 4))
    found = run({"y": dg.pixel_shuffle(x, 3), "x": dg.pixel_unshuffle(dg.pixel_shuffle(x, 3), 3)})
    wanted = torch.nn.functional.pixel_shuffle(torch.tensor(x), 3)
    np.testing.assert_array_equal(found["y"], wanted.numpy())
    np.testing.assert_array_equal(found["x"], x)


MISTAKES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "celu": (
        lambda x: dg.celu(x, 0.0), ValueError,
        "celu (m.py:1) expects alpha to be a number other than 0, got 0.0",
    ),
    "hard_tanh": (
        lambda x: dg.hard_tanh(x, 1, 1), ValueError,
        "hard_tanh (m.py:1) expects low < high, got 1 and 1",
    ),
    "softplus": (
        lambda x: dg.softplus(x, beta=0), ValueError,
        "softplus (m.py:1) expects beta to be a number above 0, got 0",
    ),
    "glu": (
        lambda x: dg.glu(x), dg.ShapeError,
        "split (m.py:1) in glu (m.py:1) expects axis -1 to have a multiple of 2 elements, not 3; "
        "given (B, 3) float32 from observed 'x' (m.py:1)",
    ),
    "softmin": (
        lambda x: dg.softmin(x.astype("int32")), dg.DtypeError,
        "softmin (m.py:1) expects floats, got int32 from neg (m.py:1): convert it with "
        '.astype("float32")',
    ),
    "temperature": (
        lambda x: dg.gumbel_softmax(x, 0), ValueError,
        "gumbel_softmax (m.py:1) expects temperature to be a number above 0, got 0",
    ),
    "pixels": (
        lambda x: dg.pixel_shuffle(x[None], 2), dg.ShapeError,
        "pixel_shuffle (m.py:1) expects a multiple of 4 channels, not 1; "
        "given (1, B, 3) float32 from index (m.py:1)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str) -> None:
    function, kind, expected = MISTAKES[name]
    with pytest.raises(kind) as error:
        dg.Diagram("test", {"y": function(dg.observed("x", ("B", 3)))})
    assert text(error.value) == expected

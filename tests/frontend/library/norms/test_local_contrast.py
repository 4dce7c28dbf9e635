"""Local contrast normalisation against its formula, place by place."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

RNG = np.random.default_rng(1)
TARGETS = ("cpu", "reference")


def around(x: Any, size: int, sigma: float) -> Any:
    """The weighted mean over the window and all maps, with loops."""
    n, _, height, width = x.shape
    half, found = size // 2, np.zeros((n, 1, height, width))
    for i in range(height):
        for j in range(width):
            total, weight = np.zeros(n), 0.0
            for p in range(max(0, i - half), min(height, i + half + 1)):
                for q in range(max(0, j - half), min(width, j + half + 1)):
                    w = np.exp(-((p - i) ** 2 + (q - j) ** 2) / (2 * sigma**2))
                    total += w * x[:, :, p, q].mean(1)
                    weight += w
            found[:, 0, i, j] = total / weight
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (1, 1, 1, 4), (1, 2, 3, 3)])
def test_both_are_their_formulas(shape: tuple[int, ...], target: Any) -> None:
    x = dg.observed("x", ("B", shape[1], "H", "W"), "float64")
    v = dg.SubtractiveNorm(5, 1.3)(x)
    outputs = {"v": v, "y": dg.DivisiveNorm(5, 1.3)(v)}
    program = dg.Diagram("d", outputs).compile(target=target)
    given = RNG.normal(size=shape) + 2
    found = program.run(x=given)
    v = given - around(given, 5, 1.3)
    sigma = np.sqrt(around(v * v, 5, 1.3))
    np.testing.assert_allclose(found["v"], v, rtol=1e-10, atol=1e-12)
    y = v / np.maximum(sigma, sigma.mean((2, 3), keepdims=True))
    np.testing.assert_allclose(found["y"], y, rtol=1e-10, atol=1e-12)


def test_a_constant_image_has_no_contrast() -> None:
    x = dg.observed("x", ("B", 2, 6, 6))
    y = dg.DivisiveNorm(3)(dg.SubtractiveNorm(3)(x))
    program = dg.Diagram("d", {"y": y}).compile()
    assert np.abs(program.run(x=np.full((1, 2, 6, 6), 0.5, np.float32))["y"]).max() < 3
    zero = dg.DivisiveNorm(3)(x)
    slope = dg.gradient(dg.sum(zero * zero), x)
    found = dg.Diagram("z", {"y": zero, "s": slope}).compile().run(x=np.zeros((1, 2, 6, 6), "f"))
    assert (found["y"] == 0).all() and (found["s"] == 0).all()


def test_gradients_by_differences() -> None:
    x, v = dg.observed("x", (1, 2, 4, 3), "float64"), RNG.normal(size=(1, 2, 4, 3))
    cost = dg.sum(dg.DivisiveNorm(3)(dg.SubtractiveNorm(3)(x)) ** 3)
    program = dg.Diagram("d", {"c": cost, "s": dg.gradient(cost, x)}).compile()
    at, h = RNG.normal(size=(1, 2, 4, 3)), 1e-6
    up, down = (program.run(x=at + sign * h * v)["c"] for sign in (1, -1))
    expected = (up - down) / (2 * h)
    np.testing.assert_allclose((program.run(x=at)["s"] * v).sum(), expected, rtol=1e-6)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="expects an odd size, whose window has a middle, got 4"):
        dg.SubtractiveNorm(4)
    with pytest.raises(dg.ShapeError, match=r"expects \(N, C, H, W\), got \(3, 4\)"):
        dg.Diagram("d", {"y": dg.DivisiveNorm(3)(dg.observed("x", (3, 4)))})

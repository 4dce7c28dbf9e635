"""Windows: that nothing is copied for them, named sizes, and errors word for word."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import diagrad as dg

from ..evaluating import TARGETS, Target, text


@pytest.mark.parametrize("target", TARGETS)
def test_a_moving_average_is_one_kernel(target: Target) -> None:
    x = dg.observed("x", ("T", 3))
    program = dg.Diagram("test", {"y": dg.mean(dg.windows(x, 5, axis=0), -1)}).compile(
        target=target
    )
    value = np.random.default_rng(0).normal(size=(19, 3)).astype(np.float32)
    found = program.run(x=value)["y"]
    np.testing.assert_allclose(found, sliding_window_view(value, 5, 0).mean(-1), rtol=1e-5)
    if target == "cpu":
        assert list(program.kernels) == ["k0_sum_div"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_gradient_is_one_kernel(target: Target) -> None:
    x, w = dg.observed("x", ("B", 7)), dg.observed("w", ("B", 3, 3))
    cost = dg.sum(dg.windows(x, 3, 2) * w)
    program = dg.Diagram("test", {"g": dg.gradient(cost, x)}).compile(target=target)
    taps = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    (first, _), found = taps, program.run(x=np.zeros((2, 7), np.float32), w=taps)["g"]
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    np.testing.assert_array_equal(found[0], [0, 1, 2 + 3, 4, 5 + 6, 7, 8])
    if target == "cpu":
        assert list(program.kernels) == ["k0_overlap_add"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_named_sizes(stride: int, target: Target) -> None:
    x = dg.observed("x", ("T", "N"), "float64")
    y = dg.windows(x, (3, 2), stride)
    outputs = {"y": y, "g": dg.gradient(dg.sum(y * y), x)}
    program = dg.Diagram("test", outputs).compile(target=target)
    for shape in [(3, 2), (4, 5), (17, 34)]:
        value = np.random.default_rng(0).normal(size=shape)
        found = program.run(x=value)
        np.testing.assert_array_equal(
            found["y"], sliding_window_view(value, (3, 2))[::stride, ::stride]
        )
        ones = sliding_window_view(np.arange(value.size).reshape(shape), (3, 2))
        seen = np.bincount(ones[::stride, ::stride].ravel(), minlength=value.size)
        np.testing.assert_allclose(found["g"], 2 * value * seen.reshape(shape), rtol=1e-14)
    for steps in (0, 2):
        with pytest.raises(dg.InputError) as error:
            program.run(x=np.zeros((steps, 5)))
        assert text(error.value) == (
            "run of 'test': a window (m.py:1) reaches over 3 elements of axis 0, which has "
            f"{steps} for T = {steps}, N = 5"
        )


def test_mistakes() -> None:
    x, t = dg.observed("x", ("B", 4)), dg.observed("t", (0,))
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: dg.windows(x, 5),
         "windows (m.py:1) expects 5 or more elements on axis 1 for a window of 5 taps, not 4; "
         "given (B, 4) float32 from observed 'x' (m.py:1): pad it with dg.pad"),
        (lambda: dg.windows(x, 3, dilation=2),
         "windows (m.py:1) expects 5 or more elements on axis 1 for a window of 3 taps 2 apart, "
         "not 4; given (B, 4) float32 from observed 'x' (m.py:1): pad it with dg.pad"),
        (lambda: dg.windows(t, 1),
         "windows (m.py:1) expects 1 or more elements on axis 0 for a window of 1 taps, not 0; "
         "given (0,) float32 from observed 't' (m.py:1): pad it with dg.pad"),
        (lambda: dg.windows(x, (1, 1, 1)),
         "windows (m.py:1) expects 3 or more axes, not 2; given (B, 4) float32 from observed 'x' "
         "(m.py:1)"),
        (lambda: dg.windows(x, 2, axis=2),
         "windows (m.py:1) expects an axis in [-2, 2), not 2; given (B, 4) float32 from observed "
         "'x' (m.py:1)"),
        (lambda: dg.windows(x, 2, axis=(1, -1)),
         "windows (m.py:1) expects each axis once, not (1, -1); given (B, 4) float32 from observed "
         "'x' (m.py:1)"),
    ]  # fmt: skip
    for make, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is dg.ShapeError
        assert text(mistake) == expected


def test_wrong_numbers() -> None:
    x = dg.observed("x", ("B", 4))
    cases: list[tuple[type[Exception], dict[str, Any], str]] = [
        (ValueError, {"size": 0}, "windows (m.py:1) expects size to be 1 or more, got 0"),
        (ValueError, {"size": 2, "stride": -1},
         "windows (m.py:1) expects stride to be 1 or more, got -1"),
        (ValueError, {"size": (2, 2), "dilation": (1, 0)},
         "windows (m.py:1) expects dilation to be 1 or more, got (1, 0)"),
        (ValueError, {"size": (2, 2), "axis": 1},
         "windows (m.py:1) expects a size for each of 1 axes, got (2, 2)"),
        (ValueError, {"size": 2, "stride": (1, 1)},
         "windows (m.py:1) expects a stride for each of 1 axes, got (1, 1)"),
        (TypeError, {"size": 2.0},
         "windows (m.py:1) expects size to be an integer or a tuple of them, got 2.0"),
    ]  # fmt: skip
    for kind, options, expected in cases:
        with pytest.raises(kind) as error:
            dg.windows(x, **options)
        assert text(error.value) == expected

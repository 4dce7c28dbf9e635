"""The nearest of some points: against NumPy, ties, few of all, and what it refuses."""

import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, gradients, run

RNG = np.random.default_rng(0)


def nearest(x: Any, points: Any) -> Any:
    return ((x[..., None, :] - points) ** 2).sum(-1).argmin(-1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("shape", "count"), [((0, 3), 4), ((1, 1), 1), ((17, 3), 5), ((2, 3, 7), 11), ((3,), 2)]
)
def test_it_is_the_argmin(shape: tuple[int, ...], count: int, target: Target) -> None:
    points = RNG.normal(size=(count, shape[-1])).astype(np.float32)
    values = RNG.normal(size=shape).astype(np.float32)
    x = dg.observed("x", (*["B", "C"][: len(shape) - 1], shape[-1]))
    found = run({"y": dg.NearestNeighbor(points)(x)}, target, x=values)["y"]
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, nearest(values, points))


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_of_equals_and_points_far_from_zero(target: Target) -> None:
    """A million away, |x|² - 2 x w + |w|² in float32 would not tell the points apart."""
    points = np.array([[1e6, 0], [1e6 + 1, 0], [1e6 + 1, 0], [1e6, 1]], np.float32)
    x = dg.observed("x", ("B", 2))
    y = dg.NearestNeighbor(points)(x)
    values = points + np.float32(0.25)
    assert list(run({"y": y}, target, x=values)["y"]) == [0, 1, 1, 3]


def test_points_are_a_state_or_a_variable() -> None:
    x, w = dg.observed("x", ("B", 2), "float64"), dg.parameter("w", (3, 2), dtype="float64")
    y = dg.NearestNeighbor(np.eye(2), dtype="float64", name="near")(x)
    other = dg.NearestNeighbor(w, dtype="float64")(x)
    program = dg.Diagram("both", {"y": y, "other": other}).compile()
    assert program.states["near/points"].dtype == np.float64
    values = RNG.normal(size=(5, 2))
    found = program.run(x=values)
    np.testing.assert_array_equal(found["y"], nearest(values, np.eye(2)))
    np.testing.assert_array_equal(found["other"], nearest(values, program.parameters["w"]))
    program.states["near/points"][...] = np.eye(2)[::-1]
    np.testing.assert_array_equal(program.run(x=values)["y"], 1 - found["y"])


def test_labels_and_a_loop() -> None:
    """A classifier, one element of a sequence at a time."""
    points, labels = RNG.normal(size=(6, 2)), np.array([3, 1, 4, 1, 5, 9], np.int32)
    x = dg.observed("x", ("T", "B", 2), "float64")
    t = dg.loop("t")
    y = t.stack(dg.take(labels, dg.NearestNeighbor(points, "float64")(t.each(x))))
    values = RNG.normal(size=(4, 3, 2))
    np.testing.assert_array_equal(run({"y": y}, x=values)["y"], labels[nearest(values, points)])


def test_no_optimizer_changes_the_points() -> None:
    """Decay of weights would shrink a parameter, though no gradient reaches it."""
    x, w = dg.observed("x", ("B", 2)), dg.parameter("w", (2,), init=1.0)
    chosen = dg.take(w, dg.NearestNeighbor(np.eye(2), name="near")(x))
    program = dg.Diagram("d", cost=dg.sum(chosen**2)).compile(dg.AdamW(0.1, weight_decay=0.5))
    program.step(x=np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(program.states["near/points"], np.eye(2))
    assert (program.parameters["w"] < 1).all()


def test_no_gradient_comes_through() -> None:
    def chosen(x: Any, w: Any) -> Any:
        return dg.take(w, dg.NearestNeighbor(w, "float64")(x)) + 0.0 * x

    values, points = RNG.normal(size=(4, 2)), RNG.normal(size=(3, 2))
    by_x, by_w = gradients(chosen, values, points)
    assert not by_x.any()
    count = np.bincount(nearest(values, points), minlength=3)
    np.testing.assert_array_equal(by_w, np.repeat(count[:, None], 2, 1))


@pytest.mark.parametrize(
    ("points", "kind", "message"),
    [
        (np.zeros(3), dg.ShapeError, "expects points of shape (K, D), one or more, got (3,)"),
        (np.zeros((0, 3)), dg.ShapeError, "one or more, got (0, 3)"),
        ("abc", TypeError, "expects points to be an array of numbers or a variable, got 'abc'"),
        ([[1, 2], [3]], TypeError, "expects points to be an array of numbers"),
        ([[1.0, np.nan]], ValueError, "expects finite points, got NaN or infinity among them"),
        (dg.observed("p", ("K",)), dg.ShapeError, "got (K,)"),
        (dg.observed("p", (2, 3), "float64"), dg.DtypeError, "expects points of dtype float32"),
    ],
)
def test_what_it_refuses(points: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        dg.NearestNeighbor(points)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (dg.observed("x", ("B", 3)), dg.ShapeError, "NearestNeighbor"),
        (dg.observed("x", ()), dg.ShapeError, "expects (..., 2), got () from observed 'x'"),
        (dg.observed("x", ("B", 2), "float64"), dg.DtypeError, "expects float32, got float64"),
    ],
)
def test_what_it_is_not_applied_to(x: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        dg.Diagram("wrong", dg.NearestNeighbor(np.eye(2))(x))

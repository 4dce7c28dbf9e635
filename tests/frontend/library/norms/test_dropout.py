"""Dropout: off in a run, inverted in a step, the same bits everywhere."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

TARGETS = ("cpu", "reference")


def program(block: Any, shape: Any, target: Any = "cpu", **options: Any) -> dg.Program:
    x = dg.observed("x", shape)
    y = block(x)
    return dg.Diagram("d", {"y": y}, cost=dg.sum(y)).compile(target=target, **options)


def test_a_run_is_the_identity_and_a_step_keeps_the_mean() -> None:
    made = program(dg.Dropout(0.25), ("B", 100))
    x = np.ones((1000, 100), np.float32)
    assert (made.run(x=x)["y"] == x).all()
    y = made.run("training", x=x)["y"]
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_the_bits_are_the_same_on_targets_and_threads() -> None:
    x = np.ones((64, 301), np.float32)
    found = [
        program(dg.Dropout(0.5), ("B", 301), target, threads=threads).run("training", x=x)["y"]
        for target in TARGETS
        for threads in (1, 2)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    double = program(dg.Dropout(0.5), ("B", 301), dtype="float64")
    np.testing.assert_array_equal(double.run("training", x=x.astype("float64"))["y"], found[0])


def test_steps_and_redraws_change_the_draws_and_runs_do_not() -> None:
    x, w = dg.observed("x", ("B", 50)), dg.parameter("w", (50,), init=1.0)
    y = dg.Dropout(0.5)(x * w)
    made = dg.Diagram("d", {"y": y}, cost=dg.sum(y)).compile(dg.SGD(0.0))
    ones = np.ones((4, 50), np.float32)
    first = made.run("training", x=ones)
    assert (first["y"] == made.run("training", x=ones)["y"]).all()
    assert made.step(x=ones) == pytest.approx(first["cost"])
    second = made.run("training", x=ones)["y"]
    assert not (first["y"] == second).all()
    made.redraw()
    assert not (second == made.run("training", x=ones)["y"]).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("space", [1, 2, 3])
def test_whole_maps_are_left_out(space: int, target: Any) -> None:
    block = (dg.Dropout1d, dg.Dropout2d, dg.Dropout3d)[space - 1](0.5)
    shape = (8, 16, *(3, 2, 5)[:space])
    made = program(block, ("B", *shape[1:]), target)
    y = made.run("training", x=np.ones(shape, np.float32))["y"].reshape(8, 16, -1)
    assert (y == y[:, :, :1]).all()
    assert 0.3 < (y[:, :, 0] == 0).mean() < 0.7


@pytest.mark.parametrize("target", TARGETS)
def test_the_gradient_passes_what_is_kept(target: Any) -> None:
    x = dg.observed("x", (20, 3))
    y = dg.Dropout(0.5)(x)
    slope = dg.gradient(dg.sum(y * y), x)
    made = dg.Diagram("d", {"y": y, "slope": slope}).compile(target=target)
    given = np.linspace(1, 2, 60).reshape(20, 3).astype(np.float32)
    found = made.run("training", x=given)
    np.testing.assert_allclose(found["slope"], 4 * found["y"])
    np.testing.assert_allclose(made.run(x=given)["slope"], 2 * given)


def test_all_and_nothing() -> None:
    x = np.array([[1.0, np.inf]], np.float32)
    assert (program(dg.Dropout(1.0), ("B", 2)).run("training", x=x)["y"] == 0).all()
    assert (program(dg.Dropout(0.0), ("B", 2)).run("training", x=x)["y"] == x).all()


def test_each_step_of_a_loop_has_draws_of_its_own() -> None:
    x, drop = dg.observed("x", ("T", 200)), dg.Dropout(0.5)
    t = dg.loop("t")
    made = dg.Diagram("d", {"y": t.stack(drop(t.each(x)))}).compile()
    ones = np.ones((3, 200), np.float32)
    y = made.run("training", x=ones)["y"]
    assert not (y[0] == y[1]).all() and not (y[1] == y[2]).all()
    assert (made.run(x=ones)["y"] == 1).all()


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="expects p to be a number of 0 or more and of 1 or less"):
        dg.Dropout(1.5)
    for block, shape, dtype, text in (
        (dg.Dropout(), (2,), "int32", r'expects floats, got int32 .*astype\("float32"\)'),
        (dg.Dropout2d(), (2, 3), "float32", "expects 3 axes or more"),
    ):
        with pytest.raises(dg.DiagramError, match=text):
            dg.Diagram("d", {"y": block(dg.observed("x", shape, dtype))})

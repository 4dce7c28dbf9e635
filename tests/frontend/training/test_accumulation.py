"""Gradients of several batches make the update of one large batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array
from .test_training import fit

OPTIMIZERS: dict[str, Any] = {
    "momentum": lambda: dg.SGD(0.1, momentum=0.9, clip=dg.clip_norm(0.5)),
    "adam": lambda: dg.Adam(dg.schedules.exponential(0.1, 0.5), weight_decay=0.1),
    "groups": lambda: dg.ParameterGroups(dg.SGD(0.1, parameters="b"), dg.RMSprop(0.01)),
}


def data(count: int) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {"x": rng.normal(size=(count, 3)), "y": rng.normal(size=count)}


def drawn(summed: bool = False) -> dg.Diagram:
    x, y = dg.observed("x", ("B", 3), dg.float64), dg.observed("y", ("B",), dg.float64)
    w = dg.parameter("w", (3,), init=0.5, dtype=dg.float64)
    b = dg.parameter("b", (), init=0.1, dtype=dg.float64)
    error = dg.tanh(x @ w + b) - y
    return dg.Diagram("d", cost=dg.sum(error * error) if summed else dg.mean(error * error))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_four_batches_are_one_of_four_times_the_size(name: str) -> None:
    make, given = OPTIMIZERS[name], data(24)
    large = drawn().compile(make(), target="reference")
    small = drawn().compile(dg.Accumulate(make(), 4), target="reference")
    wanted = fit(large, given, 3, 8, shuffle=False)
    history = fit(small, given, 3, 2, shuffle=False)
    assert history.cost == pytest.approx(wanted.cost, rel=1e-12)
    for key, array in large.states.items():
        expected = 4 * array if key == "step" else array
        np.testing.assert_allclose(small.states[key], expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(small.learning_rate, large.learning_rate)


def test_nothing_but_the_sums_moves_between_two_updates() -> None:
    program = drawn().compile(dg.Accumulate(dg.Adam(0.1), 3))
    kept = {name: array.copy() for name, array in program.states.items()}
    given = data(4)
    program.step(**given)
    program.step(**given)
    moved = {
        name
        for name, array in program.states.items()
        if not np.array_equal(array, kept[name], equal_nan=True)
    }
    assert moved == {"step", "optimizer/w/accumulated", "optimizer/b/accumulated"}
    program.step(**given)
    once = drawn().compile(dg.Adam(0.1))
    once.step(**given)
    np.testing.assert_allclose(program.parameters["w"], once.parameters["w"], rtol=1e-12)


def test_batches_of_other_sizes_count_by_their_samples() -> None:
    given = data(10)
    large = drawn().compile(dg.SGD(0.1), target="reference")
    fit(large, given, 2)
    weighted = dg.Accumulate(dg.SGD(0.1), 3, samples="B")
    small = drawn().compile(weighted, target="reference")
    fit(small, given, 2, 4, shuffle=False)  # batches of 4, 4 and 2
    np.testing.assert_allclose(small.parameters["w"], large.parameters["w"], rtol=1e-12)
    plain = drawn().compile(dg.Accumulate(dg.SGD(0.1), 3), target="reference")
    fit(plain, given, 2, 4, shuffle=False)
    assert abs(plain.parameters["w"] - large.parameters["w"]).max() > 1e-4


def test_gradients_of_sums_are_added_up() -> None:
    given = data(10)
    large = drawn(summed=True).compile(dg.SGD(0.01), target="reference")
    fit(large, given, 2)
    small = drawn(summed=True).compile(
        dg.Accumulate(dg.SGD(0.01), 3, mean=False), target="reference"
    )
    fit(small, given, 2, 4, shuffle=False)
    np.testing.assert_allclose(small.parameters["w"], large.parameters["w"], rtol=1e-12)


def test_saved_between_two_updates(tmp_path: Path) -> None:
    given, path = data(12), tmp_path / "half.safetensors"
    whole, first, second = (
        drawn().compile(dg.Accumulate(dg.Adam(0.1), 4), target="reference") for _ in range(3)
    )
    fit(whole, given, 2, 2)
    fit(first, given, 1, 2)  # six steps: one update and a half
    first.save(path)
    second.load(path)
    fit(second, given, 1, 2)
    np.testing.assert_array_equal(second.parameters["w"], whole.parameters["w"])


def test_a_gradient_that_is_no_number_is_gone_after_its_update() -> None:
    """The sum begins anew by a choice, and not by a product with 0."""
    program = drawn().compile(dg.Accumulate(dg.SGD(0.1), 2), target="reference")
    program.states["step"] = 1
    program.states["optimizer/w/accumulated"] = np.nan * np.ones(3)
    before = program.parameters["w"].copy()
    program.step(**data(4))
    program.parameters["w"] = before
    for _ in range(2):
        program.step(**data(4))
    assert np.isfinite(program.parameters["w"]).all()


def test_arguments() -> None:
    made = dg.Accumulate(dg.SGD(0.1), 2, samples="B")
    assert repr(made).startswith("Accumulate(SGD(learning_rate=0.1") and "samples='B'" in repr(made)
    with pytest.raises(TypeError, match=r"Accumulate \(.*\) expects an optimizer such as"):
        dg.Accumulate(made, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expects steps to be an integer of 1 or more, got 0"):
        dg.Accumulate(dg.SGD(0.1), 0)
    with pytest.raises(ValueError, match="expects no samples with mean=False, got 'B'"):
        dg.Accumulate(dg.SGD(0.1), 2, "B", mean=False)

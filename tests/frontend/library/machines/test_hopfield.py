"""Hopfield's memory: against NumPy unit by unit, the energy that never rises, Hebb's rule."""

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, run

RNG = np.random.default_rng(0)
ACTIVATIONS: tuple[Any, ...] = ("sign", "tanh")


def symmetric(units: int, rng: Any = RNG) -> Any:
    """Weights in float64."""
    upper = np.triu(rng.normal(size=(units, units)), 1)
    return upper + upper.T


def spins(*shape: int, rng: Any = RNG) -> Any:
    return rng.choice([-1.0, 1.0], shape)


def swept(y: Any, weight: Any, activation: str) -> Any:
    """One sweep in NumPy, of states (B, N)."""
    y = y.copy()
    for i in range(len(weight)):
        field = y @ weight[i]
        y[:, i] = np.tanh(field) if activation == "tanh" else np.where(field == 0, y[:, i], 0)
        y[:, i] += np.sign(field) if activation == "sign" else 0
    return y


def energy(y: Any, weight: Any) -> Any:
    return -np.einsum("bi,ij,bj->b", y, weight, y)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("units", "batch"), [(1, 1), (2, 3), (13, 5), (5, 0)])
def test_sweeps_are_numpys(units: int, batch: int, activation: Any, target: Target) -> None:
    weight, start = symmetric(units), spins(batch, units)
    memory = dg.Hopfield(units, activation, weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", ("B", units), "float64")
    after = run({"y": memory.sweep(memory.sweep(y))}, target, y=start)["y"]
    wanted = swept(swept(start, weight, activation), weight, activation)
    np.testing.assert_allclose(after, wanted, rtol=1e-13)


@pytest.mark.parametrize("shape", [(7,), (2, 3, 7)])
def test_any_leading_axes(shape: tuple[int, ...]) -> None:
    weight, start = symmetric(7), spins(*shape)
    memory = dg.Hopfield(7, "tanh", weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", shape, "float64")
    found = run({"y": memory.sweep(y), "e": memory.energy(y)}, y=start)
    wanted = swept(start.reshape(-1, 7), weight, "tanh").reshape(shape)
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-13)
    assert found["e"].shape == shape[:-1]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_settles_in_a_fixed_point(activation: Any, target: Target) -> None:
    weight, start = symmetric(20), spins(9, 20)
    memory = dg.Hopfield(20, activation, 2000, weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", ("B", 20), "float64")
    settled = run({"y": memory(y)}, target, y=start)["y"]
    again = swept(settled, weight, activation)
    assert abs(again - settled).max() <= 1e-5
    # As many sweeps as it takes, and no more.
    now, steps = start, 0
    while True:
        now, before, steps = swept(now, weight, activation), now, steps + 1
        if abs(now - before).max() <= 1e-5:
            break
    np.testing.assert_allclose(settled, now, rtol=1e-12)
    assert 2 < steps < 2000


def test_most_sweeps() -> None:
    weight, start = symmetric(20), spins(4, 20)
    y = dg.observed("y", ("B", 20), "float64")
    wanted = start
    for most in (0, 1, 2):
        memory = dg.Hopfield(20, "tanh", most, weight=dg.constant(weight), dtype="float64")
        np.testing.assert_allclose(run({"y": memory(y)}, y=start)["y"], wanted, rtol=1e-12)
        wanted = swept(wanted, weight, "tanh")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_energy_never_rises(activation: Any) -> None:
    """For sign it is the energy, for tanh the free energy; of weights that no rule made."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        weight, start = symmetric(15, rng), spins(20, 15, rng=rng)
        if activation == "tanh":
            start = rng.uniform(-1, 1, (20, 15))
        memory = dg.Hopfield(15, activation, weight=dg.constant(weight), dtype="float64")
        y = dg.observed("y", ("B", 15), "float64")
        t = dg.loop("t", steps=30)
        now = t.delay("now", y)
        after = memory.sweep(now)
        t.close(now, after)
        wanted = memory.energy if activation == "sign" else memory.free_energy
        outputs = {"first": wanted(y), "rest": t.stack(wanted(after))}
        found = run(outputs, y=start)
        course = np.concatenate([found["first"][None], found["rest"]])
        assert (np.diff(course, axis=0) <= 1e-12 * abs(course[1:])).all()
        assert (course[-1] < course[0]).all()


def test_all_units_at_once_would_go_to_and_fro() -> None:
    """Why they come one after another: two units that repel each other."""
    weight, start = np.array([[0.0, -1], [-1, 0]]), np.array([[1.0, 1]])
    assert (np.sign(np.sign(start @ weight) @ weight) == start).all()
    memory = dg.Hopfield(2, weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", ("B", 2), "float64")
    assert run({"y": memory(y)}, y=start)["y"].tolist() == [[-1, 1]]


@pytest.mark.parametrize("value", [-1.0, -0.4, 0.0, 1.0])
def test_the_energies_are_the_formulas(value: float) -> None:
    weight, states = symmetric(6), spins(3, 6)
    states[1] = value
    memory = dg.Hopfield(6, weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", ("B", 6), "float64")
    found = run({"e": memory.energy(y), "f": memory.free_energy(y)}, y=states)
    np.testing.assert_allclose(found["e"], energy(states, weight), rtol=1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [(1 + s * states) * np.log(1 + s * states) for s in (1, -1)]
    wanted = energy(states, weight) + sum(np.nan_to_num(item).sum(1) for item in terms)
    np.testing.assert_allclose(found["f"], wanted, rtol=1e-12)


def test_free_energy_is_least_where_tanh_puts_a_unit() -> None:
    weight, point = symmetric(5), RNG.uniform(-0.9, 0.9, (1, 5))
    point[:, 2] = np.tanh(point @ weight[2])
    memory = dg.Hopfield(5, weight=dg.constant(weight), dtype="float64")
    y = dg.observed("y", ("B", 5), "float64")
    slope = run({"g": dg.gradient(dg.sum(memory.free_energy(y)), y)}, y=point)["g"]
    assert abs(slope[0, 2]) < 1e-14 < abs(slope).max()


def storing(units: int, activation: Any = "sign", rate: float = 1.0) -> dg.Program:
    memory = dg.Hopfield(units, activation, name="memory")
    memory.store(dg.observed("pattern", ("P", units)), rate)
    recalled = memory(dg.observed("probe", ("B", units)))
    return dg.Diagram("memory", {"recalled": recalled}).compile()


def test_hebbs_rule_is_a_step_of_updates_alone() -> None:
    program, patterns = storing(11, rate=0.5), spins(4, 11).astype(np.float32)
    assert program.step(pattern=patterns[:3]) == {}
    program.step(pattern=patterns[3:])
    program.step(pattern=patterns[:0])
    wanted = 0.5 * patterns.T @ patterns
    np.fill_diagonal(wanted, 0)
    np.testing.assert_array_equal(program.states["memory/weight"], wanted)


@pytest.mark.parametrize(("activation", "rate"), [("sign", 1.0), ("tanh", 0.03)])
def test_it_recalls_what_it_has_stored(activation: Any, rate: float) -> None:
    """Up to about 0.14 patterns a unit (Amit, Gutfreund and Sompolinsky 1985), and not far above.

    A tenth of the units is turned round.
    """
    rng, overlaps = np.random.default_rng(3), []
    for patterns in (3, 10, 60):
        program = storing(100, activation, rate)
        stored = spins(patterns, 100, rng=rng).astype(np.float32)
        program.step(pattern=stored)
        noisy = stored * np.where(rng.random(stored.shape) < 0.1, -1, 1).astype(np.float32)
        recalled = np.sign(program.run(probe=noisy)["recalled"])
        overlaps.append(float((recalled * stored).mean()))
    assert overlaps[0] == 1 and overlaps[1] > 0.95 and overlaps[2] < 0.8, overlaps


def test_derivatives_of_what_has_settled() -> None:
    weight, start = symmetric(4) * 0.3, RNG.uniform(-1, 1, (2, 4))

    def settled(y: Any, w: Any) -> Any:
        return dg.Hopfield(4, "tanh", most=5, tolerance=0.0, weight=w, dtype="float64")(y)

    check_derivatives(settled, start, weight)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_for_each_sample(target: Target) -> None:
    weights = np.stack([symmetric(5) for _ in range(3)])
    start = spins(3, 5)
    w, y = dg.observed("w", ("B", 5, 5), "float64"), dg.observed("y", ("B", 5), "float64")
    free = dg.parameter("w", (5, 5), dtype="float64")
    memory = dg.Hopfield(5, most=50, weight=free, dtype="float64")
    found = run({"y": dg.bind(memory, {"w": w})(y)}, target, w=weights, y=start)["y"]
    for sample in range(3):
        alone = dg.Hopfield(5, most=50, weight=dg.constant(weights[sample]), dtype="float64")
        wanted = run({"y": alone(y)}, y=start[sample : sample + 1])["y"]
        np.testing.assert_array_equal(found[sample], wanted[0])


def test_files_and_copies(tmp_path: Path) -> None:
    program, patterns = storing(30), spins(2, 30).astype(np.float32)
    program.step(pattern=patterns)
    program.save(tmp_path / "memory.safetensors")
    other, twin = storing(30), copy.deepcopy(program)
    other.load(tmp_path / "memory.safetensors")
    for item in (other, twin):
        np.testing.assert_array_equal(item.run(probe=patterns)["recalled"], patterns)
    recalled = dg.Hopfield(30, name="memory")(dg.observed("probe", ("B", 30)))
    alone = dg.Diagram("recall", {"recalled": recalled}).compile()  # stores nothing, has no step
    alone.load(tmp_path / "memory.safetensors")
    np.testing.assert_array_equal(alone.run(probe=patterns)["recalled"], patterns)
    memory = copy.deepcopy(dg.Hopfield(3, name="memory"))
    memory.store(dg.observed("p", ("P", 3)))
    y = memory.sweep(memory(dg.observed("y", ("B", 3))))
    copied = dg.Diagram("copied", {"y": y}).compile()
    assert list(copied.states) == ["memory/weight", "step"]


def test_a_weight_that_no_rule_changes() -> None:
    memory = dg.Hopfield(3, weight=dg.parameter("w", (3, 3)))
    with pytest.raises(dg.DiagramError, match="make it a state"):
        memory.store(dg.observed("p", ("P", 3)))
    assert list(dg.Diagram("d", memory(dg.observed("y", (3,)))).compile().parameters) == ["w"]


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "message"),
    [
        (("B", 4), "float32", dg.ShapeError, "Hopfield 'memory' (test_hopfield.py:"),
        (("B", 4), "float32", dg.ShapeError, "expects (..., 3), got (B, 4) from observed 'y'"),
        ((), "float32", dg.ShapeError, "expects (..., 3), got () from observed 'y'"),
        (("B", 3), "float64", dg.DtypeError, "expects float32, got float64 from observed 'y'"),
    ],
)
def test_what_it_is_not_applied_to(shape: Any, dtype: str, kind: Any, message: str) -> None:
    memory, y = dg.Hopfield(3, name="memory"), dg.observed("y", shape, dtype)
    with pytest.raises(kind, match=re.escape(message)):
        dg.Diagram("wrong", memory(y))
    for method in (memory.energy, memory.free_energy, memory.store):
        with pytest.raises(kind):
            method(y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "expects units to be an integer of 1 or more, got 0"),
        ({"activation": "relu"}, "expects activation to be 'sign' or 'tanh', got 'relu'"),
        ({"tolerance": -1.0}, "expects tolerance to be a number of 0 or more, got -1.0"),
        ({"weight": dg.parameter("w", (2, 3))}, "expects weight of shape (3, 3), got (2, 3)"),
    ],
)
def test_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, dg.ShapeError), match=re.escape(message)):
        dg.Hopfield(**{"units": 3, **options})

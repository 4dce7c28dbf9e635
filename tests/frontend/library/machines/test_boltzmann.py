"""Boltzmann's machine: against all states of small ones, and the contrastive rule."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target
from .enumerating import moments, pair_energy, probabilities, states, symmetric

LOWS: tuple[Any, ...] = (-1, 0)


def given(program: dg.Program, weight: Any, bias: Any) -> None:
    program.states["machine/weight"][...] = weight
    program.states["machine/bias"][...] = bias


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("low", LOWS)
def test_the_energy_is_a_sum_over_pairs(low: Any, target: Target) -> None:
    rng = np.random.default_rng(0)
    machine = dg.BoltzmannMachine(4, low=low, dtype="float64", name="machine")
    y = dg.observed("y", ("B", 4), "float64")
    program = dg.Diagram("d", {"e": machine.energy(y)}).compile(target=target)
    weight, bias = symmetric(4, rng), rng.normal(size=4)
    given(program, weight, bias)
    every = states(4, low)
    np.testing.assert_allclose(program.run(y=every)["e"], pair_energy(every, weight, bias))


@pytest.mark.parametrize("low", LOWS)
@pytest.mark.parametrize(("visible", "hidden"), [(1, 0), (4, 0), (2, 3)])
def test_samples_have_the_exact_statistics(visible: int, hidden: int, low: Any) -> None:
    """Of 40000 chains after 60 sweeps; a deviation of a mean is at most 0.005."""
    rng = np.random.default_rng(1)
    units = visible + hidden
    machine = dg.BoltzmannMachine(visible, hidden, low=low, name="machine")
    y = dg.observed("y", ("B", units))
    program = dg.Diagram("d", {"y": machine.sample(y, sweeps=60)}).compile(seed=1)
    weight, bias = symmetric(units, rng), rng.normal(size=units) * 0.5
    given(program, weight, bias)
    found = program.run(y=np.zeros((40000, units), np.float32))["y"].astype(np.float64)
    assert set(np.unique(found)) == {float(low), 1.0}
    every = states(units, low)
    wanted = moments(every, probabilities(pair_energy(every, weight, bias)))
    for one, other in zip(moments(found), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=0.025)


@pytest.mark.parametrize("low", LOWS)
def test_hidden_units_are_drawn_given_the_visible_ones(low: Any) -> None:
    rng = np.random.default_rng(2)
    machine = dg.BoltzmannMachine(2, 3, low=low, name="machine")
    v = dg.observed("v", ("B", 2))
    program = dg.Diagram("d", {"h": machine(v, sweeps=40)}).compile()
    weight, bias = symmetric(5, rng), rng.normal(size=5) * 0.5
    given(program, weight, bias)
    clamped = np.array([1.0, low])
    h = program.run(v=np.tile(clamped, (40000, 1)).astype(np.float32))["h"]
    assert h.shape == (40000, 3)
    every = np.concatenate([np.tile(clamped, (8, 1)), states(3, low)], axis=1)
    exact = moments(every[:, 2:], probabilities(pair_energy(every, weight, bias)))
    for one, other in zip(moments(h.astype(np.float64)), exact, strict=True):
        np.testing.assert_allclose(one, other, atol=0.025)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("chains", [None, 7])
def test_a_step_is_the_contrastive_rule(chains: int | None, target: Target) -> None:
    machine = dg.BoltzmannMachine(5, chains=chains, dtype="float64", name="machine")
    v = dg.observed("v", ("B", 5), "float64")
    free = machine.learn(v, rate=0.3, sweeps=2)
    program = dg.Diagram("d", {"free": free}).compile(target=target, seed=3)
    rng, bias = np.random.default_rng(3), np.zeros(5)
    weight = program.states["machine/weight"].copy()
    assert (weight == weight.T).all() and 0.003 < weight.std() < 0.02
    for batch in (4, 1, 4):
        data = rng.choice([-1.0, 1.0], (batch, 5))
        fantasy = program.run("training", **({} if chains else {"v": data}))["free"]
        assert fantasy.shape == (chains or batch, 5)
        step = program.step(v=data)
        np.testing.assert_array_equal(step["free"], fantasy)
        shown, dreamt = moments(data), moments(fantasy)
        bias = bias + 0.3 * (shown[0] - dreamt[0])
        weight = weight + 0.3 * (shown[1] - dreamt[1])
        np.testing.assert_allclose(program.states["machine/bias"], bias, atol=1e-14)
        np.testing.assert_allclose(program.states["machine/weight"], weight, atol=1e-14)
        assert (np.diag(program.states["machine/weight"]) == 0).all()
        if chains:
            np.testing.assert_array_equal(program.states["machine/chains"], fantasy)


def test_one_machine_is_not_in_the_diagram_of_another() -> None:
    """Though its free states are made from nothing but themselves."""
    one, two = (dg.BoltzmannMachine(3, chains=4, name="machine") for _ in range(2))
    free = one.learn(dg.observed("v", ("B", 3)))
    assert len(dg.Diagram("one", {"free": free}).compile().states) == 5
    two.learn(v := dg.observed("v", ("B", 3)))
    program = dg.Diagram("two", {"h": dg.sum(v)}).compile()
    assert len(program.states) == 5
    program.step(v=np.ones((2, 3), np.float32))
    assert program.states["machine/chains"].any()


def test_a_rate_that_falls() -> None:
    machine = dg.BoltzmannMachine(3, deviation=0.0, name="machine")
    v, rate = dg.observed("v", ("B", 3)), dg.observed("rate", ())
    program = dg.Diagram("d", {"free": machine.learn(v, rate, sweeps=0)}).compile()
    data = np.ones((2, 3), np.float32)
    program.step(v=data, rate=np.float32(0.5))
    assert program.states["machine/weight"][0, 1] == 0  # y~ is y: nothing to learn
    persistent = dg.BoltzmannMachine(3, deviation=0.0, chains=2, name="machine")
    free = persistent.learn(v, rate, sweeps=0)
    program = dg.Diagram("d", {"free": free}, updates=[]).compile()
    for value in (0.5, 0.25, 0.0):  # y~ stays 0
        program.step(v=data, rate=np.float32(value))
    assert program.states["machine/weight"][0, 1] == 0.75
    for wrong, kind in (((2,), dg.ShapeError), ((), dg.DtypeError)):
        with pytest.raises(kind, match="expects a rate of float32"):
            other = dg.BoltzmannMachine(3, name="machine")
            other.learn(v, dg.observed("r", wrong, "float64" if wrong == () else "float32"))


@pytest.mark.parametrize("low", LOWS)
def test_without_hidden_units_it_learns_the_moments_of_the_data(low: Any) -> None:
    """The likeliest weights are those with the means and products of the data."""
    data = np.array([[1, 1, low], [1, 1, 1], [low, low, 1], [low, 1, low], [low, low, low]])
    machine = dg.BoltzmannMachine(3, low=low, chains=2000, name="machine")
    machine.learn(dg.observed("v", ("B", 3)), rate=0.05 if low else 0.2)
    y = dg.observed("y", ("B", 3))
    program = dg.Diagram("d", {"e": machine.energy(y)}).compile()
    for _ in range(1500):
        program.step(v=data.astype(np.float32))
    every = states(3, low)
    energy = program.run(y=every.astype(np.float32))["e"].astype(np.float64)
    found = moments(every, probabilities(energy))
    for one, other in zip(found, moments(data.astype(np.float64)), strict=True):
        np.testing.assert_allclose(one, other, atol=0.03)


def test_hidden_units_learn_what_pairs_cannot_say() -> None:
    """Exclusive or: all means and products of three units are 0."""
    data = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    machine = dg.BoltzmannMachine(3, 3, chains=500, deviation=0.3, name="machine")
    machine.learn(dg.observed("v", ("B", 3)), rate=0.05, sweeps=3)
    program = dg.Diagram("d", updates=[machine.weight, machine.bias]).compile()
    for _ in range(2500):
        program.step(v=np.repeat(data, 50, axis=0))
    every = states(6, -1)
    energy = pair_energy(every, program.states["machine/weight"], program.states["machine/bias"])
    right = every[:, :3].prod(axis=1) == 1
    assert probabilities(energy)[right].sum() > 0.9


def test_seeds_runs_and_files(tmp_path: Path) -> None:
    """A run draws what the next step will; the same seed is the same machine."""

    def made(seed: int) -> dg.Program:
        machine = dg.BoltzmannMachine(3, 2, chains=4, name="machine")
        free = machine.learn(dg.observed("v", ("B", 3)), sweeps=2)
        return dg.Diagram("d", {"free": free}).compile(seed=seed)

    data = np.ones((6, 3), np.float32)
    one, same, other = made(1), made(1), made(2)
    assert (one.states["machine/weight"] != other.states["machine/weight"]).any()
    for _ in range(3):
        np.testing.assert_array_equal(one.run()["free"], one.run()["free"])
        np.testing.assert_array_equal(one.step(v=data)["free"], same.step(v=data)["free"])
    one.save(tmp_path / "machine.safetensors")
    other.load(tmp_path / "machine.safetensors")
    np.testing.assert_array_equal(one.step(v=data)["free"], other.step(v=data)["free"])


def test_no_sweeps_and_no_samples() -> None:
    machine = dg.BoltzmannMachine(3, 2, name="machine")
    y, v = dg.observed("y", ("B", 5)), dg.observed("v", ("C", 3))
    outputs = {"y": machine.sample(y, sweeps=0), "h": machine(v, sweeps="B")}
    program = dg.Diagram("d", outputs).compile()
    values = np.ones((2, 5), np.float32)
    found = program.run(y=values, v=values[:0, :3])
    np.testing.assert_array_equal(found["y"], values)
    assert found["h"].shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": 0}, "expects visible to be an integer of 1 or more, got 0"),
        ({"hidden": -1}, "expects hidden to be an integer of 0 or more, got -1"),
        ({"low": 1}, "expects low to be -1 or 0, got 1"),
        ({"chains": 0}, "expects chains to be an integer of 1 or more, got 0"),
        ({"deviation": -0.1}, "expects deviation to be a number of 0 or more, got -0.1"),
    ],
)
def test_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        dg.BoltzmannMachine(**{"visible": 3, **options})


def test_it_learns_from_one_kind_of_data() -> None:
    machine = dg.BoltzmannMachine(3, name="machine")
    machine.learn(dg.observed("v", ("B", 3)))
    with pytest.raises(dg.DiagramError, match="which has its next value already"):
        machine.learn(dg.observed("w", ("B", 3)))
    for shape in (("B", 4), (3,), ("T", "B", 3)):
        with pytest.raises(dg.ShapeError, match=re.escape("expects (B, 3)")):
            machine.learn(dg.observed("v", shape))

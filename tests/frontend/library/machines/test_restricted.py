"""The restricted machine: against all states of small ones, and its rule, which is a gradient."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target
from .enumerating import probabilities, states

LOWS: tuple[Any, ...] = (-1, 0)
NAMES = ("weight", "visible_bias", "hidden_bias")


def numbers(visible: int, hidden: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return {n: rng.normal(size=shape) for n, shape in zip(NAMES, shapes, strict=True)}


def give(program: dg.Program, held: dict[str, Any]) -> None:
    for name, value in held.items():
        program.states[f"machine/{name}"][...] = value


def layer_energy(v: Any, h: Any, weight: Any, visible_bias: Any, hidden_bias: Any) -> Any:
    return -np.einsum("...i,ij,...j->...", v, weight, h) - v @ visible_bias - h @ hidden_bias


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("low", LOWS)
@pytest.mark.parametrize(("visible", "hidden"), [(1, 1), (3, 2), (2, 5)])
def test_energies_and_means_by_all_states(
    visible: int, hidden: int, low: Any, target: Target
) -> None:
    machine = dg.RestrictedBoltzmannMachine(
        visible, hidden, low=low, dtype="float64", name="machine"
    )
    v = dg.observed("v", ("B", visible), "float64")
    h = dg.observed("h", ("C", hidden), "float64")
    pairs = machine.energy(dg.expand_dims(v, 1), h)
    outputs = {"energy": pairs, "free": machine.free_energy(v), "h": machine(v)}
    outputs["v"] = machine.visible_means(h)
    program = dg.Diagram("d", outputs).compile(target=target)
    held = numbers(visible, hidden)
    give(program, held)
    v_states, h_states = states(visible, low), states(hidden, low)
    found = program.run(v=v_states, h=h_states)
    energy = layer_energy(v_states[:, None], h_states, **held)
    np.testing.assert_allclose(found["energy"], energy, rtol=1e-12)
    joint = np.exp(-energy)
    np.testing.assert_allclose(found["free"], -np.log(joint.sum(1)), rtol=1e-12)
    means = joint @ h_states / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(found["h"], means, rtol=1e-12)
    means = joint.T @ v_states / joint.sum(0)[:, None]
    np.testing.assert_allclose(found["v"], means, rtol=1e-12)


@pytest.mark.parametrize("low", LOWS)
def test_samples_have_the_exact_probabilities(low: Any) -> None:
    machine = dg.RestrictedBoltzmannMachine(3, 2, low=low, name="machine")
    v = dg.observed("v", ("B", 3))
    outputs = {"v": machine.sample(v, sweeps=60), "free": machine.free_energy(v)}
    program = dg.Diagram("d", outputs).compile()
    give(program, numbers(3, 2))
    every = states(3, low).astype(np.float32)
    wanted = probabilities(program.run(v=every)["free"].astype(np.float64))
    found = program.run(v=np.tile(every, (5000, 1)))["v"]
    shares = [(found == state).all(axis=1).mean() for state in every]
    np.testing.assert_allclose(shares, wanted, atol=0.012)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("low", LOWS)
@pytest.mark.parametrize("chains", [None, 7])
def test_a_step_goes_down_the_difference_of_free_energies(
    chains: int | None, low: Any, target: Target
) -> None:
    """The rule by hand, and the gradient of mean F(v) - mean F(v~), which it is."""
    machine = dg.RestrictedBoltzmannMachine(
        5, 3, low=low, chains=chains, dtype="float64", name="machine"
    )
    v, w = (dg.observed(name, (name.upper(), 5), "float64") for name in "vw")
    free = machine.learn(v, rate=0.3, sweeps=2)
    apart = dg.mean(machine.free_energy(v)) - dg.mean(machine.free_energy(w))
    held = (machine.weight, machine.visible_bias, machine.hidden_bias)
    outputs = {"free": free, "h": machine(v), "wh": machine(w)}
    outputs |= dict(zip(NAMES, dg.gradient(apart, held), strict=True))
    program = dg.Diagram("d", outputs).compile(target=target, seed=3)
    rng = np.random.default_rng(3)
    give(program, numbers(5, 3))
    for batch in (4, 1, 4):
        data = rng.choice([float(low), 1.0], (batch, 5))
        nothing = np.zeros((1, 5))
        fantasy = program.run("training", v=data, w=nothing)["free"]
        assert fantasy.shape == (chains or batch, 5)
        found = program.run(v=data, w=fantasy)
        before = {name: program.states[f"machine/{name}"].copy() for name in NAMES}
        program.step(v=data)
        rule = data.T @ found["h"] / batch - fantasy.T @ found["wh"] / len(fantasy)
        after = program.states["machine/weight"]
        np.testing.assert_allclose(after, before["weight"] + 0.3 * rule, atol=1e-14)
        for name in NAMES:
            moved = program.states[f"machine/{name}"] - before[name]
            np.testing.assert_allclose(moved, -0.3 * found[name], atol=1e-14, err_msg=name)
        if chains:
            np.testing.assert_array_equal(program.states["machine/chains"], fantasy)


@pytest.mark.parametrize(("chains", "least"), [(None, 0.6), (500, 0.9)])
def test_it_learns_exclusive_or(chains: int | None, least: float) -> None:
    """Contrastive divergence with few sweeps stops short of it, persistent chains do not."""
    data = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    start = dg.init.normal(deviation=0.5)
    machine = dg.RestrictedBoltzmannMachine(3, 4, chains=chains, weight_init=start, name="machine")
    v = dg.observed("v", ("B", 3))
    machine.learn(v, rate=0.1, sweeps=2)
    program = dg.Diagram("d", {"free": machine.free_energy(v)}).compile()
    for _ in range(2500):
        program.step(v=np.repeat(data, 50, axis=0))
    every = states(3, -1).astype(np.float32)
    right = every.prod(axis=1) == 1
    assert probabilities(program.run(v=every)["free"])[right].sum() > least


def test_files(tmp_path: Path) -> None:
    def made(seed: int) -> dg.Program:
        machine = dg.RestrictedBoltzmannMachine(3, 2, chains=4, name="machine")
        free = machine.learn(dg.observed("v", ("B", 3)))
        return dg.Diagram("d", {"free": free}).compile(seed=seed)

    data = np.ones((6, 3), np.float32)
    one, other = made(1), made(2)
    one.step(v=data)
    one.save(tmp_path / "machine.safetensors")
    other.load(tmp_path / "machine.safetensors")
    np.testing.assert_array_equal(one.step(v=data)["free"], other.step(v=data)["free"])


def test_features_for_a_classifier() -> None:
    """What it has learned is no parameter: an optimizer trains what comes after it."""
    machine = dg.RestrictedBoltzmannMachine(4, 3, name="machine")
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B",), "int32")
    scores = dg.Chain(machine, dg.Linear(3, 2), name="net")(x)
    program = dg.Diagram("d", {"s": scores}, cost=dg.cross_entropy(scores, y)).compile(dg.SGD(0.1))
    before = program.states["net/machine/weight"].copy()
    program.step(x=np.ones((2, 4), np.float32), y=np.zeros(2, np.int32))
    np.testing.assert_array_equal(program.states["net/machine/weight"], before)
    assert list(program.parameters) == ["net/1/weight", "net/1/bias"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "expects hidden to be an integer of 1 or more, got 0"),
        ({"low": 0.0}, "expects low to be -1 or 0, got 0.0"),
        ({"chains": True}, "expects chains to be an integer of 1 or more, got True"),
    ],
)
def test_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        dg.RestrictedBoltzmannMachine(**{"visible": 3, "hidden": 2, **options})


def test_weights_of_another_shape() -> None:
    machine = dg.RestrictedBoltzmannMachine(3, 2, weight_init=np.zeros((2, 3)), name="machine")
    with pytest.raises(dg.InputError, match=re.escape("expects a number or float32 (3, 2)")):
        dg.Diagram("d", machine(dg.observed("v", ("B", 3)))).compile()

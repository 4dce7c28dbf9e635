"""RNN, LSTM and GRU against loops in NumPy: values, sizes, derivatives, states, graphs, errors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.pipeline import prepare

from ...evaluating import TARGETS, Target, check_derivatives, text
from .recurrent_cases import (
    Array,
    below,
    gru_step,
    lstm_step,
    outputs_of,
    randomise,
    rnn_step,
)

INPUTS, HIDDEN = 4, 5
Step = Callable[..., tuple[Array, ...]]
BLOCKS: dict[str, tuple[Callable[..., Any], Step]] = {
    "RNN": (dg.RNN, rnn_step),
    "LSTM": (dg.LSTM, lstm_step),
    "GRU": (dg.GRU, gru_step),
    "GRU, reset before": (partial(dg.GRU, reset_after=False), partial(gru_step, after=False)),
    "GRU, update of the new": (partial(dg.GRU, update="new"), partial(gru_step, old=False)),
}


def looped(step: Step, p: dict[str, Array], x: Array, states: int) -> list[Array]:
    """Y and the final states, by a loop in Python."""
    state = tuple(np.zeros((x.shape[1], HIDDEN)) for _ in range(states))
    ys = []
    for x_t in x:
        state = step(p, x_t, *state)
        ys.append(state[0])
    return [np.array(ys).reshape(*x.shape[:2], HIDDEN), *state]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", BLOCKS)
def test_values_at_all_sizes(kind: str, target: Target) -> None:
    block, step = BLOCKS[kind]
    x = dg.observed("x", ("T", "B", INPUTS), "float64")
    found = outputs_of(block(INPUTS, HIDDEN, dtype="float64", name="net")(x))
    program = dg.Diagram("test", found).compile(target=target)
    randomise(program)
    for steps, samples in [(5, 3), (1, 1), (0, 1), (5, 1), (0, 3), (1, 3), (7, 0)]:
        value = np.random.default_rng(steps).normal(size=(steps, samples, INPUTS))
        result = program.run(x=value)
        wanted = looped(step, below(program, "net/l0"), value, len(found) - 1)
        np.testing.assert_allclose(result["Y"], wanted[0], rtol=1e-12, atol=1e-13)
        for number, last in enumerate(wanted[1:]):
            assert result[f"last{number}"].shape == (1, samples, HIDDEN)
            np.testing.assert_allclose(result[f"last{number}"][0], last, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_float32_from_strided_inputs_with_samples_first(kind: str, target: Target) -> None:
    block, step = BLOCKS[kind]
    x = dg.observed("x", ("B", "T", INPUTS))
    net = block(INPUTS, HIDDEN, batch_first=True, reverse=True, name="net")
    program = dg.Diagram("test", outputs_of(net(x))).compile(target=target)
    value = np.random.default_rng(0).normal(size=(6, INPUTS, 7)).astype(np.float32)
    value = value.transpose(0, 2, 1)[::2]
    result = program.run(x=value)
    there = value.transpose(1, 0, 2)[::-1].astype(np.float64)
    wanted = looped(step, below(program, "net/l0"), there, 2 if kind == "LSTM" else 1)
    assert result["Y"].dtype == np.float32 and result["Y"].shape == (3, 7, HIDDEN)
    np.testing.assert_allclose(result["Y"], wanted[0][::-1].transpose(1, 0, 2), atol=1e-5)
    np.testing.assert_allclose(result["last0"][0], wanted[1], atol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "GRU, reset before"])
def test_derivatives(kind: str) -> None:
    rng = np.random.default_rng(0)
    block = BLOCKS[kind][0](2, 3, dtype="float64", weight_init=rng.normal(size=(2, _wide(kind))))
    shape = (1, 2, 3)

    def function(x: Any, h: Any) -> Any:
        net = block  # its parameters are inputs of the program too, but stay as they are
        state = (h, h) if kind == "LSTM" else h
        y, last = net(x, state)
        return y + (last[1] if isinstance(last, tuple) else last)

    check_derivatives(function, rng.normal(size=(3, 2, 2)), rng.normal(size=shape))


def _wide(kind: str) -> int:
    return 3 * {"R": 1, "L": 4, "G": 3}[kind[0]]


@pytest.mark.parametrize("target", TARGETS)
def test_parameters_gradients_by_differences(target: Target) -> None:
    x = dg.observed("x", ("T", "B", INPUTS), "float64")
    y, _ = dg.GRU(INPUTS, HIDDEN, layers=2, bidirectional=True, dtype="float64", name="net")(x)
    net = y.producer.block if y.producer else None
    assert isinstance(net, dg.GRU)
    cost = dg.sum(dg.sin(y))
    names = [f"net/{name}" for name in net.parameters()]
    slopes = dg.gradient(cost, list(net.parameters().values()))
    found = {"f": cost, **dict(zip(names, slopes, strict=True))}
    program = dg.Diagram("test", found).compile(target=target)
    randomise(program)
    value = np.random.default_rng(0).normal(size=(3, 2, INPUTS))
    here = program.run(x=value)
    rng, width = np.random.default_rng(1), 1e-5
    for name in names:
        kept = program.parameters[name].copy()
        along = rng.normal(size=kept.shape)
        sides = []
        for sign in (1, -1):
            program.parameters[name] = kept + sign * width * along
            sides.append(float(program.run(x=value)["f"]))
        program.parameters[name] = kept
        difference = (sides[0] - sides[1]) / (2 * width)
        assert np.vdot(here[name], along) == pytest.approx(difference, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_leak(target: Target) -> None:
    x = dg.observed("x", ("T", "B", INPUTS), "float64")
    y, _ = dg.RNN(INPUTS, HIDDEN, "relu", rate=0.25, bias=False, dtype="float64", name="net")(x)
    program = dg.Diagram("test", {"y": y}).compile(target=target)
    assert list(program.parameters) == ["net/l0/weight", "net/l0/recurrent"]
    p, value = below(program, "net/l0"), np.random.default_rng(0).normal(size=(4, 3, INPUTS))
    h = np.zeros((3, HIDDEN))
    for x_t, found in zip(value, program.run(x=value)["y"], strict=True):
        h = h + 0.25 * (np.maximum(x_t @ p["weight"] + h @ p["recurrent"], 0) - h)
        np.testing.assert_allclose(found, h, rtol=1e-12)


def test_a_trained_leak() -> None:
    z, f = dg.observed("z", (3, 4)), dg.observed("f", (3, 4))
    leak = dg.LeakyIntegrator(4, 0.2, trained=True, name="leak")
    program = dg.Diagram("test", {"z": leak(z, f)}).compile(target="reference")
    rate = 1 / (1 + np.exp(-program.parameters["leak/rate"]))
    np.testing.assert_allclose(rate, np.full(4, 0.2), rtol=1e-6)
    found = program.run(z=np.ones((3, 4), np.float32), f=np.zeros((3, 4), np.float32))["z"]
    np.testing.assert_allclose(found, np.full((3, 4), 0.8), rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_pieces_continue_each_other(target: Target) -> None:
    """A state given and returned: two pieces are as one sequence."""
    x = dg.observed("x", ("T", "B", INPUTS))
    h, c = (dg.observed(name, (2, "B", HIDDEN)) for name in "hc")
    found = outputs_of(dg.LSTM(INPUTS, HIDDEN, layers=2, name="net")(x, (h, c)))
    program = dg.Diagram("test", found).compile(target=target)
    value = np.random.default_rng(0).normal(size=(7, 3, INPUTS)).astype(np.float32)
    zero = np.zeros((2, 3, HIDDEN), np.float32)
    whole = program.run(x=value, h=zero, c=zero)
    first = program.run(x=value[:4], h=zero, c=zero)
    second = program.run(x=value[4:], h=first["last0"], c=first["last1"])
    np.testing.assert_allclose(second["Y"], whole["Y"][4:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second["last1"], whole["last1"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_checkpoints_change_no_gradient_and_truncation_does(target: Target) -> None:
    value = np.random.default_rng(0).normal(size=(7, 2, INPUTS))
    results = []
    for options in ({}, {"checkpoint": 3}, {"truncate": 3}, {"truncate": 7}):
        x = dg.observed("x", ("T", "B", INPUTS), "float64")
        net = dg.GRU(INPUTS, HIDDEN, dtype="float64", name="net", **options)  # type: ignore[arg-type]
        _, last = net(x)
        slope = dg.gradient(dg.sum(last), x)
        program = dg.Diagram("test", {"last": last, "slope": slope}).compile(target=target)
        results.append(program.run(x=value))
    plain, checkpoint, truncated, late = results
    np.testing.assert_allclose(checkpoint["slope"], plain["slope"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(late["slope"], plain["slope"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(truncated["last"], plain["last"], rtol=1e-12)
    assert not truncated["slope"][:6].any() and plain["slope"].all() and truncated["slope"][6].all()


@pytest.mark.parametrize(
    ("block", "forward", "backward"),
    [(dg.RNN, 1, 1), (dg.LSTM, 1, 1), (dg.GRU, 1, 1), (partial(dg.GRU, reset_after=False), 2, 2)],
)
def test_products_in_a_step(block: Callable[..., Any], forward: int, backward: int) -> None:
    """One product with U in each direction; those with the input and the weights' are outside."""
    x = dg.observed("x", ("T", "B", 16))
    net = block(16, 32, name="net")
    y, _ = net(x)
    cost = dg.mean(y * y)
    slopes = dg.gradient(cost, list(net.parameters().values()))
    outputs = {"f": cost, **{f"g{i}": item for i, item in enumerate(slopes)}}
    graph = prepare(dg.Diagram("test", outputs).lower())
    bodies = {id(n.attrs["body"]): n.attrs["body"] for n in graph.nodes() if n.op == "loop"}
    counts = [sum(node.op == "contract" for node in body.nodes()) for body in bodies.values()]
    assert sorted(counts) == sorted([forward, backward])
    assert sum(node.op == "contract" for node in graph.nodes()) == 2 + forward


def test_parameters_and_their_initial_values() -> None:
    x = dg.observed("x", ("T", "B", INPUTS))
    net = dg.LSTM(INPUTS, HIDDEN, layers=2, bidirectional=True, name="net")
    diagram = dg.Diagram("test", {"y": net(x)[0]})
    assert {name: item.shape for name, item in diagram.parameters.items()} == {
        f"net/{cell}/{name}": shape
        for cell, inputs in zip(
            ("l0", "l0_reverse", "l1", "l1_reverse"), (4, 4, 10, 10), strict=True
        )
        for name, shape in [("weight", (inputs, 20)), ("recurrent", (5, 20)), ("bias", (20,))]
    }
    assert [f"net/{name}" for name in net.parameters()] == list(diagram.parameters)
    program = diagram.compile(target="reference")
    gates = np.split(program.parameters["net/l1/recurrent"], 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(HIDDEN), atol=1e-6)
    assert not np.allclose(gates[0], gates[1])
    wanted = np.repeat([0.0, 1.0, 0.0, 0.0], HIDDEN)
    np.testing.assert_array_equal(program.parameters["net/l0/bias"], wanted)


def test_identity_for_every_gate() -> None:
    x = dg.observed("x", ("T", "B", INPUTS))
    net = dg.GRU(INPUTS, HIDDEN, recurrent_init=dg.init.identity(0.5), weight_init=0.25, name="net")
    program = dg.Diagram("test", {"y": net(x)[0]}).compile(target="reference")
    wanted = np.concatenate([0.5 * np.eye(HIDDEN)] * 3, axis=1)
    np.testing.assert_array_equal(program.parameters["net/l0/recurrent"], wanted)
    np.testing.assert_array_equal(
        program.parameters["net/l0/weight"], np.full((INPUTS, 3 * HIDDEN), 0.25)
    )


def message(build: Callable[[], Any]) -> str:
    with pytest.raises((dg.DiagramError, ValueError, TypeError)) as error:
        y = build()
        dg.Diagram("test", outputs_of(y) if isinstance(y, tuple) else {"y": y})
    return text(error.value)


def test_errors() -> None:
    x = dg.observed("x", ("T", "B", INPUTS))
    net = dg.GRU(INPUTS, HIDDEN, name="net")
    assert message(lambda: net(dg.observed("u", ("T", "B", 3)))) == (
        "GRU 'net' (m.py:1) expects x of shape (T, B, 4), got (T, B, 3) from observed 'u' (m.py:1)"
    )
    assert message(lambda: net(dg.observed("u", ("T", "B", INPUTS), "float64"))) == (
        "GRU 'net' (m.py:1) expects x of dtype float32 like its weights, got float64 from "
        "observed 'u' (m.py:1): convert one with .astype(\"float32\")"
    )
    assert message(lambda: net(x, dg.observed("h", ("B", HIDDEN)))) == (
        "GRU 'net' (m.py:1) expects an initial h of shape (1, B, 5), got (B, 5) from observed 'h' "
        "(m.py:1): one for each layer and direction"
    )
    assert message(lambda: net(x, dg.state("h", (1, 3, HIDDEN)))) == (
        "GRU 'net' (m.py:1) expects an initial h of shape (1, B, 5), got (1, 3, 5) from state 'h' "
        "(m.py:1): one for each layer and direction; its batch size is 3, so that of x must be too"
    )
    assert message(lambda: net(x, lengths=dg.observed("n", ("N",), "int32"))) == (
        "GRU 'net' (m.py:1) expects lengths of shape (B,), got (N,) from observed 'n' (m.py:1): "
        "one for each sample"
    )
    first = dg.GRU(INPUTS, HIDDEN, batch_first=True, name="net")
    assert message(lambda: first(x, lengths=dg.observed("n", ("B",), "int32"))) == (
        "GRU 'net' (m.py:1) expects lengths of shape (T,), got (B,) from observed 'n' (m.py:1): "
        "one for each sample"
    )
    assert message(lambda: net(x, lengths=np.ones(3, np.int32))) == (
        "GRU 'net' (m.py:1) expects lengths to be a variable of (B,) integers, got ndarray: give "
        "dg.observed or dg.constant(...)"
    )
    assert message(
        lambda: dg.LSTM(INPUTS, HIDDEN, name="lstm")(x, dg.observed("h", (1, "B", HIDDEN)))
    ) == ("LSTM 'lstm' (m.py:1) expects a tuple (h, c) as its initial state, got 1")
    probes = dg.probes(("T", "B", HIDDEN))
    assert message(lambda: net(x, probes=probes)) == (
        "GRU 'net' (m.py:1) expects probes of shape (1, T, B, 5), got (T, B, 5) from fill 0.0 "
        "(m.py:1)"
    )
    assert message(lambda: dg.LSTM(INPUTS, HIDDEN, name="lstm")(x, probes=probes)) == (
        "LSTM 'lstm' (m.py:1) expects no probes: its state is more than one variable"
    )
    assert message(lambda: dg.RNN(INPUTS, HIDDEN, "sine", name="net")) == (  # type: ignore[arg-type]
        "RNNCell (m.py:1) expects nonlinearity tanh or relu or a function, got 'sine'"
    )
    assert message(lambda: dg.GRU(INPUTS, HIDDEN, update="both")) == (  # type: ignore[arg-type]
        "GRUCell (m.py:1) expects update to be 'old' or 'new', got 'both'"
    )
    assert message(lambda: dg.GRU(INPUTS, HIDDEN, layers=0, name="net")) == (
        "GRU 'net' (m.py:1) expects layers to be an integer of 1 or more, got 0"
    )
    assert message(
        lambda: dg.GRU(INPUTS, HIDDEN, bidirectional=True, reverse=True, name="net")
    ) == ("GRU 'net' (m.py:1) expects bidirectional or reverse, not both")
    assert message(lambda: dg.LeakyIntegrator(3, 1.0, trained=True)) == (
        "LeakyIntegrator (m.py:1) expects a rate in (0, 1), got 1.0"
    )
    assert message(lambda: dg.RNNCell(INPUTS, HIDDEN, name="cell")(x[0], x[0])) == (
        "RNNCell 'cell' (m.py:1) expects h of shape (..., 5), got (B, 4) from index (m.py:1)"
    )


def test_steps_are_the_same_bits_for_any_number_of_threads() -> None:
    x = dg.observed("x", ("T", "B", 24))
    _, (h, c) = dg.LSTM(24, 40, layers=2, name="net")(x)
    diagram = dg.Diagram("test", cost=dg.sum(h * h) + dg.sum(c * c))
    value = np.random.default_rng(0).normal(size=(6, 33, 24)).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        program = diagram.compile(dg.SGD(1e-3), threads=threads)
        costs = [program.step(x=value) for _ in range(3)]
        found.append((costs, {name: array.copy() for name, array in program.states.items()}))
    for costs, states in found[1:]:
        assert costs == found[0][0]
        for name, array in states.items():
            np.testing.assert_array_equal(array, found[0][1][name])


def test_a_state_that_the_program_keeps() -> None:
    """As the chapter on recurrent blocks has it: a step begins where the one before ended."""
    x = dg.observed("x", ("T", 3, INPUTS))
    state = dg.state("h", (1, 3, HIDDEN))
    y, last = dg.GRU(INPUTS, HIDDEN, name="net")(x, state)
    dg.update(state, last)
    diagram = dg.Diagram("test", {"last": last}, cost=dg.mean(y * y))
    program = diagram.compile(dg.SGD(0.0), target="reference")
    value = np.random.default_rng(0).normal(size=(6, 3, INPUTS)).astype(np.float32)
    whole = program.run(x=value)["last"]
    program.step(x=value[:4])
    np.testing.assert_allclose(program.run(x=value[4:])["last"], whole, rtol=1e-5, atol=1e-6)

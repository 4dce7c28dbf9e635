"""Padding behind lengths: no value and no gradient reads it, whatever a step computes.

What each net gives is compared with runs of single samples without padding, and with PyTorch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, text

Array = npt.NDArray[Any]
Step = Callable[..., Any]
"""From a loop, its length if it has one, and the variables of `_given`, to (B, 2)."""

STEPS, BATCH = 4, 3
LENGTHS = ([4, 2, 1], [0, 3, 0], [0, 0, 0], [4, 4, 4])
FILLS = (0.0, np.nan, np.inf)


def _given() -> dict[str, Any]:
    """Samples' sequence, one for all, samples' context and first state, and a weight."""
    shapes: dict[str, tuple[Any, ...]] = {
        "x": ("T", "B", 2), "s": ("T",), "c": ("B", 2), "z": ("B", 2), "w": (2,),
    }  # fmt: skip
    return {name: dg.observed(name, shape, dg.float64) for name, shape in shapes.items()}


def _element(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A function of the element alone that has a pole at 0, and one that has none."""
    y = v["w"] * dg.log(t.each(v["x"])) + v["c"]
    return [t.sum(y), t.last(y), t.stack(dg.sqrt(t.each(v["x"])))]


def _frozen(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A step that is infinite where it is done again from its own result."""
    x_t = t.each(v["x"])
    z = t.delay("z", v["z"])
    z_next = 2.0 * x_t - z
    t.close(z, z_next)
    y = v["w"] / (x_t - z_next) + dg.log(dg.absolute(z + 0.1))
    return [t.stack(y), t.last(z_next)]


def _delays(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A delay of two steps, of what divides by the element."""
    z = t.delay("z", 0.5, steps=2, shape=("B", 2), dtype="float64")
    z_next = dg.tanh(v["w"] / t.each(v["x"])) * v["c"] + 0.5 * z
    t.close(z, z_next)
    return [t.last(z_next), t.sum(z)]


def _shared(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A sequence for all samples, which is 0 behind the longest."""
    y = v["w"] / t.each(v["s"]) * t.each(v["x"])
    return [t.stack(y), t.sum(dg.exp(y) - 1.0)]


def _remaining(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """What is left of a sample: 0 at the first step that it does not have."""
    count = t.each(dg.arange(v["x"].shape[0]).astype("float64"))
    left = (v["x"].shape[0] if n is None else n.astype("float64")) - count
    left = dg.reshape(left, (*left.shape, 1)) if left.ndim else left
    return [t.sum(dg.log(left) * v["w"] * t.each(v["x"]) / left)]


def _gradients(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A gradient inside of the step."""
    x_t = t.each(v["x"])
    z = t.delay("z", v["z"])
    energy = dg.sum(dg.log(x_t) * v["w"] * z)
    z_next = z - 0.1 * dg.gradient(energy, z) + dg.gradient(energy, x_t)
    t.close(z, z_next)
    return [t.last(z_next), t.stack(z)]


def _inner(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """A loop inside of the step."""
    x_t = t.each(v["x"])
    k = dg.loop("k")
    z = k.delay("z", v["z"])
    part = k.each(x_t, axis=1)
    z_next = z * dg.reshape(dg.log(part), ("B", 1)) + v["w"]
    k.close(z, z_next)
    return [t.sum(k.last(z_next)), t.stack(k.stack(z_next, axis=1))]


def _taken(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """Elements taken by the number of the step, one and several, and from a table of the step."""
    step, s_t = t.each(dg.arange(v["x"].shape[0])), t.each(v["s"])
    pair = dg.take(v["x"], dg.stack([step, step]))
    table = dg.stack([dg.log(s_t), 1.0 / s_t])
    y = v["w"] * dg.log(dg.take(v["x"], step)) * dg.take(table, (v["c"] > 1.0).astype("int32"))
    return [t.sum(y), t.stack(dg.sqrt(dg.sum(pair, axis=0)))]


def _products(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """Products of samples' elements with a matrix of the step: of one sign with those of a step."""
    x_t, s_t = t.each(v["x"]), t.each(v["s"])
    sign = t.each(dg.cos(np.pi * dg.arange(v["x"].shape[0]).astype("float64")))
    matrix = dg.stack([sign * s_t, sign * v["w"][0]])
    y = dg.log((sign * x_t) @ dg.stack([matrix, matrix], axis=1)) * v["w"]
    return [t.sum(y)]


def _convolutions(t: Any, n: Any, v: dict[str, Any]) -> Any:
    """Convolutions of samples' lines with a kernel of the step; all products are above 0."""
    x_t, s_t = t.each(v["x"]), t.each(v["s"])
    sign = t.each(dg.cos(np.pi * dg.arange(v["x"].shape[0]).astype("float64")))
    kernel = dg.reshape(dg.stack([sign * s_t, sign * v["w"][0]]), (1, 1, 2))
    line = dg.reshape(sign * x_t, ("B", 1, 2))
    there = dg.log(dg.correlate(line, kernel, padding=[(0, 1)]))
    back = dg.log(dg.conv_transpose(line, kernel, padding=[(1, 0)]))
    return [t.sum(dg.reshape(there * back, ("B", 2)) * v["w"])]


NETS = (
    _element,
    _frozen,
    _delays,
    _shared,
    _remaining,
    _gradients,
    _inner,
    _taken,
    _products,
    _convolutions,
)


def _program(net: Step, lengths: bool, target: Target, **options: Any) -> dg.Program:
    """The outputs of a net, the gradients of a cost, those of the cost's slope, and so on."""
    v = _given()
    n = dg.observed("n", ("B",), dg.int32) if lengths else None
    t = dg.loop("t", lengths=n, **options)
    outputs = dict(enumerate(net(t, n, v)))
    named = {f"y{key}": item for key, item in outputs.items()}
    cost = sum((dg.sum(dg.sin(y)) for y in outputs.values()), dg.constant(0.0, "float64"))
    for order in (1, 2):
        slopes = dg.gradient(cost, v)
        named |= {f"{order} {name}": slope for name, slope in slopes.items()}
        along = zip((0.3, -0.7, 1.1, 0.5, 0.9), slopes.values(), strict=True)
        cost = sum((k * dg.sum(slope) for k, slope in along), dg.constant(0.0, "float64"))
    return dg.Diagram("net", named).compile(target=target)


def _numbers(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = {"x": (STEPS, BATCH, 2), "s": (STEPS,), "c": (BATCH, 2), "z": (BATCH, 2), "w": (2,)}
    return {name: rng.uniform(0.5, 1.5, size=shape) for name, shape in shapes.items()}


def _run(program: dg.Program, values: dict[str, Array]) -> dict[str, Array]:
    wanted = {name: value for name, value in values.items() if name in program.diagram.observed}
    with np.errstate(all="ignore"):
        return program.run(**wanted)


def _single(program: dg.Program, values: dict[str, Array], lengths: list[int]) -> dict[str, Array]:
    """What single samples without padding give, put together."""
    found: dict[str, Array] = {}
    for sample, length in enumerate(lengths):
        here = {
            "x": values["x"][:length, sample : sample + 1], "s": values["s"][:length],
            "c": values["c"][sample : sample + 1], "z": values["z"][sample : sample + 1],
            "w": values["w"],
        }  # fmt: skip
        for name, value in _run(program, here).items():
            kind = name.split(" ")[-1]
            if kind in "ws":
                whole = found.setdefault(name, np.zeros(values[kind].shape))
                whole[: len(value)] += value
            elif value.ndim > 2:
                whole = found.setdefault(name, np.zeros((STEPS, BATCH, *value.shape[2:])))
                whole[:length, sample] = value[:, 0]
            else:
                whole = found.setdefault(name, np.zeros((BATCH, *value.shape[1:])))
                whole[sample] = value[0]
    return found


OPTIONS: tuple[dict[str, Any], ...] = ({}, {"reverse": True}, {"truncate": 2}, {"checkpoint": 2})
CASES: list[tuple[Step, dict[str, Any], Target]] = [
    *((net, options, "reference") for net in NETS for options in OPTIONS),
    (_frozen, {"reverse": True}, "cpu"),
    (_remaining, {}, "cpu"),
    (_inner, {"checkpoint": 2}, "cpu"),
    (_taken, {"reverse": True}, "cpu"),
]


def _case(value: Any) -> str:
    """A name that is the same in every process of a parallel run."""
    return value.__name__.strip("_") if callable(value) else str(value)


@pytest.mark.parametrize(("net", "options", "target"), CASES, ids=_case)
def test_no_order_of_derivative_reads_padding(
    net: Step, options: dict[str, Any], target: Target
) -> None:
    padded = _program(net, True, target, **options)
    alone = _program(net, False, "reference", **options)
    for (number, lengths), fill in itertools.product(enumerate(LENGTHS), FILLS):
        values = _numbers(number)
        for sample, length in enumerate(lengths):
            values["x"][length:, sample] = fill
        values["s"][max(lengths) :] = fill
        wanted = _single(alone, values, lengths)
        found = _run(padded, {**values, "n": np.array(lengths, np.int32)})
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            place = f"{name} with lengths {lengths} and {fill} behind"
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=place)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_padded_reaches_no_weight(target: Target) -> None:
    """Layers in both directions, a penalty on gradients through time, and a step of training."""
    x, n = dg.observed("x", ("T", "B", 3)), dg.observed("n", ("B",), dg.int32)
    net = dg.GRU(3, 4, layers=2, bidirectional=True, name="net")
    probes = dg.probes((4, "T", "B", 4))
    y, last = net(x, lengths=n, probes=probes)
    cost = dg.mean(last * last) + dg.sum(y * y)
    total = cost + dg.gradient_propagation(cost, probes) + 1e-2 * dg.l1(dg.gradient(cost, x))
    diagram = dg.Diagram("net", cost=total)
    rng, lengths = np.random.default_rng(0), np.array([3, 1, 0], np.int32)
    clean = rng.normal(size=(3, 3, 3)).astype(np.float32)
    found = []
    for fill in (0.0, np.nan, np.inf):
        padded = clean.copy()
        padded[1:, 1] = padded[:, 2] = fill
        program = diagram.compile(dg.SGD(0.1), target=target, seed=0)
        with np.errstate(all="ignore"):
            program.step(x=padded, n=lengths)
            program.step(x=padded, n=lengths)
        found.append(np.concatenate([p.ravel() for p in program.parameters.values()]))
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize("target", TARGETS)
def test_attention_reads_no_entry_behind_the_end(target: Target) -> None:
    memory, query = dg.observed("m", ("S", "B", 3)), dg.observed("q", ("B", 2))
    n = dg.observed("n", ("B",), dg.int32)
    net = dg.AdditiveAttention(2, 3, 4, name="net")
    mean, weights = net(query, memory, lengths=n)
    cost = dg.sum(mean * mean) + dg.sum(weights * weights)
    free = {"m": memory, "q": query, **net.parameters()}
    outputs = {"mean": mean, "weights": weights, **dg.gradient(cost, free)}
    outputs["again"] = dg.gradient(dg.sum(dg.gradient(cost, query)), memory)
    program = dg.Diagram("net", outputs).compile(target=target, seed=0)
    rng = np.random.default_rng(0)
    full, q = rng.normal(size=(4, 3, 3)), rng.normal(size=(3, 2)).astype(np.float32)
    lengths = [4, 2, 0]
    padded = full.astype(np.float32)
    for sample, length in enumerate(lengths):
        padded[length:, sample] = np.nan
    found = program.run(m=padded, q=q, n=np.array(lengths, np.int32))
    wanted = {name: np.zeros_like(value) for name, value in found.items()}
    for sample, length in enumerate(lengths):
        here, one = slice(sample, sample + 1), np.array([length], np.int32)
        single = program.run(m=padded[:length, here], q=q[here], n=one)
        for name in ("mean", "q"):
            wanted[name][here] = single[name]
        wanted["weights"][here, :length] = single["weights"]
        for name in ("m", "again"):
            wanted[name][:length, here] = single[name]
        for name in net.parameters():
            wanted[name] += single[name]
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_symbols_and_labels_are_checked_where_samples_have_them(target: Target) -> None:
    s, y = dg.observed("s", ("S", "B"), dg.int32), dg.observed("y", ("S", "B"), dg.int32)
    n = dg.observed("n", ("B",), dg.int32)
    states, _ = dg.Encoder(5, 3, 4, name="net")(s, lengths=n)
    t = dg.loop("t", lengths=n)
    scores = dg.Linear(8, 5, name="out")(t.each(states))
    cost = dg.sum(t.sum(dg.cross_entropy(scores, t.each(y), reduction="none")))
    program = dg.Diagram("read", cost=cost).compile(dg.SGD(0.1), target=target, seed=0)
    symbols = np.array([[1, 2], [3, 4], [0, 99]], np.int32)
    lengths = np.array([3, 1], np.int32)
    labels = np.array([[4, 0], [1, -100], [2, -100]], np.int32)
    assert np.isfinite(program.step(s=symbols, y=labels, n=lengths))
    assert all(np.isfinite(p).all() for p in program.parameters.values())
    before = {name: p.copy() for name, p in program.parameters.items()}
    for name, wrong, index in (("s", symbols, (2, 1)), ("y", labels, (1, 1))):
        given = {"s": np.ones_like(symbols), "y": np.ones_like(labels), name: wrong}
        with pytest.raises(dg.InputError) as caught:
            program.step(**given, n=np.array([3, index[0] + 1], np.int32))
        assert text(caught.value) == (
            f"step of 'read': input '{name}' (m.py:1) expects values in [0, 5), got "
            f"{wrong[index]} at index {index}: nothing was changed"
        )
    for name, p in program.parameters.items():
        np.testing.assert_array_equal(p, before[name])


def test_sizes_that_are_equal_by_chance_say_nothing() -> None:
    """A sequence for all samples, whose elements have as many features as there are samples."""
    x, s = dg.observed("x", (3, 2, 2)), dg.observed("s", (3, 2))
    w, n = dg.observed("w", (3, 2, 2)), dg.observed("n", (2,), dg.int32)
    t = dg.loop("t", lengths=n)
    y = t.stack((t.each(x) + t.each(s)) @ t.each(w))
    program = dg.Diagram("net", {"y": y}).compile(target="reference")
    rng = np.random.default_rng(0)
    shapes = {"x": (3, 2, 2), "s": (3, 2), "w": (3, 2, 2)}
    values = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    found = program.run(**values, n=np.array([1, 3], np.int32))["y"]
    wanted = (values["x"] + values["s"][:, None]) @ values["w"]
    wanted[1:, 0] = 0
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_last_values_of_every_register(target: Target) -> None:
    """A state keeps what a sample had at its own last step; without any, what it had before."""
    x, n = dg.observed("x", ("T", 3)), dg.observed("n", (3,), dg.int32)
    kept = dg.state("kept", (2, 3), 7.0)
    t = dg.loop("t", lengths=n)
    z = t.delay("z", state=kept, steps=2)
    z_next = t.each(x) + z
    t.close(z, z_next)
    program = dg.Diagram("net", cost=dg.sum(t.last(z_next))).compile(dg.SGD(0.1), target=target)
    numbers = np.arange(12, dtype=np.float32).reshape(4, 3)
    numbers[1:, 1] = numbers[:, 2] = np.nan
    with np.errstate(all="ignore"):
        program.step(x=numbers, n=np.array([4, 1, 0], np.int32))
    np.testing.assert_array_equal(program.states["kept"], [[13, 7, 7], [19, 8, 7]])

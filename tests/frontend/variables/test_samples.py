"""A set of weights for each sample, against a loop over the samples, for blocks of all kinds."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg

from .. import evaluating
from ..evaluating import TARGETS, Target, check_derivatives

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)


class Normed(dg.Block):
    """What users write: statistics over features, products, a gain, a mean over the batch."""

    def __init__(self) -> None:
        self.gain = dg.parameter("gain", (3,), init=1.0)
        self.inner = dg.Chain(dg.Linear(3, 5), dg.softmax, dg.Linear(5, 3))

    def forward(self, x: Any) -> Any:
        centred = x - dg.mean(x, axis=1)[:, None]
        scaled = centred / dg.sqrt(dg.mean(centred * centred, axis=1) + 0.1)[:, None]
        return self.inner(scaled * self.gain) + dg.mean(x, axis=0)


class Looped(dg.Block):
    """A loop over steps with a cost and its gradient in it."""

    def __init__(self) -> None:
        self.w = dg.parameter("w", (3, 3))
        self.start = dg.parameter("start", (3,))

    def forward(self, x: Any) -> Any:
        t = dg.loop("t", steps=3)
        z = t.delay("z", self.start, shape=x.shape)
        energy = dg.sum(dg.tanh(z @ self.w) * x)
        t.close(z, z - 0.1 * dg.gradient(energy, z))
        return {"last": t.last(z), "slope": t.sum(dg.gradient(energy, self.w)), "all": t.stack(z)}


class Outer(dg.Block):
    """A block that binds another one, for each sample, to what it computes."""

    def __init__(self) -> None:
        self.u = dg.parameter("u", (4,))
        self.net = dg.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        w = dg.tanh(self.u[0] * dg.arange(8, dtype="float32") + x[:, :1])
        return dg.bind(self.net, w)(x) * dg.sum(self.u)


class Case(NamedTuple):
    block: Callable[[], dg.Block]
    inputs: Mapping[str, Array]
    """Arrays of three samples."""
    axes: Mapping[str, int]
    """The axis of samples of each input; others are the same for all."""
    results: Mapping[str, int | None] = {"y": 0}
    """The axis of samples of each result, as a batch of one has it; None for none."""


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape)


CASES: dict[str, Case] = {
    "linear": Case(lambda: dg.Linear(3, 4), {"x": normal(3, 3)}, {"x": 0}),
    "more axes": Case(lambda: dg.Linear(3, 4), {"x": normal(3, 5, 3)}, {"x": 0}),
    "chain": Case(
        lambda: dg.Chain(dg.Linear(3, 4), dg.relu, dg.Linear(4, 1)), {"x": normal(3, 3)}, {"x": 0}
    ),
    "normed": Case(Normed, {"x": normal(3, 3)}, {"x": 0}),
    "looped": Case(Looped, {"x": normal(3, 3)}, {"x": 0}, {"last": 0, "slope": None, "all": 1}),
    "bound": Case(Outer, {"x": normal(3, 3)}, {"x": 0}),
    "a grid for all": Case(
        lambda: dg.Chain(dg.Linear(2, 4), dg.tanh, dg.Linear(4, 1)),
        {"x": normal(7, 2)},
        {},
        {"y": None},
    ),
    "embedding": Case(lambda: dg.Embedding(5, 3), {"x": RNG.integers(0, 5, size=(3, 4))}, {"x": 0}),
    "time first": Case(
        lambda: dg.GRU(2, 3), {"x": normal(4, 3, 2)}, {"x": 1}, {"states": 1, "last": 1}
    ),
    "attention": Case(
        lambda: dg.AdditiveAttention(3, 2, 4),
        {"query": normal(3, 3), "memory": normal(5, 3, 2)},
        {"query": 0, "memory": 1},
        {"context": 0, "weights": 0},
    ),
    "node": Case(
        lambda: dg.NeuralODE(dg.Chain(dg.Linear(3, 3), dg.tanh), dt=0.1, steps=2),
        {"x": normal(3, 3)},
        {"x": 0},
    ),
}


def outputs_of(block: Any, variables: list[Any], names: Mapping[str, Any]) -> dict[str, Any]:
    found = block(*variables)
    if isinstance(found, dict):
        return found
    several = found if isinstance(found, tuple) else (found,)
    return dict(zip(names, several, strict=True))


def observe(case: Case, size: Any) -> list[Any]:
    variables = []
    for name, array in case.inputs.items():
        shape = list(array.shape)
        if name in case.axes:
            shape[case.axes[name]] = size
        kind = "int64" if array.dtype.kind == "i" else "float32"
        variables.append(dg.observed(name, shape, kind))
    return variables


def one_by_one(case: Case, weights: Array) -> dict[str, Array]:
    """A program of the free block, run on batches of one with the weights of each sample."""
    block = case.block()
    outputs = outputs_of(block, observe(case, "B"), case.results)
    program = dg.Diagram("d", outputs).compile(target="reference", dtype="float64")
    found = []
    for sample, vector in enumerate(weights):
        for name, value in block.unflatten(vector).items():
            if f"{block.default_name}/{name}" in program.parameters:  # not bound within
                program.parameters[f"{block.default_name}/{name}"] = value
        given = {
            name: array.take([sample], case.axes[name]) if name in case.axes else array
            for name, array in case.inputs.items()
        }
        found.append(program.run(**given))
    return {
        name: np.stack([item[name] for item in found])
        if axis is None
        else np.concatenate([item[name] for item in found], axis)
        for name, axis in case.results.items()
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_each_sample_has_its_own_weights(name: str, target: Target) -> None:
    case = CASES[name]
    block = case.block()
    w = dg.observed("w", ("B", block.parameter_count))
    outputs = outputs_of(dg.bind(block, w), observe(case, "B"), case.results)
    diagram = dg.Diagram("d", outputs)
    assert diagram.parameters == {}
    weights = np.random.default_rng(1).normal(size=(3, block.parameter_count))
    found = diagram.compile(target=target, dtype="float64").run(w=weights, **case.inputs)
    for key, wanted in one_by_one(case, weights).items():
        np.testing.assert_allclose(found[key], wanted, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_any_number_of_samples_in_one_program(count: int, target: Target) -> None:
    net = dg.Chain(dg.Linear(3, 4), dg.tanh, dg.Linear(4, 2))
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", ("B", net.parameter_count))
    program = dg.Diagram("d", {"y": dg.bind(net, w)(x)}).compile(target=target, dtype="float64")
    given = {"x": normal(count, 3), "w": normal(count, net.parameter_count)}
    found = program.run(**given)["y"]
    assert found.shape == (count, 2)
    parts = net.unflatten(given["w"])
    hidden = np.tanh(np.einsum("bk,bkn->bn", given["x"], parts["0/weight"]) + parts["0/bias"])
    wanted = np.einsum("bk,bkn->bn", hidden, parts["2/weight"]) + parts["2/bias"]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_a_number_of_samples_without_a_name() -> None:
    """Then the leading axis of an input is that of the samples, whatever else has that size."""
    net = dg.Linear(3, 3, dtype="float64")
    x, w = dg.observed("x", (3, 3), "float64"), dg.observed("w", (3, 12), "float64")
    y = dg.bind(net, w)(x)
    assert y.shape == (3, 3)
    given = {"x": normal(3, 3), "w": normal(3, 12)}
    found = dg.Diagram("d", {"y": y}).compile(target="reference").run(**given)["y"]
    parts = net.unflatten(given["w"])
    wanted = np.einsum("bk,bkn->bn", given["x"], parts["weight"]) + parts["bias"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_some_for_each_sample_and_some_for_all(target: Target) -> None:
    net = dg.Linear(3, 2, name="net")
    x, w, b = dg.observed("x", ("B", 3)), dg.observed("w", ("B", 3, 2)), dg.observed("b", (2,))
    outputs = {
        "y": dg.bind(net, {"weight": w, "bias": b})(x),
        "free": dg.bind(net, {"weight": w})(x),
    }
    program = dg.Diagram("d", outputs).compile(target=target, dtype="float64")
    assert list(program.parameters) == ["net/bias"]
    program.parameters["net/bias"] = [1.0, 2.0]
    given = {"x": normal(4, 3), "w": normal(4, 3, 2), "b": normal(2)}
    found = program.run(**given)
    product = np.einsum("bk,bkn->bn", given["x"], given["w"])
    np.testing.assert_allclose(found["y"], product + given["b"], rtol=1e-10)
    np.testing.assert_allclose(found["free"], product + np.array([1.0, 2.0]), rtol=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_a_variable_from_outside_has_its_samples_too(target: Target) -> None:
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", ("B", 3))

    class Gain(dg.Block):
        def __init__(self) -> None:
            self.gain = dg.parameter("gain", (3,))

        def forward(self, y: Any) -> Any:
            return y * self.gain + dg.sum(x)

    program = dg.Diagram("d", {"y": dg.bind(Gain(), w)(x)}).compile(target=target)
    given = {n: normal(4, 3).astype(np.float32) for n in ("x", "w")}
    wanted = given["x"] * given["w"] + given["x"].sum(1, keepdims=True)
    np.testing.assert_allclose(program.run(**given)["y"], wanted, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("looped", [False, True])
def test_each_sample_has_its_own_random_draws(looped: bool, target: Target) -> None:
    """The numbers that the whole batch draws, each sample its own part of them."""

    class Noisy(dg.Block):
        def __init__(self) -> None:
            self.gain = dg.parameter("gain", (3,))

        def forward(self, x: Any) -> Any:
            if not looped:
                return x * self.gain + dg.random_normal((x.shape[0], 3))
            t = dg.loop("t", steps=2)
            z = t.delay("z", x)
            t.close(z, z * self.gain + dg.random_normal((x.shape[0], 3)))
            return t.last(z)

    block = Noisy()
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", ("B", 3))
    several = dg.Diagram("d", {"y": dg.bind(block, w)(x)}).compile(target=target)
    free = dg.Diagram("d", {"y": block(x)}).compile(target=target)
    free.parameters["noisy/gain"] = np.full(3, 2.0)
    value = normal(4, 3).astype(np.float32)
    found = several.run(x=value, w=np.full((4, 3), 2, np.float32))["y"]
    np.testing.assert_allclose(found, free.run(x=value)["y"], rtol=1e-5, atol=1e-6)
    assert len(np.unique(found - 2 ** (1 + looped) * value)) == 12


def test_derivatives_to_second_order() -> None:
    net = dg.Chain(dg.Linear(3, 4, dtype="float64"), dg.tanh, dg.Linear(4, 2, dtype="float64"))
    mix = normal(2, net.parameter_count)
    check_derivatives(lambda x, z: dg.bind(net, dg.tanh(z @ mix))(x), normal(3, 3), normal(3, 2))


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_are_those_of_a_loop_over_samples(target: Target) -> None:
    """A hypernetwork that is trained: one step, against the same drawn sample by sample."""
    main = dg.Chain(dg.Linear(3, 4), dg.relu, dg.Linear(4, 2), name="main")
    h = dg.Chain(dg.Linear(2, 5), dg.tanh, dg.Linear(5, main.parameter_count), name="h")
    x, z = dg.observed("x", (3, 3)), dg.observed("z", (3, 2))
    batched = dg.Hypernetwork(h, main)(x, context=z)
    apart = dg.concatenate([dg.bind(main, h(z[i]))(x[i : i + 1]) for i in range(3)])
    given = {"x": normal(3, 3), "z": normal(3, 2)}
    steps = []
    for y in (batched, apart):
        diagram = dg.Diagram("d", {"y": y}, cost=dg.mean(y * y))
        program = diagram.compile(dg.SGD(0.5), target=target, dtype="float64")
        program.step(**given)
        steps.append([program.parameters[name] for name in sorted(program.parameters)])
    for ours, wanted in zip(*steps, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-13)


class Slopes(dg.Block):
    """Gradients inside, of all kinds, by `b`, which samples may share."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.a, self.b = (dg.parameter(name, (3,), dtype="float64") for name in "ab")

    def forward(self, x: Any) -> Any:
        a, b = self.a, self.b
        found = getattr(self, self.kind)(x, a, b, dg.sum(dg.sin(x * a * b) + b * b * b))
        return x * found if found.ndim == 1 else found

    def once(self, x: Any, a: Any, b: Any, cost: Any) -> Any:
        return dg.gradient(cost, b)

    def twice(self, x: Any, a: Any, b: Any, cost: Any) -> Any:
        slope = dg.gradient(cost, b)
        both = dg.gradient(dg.sum(slope * slope) * cost, [a, b])
        return both[0] + dg.gradient(dg.sum(both[1] * a), b)

    def jacobian(self, x: Any, a: Any, b: Any, cost: Any) -> Any:
        return x @ dg.jacobian(dg.exp(dg.mean(x * a, axis=0) * b), b)

    def between(self, x: Any, a: Any, b: Any, cost: Any) -> Any:
        """By what is computed from it, and of a cost that no sample has a part in."""
        twofold = b * b
        return dg.gradient(dg.sum(dg.tanh(x * twofold) * a), twofold) + dg.gradient(dg.sum(b**3), b)

    def looped(self, x: Any, a: Any, b: Any, cost: Any) -> Any:
        """Through a loop, and inside of one."""
        t = dg.loop("t", steps=5, checkpoint=2)
        z = t.delay("z", x)
        step = dg.tanh(z * a + b)
        slope = dg.gradient(dg.sum(step * step), b)
        t.close(z, step - 0.1 * slope)
        return dg.gradient(dg.sum(t.last(step)), b) + t.sum(slope)


SLOPES = ("once", "twice", "jacobian", "between", "looped")


@pytest.mark.parametrize("kind", SLOPES)
def test_gradients_inside_by_what_samples_share(kind: str) -> None:
    """Each sample's is its own, and so are the derivatives of it."""
    block = Slopes(kind)

    def batched(x: Any, a: Any, b: Any) -> Any:
        return dg.bind(block, {"a": a, "b": b})(x)

    def apart(x: Any, a: Any, b: Any) -> Any:
        rows = [dg.bind(block, {"a": a[i], "b": b})(x[i : i + 1]) for i in range(x.shape[0])]
        return dg.concatenate(rows)

    given = (normal(2, 3), normal(2, 3), normal(3))
    variables, inputs = evaluating.observe(*given)
    found = {"ours": batched(*variables), "wanted": apart(*variables)}
    for target in TARGETS:
        values = evaluating.run(found, target, **inputs)
        np.testing.assert_allclose(values["ours"], values["wanted"], rtol=1e-10, atol=1e-12)
    check_derivatives(batched, *given)


def test_another_number_of_samples_builds_nothing() -> None:
    main = dg.Linear(3, 2)
    h = dg.Linear(2, main.parameter_count)
    y = dg.Hypernetwork(h, main)(dg.observed("x", ("B", 3)), context=dg.observed("z", ("B", 2)))
    program = dg.Diagram("d", {"y": y}, cost=dg.mean(y * y)).compile(dg.SGD(0.1))
    kernels = []
    for count in (2, 5):
        program.step(x=np.ones((count, 3), np.float32), z=np.ones((count, 2), np.float32))
        kernels.append(dict(program.kernels))
    assert kernels[0] == kernels[1]


@pytest.mark.parametrize("size", ["N", "samples", "B"])
def test_a_size_of_any_name_beside_a_number_of_samples(size: str) -> None:
    """Three sets of weights, each for all of x: by hand, whatever the size of x is called."""
    x, v = dg.observed("x", (size, 4), "float64"), dg.observed("v", (3, 10), "float64")
    y = dg.bind(dg.Linear(4, 2, dtype="float64", name="l"), v)(x)
    rng = np.random.default_rng(0)
    a, weights = rng.normal(size=(5, 4)), rng.normal(size=(3, 10))
    (value,) = dg.Diagram("d", y).compile().run(x=a, v=weights).values()
    wanted = [a @ row[:8].reshape(4, 2) + row[8:] for row in weights]
    np.testing.assert_allclose(value, np.stack(wanted), rtol=1e-12)

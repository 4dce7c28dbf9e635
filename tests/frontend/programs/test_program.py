"""Programs: their parameters, steps and runs, precision, seeds, and what a call costs."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.runtime.cpu.building import build

from ..evaluating import TARGETS, Array, Target

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 4)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.int32)


def classifier(classes: int = 2, dtype: Any = "float32") -> dg.Diagram:
    x = dg.observed("x", ("B", 4), dtype)
    y = dg.observed("y", ("B",), dtype=dg.int32)
    layers = (dg.Linear(4, 8, dtype=dtype), dg.tanh, dg.Linear(8, classes, dtype=dtype))
    scores = dg.Chain(*layers, name="net")(x)
    return dg.Diagram("classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y))


def accuracy(program: dg.Program) -> float:
    return float((program.run(x=X)["scores"].argmax(axis=1) == Y).mean())


@pytest.mark.parametrize("target", TARGETS)
def test_training(target: Target) -> None:
    program = classifier().compile(optimizer=dg.Adam(0.05), target=target)
    costs = [program.step(x=X, y=Y) for _ in range(60)]
    assert type(costs[0]) is float
    assert costs[-1] < 0.2 * costs[0]
    assert accuracy(program) > 0.95
    assert program.states["step"] == 60


def test_a_program_has_the_diagram_itself() -> None:
    """What a diagram can, it can as a program's diagram too, for type checkers as well."""
    diagram = classifier()
    program = diagram.compile(dg.SGD(0.1))
    assert program.diagram is diagram
    assert str(program.diagram.summary()) == str(diagram.summary())
    assert sorted(program.diagram.graph) == sorted(diagram.graph)
    assert isinstance(program.optimizer, dg.SGD) and program.optimizer.memory == ()


@pytest.mark.parametrize("target", TARGETS)
def test_the_cost_of_a_step_is_the_one_before_the_update(target: Target) -> None:
    program = classifier().compile(optimizer=dg.SGD(0.5), target=target)
    before = float(program.run(x=X, y=Y)["cost"])
    assert program.step(x=X, y=Y) == pytest.approx(before, rel=1e-6)
    assert program.run(x=X, y=Y)["cost"] < before


@pytest.mark.parametrize("target", TARGETS)
def test_what_run_returns(target: Target) -> None:
    diagram = classifier()
    program = diagram.compile(target=target)
    assert list(program.run(x=X)) == ["scores"]
    assert list(program.run(x=X, y=Y)) == ["scores", "cost"]
    alone = dg.Diagram("alone", cost=diagram.cost).compile(target=target)
    assert list(alone.run(x=X, y=Y)) == ["cost"]
    with pytest.raises(dg.InputError) as error:
        alone.run(x=X)
    assert str(error.value) == "run of 'alone' expects inputs x, y; missing y"
    with pytest.raises(dg.InputError) as error:
        program.step(x=X, y=Y)
    assert str(error.value) == (
        "program 'classifier' has no optimizer: compile it with optimizer=dg.SGD(...) to train it"
    )


@pytest.mark.parametrize("target", TARGETS)
def test_results_are_the_callers(target: Target) -> None:
    """Later calls do not overwrite them, and writing to them changes nothing else."""
    x = dg.observed("x", ("B",))
    w = dg.parameter("w", (3,), init=1.0)
    outputs = {"sum": dg.sum(x), "twice": x * 2.0, "x": x, "w": w, "one": dg.constant(np.ones(2))}
    program = dg.Diagram("results", outputs, cost=dg.mean(x)).compile(target=target)
    value = np.ones(4, np.float32)
    first = program.run(x=value)
    kept = {name: array.copy() for name, array in first.items()}
    program.run(x=3 * value)
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
        array[...] = 7
    np.testing.assert_array_equal(value, np.ones(4))
    for name, array in program.run(x=value).items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_parameters_are_views(target: Target) -> None:
    program = classifier().compile(optimizer=dg.SGD(0.1), target=target)
    names = ["net/0/weight", "net/0/bias", "net/2/weight", "net/2/bias"]
    assert list(program.parameters) == names and len(program.parameters) == 4
    weight = program.parameters["net/2/weight"]
    assert weight is program.parameters["net/2/weight"] is program.states["net/2/weight"]
    before = weight.copy()
    program.step(x=X, y=Y)
    assert not np.array_equal(weight, before)  # it is what the step wrote to

    for name in names:
        program.parameters[name] = np.zeros(program.parameters[name].shape)
    program.parameters["net/2/bias"] += [1.0, 3.0]
    np.testing.assert_array_equal(program.run(x=X[:1])["scores"], [[1, 3]])
    weight[...] = 1
    program.parameters["net/0/bias"][:] = 100  # tanh is 1
    np.testing.assert_array_equal(program.run(x=X[:1])["scores"], [[9, 11]])
    assert repr(program.parameters) == (
        "Parameters(\n  net/0/weight: float32 (4, 8)\n  net/0/bias: float32 (8,)\n"
        "  net/2/weight: float32 (8, 2)\n  net/2/bias: float32 (2,)\n)"
    )
    assert repr(program) == (
        f"<Program classifier on {target}: 58 free parameters, SGD(learning_rate=0.1, "
        "momentum=0.0, nesterov=False, weight_decay=0.0), 1 step made>"
    )


def test_mistakes_with_parameters() -> None:
    program = classifier().compile(target="reference")
    with pytest.raises(KeyError) as missing:
        program.parameters["net/weight"]
    assert missing.value.args[0] == (
        "no parameter 'net/weight'; there are net/0/weight, net/0/bias, net/2/weight, net/2/bias"
    )
    for value, got in ((np.ones((8, 4)), "float64 (8, 4)"), (np.ones(2) * 1j, "complex128 (2,)")):
        with pytest.raises(dg.InputError) as error:
            program.parameters["net/0/weight"] = value
        assert str(error.value) == f"parameter 'net/0/weight' expects float32 (4, 8), got {got}"
    with pytest.raises(TypeError) as removed:
        del program.parameters["net/0/weight"]
    assert str(removed.value) == "a program's parameters cannot be removed"


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_cost_does_not_need_is_not_trained(target: Target) -> None:
    x = dg.observed("x", (2,))
    used, spare = dg.parameter("used", (2,)), dg.parameter("spare", (2,), init=1.0)
    chosen = dg.parameter("chosen", (1,), init=np.array([1]), dtype=dg.int32)
    diagram = dg.Diagram(
        "parts", {"spare": spare * x}, cost=dg.sum((used - x) ** 2) + dg.sum(dg.take(x, chosen))
    )
    program = diagram.compile(optimizer=dg.Adam(0.1), target=target)
    program.step(x=np.ones(2, np.float32))
    assert program.parameters["used"].all()
    np.testing.assert_array_equal(program.parameters["spare"], [1, 1])
    assert program.parameters["chosen"] == [1]
    held = {name for name in program.states if name.startswith("optimizer/")}
    assert held == {"optimizer/used/mean", "optimizer/used/square", "optimizer/learning_rate"}


@pytest.mark.parametrize("target", TARGETS)
def test_double_precision_on_request(target: Target) -> None:
    program = classifier().compile(optimizer=dg.Adam(0.01), target=target, dtype="float64")
    floats = {n: a.dtype.name for n, a in program.states.items() if n != "step"}
    assert set(floats.values()) == {"float64"}
    with pytest.raises(dg.InputError) as error:
        program.step(x=X, y=Y)
    assert "expects float64 (B, 4), got float32 (64, 4)" in str(error.value)
    wide = X.astype(np.float64)
    drawn = classifier(dtype="float64").compile(optimizer=dg.Adam(0.01), target="reference")
    for name, array in program.parameters.items():
        drawn.parameters[name] = array
    for _ in range(5):
        assert program.step(x=wide, y=Y) == pytest.approx(drawn.step(x=wide, y=Y), rel=1e-12)
    assert program.run(x=wide)["scores"].dtype == np.float64


@pytest.mark.parametrize("target", TARGETS)
def test_no_number_is_rounded_to_single_precision_on_the_way(target: Target) -> None:
    """Numbers of the user (0.1), of functions and of derivatives (2 / sqrt(pi)) are exact."""

    def found(drawn: Any, asked: Any) -> dict[str, Array]:
        x = dg.observed("x", (5,), drawn)
        y = dg.gelu(0.1 * x) + dg.rsqrt(x * x + 0.3) + dg.maximum(x, 0.7)
        outputs = {"y": y, "slope": dg.gradient(dg.sum(y * y), x)}
        program = dg.Diagram("exact", outputs).compile(target=target, dtype=asked)
        return program.run(x=np.linspace(-1, 1, 5))

    asked, drawn = found("float32", "float64"), found("float64", None)
    for name, value in drawn.items():
        np.testing.assert_array_equal(asked[name], value)


@pytest.mark.parametrize("target", TARGETS)
def test_single_precision_on_request(target: Target) -> None:
    program = classifier(dtype="float64").compile(target=target, dtype=np.float32)
    assert {array.dtype.name for array in program.parameters.values()} == {"float32"}
    assert program.run(x=X)["scores"].dtype == np.float32


@pytest.mark.parametrize("target", TARGETS)
def test_a_seed_gives_the_same_numbers(target: Target) -> None:
    x = dg.observed("x", ("B", 4))
    noisy = dg.Linear(4, 2)(x * dg.random_uniform(("B", 4)))
    diagram = dg.Diagram("noisy", {"noisy": noisy}, cost=dg.mean(noisy**2))

    def costs(seed: int) -> list[float]:
        program = diagram.compile(optimizer=dg.SGD(0.1), target=target, seed=seed)
        return [program.step(x=X) for _ in range(4)]

    first, again, other = costs(3), costs(3), costs(4)
    assert first == again
    assert len({*first, *other}) == 8


def test_a_seed_gives_the_same_parameters_on_every_target() -> None:
    one, two = (classifier().compile(target=target, seed=9) for target in TARGETS)
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, two.parameters[name])


@pytest.mark.parametrize("target", TARGETS)
def test_programs_are_independent(target: Target) -> None:
    diagram, optimizer = classifier(), dg.Adam(0.05)
    one, two = (diagram.compile(optimizer=optimizer, target=target) for _ in range(2))
    untouched = two.run(x=X)["scores"]
    costs = [one.step(x=X, y=Y) for _ in range(5)]
    np.testing.assert_array_equal(two.run(x=X)["scores"], untouched)
    assert two.states["step"] == 0
    assert [two.step(x=X, y=Y) for _ in range(5)] == costs


@pytest.mark.parametrize("target", TARGETS)
def test_programs_in_threads(target: Target) -> None:
    def train(program: dg.Program, into: list[float]) -> None:
        into.extend(program.step(x=X, y=Y) for _ in range(50))

    found: list[list[float]] = [[], [], []]
    programs = [classifier().compile(optimizer=dg.Adam(0.05), target=target) for _ in found]
    threads = [
        threading.Thread(target=train, args=pair)
        for pair in zip(programs[:2], found[:2], strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    train(programs[2], found[2])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("target", TARGETS)
def test_saved_and_loaded(target: Target, tmp_path: Path) -> None:
    diagram = classifier()
    one, two = (diagram.compile(dg.Adam(0.05), target=target, seed=seed) for seed in (0, 1))
    for _ in range(3):
        one.step(x=X, y=Y)
    one.save(tmp_path / "model.safetensors")
    two.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(one.run(x=X)["scores"], two.run(x=X)["scores"])
    assert [one.step(x=X, y=Y) for _ in range(3)] == [two.step(x=X, y=Y) for _ in range(3)]


def test_another_batch_size_compiles_nothing() -> None:
    program = classifier(5).compile(optimizer=dg.Adam(0.05))
    program.step(x=X, y=Y)
    program.run(x=X)
    kernels, compiled = program.kernels, build.compilations
    passes = dict(program.timings.seconds)
    for size in (1, 2, 17, 63):
        program.step(x=X[:size], y=Y[:size])
        program.run(x=X[:size])
    assert build.compilations == compiled
    assert program.kernels == kernels
    assert {n for n, s in program.timings.seconds.items() if s != passes[n]} == {"plan_memory"}
    step, run = (execution._bound for execution in program.executions())
    for shapes, executor in (*list(step.items())[1:], *list(run.items())[1:]):
        assert {origin for _, origin, _, _ in executor.report} == {"memory"}, shapes


def test_many_batch_sizes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagrad.frontend.programs.execution.KEPT", 4)
    program = classifier().compile()
    wanted = program.run(x=X)["scores"]
    for size in range(1, 12):
        found = program.run(x=X[:size])["scores"]
        np.testing.assert_allclose(found, wanted[:size], rtol=1e-5, atol=1e-6)
    (run,) = (execution._bound for execution in program.executions())
    assert [shapes[0][0] for shapes in run] == [8, 9, 10, 11]
    np.testing.assert_array_equal(program.run(x=X)["scores"], wanted)


def calls_of(function: Any, **inputs: Array) -> list[str]:
    """The functions of Python and C that are called meanwhile, after a first time."""
    function(**inputs)
    names: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)
        elif event == "c_call":
            names.append(argument.__name__)

    sys.setprofile(note)
    try:
        function(**inputs)
    finally:
        sys.setprofile(None)
    return names[:-1]  # the last is setprofile itself


def test_a_step_is_one_native_call() -> None:
    """Whatever the size of the network: the fixed cost of a step is a third of a microsecond."""
    small = classifier().compile(optimizer=dg.Adam(0.05))
    assert calls_of(small.step, x=X, y=Y) == ["step", "entry"]
    assert calls_of(small.run, x=X) == ["run", "entry"]
    x = dg.observed("x", ("B", 4))
    layers = [dg.Linear(4, 4) for _ in range(6)]
    y = dg.Chain(*layers)(x)
    deep = dg.Diagram("deep", {"y": y}, cost=dg.mean(y)).compile(optimizer=dg.Adam(0.05))
    assert calls_of(deep.step, x=X) == ["step", "entry"]
    assert calls_of(deep.run, x=X) == ["run", "entry"]


def test_what_was_compiled() -> None:
    program = classifier().compile(optimizer=dg.SGD(0.1))
    assert program.kernels == {}
    program.step(x=X, y=Y)
    assert program.kernels and all("def kernel(" in text for text in program.kernels.values())
    slow = classifier().compile(target="reference")
    slow.run(x=X)
    assert slow.kernels == {}

"""L-BFGS beside PyTorch's, what it keeps, what a step leaves alone, and the search along a line."""

import copy
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.optimizers import lbfgs, line_search
from diagrad.frontend.training.optimizers.line_search import Point, strong_wolfe

from ...evaluating import TARGETS, Target

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 6)), RNG.integers(0, 4, 64)


def classifier(optimizer: Any, target: Target = "cpu", dtype: Any = "float64") -> Any:
    x, y = dg.observed("x", ("B", 6), dtype), dg.observed("y", ("B",), "int64")
    net = dg.Chain(dg.Linear(6, 8, dtype=dtype), dg.tanh, dg.Linear(8, 4, dtype=dtype), name="net")
    return dg.Diagram("test", cost=dg.cross_entropy(net(x), y)).compile(optimizer, target=target)


@pytest.mark.parametrize("target", TARGETS)
def test_ten_steps_are_pytorchs(target: Target) -> None:
    """Two moves a step, a history that is full after two."""
    torch = pytest.importorskip("torch")
    program = classifier(dg.LBFGS(0.5, iterations=2, history=3), target)
    w = [torch.tensor(v.copy(), requires_grad=True) for v in program.parameters.values()]
    other = torch.optim.LBFGS(w, lr=0.5, max_iter=2, history_size=3, line_search_fn="strong_wolfe")

    def closure() -> Any:
        other.zero_grad()
        scores = torch.tanh(torch.tensor(X) @ w[0] + w[1]) @ w[2] + w[3]
        cost = torch.nn.functional.cross_entropy(scores, torch.tensor(Y))
        cost.backward()
        return cost

    for _ in range(10):
        expected = other.step(closure).item()
        assert program.step(x=X, y=Y) == pytest.approx(expected, rel=1e-7)
        for ours, theirs in zip(program.parameters.values(), w, strict=True):
            np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-6, atol=1e-8)
    assert program.states["step"] == 10


def valley(optimizer: Any, target: Target = "reference", **more: Any) -> Any:
    """Rosenbrock's function of four numbers, in two parameters."""
    u = dg.parameter("u", (2,), init=[-1.2, 1.0], dtype="float64")
    v = dg.parameter("v", (2,), init=[-1.2, 1.0], dtype="float64")
    w = dg.concatenate([u, v], 0)
    cost = dg.sum(100.0 * (w[1:] - w[:-1] ** 2.0) ** 2.0 + (1.0 - w[:-1]) ** 2.0)
    return dg.Diagram("valley", cost=cost if not more else -cost).compile(optimizer, target=target)


def test_a_narrow_valley_is_gone_through_to_its_end() -> None:
    program, costs = valley(dg.LBFGS(change_tolerance=1e-14)), []
    for _ in range(6):
        costs.append(program.step())
    assert costs == sorted(costs, reverse=True)
    assert program.step() < 1e-12
    for array in program.parameters.values():
        np.testing.assert_allclose(array, 1.0, atol=1e-6)
    found = [array.copy() for array in program.parameters.values()]
    program.step()  # at the end nothing moves
    np.testing.assert_array_equal([*program.parameters.values()], found)


def test_maximize_is_the_same_way() -> None:
    down, up = (
        valley(dg.LBFGS(iterations=3)),
        valley(dg.LBFGS(iterations=3, maximize=True), up=True),
    )
    for _ in range(4):
        assert down.step() == -up.step()
        np.testing.assert_array_equal([*down.parameters.values()], [*up.parameters.values()])


def test_one_move_a_step_is_the_same_way_in_more_steps() -> None:
    many, one = (
        valley(dg.LBFGS(iterations=6, evaluations=100)),
        valley(dg.LBFGS(iterations=1, evaluations=100)),
    )
    many.step()
    for _ in range(6):
        one.step()
    np.testing.assert_allclose([*one.parameters.values()], [*many.parameters.values()], rtol=1e-9)


def test_saved_loaded_and_copied_to_the_bit(tmp_path: Path) -> None:
    programs = [classifier(dg.LBFGS(iterations=3, history=4), "cpu") for _ in range(2)]
    for _ in range(3):
        programs[0].step(x=X, y=Y)
    programs[0].save(tmp_path / "half.safetensors")
    programs[1].load(tmp_path / "half.safetensors")
    programs.append(copy.deepcopy(programs[0]))
    for program in programs:
        program.step(x=X, y=Y)
    kept = {"gradient", "gradient_before", "direction", "origin", "gradient_changes", "length",
            "parameter_changes", "inverse_products", "scale", "learning_rate"}  # fmt: skip
    names = {f"optimizer/{name}" for name in kept} | {"step", *programs[0].parameters}
    assert programs[0].states.keys() == names
    for program in programs[1:]:
        for name, array in programs[0].states.items():
            np.testing.assert_array_equal(program.states[name], array, err_msg=name)


def test_draws_stay_within_a_step_and_states_are_updated_once() -> None:
    x = dg.observed("x", ("B", 3), "float64")
    norm, head = dg.BatchNorm(3, dtype="float64"), dg.Linear(3, 2, dtype="float64", name="head")
    y = head(dg.Dropout(0.5)(norm(x)))
    diagram = dg.Diagram("noisy", cost=dg.mean((y - 1.0) ** 2.0))
    program = diagram.compile(dg.LBFGS(iterations=5), target="reference")
    plain = diagram.compile(dg.SGD(0.1), target="reference")
    keys = [int(program.states["random_key"])]
    for _ in range(3):
        asked = program.run("training", x=X[:, :3])["cost"]
        assert program.step(x=X[:, :3]) == asked
        plain.step(x=X[:, :3])
        keys.append(int(program.states["random_key"]))
        for name, array in program.states.items():
            if "running" in name:
                np.testing.assert_allclose(array, plain.states[name], rtol=1e-12)
    assert len(set(keys)) == 4
    # With draws that changed from trial to trial the cost of one draw would hardly fall so far.
    program.redraw()
    before = program.run("training", x=X[:, :3])["cost"]
    key = program.states["random_key"].copy()
    program.step(x=X[:, :3])
    program.states["random_key"] = key
    assert program.run("training", x=X[:, :3])["cost"] < 0.98 * before


def test_fit_with_metrics_and_a_rate() -> None:
    x, y = dg.observed("x", ("B", 6), "float64"), dg.observed("y", ("B",), "int64")
    scores = dg.Linear(6, 4, dtype="float64", name="fc")(x)
    diagram = dg.Diagram("fitted", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    program = diagram.compile(dg.LBFGS(iterations=2))
    history = dg.fit(
        program, {"x": X, "y": Y}, 4, 64, progress=False,
        metrics={"accuracy": dg.metrics.accuracy(scores, y)},
    )  # fmt: skip
    assert history.cost == sorted(history.cost, reverse=True)
    alone = diagram.compile(dg.LBFGS(iterations=2))
    assert history.cost == [alone.step(x=X, y=Y) for _ in range(4)]
    assert program.learning_rate == 1.0
    program.learning_rate = 0.25
    assert program.learning_rate == 0.25
    assert len(program.executions()) >= 8  # two steps, of four graphs each
    assert "program 'fitted'" in program.explain()
    found = alone.profile("step", 2, x=X, y=Y)  # of the cost and its gradient, kernel by kernel
    assert found.rows and alone.step(x=X, y=Y) < history.cost[-1]


def test_chosen_and_frozen_parameters_stay() -> None:
    program = classifier(dg.LBFGS(parameters="net/2"), "reference")
    before = {name: array.copy() for name, array in program.parameters.items()}
    program.step(x=X, y=Y)
    for name, array in program.parameters.items():
        assert np.array_equal(array, before[name]) == name.startswith("net/0")
    assert program.states["optimizer/direction"].shape == (8 * 4 + 4,)


def test_two_precisions_are_one_vector() -> None:
    narrow = dg.parameter("narrow", (2,), init=[3.0, -1.0])
    wide = dg.parameter("wide", (), init=2.0, dtype="float64")
    cost = dg.sum(narrow.astype("float64") ** 2.0) * 0.5 + (wide - 0.1) ** 2.0
    optimizer = dg.LBFGS(change_tolerance=1e-14)
    program = dg.Diagram("two", cost=cost).compile(optimizer, target="reference")
    for _ in range(3):
        program.step()
    np.testing.assert_allclose(program.parameters["narrow"], 0.0, atol=1e-6)
    np.testing.assert_allclose(program.parameters["wide"], 0.1, rtol=1e-7)
    assert program.parameters["narrow"].dtype == np.float32


def test_a_cost_that_is_no_number_far_away() -> None:
    """The logarithm ends at 0; the first trial is behind it."""
    w = dg.parameter("w", (), init=3.0, dtype="float64")
    program = dg.Diagram("log", cost=w - dg.log(w) * 0.5).compile(
        dg.LBFGS(30.0), target="reference"
    )
    program.step()
    assert program.parameters["w"] == pytest.approx(0.5, rel=1e-6)


def test_an_interrupted_step_leaves_parameters_that_it_had(monkeypatch: Any) -> None:
    program = valley(dg.LBFGS())
    start = [array.copy() for array in program.parameters.values()]

    def stop(value_at: Callable[[float], Point], *more: Any) -> None:
        value_at(0.5)
        assert not np.array_equal([*program.parameters.values()], start)
        raise KeyboardInterrupt

    monkeypatch.setattr(lbfgs, "strong_wolfe", stop)
    with pytest.raises(KeyboardInterrupt):
        program.step()
    np.testing.assert_array_equal([*program.parameters.values()], start)
    with pytest.raises(dg.InputError):
        classifier(dg.LBFGS(), "reference").step(x=X)


LINES: dict[str, tuple[Callable[[float], tuple[float, float]], float]] = {
    "a parabola": (lambda t: ((t - 3) ** 2, 2 * (t - 3)), 1.0),
    "far away": (lambda t: ((t - 3) ** 2, 2 * (t - 3)), 1e-3),
    "near by": (lambda t: ((t - 3) ** 2, 2 * (t - 3)), 1e3),
    "waves": (lambda t: (math.cos(3 * t) - 0.5 * t, -3 * math.sin(3 * t) - 0.5), 2.3),
    "more and thuente": (  # their first function, line search algorithms, 1994
        lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2), 1e3,
    ),
    "no number": (
        lambda t: (-math.log(4 - t) - 2 * t, 1 / (4 - t) - 2) if t < 4 else (math.nan,) * 2, 9.0
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_the_strong_wolfe_conditions(name: str) -> None:
    function, first = LINES[name]
    asked: list[float] = []

    def value_at(t: float) -> Point:
        asked.append(t)
        return Point(t, *function(t))

    start = Point(0.0, *function(0.0))
    found, count = strong_wolfe(value_at, start, first, 30, 1e-12)
    assert count == len(asked) and found.at in asked
    assert found.value <= start.value + line_search.ENOUGH * found.at * start.slope
    assert abs(found.slope) <= line_search.FLAT * abs(start.slope)


def test_a_search_that_may_ask_for_nothing_more_gives_the_lower_end() -> None:
    function, _ = LINES["a parabola"]
    for most in range(4):
        found, count = strong_wolfe(
            lambda t: Point(t, *function(t)), Point(0.0, *function(0.0)), 100.0, most, 1e-12
        )
        assert count == min(most, 1) + 1 and found.value == (0.0 if most else 9.0)


HERE = r" \(test_lbfgs.py:\d+\)"


def test_errors() -> None:
    for make, message in (
        (lambda: dg.LBFGS(-1), "expects a learning rate to be a number of 0 or more, got -1"),
        (lambda: dg.LBFGS(iterations=0), "expects iterations to be an integer of 1 or more, got 0"),
        (lambda: dg.LBFGS(history=0), "expects history to be an integer of 1 or more, got 0"),
        (
            lambda: dg.LBFGS(gradient_tolerance=-1),
            "expects gradient_tolerance to be a number of 0 or more, got -1",
        ),
        (lambda: cast(Any, dg.LBFGS)(lr=1.0), "expects the arguments learning_rate, iterations, "),
        (
            lambda: dg.ParameterGroups(cast(Any, dg.LBFGS())),
            r"ParameterGroups.* expects optimizers such as dg.Adam\(1e-3\), got",
        ),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            make()
    assert repr(dg.LBFGS(0.5)).startswith("LBFGS(learning_rate=0.5, iterations=20, gradient_tol")
    x = dg.observed("x", (3,))
    with pytest.raises(dg.DiagramError, match="expects a cost of parameters for LBFGS to change"):
        dg.Diagram("d", cost=dg.sum(x)).compile(dg.LBFGS(), target="reference")
    seen, w = dg.state("seen", ()), dg.parameter("w", ())
    dg.update(seen, seen + dg.sum(x))
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("d", cost=w * w, updates=[seen]).compile(dg.LBFGS(), target="reference")
    assert re.fullmatch(
        rf"compile of 'd'{HERE} expects LBFGS to train a diagram whose states are updated with "
        "inputs of its cost, got updates that need x too",
        str(error.value),
    )

"""A step made of updates alone: neither cost nor optimizer."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, text

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3)).astype(np.float32)


def hebb(outputs: bool = True) -> dg.Diagram:
    """A weight that grows with the products of what it joins, and a count of the steps."""
    x, query = dg.observed("x", ("B", 3)), dg.observed("query", (3,))
    w, n = dg.state("w", (3, 3)), dg.state("n", (), dtype="int32")
    dg.update(w, w + x.T @ x)
    dg.update(n, n + 1)
    found = {"w": w, "n": n, "norm": dg.sum(x * x), "answer": w @ query} if outputs else None
    return dg.Diagram("hebb", found, updates=[w, n])


def test_hebbs_rule() -> None:
    for target in TARGETS:
        program = hebb().compile(target=target)
        wanted = np.zeros((3, 3))
        for step in range(5):
            answer = program.step(x=X[step:])
            # What a run gives before the update, of the outputs that need nothing but x.
            assert list(answer) == ["w", "n", "norm"]
            np.testing.assert_allclose(answer["w"], wanted, rtol=1e-5, err_msg=target)
            assert answer["n"] == step
            np.testing.assert_allclose(answer["norm"], (X[step:] ** 2).sum(), rtol=1e-5)
            wanted = wanted + X[step:].T @ X[step:]
        np.testing.assert_allclose(program.states["w"], wanted, rtol=1e-5)
        assert program.states["n"] == program.states["step"] == 5
        run = program.run(x=X, query=X[0])
        np.testing.assert_allclose(run["answer"], wanted @ X[0], rtol=1e-5)
        assert program.states["n"] == 5


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_updates(target: Target) -> None:
    program = hebb(outputs=False).compile(target=target)
    assert program.step(x=X) == {}
    np.testing.assert_allclose(program.states["w"], X.T @ X, rtol=1e-5)
    assert repr(program) == (f"<Program hebb on {target}: 0 free parameters, 1 step made>")


@pytest.mark.parametrize("target", TARGETS)
def test_what_follows_can_be_an_output(target: Target) -> None:
    x, w = dg.observed("x", ("B", 3)), dg.state("w", (3,), init=1.0)
    following = 0.5 * w + dg.mean(x, axis=0)
    dg.update(w, following)
    program = dg.Diagram("d", {"before": w, "after": following}).compile(target=target)
    for _ in range(3):
        before = program.states["w"].copy()
        found = program.step(x=X)
        np.testing.assert_array_equal(found["before"], before)
        np.testing.assert_array_equal(found["after"], program.states["w"])


@pytest.mark.parametrize("batch", [1, 0])
def test_small_batches(batch: int) -> None:
    program = hebb(outputs=False).compile()
    program.step(x=X[:batch])
    np.testing.assert_allclose(program.states["w"], X[:batch].T @ X[:batch], rtol=1e-5)


def test_a_mean_over_no_samples_is_refused() -> None:
    x, m = dg.observed("x", ("B", 3)), dg.state("m", (3,))
    dg.update(m, dg.mean(x, axis=0))
    program = dg.Diagram("d", updates=[m]).compile()
    with pytest.raises(dg.InputError):
        program.step(x=X[:0])
    assert (program.states["m"] == 0).all() and program.states["step"] == 0


@pytest.mark.parametrize("target", TARGETS)
def test_draws_go_on_from_step_to_step(target: Target) -> None:
    m = dg.state("m", (4,))
    dg.update(m, dg.random_uniform((4,), "noise"))
    diagram = dg.Diagram("d", {"m": m}, updates=[m])
    program = diagram.compile(target=target, seed=3)
    seen = []
    for _ in range(3):
        program.step()
        seen.append(program.states["m"].copy())
    assert not np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[1], seen[2])
    again = diagram.compile(target=target, seed=3)
    again.step()
    np.testing.assert_array_equal(again.states["m"], seen[0])


def test_a_step_is_in_training_mode() -> None:
    x, m = dg.observed("x", ("B", 3)), dg.state("m", (3,))
    dg.update(m, dg.where(dg.training(), dg.sum(x, axis=0), m))
    program = dg.Diagram("d", {"training": dg.training() & True}, updates=[m]).compile()
    assert program.step(x=X)["training"] and not program.run()["training"]
    np.testing.assert_allclose(program.states["m"], X.sum(axis=0), rtol=1e-5)


def test_running_averages_without_training() -> None:
    """The averages of a batch norm, for parameters that are there already."""
    x = dg.observed("x", ("B", 3))
    net = dg.Chain(dg.BatchNorm(3, name="norm"), dg.Linear(3, 2), name="net")
    program = dg.Diagram("d", {"y": net(x)}).compile()
    kept = {name: array.copy() for name, array in program.parameters.items()}
    for _ in range(200):
        program.step(x=X)
    np.testing.assert_allclose(program.states["net/norm/running_mean"], X.mean(axis=0), atol=1e-5)
    for name, array in kept.items():
        np.testing.assert_array_equal(program.parameters[name], array)


def means(cost: bool) -> dg.Diagram:
    """Two means of samples, each of those that are nearest to it."""
    x, centres = dg.observed("x", ("B", 3)), dg.state("centres", (2, 3), init=X[:2])
    distances = dg.sum((x[:, None] - centres) ** 2, axis=2)
    near = dg.one_hot(dg.argmin(distances, axis=1), 2)
    counts = dg.maximum(dg.sum(near, axis=0), 1.0)
    dg.update(centres, near.T @ x / counts[:, None])
    error = dg.mean(dg.min(distances, axis=1))
    return dg.Diagram("means", None if cost else {"error": error}, cost=error if cost else None)


@pytest.mark.parametrize("target", TARGETS)
def test_a_cost_without_parameters_needs_no_optimizer(target: Target) -> None:
    """Its step gives the cost, and `fit` records it; it never rises."""
    program, other = means(True).compile(target=target), means(False).compile(target=target)
    costs = []
    for _ in range(6):
        costs.append(program.step(x=X))
        assert isinstance(costs[-1], float)
        assert costs[-1] == other.step(x=X)["error"]
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0]
    history = dg.fit(means(True).compile(target=target), {"x": X}, 6, progress=False)
    assert history.cost == costs
    rule = dg.EarlyStopping(patience=1)
    stopped = dg.fit(
        means(True).compile(), {"x": X}, 50, validation={"x": X}, early_stopping=rule,
        progress=False,
    )  # fmt: skip
    assert stopped.stopped is not None


def test_fit_without_a_cost(capsys: Any) -> None:
    """The orders of its epochs are those of training: three and three more are six."""
    x, m = dg.observed("x", ("B", 3)), dg.state("m", (3,))
    dg.update(m, 0.9 * m + dg.mean(x, axis=0))
    diagram = dg.Diagram("d", updates=[m])
    whole, parts = diagram.compile(), diagram.compile()
    history = dg.fit(whole, {"x": X}, 6, batch_size=7)
    assert "epoch 6/6" in (shown := capsys.readouterr().err) and "cost" not in shown
    for _ in range(2):
        dg.fit(parts, {"x": X}, 3, batch_size=7, progress=False)
    np.testing.assert_array_equal(whole.states["m"], parts.states["m"])
    assert whole.states["step"] == 24
    assert np.isnan(history.cost).all() and len(history) == 6 and history.best == 0
    unshuffled = diagram.compile()
    dg.fit(unshuffled, {"x": X}, 1, batch_size=7, shuffle=False, progress=False)
    wanted: npt.NDArray[Any] = np.zeros(3)
    for start in range(0, 24, 7):
        wanted = 0.9 * wanted + X[start : start + 7].mean(axis=0)
    np.testing.assert_allclose(unshuffled.states["m"], wanted, rtol=1e-5)


def test_fit_refuses_what_needs_a_cost() -> None:
    program = hebb(outputs=False).compile()
    for more in ({"validation": 0.5}, {"early_stopping": dg.EarlyStopping(2)}):
        with pytest.raises(dg.InputError) as error:
            dg.fit(program, {"x": X}, 2, progress=False, **more)
        assert str(error.value) == "program 'hebb' has no cost: Diagram(..., cost=...)"
    assert program.states["step"] == 0


def test_save_load_and_copies(tmp_path: Path) -> None:
    diagram = hebb()
    program = diagram.compile()
    for _ in range(2):
        program.step(x=X)
    path = tmp_path / "hebb.safetensors"
    program.save(path)
    twin, other, shared = copy.deepcopy(program), diagram.compile(), copy.copy(program)
    assert other.load(path).taken == ("w", "n", "step")
    for item in (twin, other):
        item.step(x=X)
        np.testing.assert_allclose(item.states["w"], 3 * X.T @ X, rtol=1e-5)
        assert item.states["step"] == 3
    assert program.states["step"] == 2
    shared.step(x=X)
    assert program.states["step"] == 3
    keep = dg.Checkpoint(tmp_path / "{epoch}.safetensors", every=2)
    dg.fit(diagram.compile(), {"x": X}, 3, checkpoint=keep, progress=False)
    assert [(tmp_path / f"{epoch}.safetensors").exists() for epoch in (1, 2, 3)] == [
        False, True, True,
    ]  # fmt: skip


def test_a_file_without_a_count_of_steps(tmp_path: Path) -> None:
    """Parameters and averages from elsewhere, for a program that could make updates."""
    x = dg.observed("x", ("B", 3))
    program = dg.Diagram("d", {"y": dg.BatchNorm(3, name="norm")(x)}).compile()
    from safetensors.numpy import save_file

    arrays = {name: array + 1 for name, array in program.states.items() if name != "step"}
    save_file(arrays, tmp_path / "a.safetensors")
    assert program.load(tmp_path / "a.safetensors").kept == ("step",)


def test_any_number_of_threads() -> None:
    x, m = dg.observed("x", ("B", 300)), dg.state("m", (300, 300))
    dg.update(m, dg.tanh(m + x.T @ x))
    diagram = dg.Diagram("d", updates=[m])
    x_values = rng.normal(size=(257, 300)).astype(np.float32) / 100
    programs = [diagram.compile(threads=threads) for threads in (1, 2, 3)]
    for program in programs:
        for _ in range(3):
            program.step(x=x_values)
        np.testing.assert_array_equal(program.states["m"], programs[0].states["m"])


def test_reports_and_pictures(tmp_path: Path) -> None:
    diagram = hebb(outputs=False)
    program = diagram.compile(threads=1)
    found = program.profile(x=X)
    assert found.method == "step" and program.states["step"] == 0
    assert hebb().compile().profile("step", 2, x=X).method == "step"
    assert "to update" in str(diagram.summary(B=4))
    program.step(x=X)
    assert "step" in program.explain()
    for stage in ("drawn", "unrolled", "graph", "kernels"):
        assert diagram.render(tmp_path / f"{stage}.svg", stage).exists()


def test_steps_that_are_mistakes() -> None:
    x, w = dg.observed("x", ("B", 3)), dg.parameter("w", (3,))
    m = dg.state("m", (3,))
    dg.update(m, dg.mean(x, axis=0))
    trained = dg.Diagram("d", cost=dg.mean(x * w))
    with pytest.raises(dg.InputError) as refused:
        trained.compile().step(x=X)
    assert str(refused.value) == (
        "program 'd' has no optimizer: compile it with optimizer=dg.SGD(...) to train it; a step "
        "of the updates alone is that of a diagram without this cost"
    )
    alone = dg.Diagram("d", {"y": x * w})
    with pytest.raises(dg.DiagramError) as error:
        alone.compile(dg.SGD(0.1))
    assert text(error.value) == (
        "compile of 'd' (m.py:1) expects a diagram with a cost for the optimizer to make small, "
        "got one without: Diagram(..., cost=...) (m.py:1); a step of its updates alone needs no "
        "optimizer"
    )
    with pytest.raises(TypeError) as unnamed:
        alone.compile().step(X)
    assert text(unnamed.value) == (
        "step of 'd' (m.py:1) expects inputs by name, got 1 without: program.step(x=...)"
    )
    with pytest.raises(dg.InputError):
        dg.Diagram("d", {"y": x * 2.0}, updates=[]).compile().step(x=X)
    with pytest.raises(dg.InputError):
        alone.compile().learning_rate = 0.1


def test_a_parameter_has_no_update() -> None:
    x, w = dg.observed("x", ("B", 3)), dg.parameter("w", (3, 3))
    with pytest.raises(dg.DiagramError) as error:
        dg.update(w, w + x.T @ x)
    assert text(error.value) == (
        "update (m.py:1) expects a variable of dg.state that has no next value yet, got parameter "
        "'w' (m.py:1), which an optimizer changes: make it a state, dg.state(name, shape, init), "
        "to change it by a rule of your own"
    )


def test_a_block_on_a_state() -> None:
    """Hebb's rule on the weight of a block."""
    x = dg.observed("x", ("B", 3))
    w = dg.state("w", (3, 2), init=np.ones((3, 2), np.float32))
    y = dg.bind(dg.Linear(3, 2, bias=False), {"weight": w})(x)
    dg.update(w, w + 0.1 * x.T @ y)
    program = dg.Diagram("d", {"y": y}).compile()
    wanted = np.ones((3, 2))
    for _ in range(3):
        np.testing.assert_allclose(program.step(x=X)["y"], X @ wanted, rtol=1e-4, atol=1e-5)
        wanted = wanted + 0.1 * X.T @ (X @ wanted)
    np.testing.assert_allclose(program.states["w"], wanted, rtol=1e-4)

"""`dg.fit`: batches, history, early stopping, checkpoints and interruption."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.history import History

from ..evaluating import TARGETS, Array, Target


class Recorder(dg.Program):
    """Notes what its steps are given; its cost is what `costs` says next, or the mean of x."""

    def __init__(self, costs: Iterator[float] | None = None) -> None:
        x, y = dg.observed("x", ("B",), dg.float32), dg.observed("y", ("B", 1), dg.int64)
        w = dg.parameter("w", (), init=1.0)
        cost = dg.mean(w * x) + 0.0 * dg.mean(y.astype(dg.float32))
        super().__init__(dg.Diagram("recorder", cost=cost), dg.SGD(0.0), target="reference")
        self.batches: list[dict[str, Array]] = []
        self.costs = costs

    def step(self, /, **inputs: Array) -> Any:
        self.batches.append({name: array.copy() for name, array in inputs.items()})
        cost = super().step(**inputs)
        return cost if self.costs is None else next(self.costs)


class Sequence(dg.Program):
    """Its validation costs are what `costs` says, whatever its inputs are."""

    def __init__(self, *costs: float) -> None:
        x, count = dg.observed("x", ("B",)), dg.state("count", ())
        dg.update(count, count + 1.0)
        table = dg.constant(np.array([0.0, *costs], np.float32))
        cost = dg.take(table, count.astype(dg.int32)) + 0.0 * dg.mean(
            x * dg.parameter("w", (), init=1.0)
        )
        super().__init__(dg.Diagram("sequence", cost=cost), dg.SGD(0.0), target="reference")


def fit(program: Any, data: Any, epochs: Any, size: Any = None, **options: Any) -> Any:
    options.setdefault("batch_size", size)
    return dg.fit(program, data, epochs, progress=False, **options)


def line(count: int) -> dict[str, Array]:
    return {"x": np.arange(count, dtype=np.float32), "y": 10 * np.arange(count)[:, None]}


def lines(count: int, rest: int = 0) -> dict[str, Array]:
    return {"x": np.zeros(count, np.float32), "y": np.zeros((count + rest, 1), np.int64)}


def regression(summed: bool = False, weight: float = 0.5) -> dg.Program:
    """The cost of a line through 0 in float64, a mean over the samples or a sum."""
    x, y = dg.observed("x", ("B",), dg.float64), dg.observed("y", ("B",), dg.float64)
    error = x * dg.parameter("w", (), init=weight, dtype=dg.float64) - y
    cost = dg.sum(error * error) if summed else dg.mean(error * error)
    return dg.Diagram("regression", cost=cost).compile(dg.SGD(0.01), target="reference")


def points(count: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=count), "y": rng.normal(size=count)}


def test_mini_batches_go_through_every_sample_in_another_order_each_epoch() -> None:
    program = Recorder()
    history = fit(program, line(10), 2, batch_size=4)
    assert [len(batch["x"]) for batch in program.batches] == [4, 4, 2] * 2
    orders = [np.concatenate([b["x"] for b in program.batches[i : i + 3]]) for i in (0, 3)]
    for order in orders:
        assert sorted(order) == list(range(10))
    assert (orders[0] != orders[1]).any()
    for batch in program.batches:
        np.testing.assert_array_equal(batch["y"][:, 0], 10 * batch["x"])
        assert batch["x"].dtype == np.float32
    assert history.cost == pytest.approx([4.5, 4.5])  # weighted by the samples of each batch
    assert [epoch.number for epoch in history.epochs] == [1, 2]
    assert all(seconds >= 0 for seconds in history.seconds)
    assert history.validation_cost == []


def test_the_same_seed_gives_the_same_batches() -> None:
    runs = []
    for seed in (0, 0, 1):
        program = Recorder()
        fit(program, line(8), 1, batch_size=4, seed=seed)
        runs.append(np.concatenate([batch["x"] for batch in program.batches]))
    assert (runs[0] == runs[1]).all() and (runs[0] != runs[2]).any()


def test_in_order_without_shuffling() -> None:
    program = Recorder()
    fit(program, line(5), 1, batch_size=2, shuffle=False)
    assert [batch["x"].tolist() for batch in program.batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("size", [None, 5, 9])
def test_a_full_batch_is_the_data_itself(size: int | None) -> None:
    data = line(5)
    seen = []

    class Program(Recorder):
        def step(self, **inputs: Array) -> float:
            seen.append(inputs["x"] is data["x"])
            return 0.0

    fit(Program(), data, 3, batch_size=size)
    assert seen == [True] * 3


def test_batches_are_contiguous_and_gathered_in_place() -> None:
    addresses = set()

    class Program(Recorder):
        def step(self, **inputs: Array) -> float:
            assert all(array.flags.c_contiguous for array in inputs.values())
            addresses.add(inputs["x"].ctypes.data)
            return 0.0

    data = {"x": np.zeros((12, 2), np.float32)[:, 1], "y": np.zeros((12, 7), np.int64)[:, ::7]}
    fit(Program(), data, 2, batch_size=4)
    assert len(addresses) == 1


def test_samples_along_another_axis() -> None:
    x, y = dg.observed("x", ("T", "B")), dg.observed("y", ("B",))
    cost = dg.mean(x * y) + dg.sum(dg.parameter("w", (), init=1.0)) * 0.0
    batches: list[dict[str, Array]] = []

    class Program(dg.Program):
        def step(self, /, **inputs: Array) -> Any:
            batches.append({name: array.copy() for name, array in inputs.items()})
            return super().step(**inputs)

    program = Program(dg.Diagram("d", cost=cost), dg.SGD(0.0), target="reference")
    given = np.arange(12, dtype=np.float32).reshape(2, 6)  # (time, batch)
    data = {"x": given, "y": np.arange(6, dtype=np.float32)}
    for axis in ({"x": 1}, {"x": -1, "y": np.int64(0)}):
        batches.clear()
        fit(program, data, 1, batch_size=4, axis=axis)
        assert [batch["x"].shape for batch in batches] == [(2, 4), (2, 2)]
        for batch in batches:
            np.testing.assert_array_equal(batch["x"], np.stack([batch["y"], batch["y"] + 6]))


def test_validation_data_and_the_inputs_of_other_outputs() -> None:
    x, z = dg.observed("x", ("B",)), dg.observed("z", ("K",))
    w = dg.parameter("w", (), init=1.0)
    diagram = dg.Diagram("d", {"elsewhere": z * w}, cost=dg.mean(w * x))
    program = diagram.compile(dg.SGD(1.0), target="reference")
    given = {"x": np.array([1, 2, 6], np.float32)}
    history = fit(program, {"x": [1.0, 1.0, 1.0, 1.0]}, 2, batch_size=2, validation=given)
    # Two steps an epoch, each by a gradient of 1; the validation data have batches of 2 and 1.
    assert history.cost == [0.5, -1.5]
    assert history.validation_cost == pytest.approx([-3.0, -9.0])
    assert history.best == 2


@pytest.mark.parametrize("held", [0.2, np.float32(0.2)])
def test_a_fraction_is_held_out(held: Any) -> None:
    program = Recorder()
    history = fit(program, line(10), 1, batch_size=3, validation=held)
    trained = np.concatenate([batch["x"] for batch in program.batches])
    assert len(trained) == 8
    rest = sorted({*range(10)} - {*trained.tolist()})
    assert len(rest) == 2 and history.validation_cost == pytest.approx([sum(rest) / 2])
    again = Recorder()
    fit(again, line(10), 1, batch_size=3, validation=held, shuffle=False)
    assert sorted(np.concatenate([b["x"] for b in again.batches])) == sorted(trained)


@pytest.mark.parametrize("size", [None, 1, 3, 4, 7])
@pytest.mark.parametrize("summed", [False, True])
def test_a_cost_of_batches_is_that_of_one_batch(summed: bool, size: int | None) -> None:
    """With a rate of 0 the parameters stay, so every epoch has the cost of all samples at once."""
    data, held = points(11), points(7, seed=1)
    program = regression(summed)
    program.parameters["w"] = 0.25
    still = fit(program, data, 1, size, validation=held, shuffle=False)
    # The first epoch trains: by hand, step by step.
    w, costs, counts = 0.25, [], []
    for start in range(0, 11, size or 11):
        x, y = (data[name][start : start + (size or 11)] for name in "xy")
        squares = (x * w - y) ** 2
        costs.append(squares.sum() if summed else squares.mean())
        counts.append(len(x))
        slopes = 2 * (x * w - y) * x
        w -= 0.01 * (slopes.sum() if summed else slopes.mean())
    expected = np.sum(costs) if summed else np.average(costs, weights=counts)
    assert still.cost == pytest.approx([expected])
    errors = (held["x"] * w - held["y"]) ** 2
    assert still.validation_cost == pytest.approx([errors.sum() if summed else errors.mean()])


def test_other_costs_are_weighted_by_samples() -> None:
    x, w = dg.observed("x", ("B",)), dg.parameter("w", (), init=0.0)
    cost = dg.sqrt(dg.sum(x * x)) + w
    program = dg.Diagram("d", cost=cost).compile(dg.SGD(0.0), target="reference")
    history = fit(program, {"x": [3.0, 4.0, 12.0]}, 1, 2, shuffle=False)
    assert history.cost == pytest.approx([(2 * 5 + 12) / 3])


@pytest.mark.parametrize("saved", [False, True])
def test_epochs_and_more_epochs_are_all_of_them(saved: bool, tmp_path: Path) -> None:
    data = points(23)
    together, apart = regression(), regression()
    fit(together, data, 10, 4, validation=0.2)
    fit(apart, data, 5, 4, validation=0.2)
    if saved:
        apart.save(tmp_path / "half.safetensors")
        apart = regression()
        apart.load(tmp_path / "half.safetensors")
    fit(apart, data, 5, 4, validation=0.2)
    assert apart.parameters["w"] == together.parameters["w"]


def test_callbacks_see_each_epoch_and_can_stop() -> None:
    seen: list[Any] = []
    also: list[int] = []

    def stop(epoch: Any) -> bool:
        seen.append(epoch)
        return bool(epoch.number == 2)

    history = fit(Recorder(), line(3), 5, callbacks=[stop, lambda e: also.append(e.number)])
    assert seen == history.epochs
    assert also == [1, 2]
    assert len(history) == 2
    assert history.stopped == "by a callback after epoch 2"


def test_early_stopping_restores_the_best() -> None:
    program = Sequence(3.0, 2.0, 2.5, 1.99, 2.2)
    kept = program.states["step"]
    rule = dg.EarlyStopping(patience=3, minimum_improvement=0.1)
    history = fit(program, {"x": [1.0]}, 10, early_stopping=rule)
    assert [epoch.final_cost for epoch in history.epochs] == pytest.approx([3, 2, 2.5, 1.99, 2.2])
    assert history.stopped == "no improvement since epoch 2"
    assert history.best == 4
    assert program.states["step"] is kept and kept == 2


@pytest.mark.parametrize("size", [None, 4])
def test_what_is_restored_has_the_cost_that_was_best(size: int | None) -> None:
    """Steps far too long: each epoch after the first few is worse, and no step is judged late."""
    data = points(10)
    program = regression(summed=True, weight=3.0)
    program.parameters["w"] = 3.0
    history = fit(program, data, 40, size, early_stopping=dg.EarlyStopping(3), seed=3)
    final = [epoch.final_cost for epoch in history.epochs]
    cost = float(program.run(**data)["cost"])
    assert cost == pytest.approx(min(item for item in final if item is not None))
    assert program.states["step"] == history.best * -(-10 // (size or 10))


def test_early_stopping_without_restoring() -> None:
    program = Sequence(1.0, 2.0, 3.0)
    rule = dg.EarlyStopping(2, restore=False)
    fit(program, {"x": [1.0]}, 10, early_stopping=rule)
    assert program.states["step"] == 3


def test_the_best_is_restored_when_patience_lasts() -> None:
    program = Sequence(1.0, 2.0)
    history = fit(program, {"x": [1.0]}, 2, early_stopping=dg.EarlyStopping(5))
    assert history.stopped is None and program.states["step"] == 1


def test_early_stopping_looks_at_the_validation_cost() -> None:
    program = regression(weight=0.0)
    data = {"x": np.ones(3), "y": np.ones(3)}  # pulls w up, away from what the held out want
    given = {"x": np.ones(1), "y": -np.ones(1)}
    history = fit(program, data, 3, validation=given, early_stopping=dg.EarlyStopping(1))
    assert len(history) == 2 and history.best == 1
    assert [epoch.final_cost for epoch in history.epochs] == [None, None]


def test_a_cost_that_is_no_number_is_no_improvement() -> None:
    program = Sequence(*[float("nan")] * 5)
    history = fit(program, {"x": [1.0]}, 5, early_stopping=dg.EarlyStopping(2))
    assert len(history) == 2 and history.best == 0
    assert program.states["step"] == 2


def test_checkpoints(tmp_path: Path) -> None:
    fit(Recorder(), line(3), 5, checkpoint=dg.Checkpoint(tmp_path / "{epoch}.safetensors", every=2))
    assert sorted(os.listdir(tmp_path)) == ["2.safetensors", "4.safetensors", "5.safetensors"]


def test_the_last_checkpoint_holds_what_the_program_holds(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    program = Sequence(1.0, 2.0, 3.0, 4.0)
    rule = dg.EarlyStopping(2)
    fit(program, {"x": [1.0]}, 9, checkpoint=dg.Checkpoint(path), early_stopping=rule)
    other = Sequence(1.0, 2.0, 3.0, 4.0)
    other.load(path)
    assert other.states["step"] == program.states["step"] == 1


@pytest.mark.parametrize("progress", [False, True])
def test_an_interruption_comes_through(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    class Program(Recorder):
        def step(self, **inputs: Array) -> Any:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().step(**inputs)

    program: Any = Program()
    seen: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        dg.fit(program, line(4), 9, callbacks=[seen.append], progress=progress)
    assert [epoch.number for epoch in seen] == [1, 2]
    assert program.states["step"] == 2
    assert capsys.readouterr().err.endswith("\n") == progress


def test_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    program: Any = Recorder(iter([0.5] * 6))
    given = {"x": np.ones(2, np.float32), "y": np.zeros((2, 1), np.int64)}
    dg.fit(program, line(3), 3, batch_size=2, validation=given)
    shown = capsys.readouterr().err.splitlines()[-1]
    assert "6/6" in shown and "epoch 3/3, cost 0.5, validation 1]" in shown


def test_no_epochs() -> None:
    history = fit(Recorder(), line(3), 0)
    assert len(history) == 0 and history.cost == [] and history.best == 0


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_of_a_history(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = fit(Recorder(), line(3), 4, validation=lines(2))
    path = tmp_path / f"costs{suffix}"
    assert history.plot(path) == path
    start = path.read_bytes()[:100]
    assert start.startswith(b"<?xml" if suffix == ".svg" else b"\x89PNG")
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(ValueError) as error:
        history.plot(tmp_path / "costs.pdf")
    assert str(error.value) == (
        "cannot draw into 'costs.pdf': expected a name that ends in .svg or .png, got .pdf"
    )


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError) as error:
        History().plot(tmp_path / "costs.svg")
    assert str(error.value) == (
        "History.plot draws with Matplotlib, which is not installed: pip install "
        "'diagrad[examples]'"
    )


def draw() -> Any:
    x = dg.observed("x", ("B", 2))
    y = dg.observed("y", ("B",), "int32")
    net = dg.Chain(dg.Linear(2, 16), dg.tanh, dg.Linear(16, 2), name="net")
    scores = net(x)
    return dg.Diagram("xor", {"scores": scores}, cost=dg.cross_entropy(scores, y))


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_learns(target: Target) -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(70, 2)).astype(np.float32)
    y = (x[:, 0] != x[:, 1]).astype(np.int32)
    x += rng.normal(size=x.shape).astype(np.float32) * 0.1
    program = draw().compile(optimizer=dg.Adam(0.05), target=target)
    history = dg.fit(program, {"x": x, "y": y}, 30, batch_size=16, validation=0.2, progress=False)
    assert history.cost[-1] < 0.05 < 0.3 < history.cost[0]
    assert history.validation_cost[-1] < 0.05
    assert program.states["step"] == 30 * 4
    answers = program.run(x=x)["scores"].argmax(-1)
    assert (answers == y).all()

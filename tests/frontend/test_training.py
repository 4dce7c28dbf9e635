"""`dg.fit`: batches, history, early stopping, checkpoints, interruption, and its errors."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.checkpoints import load
from diagrad.frontend.history import History

from .evaluating import TARGETS, Array, Target


class Recorder:
    """Stands for a program: notes what it is given; its cost is what `costs` says next."""

    def __init__(self, costs: Iterator[float] | None = None) -> None:
        self.batches: list[dict[str, Array]] = []
        self.runs: list[dict[str, Array]] = []
        self.costs = costs
        self.states = {"w": np.zeros(()), "step": np.zeros((), np.int64)}
        self.parameters = {"w": self.states["w"]}
        self.diagram = dg.Diagram("recorder", {"x": dg.observed("x", ("B",))})

    def step(self, **inputs: Array) -> float:
        self.batches.append({name: array.copy() for name, array in inputs.items()})
        self.states["step"] += 1
        return float(inputs["x"].mean()) if self.costs is None else next(self.costs)

    def run(self, **inputs: Array) -> dict[str, Array]:
        self.runs.append({name: array.copy() for name, array in inputs.items()})
        return {"cost": np.asarray(inputs["x"].mean())}


def fit(program: Any, data: Any, epochs: int, **options: Any) -> Any:
    return dg.fit(program, data, epochs, progress=False, **options)


def line(count: int) -> dict[str, Array]:
    return {"x": np.arange(count, dtype=np.float32), "y": 10 * np.arange(count)[:, None]}


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

    fit(Program(), {"x": np.zeros((12, 7, 2))[:, ::2], "y": np.zeros(12)}, 2, batch_size=4)
    assert len(addresses) == 1


def test_samples_along_another_axis() -> None:
    x = np.arange(12).reshape(2, 6)  # (time, batch)
    program = Recorder()
    fit(program, {"x": x, "y": np.arange(6)}, 1, batch_size=4, axis={"x": 1})
    assert [batch["x"].shape for batch in program.batches] == [(2, 4), (2, 2)]
    for batch in program.batches:
        np.testing.assert_array_equal(batch["x"], np.stack([batch["y"], batch["y"] + 6]))
    program = Recorder()
    fit(program, {"x": x, "y": x}, 1, batch_size=4, axis=-1, shuffle=False)
    np.testing.assert_array_equal(program.batches[1]["x"], x[:, 4:])


def test_validation_data() -> None:
    program = Recorder()
    given = {"x": np.arange(5, dtype=np.float32)}
    history = fit(program, line(4), 2, batch_size=2, validation=given)
    assert history.validation_cost == pytest.approx([2.0, 2.0])
    assert [run["x"].tolist() for run in program.runs] == [[0, 1], [2, 3], [4]] * 2


def test_a_fraction_is_held_out() -> None:
    program = Recorder()
    fit(program, line(10), 1, batch_size=3, validation=0.2)
    trained = np.concatenate([batch["x"] for batch in program.batches])
    held = np.concatenate([run["x"] for run in program.runs])
    assert len(held) == 2
    assert sorted([*trained, *held]) == list(range(10))
    for run in program.runs:
        np.testing.assert_array_equal(run["y"][:, 0], 10 * run["x"])


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
    costs = iter([3.0, 2.0, 2.5, 1.99, 2.2])
    program = Recorder(costs)
    kept = program.states["step"]
    rule = dg.EarlyStopping(patience=3, minimum_improvement=0.1)
    history = fit(program, line(3), 10, early_stopping=rule)
    assert history.cost == [3.0, 2.0, 2.5, 1.99, 2.2]
    assert history.stopped == "no improvement since epoch 2"
    assert history.best == 4
    assert program.states["step"] is kept and kept == 2


def test_early_stopping_without_restoring() -> None:
    program = Recorder(iter([1.0, 2.0, 3.0]))
    fit(program, line(3), 10, early_stopping=dg.EarlyStopping(2, restore=False))
    assert program.states["step"] == 3


def test_the_best_is_restored_when_patience_lasts() -> None:
    program = Recorder(iter([1.0, 2.0]))
    history = fit(program, line(3), 2, early_stopping=dg.EarlyStopping(5))
    assert history.stopped is None and program.states["step"] == 1


def test_early_stopping_looks_at_the_validation_cost() -> None:
    program = Recorder(iter([3.0, 2.0, 1.0]))
    given = {"x": np.ones(1)}
    history = fit(program, line(3), 3, validation=given, early_stopping=dg.EarlyStopping(1))
    assert len(history) == 2 and history.best == 1


def test_a_cost_that_is_no_number_is_no_improvement() -> None:
    program = Recorder(iter([float("nan")] * 5))
    history = fit(program, line(3), 5, early_stopping=dg.EarlyStopping(2))
    assert len(history) == 2 and history.best == 0
    assert program.states["step"] == 2


def test_checkpoints(tmp_path: Path) -> None:
    fit(Recorder(), line(3), 5, checkpoint=dg.Checkpoint(tmp_path / "{epoch}.safetensors", every=2))
    assert sorted(os.listdir(tmp_path)) == ["2.safetensors", "4.safetensors", "5.safetensors"]


def test_the_last_checkpoint_holds_what_the_program_holds(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    program = Recorder(iter([1.0, 2.0, 3.0, 4.0]))
    rule = dg.EarlyStopping(2)
    fit(program, line(3), 9, checkpoint=dg.Checkpoint(path, every=1), early_stopping=rule)
    other: Any = Recorder()
    load(other, path)
    assert other.states["step"] == program.states["step"] == 1


@pytest.mark.parametrize("progress", [False, True])
def test_an_interruption_comes_through(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    class Program(Recorder):
        def step(self, **inputs: Array) -> float:
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
    dg.fit(program, line(3), 3, batch_size=2, validation={"x": np.ones(2)})
    shown = capsys.readouterr().err.splitlines()[-1]
    assert "6/6" in shown and "epoch 3/3, cost 0.5, validation 1]" in shown


def test_no_epochs() -> None:
    history = fit(Recorder(), line(3), 0)
    assert len(history) == 0 and history.cost == [] and history.best == 0


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "nothing": ({}, {}, "fit expects an array for at least one input, got none"),
    "empty": (
        {"x": np.zeros((0, 3))}, {}, "fit expects at least one sample, got none in 'x'"
    ),
    "lengths": (
        {"x": np.zeros(5), "y": np.zeros(4)}, {},
        "fit expects as many samples in every input, got 5 in 'x' (axis 0 of (5,)) and 4 in 'y' "
        "(axis 0 of (4,)): say with axis where samples are not in front",
    ),
    "list": ({"x": [1, 2]}, {}, "fit expects an array for 'x', got list"),
    "number": (
        {"x": np.zeros(())}, {}, "fit expects samples along axis 0 of 'x', got shape ()"
    ),
    "axis": (
        {"x": np.zeros(3)}, {"axis": {"x": 1}},
        "fit expects samples along axis 1 of 'x', got shape (3,)",
    ),
    "validation": (
        {"x": np.zeros(5)}, {"validation": {"x": np.zeros(0)}},
        "validation expects at least one sample, got none in 'x'",
    ),
    "fraction": (
        {"x": np.zeros(5)}, {"validation": 0.05},
        "validation=0.05 of 5 samples leaves 5 to train on and 0 to validate with: expected at "
        "least one of each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_data_that_does_not_do(name: str) -> None:
    data, options, message = WRONG[name]
    with pytest.raises(dg.InputError) as error:
        fit(Recorder(), data, 1, **options)
    assert str(error.value) == message


def test_validation_without_the_inputs_of_the_cost() -> None:
    class Program(Recorder):
        def run(self, **inputs: Array) -> dict[str, Array]:
            return {}

    with pytest.raises(dg.InputError) as error:
        fit(Program(), line(3), 1, validation={"x": np.ones(2)})
    assert str(error.value) == "validation expects every input of the cost, got x"


def test_arguments_out_of_range() -> None:
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: fit(Recorder(), line(3), -1), "fit expects 0 or more epochs, got -1"),
        (
            lambda: fit(Recorder(), line(3), 1, batch_size=0),
            "fit expects a batch_size of 1 or more, got 0",
        ),
        (lambda: dg.EarlyStopping(0), "EarlyStopping expects a patience of 1 or more, got 0"),
        (
            lambda: dg.EarlyStopping(1, minimum_improvement=-1),
            "EarlyStopping expects a minimum_improvement of 0 or more, got -1",
        ),
        (
            lambda: dg.Checkpoint("a", every=0),
            "Checkpoint expects every to be 1 or more, got 0",
        ),
    ]
    for make, message in cases:
        with pytest.raises(ValueError) as error:
            make()
        assert str(error.value) == message


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_of_a_history(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = fit(Recorder(), line(3), 4, validation={"x": np.ones(2)})
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

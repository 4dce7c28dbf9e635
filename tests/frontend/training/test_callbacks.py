"""Callbacks: what they are told and when, stopping, and rates on a plateau."""

import math
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .test_training import Sequence, fit, points, regression


class Teller(dg.Callback):
    """Notes what it is told."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.heard: list[Any] = []

    def on_train_begin(self, state: dg.TrainingState) -> None:
        self.heard.append(("train begins", state.epoch, state.epochs, state.steps))

    def on_train_end(self, state: dg.TrainingState) -> None:
        self.heard.append(("train ends", state.epoch, type(state.error).__name__))

    def on_epoch_begin(self, state: dg.TrainingState) -> None:
        self.heard.append(("epoch begins", state.epoch, state.batch))

    def on_epoch_end(self, state: dg.TrainingState) -> None:
        self.heard.append(("epoch ends", state.epoch, state.history.epochs[-1].number))

    def on_train_batch_begin(self, state: dg.TrainingState) -> None:
        self.heard.append(("step begins", state.batch, int(state.program.states["step"])))

    def on_train_batch_end(self, state: dg.TrainingState) -> None:
        self.heard.append(("step ends", state.batch, int(state.program.states["step"])))


def test_what_callbacks_are_told_and_when() -> None:
    teller = Teller()
    fit(regression(), points(3), 2, 2, callbacks=[teller])
    epoch = [
        ("epoch begins", 1, 0),
        ("step begins", 1, 0), ("step ends", 1, 1), ("step begins", 2, 1), ("step ends", 2, 2),
        ("epoch ends", 1, 1),
    ]  # fmt: skip
    later = [
        ("epoch begins", 2, 0),
        ("step begins", 1, 2), ("step ends", 1, 3), ("step begins", 2, 3), ("step ends", 2, 4),
        ("epoch ends", 2, 2),
    ]  # fmt: skip
    begin, end = ("train begins", 0, 2, 2), ("train ends", 2, "NoneType")
    assert teller.heard == [begin, *epoch, *later, end]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_every_callback_hears_of_the_end(error: type[BaseException]) -> None:
    class Fails(dg.Callback):
        def on_train_batch_begin(self, state: dg.TrainingState) -> None:
            if state.batch == 2:
                raise error

        def on_train_end(self, state: dg.TrainingState) -> None:
            raise OSError("also")

    first, last = Teller(), Teller()
    with pytest.raises(OSError, match="also") as found:
        fit(regression(), points(3), 2, 1, callbacks=[first, Fails(), last])
    assert isinstance(found.value.__context__, error)
    for teller in (first, last):
        assert teller.heard[-1] == ("train ends", 1, error.__name__)


def test_a_callback_stops_at_once_or_after_the_epoch() -> None:
    class Stop(dg.Callback):
        def __init__(self, when: str) -> None:
            self.when = when

        def on_train_batch_end(self, state: dg.TrainingState) -> None:
            if self.when == "step" and state.batch == 2:
                state.stop("a step was enough")

        def on_epoch_end(self, state: dg.TrainingState) -> None:
            if self.when == "epoch":
                state.stop("an epoch was enough")

    for when, steps in (("step", 2), ("epoch", 5)):
        program = regression()
        history = fit(program, points(5), 4, 1, callbacks=[Stop(when)])
        assert program.states["step"] == steps and len(history) == 1
        assert history.stopped is not None and when in history.stopped


def test_the_cost_so_far_is_that_of_the_steps() -> None:
    costs = []

    class Costs(dg.Callback):
        def on_train_batch_end(self, state: dg.TrainingState) -> None:
            costs.append(state.cost)

    history = fit(regression(), points(5), 1, 2, callbacks=[Costs()])
    assert len(costs) == 3 and costs[-1] == history.cost[0] and len(set(costs)) == 3


def test_the_rate_can_be_read_and_set() -> None:
    rates = []

    class Halve(dg.Callback):
        def on_epoch_end(self, state: dg.TrainingState) -> None:
            state.program.learning_rate /= 2
            rates.append(state.program.learning_rate)

    fit(regression(), points(4), 3, callbacks=[Halve()])
    assert rates == [0.005, 0.0025, 0.00125]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_a_plateau_lowers_the_rate_as_pytorch_does(mode: Any, threshold_mode: Any) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    costs = (1.0 + rng.integers(0, 8, 40) / 8).astype(np.float32)
    options: dict[str, Any] = {
        "factor": 0.5, "patience": 1, "threshold": 0.1, "cooldown": 1, "mode": mode,
        "threshold_mode": threshold_mode,
    }  # fmt: skip
    program = Sequence(*costs.tolist())
    program = program.diagram.compile(dg.SGD(0.4), target="reference")
    rates = []
    note = [lambda epoch: rates.append(program.learning_rate)]
    plateau = dg.ReduceLROnPlateau(**options, minimum=0.01)
    fit(program, {"x": [1.0]}, 40, callbacks=[plateau, *note], validation={"x": [1.0]})
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.4)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options, min_lr=0.01)
    expected = []
    for cost in costs.tolist():
        theirs.step(cost)
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(expected) and len(set(rates)) > 4


def test_a_plateau_of_a_metric_and_without_validation() -> None:
    program = regression()
    x = program.diagram.observed["x"]
    stays = {"stays": dg.mean(0.0 * x)}
    plateau = dg.ReduceLROnPlateau(0.5, patience=2, monitor="stays")
    fit(program, points(4), 4, callbacks=[plateau], metrics=stays)
    assert program.learning_rate == 0.005


def test_early_stopping_looks_at_a_metric() -> None:
    program = Sequence(*[1.0] * 9)
    count = program.diagram.states["count"]
    peak = {"peak": -((count - 3.0) ** 2)}
    rule = dg.EarlyStopping(2, monitor="peak", mode="max")
    history = fit(program, {"x": [1.0]}, 9, early_stopping=rule, metrics=peak)
    assert [epoch.final_metrics for epoch in history.epochs][:3] == [
        {"peak": -4.0}, {"peak": -1.0}, {"peak": 0.0}
    ]  # fmt: skip
    assert history.stopped == "no improvement since epoch 3" and program.states["count"] == 3
    again = fit(program, {"x": [1.0]}, 4, callbacks=[rule], metrics=peak)
    assert len(again) == 3 and again.stopped == "no improvement since epoch 1"


def test_callbacks_that_do_not_do() -> None:
    cases: list[tuple[Any, str]] = [
        (dg.EarlyStopping(2, monitor="accuracy"),
         "EarlyStopping expects monitor to be cost, got 'accuracy': give fit the metric"),
        (dg.ReduceLROnPlateau(monitor="accuracy"),
         "ReduceLROnPlateau expects monitor to be cost, got 'accuracy': give fit the metric"),
    ]  # fmt: skip
    for callback, message in cases:
        teller = Teller()
        with pytest.raises(dg.InputError) as error:
            fit(regression(), points(3), 2, callbacks=[callback, teller])
        assert str(error.value) == message and teller.heard == []
    program = regression().diagram.compile(dg.SGD(dg.schedules.cosine(0.1, 9)), "reference")
    with pytest.raises(dg.InputError, match="expects a constant learning rate, got SGD"):
        fit(program, points(3), 2, callbacks=[dg.ReduceLROnPlateau()])
    with pytest.raises(ValueError, match="expects mode to be 'min' or 'max', got 'best'"):
        dg.EarlyStopping(2, mode="best")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="expects factor to be a number above 0 and below 1, got 2"
    ):
        dg.ReduceLROnPlateau(2)
    assert fit(regression(), points(3), 0, callbacks=[Teller()]).epochs == []


def test_a_history_comes_back_as_it_was() -> None:
    history = fit(Sequence(math.nan, 2.0, math.inf), {"x": [1.0]}, 3, validation={"x": [1.0]})
    import json

    values = json.loads(json.dumps(history.state_dict()))
    again = dg.History.from_state_dict(values)
    assert repr(again) == repr(history)

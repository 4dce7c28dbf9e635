"""Callbacks that look at one number of every epoch: early stopping, and rates on a plateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ....compiler.graph import Type
from ...arguments import flag, integer, number, one_of, shown, text
from ...errors import InputError
from ...variables.dependencies import ordered
from ...variables.variable import Variable
from ..history import Epoch
from ..optimizers import RATE
from ..rates import rate_of, set_rate
from ..schedules import Schedule
from .callback import Callback, TrainingState

Array = npt.NDArray[Any]
Mode = Literal["min", "max"]
_KEPT = "kept/"


def monitored(epoch: Epoch, name: str) -> float:
    """An epoch's cost, or the metric of a name.

    It is that of the validation data; without any, that of the training data after the epoch, and
    where nobody asked for it, that of the steps.

    Raises:
        InputError: no cost, or no such metric.
    """
    if name == "cost":
        costs = (epoch.validation_cost, epoch.final_cost, epoch.cost)
        found = next(cost for cost in costs if cost is not None)
    else:
        found = (epoch.validation_metrics or epoch.final_metrics or epoch.metrics)[name]
    return found


def expect_monitor(what: str, state: TrainingState, name: str) -> None:
    """InputError unless there is a cost, or a metric of the name, to look at."""
    known = list(state.settings["metrics"])
    if name == "cost" and state.program.diagram.cost is None:
        raise InputError(
            f"{what} expects program '{state.program.diagram.name}' to have a cost, or monitor to "
            f"be a metric of fit{', ' + ' or '.join(known) if known else ''}"
        )
    if name != "cost" and name not in known:
        raise InputError(
            f"{what} expects monitor to be {' or '.join(['cost', *known])}, got {shown(name)}: "
            "give fit the metric"
        )


@dataclass(eq=False)
class EarlyStopping(Callback):
    """Stop when the cost after an epoch no longer falls.

    It is that of the validation data; without any, that of the training data, for which `fit` goes
    through them once more after each epoch (`Epoch.final_cost`): the mean over the steps of an
    epoch, each before its update, belongs to no parameters that could be restored.

    Prechelt, Early stopping - but when?, 1998.

    Args:
        patience: how many epochs in a row may bring no improvement, at least 1.
        minimum_improvement: by how much a cost must fall to count, in units of the cost.
        restore: at the end, put every array of the program back to what it was after the best
            epoch, whether training stopped early or not.
        monitor: "cost", or the name of a metric of `fit`, looked at in the same way.
        mode: whether the best is the least, "min", or the greatest, "max", as of an accuracy.

    Raises:
        TypeError, ValueError: a number of another type, or out of its range.
    """

    patience: int
    minimum_improvement: float = 0.0
    restore: bool = True
    monitor: str = "cost"
    mode: Mode = "min"
    _best: int = field(default=0, init=False, repr=False)
    _last: int = field(default=0, init=False, repr=False)
    _least: float = field(default=math.inf, init=False, repr=False)
    _kept: dict[str, Array] = field(default_factory=dict, init=False, repr=False)
    _restored: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        what = "EarlyStopping"
        self.patience = integer(what, "patience", self.patience, 1)
        self.minimum_improvement = number(
            what, "minimum_improvement", self.minimum_improvement, least=0
        )
        self.restore = flag(what, "restore", self.restore)
        self.monitor = text(what, "monitor", self.monitor, "'cost' or the name of a metric")
        self.mode = one_of(what, "mode", self.mode, ("min", "max"))

    def on_train_begin(self, state: TrainingState) -> None:
        """Forget what was before."""
        expect_monitor("EarlyStopping", state, self.monitor)
        self._program = state.program
        self._best = self._last = 0
        self._least, self._kept, self._restored = math.inf, {}, False

    def on_epoch_end(self, state: TrainingState) -> None:
        """Note an epoch, and stop where patience has run out."""
        found = monitored(state.history.epochs[-1], self.monitor)
        found = -found if self.mode == "max" else found
        self._last = state.epoch
        if found < self._least - self.minimum_improvement:
            self._least, self._best = found, state.epoch
            if self.restore:
                self._kept = self._copies()
        if state.epoch - self._best >= self.patience:
            state.stop(f"no improvement since epoch {self._best}")

    def on_train_end(self, state: TrainingState) -> None:
        """Put the best epoch's arrays back."""
        if state.error is None and self._kept and self._best != self._last:
            self._swap()
            self._restored = True

    def state_dict(self) -> dict[str, Any]:
        """The best epoch; and its arrays, or once they were put back those of the last epoch."""
        kept = {f"{_KEPT}{name}": array for name, array in self._kept.items()}
        return {
            "best": self._best, "last": self._last, "least": self._least,
            "restored": self._restored, **kept,
        }  # fmt: skip

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Go on from these; where the best arrays had been put back, from the last epoch's."""
        self._best, self._last = values["best"], values["last"]
        self._least = values["least"]
        self._kept = {
            name.removeprefix(_KEPT): array
            for name, array in values.items()
            if name.startswith(_KEPT)
        }
        if values["restored"]:
            self._swap()

    def _copies(self) -> dict[str, Array]:
        states = self._program.states
        copies: dict[str, Array] = self._program.workspace.hold(
            lambda: {name: array.copy() for name, array in states.items()}
        )
        return copies

    def _swap(self) -> None:
        """Change what is kept for what the program has."""
        before, kept = self._copies(), self._kept

        def put() -> None:
            for name, array in kept.items():
                np.copyto(self._program.states[name], array)

        self._program.workspace.hold(put)
        self._kept = before


@dataclass(eq=False)
class ReduceLROnPlateau(Callback):
    """Lower the learning rate when the cost no longer falls; `torch.optim`'s rule of this name.

    The cost, or metric, is that of the validation data, and without any that of the epoch's steps.
    The rate is `program.learning_rate`: nothing is compiled again.

    Args:
        factor: what the rate is multiplied by, above 0 and below 1.
        patience: how many epochs in a row may bring no improvement before that.
        threshold: what an improvement is: a share of the best cost, or an amount.
        threshold_mode: "rel" or "abs".
        cooldown: epochs after a reduction that count for nothing.
        minimum: the least rate.
        epsilon: a change smaller than that is left.
        monitor: "cost", or the name of a metric of `fit`.
        mode: "min", or "max" for what should grow.

    Raises:
        TypeError, ValueError: an argument of another type, or out of its range.
        InputError: when training begins: no learning rate, or one that follows a schedule.
    """

    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    minimum: float = 0.0
    epsilon: float = 1e-8
    monitor: str = "cost"
    mode: Mode = "min"
    _best: float = field(default=math.inf, init=False, repr=False)
    _bad: int = field(default=0, init=False, repr=False)
    _cooling: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        what = "ReduceLROnPlateau"
        self.factor = number(what, "factor", self.factor, above=0, below=1)
        self.patience = integer(what, "patience", self.patience, 0)
        self.threshold = number(what, "threshold", self.threshold, least=0)
        self.threshold_mode = one_of(what, "threshold_mode", self.threshold_mode, ("rel", "abs"))
        self.cooldown = integer(what, "cooldown", self.cooldown, 0)
        self.minimum = number(what, "minimum", self.minimum, least=0)
        self.epsilon = number(what, "epsilon", self.epsilon, least=0)
        self.monitor = text(what, "monitor", self.monitor, "'cost' or the name of a metric")
        self.mode = one_of(what, "mode", self.mode, ("min", "max"))

    def on_train_begin(self, state: TrainingState) -> None:
        """Forget what was before."""
        expect_monitor("ReduceLROnPlateau", state, self.monitor)
        self._best = math.inf if self.mode == "min" else -math.inf
        self._bad = self._cooling = 0
        rate_of(state.program)
        optimizer = state.program.optimizer
        open_ones = np.isnan(state.program.states[RATE]).any()
        if open_ones and any(map(_follows_steps, optimizer.schedules)):
            raise InputError(
                f"ReduceLROnPlateau expects a constant learning rate, got {optimizer!r}, whose "
                "schedule would be left at the first reduction: give the optimizer a number"
            )

    def on_epoch_end(self, state: TrainingState) -> None:
        """Note an epoch, and lower the rate where patience has run out."""
        found = monitored(state.history.epochs[-1], self.monitor)
        if self._improves(found):
            self._best, self._bad = found, 0
        else:
            self._bad += 1
        if self._cooling > 0:
            self._cooling -= 1
            self._bad = 0
        if self._bad > self.patience:
            before = np.array(rate_of(state.program))  # of groups there are several
            after = np.maximum(before * self.factor, self.minimum)
            if (before - after > self.epsilon).any():
                chosen = np.where(before - after > self.epsilon, after, before)
                set_rate(state.program, chosen.tolist())
            self._cooling, self._bad = self.cooldown, 0

    def _improves(self, found: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "rel":
            return sign * found < sign * self._best * (1.0 - sign * self.threshold)
        return sign * found < sign * self._best - self.threshold

    def state_dict(self) -> dict[str, Any]:
        """The best number, and the counts."""
        return {"best": self._best, "bad": self._bad, "cooling": self._cooling}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Go on from these."""
        self._best, self._bad = values["best"], values["bad"]
        self._cooling = values["cooling"]


def _follows_steps(schedule: Schedule) -> bool:
    """Whether a rate depends on the count of steps."""
    step = Variable("parameter", Type("float64"), "step")
    return step in set(ordered([schedule.rate(step)], {}))

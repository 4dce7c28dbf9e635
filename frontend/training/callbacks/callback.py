"""Callbacks: what a user adds to training, with the state of training at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...arguments import text, wrong
from ..history import Epoch, History

EpochFunction = Callable[[Epoch], "bool | None"]


class TrainingState:
    """Where a training is, as callbacks see it.

    Attributes:
        program: what is trained: its `parameters`, `states` and `learning_rate` can be set.
        history: the epochs so far.
        epochs: the number of the last epoch that there is to be.
        epoch: the number of the one at work, or of the last one that ended; 1 for the first.
        steps: how many steps an epoch has; None where it is not known.
        batch: the number of the step in its epoch; 1 for the first, 0 before.
        cost: of the epoch so far, put together as `Epoch.cost`.
        batch_cost: of the last step alone.
        settings: what the course of training depends on, for checkpoints.
        error: what ended training, for `on_train_end`; None where it ended well.
    """

    def __init__(
        self,
        program: Any,
        history: History,
        epochs: int,
        steps: int | None,
        settings: Mapping[str, Any],
        callbacks: list[Callback],
    ) -> None:
        self.program = program  # a `Program`, which is made above this room
        self.history = history
        self.epochs = epochs
        self.steps = steps
        self.settings = settings
        self.callbacks = callbacks
        self.epoch = len(history)
        self.batch = 0
        self.cost = self.batch_cost = float("nan")
        self.error: BaseException | None = None
        self._begun: list[Callback] = []

    def stop(self, reason: str) -> None:
        """End training after this epoch, or at once from `on_train_batch_end`.

        Args:
            reason: what `history.stopped` will say; the first of several counts.
        """
        text("stop", "reason", reason)
        self.history.stopped = self.history.stopped or reason

    @property
    def stopped(self) -> bool:
        """Whether training is to end."""
        return self.history.stopped is not None

    def tell(self, what: str) -> None:
        """Call a method of all callbacks, in their order."""
        for callback in self.callbacks:
            getattr(callback, what)(self)

    def begin(self) -> None:
        """Call `on_train_begin` of all callbacks; those that were called hear of the end."""
        for callback in self.callbacks:
            self._begun.append(callback)
            callback.on_train_begin(self)

    def end(self, error: BaseException | None) -> None:
        """Call `on_train_end` of all callbacks, whatever one of them raises; then raise that."""
        self.error = error
        failed: list[BaseException] = []
        for callback in self._begun:
            try:
                callback.on_train_end(self)
            except BaseException as found:
                failed.append(found)
        if failed:
            raise failed[0]


class Callback:
    """Looks on while `fit` trains; a subclass says at what, under Keras' names.

        class Slower(dg.Callback):
            def on_epoch_end(self, state):
                state.program.learning_rate *= 0.9

    Each method is given the `TrainingState`.  `on_train_end` is called in any case, also after an
    error or Ctrl+C (`state.error`).  What a callback knows from epoch to epoch it gives in
    `state_dict` and takes in `load_state_dict`, so that a training that is resumed goes on as if it
    had never ended.
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Before the first epoch; a callback that is used again begins anew."""

    def on_train_end(self, state: TrainingState) -> None:
        """After the last epoch, or after what ended training."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Before the first step of an epoch."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After an epoch, whose record is `state.history.epochs[-1]`."""

    def on_train_batch_begin(self, state: TrainingState) -> None:
        """Before a step."""

    def on_train_batch_end(self, state: TrainingState) -> None:
        """After a step."""

    def state_dict(self) -> dict[str, Any]:
        """What it knows, by name: arrays, and what JSON holds."""
        return {}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; called after `on_train_begin`."""


class FunctionCallback(Callback):
    """A function of an `Epoch`, called after it; True ends the training."""

    def __init__(self, function: EpochFunction) -> None:
        self.function = function

    def on_epoch_end(self, state: TrainingState) -> None:
        """Call it."""
        if self.function(state.history.epochs[-1]) is True:
            state.stop(f"by a callback after epoch {state.epoch}")


def as_callback(given: Any) -> Callback:
    """A callback as it is, or of a function; TypeError for anything else."""
    if isinstance(given, Callback):
        return given
    if not callable(given) or (isinstance(given, type) and issubclass(given, Callback)):
        raise wrong("fit", "callbacks to be dg.Callback objects or functions of an epoch", given)
    return FunctionCallback(given)


def overrides(callback: Callback, name: str) -> bool:
    """Whether a callback has a method of its own."""
    return getattr(type(callback), name) is not getattr(Callback, name)

"""Training: epochs of shuffled mini-batches, with a history, early stopping and checkpoints.

It only calls a program's steps and runs; how a step changes the parameters is the optimizer's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .batches import Axis, Samples
from .checkpoints import save
from .errors import InputError
from .history import Epoch, History

if TYPE_CHECKING:
    from .program import Program

Array = npt.NDArray[Any]
Callback = Callable[[Epoch], "bool | None"]
REFRESH = 0.2
"""Seconds between two looks of the progress bar."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the cost (the validation cost, where there is one) no longer falls.

    Prechelt, Early stopping - but when?, 1998.

    Args:
        patience: how many epochs in a row may bring no improvement, at least 1.
        minimum_improvement: by how much a cost must fall to count, in units of the cost.
        restore: at the end, put every array of the program back to what it was after the best
            epoch, whether training stopped early or not.

    Raises:
        ValueError: a number out of its range.
    """

    patience: int
    minimum_improvement: float = 0.0
    restore: bool = True

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"EarlyStopping expects a patience of 1 or more, got {self.patience}")
        if not self.minimum_improvement >= 0:
            raise ValueError(
                "EarlyStopping expects a minimum_improvement of 0 or more, got "
                f"{self.minimum_improvement}"
            )


@dataclass(frozen=True)
class Checkpoint:
    """Save the program while it trains, as `program.save` does, and at the end.

    Args:
        path: the file; "{epoch}" in it stands for the epoch's number.
        every: how many epochs lie between two saves.

    Raises:
        ValueError: `every` is below 1.
    """

    path: str | os.PathLike[str]
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"Checkpoint expects every to be 1 or more, got {self.every}")

    def save(self, program: Program, epoch: int) -> None:
        """Save the program as it is after an epoch."""
        save(program, os.fspath(self.path).replace("{epoch}", str(epoch)))


def fit(
    program: Program,
    data: Mapping[str, Array],
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    validation: Mapping[str, Array] | float | None = None,
    callbacks: Sequence[Callback] = (),
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    progress: bool = True,
    axis: Axis = 0,
) -> History:
    """Train a program on mini-batches of the data, `epochs` times through.

    The same seed gives the same batches.  Ctrl+C raises KeyboardInterrupt after the step in
    progress; the program keeps what it has learned and can be used.

    Args:
        program: compiled with an optimizer.
        data: an array for every input of the cost; all have as many samples.
        epochs: how many times to go through the data.
        batch_size: samples in a step, the last of an epoch may have fewer; by default all of
            them, which is plain gradient descent.
        shuffle: go through the samples in another random order in each epoch.
        seed: of the orders, and of the samples held out.
        validation: data of the same form, or the fraction of `data` to hold out; its cost is
            computed after every epoch, without updates.
        callbacks: functions of an `Epoch`, called after it; True ends the training.
        early_stopping: when to end because the cost no longer falls.
        checkpoint: where to save while training.
        progress: show a progress bar, with the mean cost of the epoch so far.
        axis: the axis that counts samples, of all inputs or by name: {"x": 1} for sequences
            (time, batch, features).

    Returns:
        The record of every epoch.  A cost over several batches is their mean, weighted by their
        samples.

    Raises:
        InputError: no samples, different numbers of them, or what `program.step` finds.
        ValueError: a number out of its range.
        KeyboardInterrupt: Ctrl+C.
    """
    if epochs < 0:
        raise ValueError(f"fit expects 0 or more epochs, got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"fit expects a batch_size of 1 or more, got {batch_size}")
    rng = np.random.default_rng(seed)
    samples, held_out = _split(data, validation, axis, rng)
    size = samples.count if batch_size is None else min(batch_size, samples.count)
    shuffled = shuffle and size < samples.count
    watch = _Watch(program, early_stopping)
    history = History()
    with _Bar(epochs, -(-samples.count // size), progress) as bar:
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            order = rng.permutation(samples.count) if shuffled else None
            total, seen = 0.0, 0
            for count, inputs in samples.batches(size, order):
                total += count * program.step(**inputs)
                seen += count
                bar.step(number, total, seen)
            checked = None if held_out is None else _cost(program, held_out, batch_size)
            seconds = time.perf_counter() - start
            epoch = Epoch(number, total / seen, checked, seconds)
            history.epochs.append(epoch)
            bar.epoch(epoch)
            if checkpoint is not None and number % checkpoint.every == 0:
                checkpoint.save(program, number)
            # Every callback sees the epoch, whatever the others say.
            if any([callback(epoch) is True for callback in callbacks]):
                history.stopped = f"by a callback after epoch {number}"
            if watch.is_over(epoch):
                history.stopped = history.stopped or f"no improvement since epoch {watch.best}"
            if history.stopped is not None:
                break
    restored = watch.restore()
    if checkpoint is not None and history.epochs and (restored or len(history) % checkpoint.every):
        checkpoint.save(program, len(history))
    return history


def _split(
    data: Mapping[str, Array],
    validation: Mapping[str, Array] | float | None,
    axis: Axis,
    rng: np.random.Generator,
) -> tuple[Samples, Samples | None]:
    """What to train on, and what to validate with."""
    samples = Samples("fit", data, axis)
    if validation is None:
        return samples, None
    if isinstance(validation, Mapping):
        return samples, Samples("validation", validation, axis)
    return samples.split(validation, rng)


def _cost(program: Program, samples: Samples, batch_size: int | None) -> float:
    """The mean cost over samples, without an update."""
    total = 0.0
    for count, inputs in samples.batches(batch_size or samples.count):
        outputs = program.run(**inputs)
        if "cost" not in outputs:
            raise InputError(f"validation expects every input of the cost, got {', '.join(inputs)}")
        total += count * float(outputs["cost"])
    return total / samples.count


class _Watch:
    """The best epoch so far, and the program's arrays after it."""

    def __init__(self, program: Program, rule: EarlyStopping | None) -> None:
        self.program = program
        self.rule = rule
        self.best = 0
        self.last = 0
        self.least = float("inf")
        self.kept: dict[str, Array] = {}

    def is_over(self, epoch: Epoch) -> bool:
        """Note an epoch; whether patience has run out."""
        self.last = epoch.number
        if self.rule is None:
            return False
        cost = epoch.cost if epoch.validation_cost is None else epoch.validation_cost
        if cost < self.least - self.rule.minimum_improvement:
            self.least, self.best = cost, epoch.number
            if self.rule.restore:
                self.kept = {name: array.copy() for name, array in self.program.states.items()}
        return epoch.number - self.best >= self.rule.patience

    def restore(self) -> bool:
        """Put the best epoch's arrays back; whether anything changed."""
        if not self.kept or self.best == self.last:
            return False
        for name, array in self.kept.items():
            np.copyto(self.program.states[name], array)
        return True


class _Bar:
    """A progress bar that is looked at rarely, so that it costs a step next to nothing."""

    def __init__(self, epochs: int, steps: int, shown: bool) -> None:
        self.shown = shown
        self.epochs = epochs
        self.waiting = 0
        self.due = 0.0
        if shown:
            from tqdm import tqdm

            self.bar = tqdm(total=epochs * steps, unit="step", mininterval=0.0, miniters=1)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.shown:
            self.bar.update(self.waiting)
            self.bar.close()

    def step(self, epoch: int, total: float, seen: int) -> None:
        """Note a step, and show it when it is time."""
        self.waiting += 1
        if self.shown and time.perf_counter() >= self.due:
            self._show(f"epoch {epoch}/{self.epochs}, cost {total / seen:.4g}")

    def epoch(self, epoch: Epoch) -> None:
        """Show an epoch's costs when it is time, or when it is the last."""
        if self.shown and (epoch.number == self.epochs or time.perf_counter() >= self.due):
            checked = epoch.validation_cost
            more = "" if checked is None else f", validation {checked:.4g}"
            self._show(f"epoch {epoch.number}/{self.epochs}, cost {epoch.cost:.4g}{more}")

    def _show(self, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(self.waiting)
        self.waiting = 0
        self.due = time.perf_counter() + REFRESH

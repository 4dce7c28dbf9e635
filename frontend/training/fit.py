"""Training: epochs of shuffled mini-batches, with a history, early stopping and checkpoints.

It only calls a program's steps and runs; how a step changes the parameters is the optimizer's.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import flag, function, instance, integer, items, number, wrong
from ..arguments import path as path_of
from ..drawing.drawing import Drawing
from ..loading import training_begins
from ..programs.running import Running
from .augment.augmentation import Augment, Augmentation
from .batches import Axis, Samples
from .checkpoints import save
from .history import Epoch, History

Array = npt.NDArray[Any]
Callback = Callable[[Epoch], "bool | None"]
REFRESH = 0.2
"""Seconds between two looks of the progress bar."""
_HELD_OUT, _ORDER, _CHANGES = 1, 2, 3
"""Streams of random numbers of one seed: the samples held out, orders, changes of samples."""
_COMPILE = "diagram.compile(optimizer=dg.Adam(1e-3))"
_set = object.__setattr__  # a frozen dataclass takes its checked values so


@dataclass(frozen=True)
class EarlyStopping:
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

    Raises:
        TypeError, ValueError: a number of another type, or out of its range.
    """

    patience: int
    minimum_improvement: float = 0.0
    restore: bool = True

    def __post_init__(self) -> None:
        what = "EarlyStopping"
        _set(self, "patience", integer(what, "patience", self.patience, 1))
        least = number(what, "minimum_improvement", self.minimum_improvement, least=0)
        _set(self, "minimum_improvement", least)
        _set(self, "restore", flag(what, "restore", self.restore))


@dataclass(frozen=True)
class Checkpoint:
    """Save the program while it trains, as `program.save` does, and at the end.

    Args:
        path: the file; "{epoch}" in it stands for the epoch's number.
        every: how many epochs lie between two saves.

    Raises:
        TypeError, ValueError: no path; `every` is no integer of 1 or more.
    """

    path: str | os.PathLike[str]
    every: int = 1

    def __post_init__(self) -> None:
        _set(self, "path", path_of("Checkpoint", "path", self.path))
        _set(self, "every", integer("Checkpoint", "every", self.every, 1))

    def check_folder(self) -> None:
        """FileNotFoundError unless there is a folder to save in."""
        folder = os.path.dirname(os.path.realpath(self.path))
        if "{epoch}" not in folder and not os.path.isdir(folder):
            raise FileNotFoundError(f"fit cannot save {self.path}: there is no folder {folder}")

    def save(self, program: Running, epoch: int) -> None:
        """Save the program as it is after an epoch."""
        save(program, os.fspath(self.path).replace("{epoch}", str(epoch)))


def fit(
    program: Running,
    data: Mapping[str, Any],
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    validation: Mapping[str, Any] | float | None = None,
    callbacks: Sequence[Callback] = (),
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    progress: bool = True,
    axis: Axis = 0,
    augment: Augment | None = None,
) -> History:
    """Train a program on mini-batches of the data, `epochs` times through.

    The order of an epoch depends on the seed and on the steps that the program has made, and on
    nothing else: five epochs and five more are ten, also with `program.save` and `load` between
    them.  Ctrl+C raises KeyboardInterrupt after the step in progress; the program keeps what it has
    learned and can be used.

    Args:
        program: compiled with an optimizer, or one whose step makes updates alone.
        data: a value for every input of the step, as `program.step` takes it: an array, a tensor, a
            list of numbers.  All have as many samples.
        epochs: how many times to go through the data.
        batch_size: samples in a step, the last of an epoch may have fewer; by default all of
            them, which is plain gradient descent.
        shuffle: go through the samples in another random order in each epoch.
        seed: of the orders, of the samples held out, and of the draws of `augment`.
        validation: data of the same form, or the fraction of `data` to hold out (the same samples
            for the same seed); its cost is computed after every epoch, without updates.
        callbacks: functions of an `Epoch`, called after it; True ends the training.
        early_stopping: when to end because the cost no longer falls.
        checkpoint: where to save while training.
        progress: show a progress bar, with the cost of the epoch so far.
        axis: the axis that counts samples, of all inputs or by name: {"x": 1} for sequences
            (time, batch, features).
        augment: changes the samples of every step, and never those that a cost after an epoch is
            computed from: a transform of `dg.augment`, or a function of a batch with its samples
            in front (which it must not write to) and a generator of NumPy.  It is for the one input
            that looks like images, floats (N, C, H, W); a dict of them by name is for any inputs.
            The draws depend on the seed, on the steps that the program has made and on the input's
            name, and on nothing else.

    Returns:
        The record of every epoch, whose cost is NaN where the diagram has none.  A cost over
        several batches is what one batch of all their samples would cost: of a cost that is a sum
        over the samples of a batch, the sum of the steps' costs; of a mean, and of any other, their
        mean, weighted by their samples.

    Raises:
        InputError: no samples, different numbers of them, or what `program.step` finds; validation
            or early stopping without a cost.
        TypeError: an argument of another type.
        ValueError: a number out of its range.
        KeyboardInterrupt: Ctrl+C.

        But for the last, and for an input whose range depends on the size of a batch, all is looked
        at before the first step: nothing has changed then.
    """
    plan = _Plan(program, data, batch_size, seed, validation, axis, augment)
    epochs = integer("fit", "epochs", epochs, 0)
    shuffle, progress = flag("fit", "shuffle", shuffle), flag("fit", "progress", progress)
    callbacks = items("fit", "callbacks", callbacks, "functions of an epoch")
    for callback in callbacks:
        function("fit", "callbacks", callback, "of an epoch")
    if early_stopping is not None:
        instance("fit", "early_stopping", early_stopping, EarlyStopping, "a dg.EarlyStopping(...)")
    if checkpoint is not None:
        instance("fit", "checkpoint", checkpoint, Checkpoint, "a dg.Checkpoint(...)")
        checkpoint.check_folder()
    judged = plan.held_out or (plan.samples if early_stopping is not None else None)
    if judged is not None:
        program.evaluation()
    training_begins()
    watch = _Watch(program, early_stopping)
    history = History()
    with _Bar(epochs, plan.steps, progress, program.diagram.cost is not None) as bar:
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            cost = plan.epoch(shuffle, functools.partial(bar.step, number))
            after = None if judged is None else plan.cost_of(judged)
            checked, final = (after, None) if plan.held_out is not None else (None, after)
            epoch = Epoch(number, cost, checked, time.perf_counter() - start, final)
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


class _Plan:
    """What `fit` trains on and validates with, all of it checked, and how costs are put together.

    Args: those of `fit` by these names.
    """

    def __init__(
        self,
        program: Running,
        data: Mapping[str, Any],
        batch_size: int | None,
        seed: int,
        validation: Mapping[str, Any] | float | None,
        axis: Axis,
        augment: Augment | None,
    ) -> None:
        if not isinstance(program, Running):
            remedy = f"compile it, as {_COMPILE}" if isinstance(program, Drawing) else ""
            raise wrong("fit", "a program first", program, TypeError, remedy)
        step = program.execution("step", {})
        size = None if batch_size is None else integer("fit", "batch_size", batch_size, 1)
        self.program = program
        self.seed = integer("fit", "seed", seed, 0)
        name = f"fit of '{program.diagram.name}'"
        self.samples = Samples(name, step.expected, data, axis)
        self.augmentation: Augmentation | None = None
        if augment is not None:
            self.augmentation = Augmentation(name, step.expected, self.samples.axes, augment)
        self.held_out: Samples | None = None
        if isinstance(validation, Mapping):
            self.held_out = Samples(f"validation of {name}", step.expected, validation, axis)
        elif validation is not None:
            text = "validation (data, or the fraction to hold out)"
            share = number("fit", text, validation, above=0, below=1)
            rng = np.random.default_rng([self.seed, _HELD_OUT])
            self.samples, self.held_out = self.samples.split(share, rng)
        self.size = min(size or self.samples.count, self.samples.count)
        self.samples.check_batches("fit", self.size, step)
        self.checked_size = size
        if self.held_out is not None:
            self.held_out.check_batches("fit", self._size_of(self.held_out), program.evaluation())
        self._sums: bool | None = None

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return -(-self.samples.count // self.size)

    def epoch(self, shuffle: bool, watch: Callable[[float], None]) -> float:
        """Go through the samples once; the cost, of which `watch` hears after every step."""
        samples, size, program = self.samples, self.size, self.program
        order = None
        if shuffle and size < samples.count:
            made = int(program.states["step"])
            order = np.random.default_rng([self.seed, _ORDER, made]).permutation(samples.count)
        sums = self._adds_up(samples, size)
        total, seen = 0.0, 0
        for count, inputs in samples.batches(size, order):
            if self.augmentation is not None:
                seed = [self.seed, _CHANGES, int(program.states["step"])]
                inputs = self.augmentation(inputs, seed)
            answer = program.step(**inputs)
            cost = math.nan if program.diagram.cost is None else answer
            total += cost * (samples.count if sums else count)
            seen += count
            watch(total / seen)
        return total / seen

    def cost_of(self, samples: Samples) -> float:
        """The cost of samples as the program is now."""
        execution, size = self.program.evaluation(), self._size_of(samples)
        sums, total = self._adds_up(samples, size), 0.0
        for count, inputs in samples.batches(size):
            outputs = execution.call("fit", inputs)
            total += float(outputs["cost"]) * (samples.count if sums else count)
        return total / samples.count

    def _size_of(self, samples: Samples) -> int:
        return min(self.checked_size or samples.count, samples.count)

    def _adds_up(self, samples: Samples, size: int) -> bool:
        """Whether the cost of all samples is the sum of those of batches of this size."""
        if size >= samples.count or self.program.diagram.cost is None:
            return False
        if self._sums is None:
            self._sums = self.program.diagram.cost_growth(samples.counted) == 1
        return self._sums


class _Watch:
    """The best epoch so far, and the program's arrays after it."""

    def __init__(self, program: Running, rule: EarlyStopping | None) -> None:
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
        cost = epoch.final_cost if epoch.validation_cost is None else epoch.validation_cost
        assert cost is not None
        if cost < self.least - self.rule.minimum_improvement:
            self.least, self.best = cost, epoch.number
            if self.rule.restore:
                states = self.program.states
                self.kept = self.program.workspace.hold(
                    lambda: {name: array.copy() for name, array in states.items()}
                )
        return epoch.number - self.best >= self.rule.patience

    def restore(self) -> bool:
        """Put the best epoch's arrays back; whether anything changed."""
        if not self.kept or self.best == self.last:
            return False

        def put() -> None:
            for name, array in self.kept.items():
                np.copyto(self.program.states[name], array)

        self.program.workspace.hold(put)
        return True


class _Bar:
    """A progress bar that is looked at rarely, so that it costs a step next to nothing."""

    def __init__(self, epochs: int, steps: int, shown: bool, costs: bool) -> None:
        self.shown = shown
        self.costs = costs
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

    def step(self, epoch: int, cost: float) -> None:
        """Note a step and the epoch's cost so far, and show them when it is time."""
        self.waiting += 1
        if self.shown and time.perf_counter() >= self.due:
            self._show(f"epoch {epoch}/{self.epochs}{self._cost_text(cost)}")

    def epoch(self, epoch: Epoch) -> None:
        """Show an epoch's costs when it is time, or when it is the last."""
        if self.shown and (epoch.number == self.epochs or time.perf_counter() >= self.due):
            checked = epoch.validation_cost
            more = "" if checked is None else f", validation {checked:.4g}"
            self._show(f"epoch {epoch.number}/{self.epochs}{self._cost_text(epoch.cost)}{more}")

    def _cost_text(self, cost: float) -> str:
        return f", cost {cost:.4g}" if self.costs else ""

    def _show(self, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(self.waiting)
        self.waiting = 0
        self.due = time.perf_counter() + REFRESH

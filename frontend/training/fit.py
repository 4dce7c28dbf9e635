"""Training: epochs of mini-batches, with a history, metrics, callbacks and checkpoints.

It only calls a program's steps and runs; how a step changes the parameters is the optimizer's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..arguments import flag, instance, integer, items
from ..errors import InputError
from ..loading import training_begins
from ..programs.running import Running
from .augment.augmentation import Augment
from .callbacks.callback import (
    Callback,
    EpochFunction,
    TrainingState,
    as_callback,
    overrides,
)
from .callbacks.checkpointing import Checkpoint, Resumed
from .callbacks.monitoring import EarlyStopping
from .feeding.batches import Axis
from .history import Epoch, History
from .measuring import Measures, Meter, Metrics
from .plan import Feed, Options, Plan, expect_program
from .progress import Bar

CALLBACKS = "dg.Callback objects, or functions of an epoch"


def fit(
    program: Running,
    data: Any,
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    validation: Any = None,
    callbacks: Sequence[Callback | EpochFunction] = (),
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    progress: bool = True,
    axis: Axis = 0,
    augment: Augment | None = None,
    metrics: Metrics | None = None,
    sample_weight: str | None = None,
    steps_per_epoch: int | None = None,
    prefetch: int = 2,
    resume: bool = False,
) -> History:
    """Train a program on mini-batches of the data, `epochs` times through.

    The order of an epoch depends on the seed and on the steps that the program has made, and on
    nothing else: five epochs and five more are ten, also with `program.save` and `load` between
    them.  Ctrl+C raises KeyboardInterrupt after the step in progress; the program keeps what it has
    learned and can be used.

    Args:
        program: compiled with an optimizer, or one whose step makes updates alone.
        data: a value for every input of the step, as `program.step` takes it: an array, a tensor, a
            list of numbers, all with as many samples; in a dict by name, or in a tuple in the order
            in which the inputs were drawn.  Or batches, each a dict or a tuple of this kind: an
            iterable that is begun anew in each epoch (a list, a loader of PyTorch), a generator,
            which is read on, or a function of the epoch's number, 1 at first, that gives either.
        epochs: how many times to go through the data.
        batch_size: samples in a step, the last of an epoch may have fewer; by default all of
            them, which is plain gradient descent.  Batches are taken as they are.
        shuffle: go through the samples in another random order in each epoch; not of batches.
        seed: of the orders, of the samples held out, and of the draws of `augment`.
        validation: data in any of these forms that can be gone through after each epoch, or the
            fraction of arrays to hold out (the same samples for the same seed); cost and metrics
            are computed after every epoch, in inference and without updates.
        callbacks: `dg.Callback` objects, or functions of an `Epoch`, called after it; True ends the
            training.  Checkpoints come last.
        early_stopping: when to end because the cost no longer falls; a callback, after the others.
        checkpoint: where to save while training; a callback.
        progress: show a progress bar, with the cost of the epoch so far.
        axis: the axis that counts samples, of all inputs or by name: {"x": 1} for sequences
            (time, batch, features).
        augment: changes the samples of every step, and never those that a cost after an epoch is
            computed from: a transform of `dg.augment`, or a function of a batch with its samples
            in front (which it must not write to) and a generator of NumPy.  It is for the one input
            that looks like images, floats (N, C, H, W); a dict of them by name is for any inputs.
            The draws depend on the seed, on the steps that the program has made and on the input's
            name, and on nothing else.
        metrics: variables of shape (), drawn from what the diagram has, or `dg.metrics.Metric`s, by
            name.  They are computed within the steps, before the update, and of validation data.
        sample_weight: the name of an input that holds the samples' weights, where the cost divides
            by their sum: for the cost and for metrics that depend on it, batches then count by the
            sum of their weights, not by their samples.
        steps_per_epoch: of batches, how many are an epoch; by default all that there are.
        prefetch: how many batches a thread makes ready, of data that come in batches; 0 for no
            thread, and there is none for a list.
        resume: go on from the checkpoint's last file, if there is one, as if training had never
            ended: `epochs` and the history count from the first.

    Returns:
        The record of every epoch, whose cost is NaN where the diagram has none.  A cost over
        several batches is what one batch of all their samples would cost: of a cost that is a sum
        over the samples of a batch, the sum of the steps' costs; of a mean, and of any other, their
        mean, weighted by their samples.  Metrics are put together in the same way.

    Raises:
        InputError: no samples, different numbers of them, or what `program.step` finds; validation
            or early stopping without a cost; batches that end too early, or cannot be begun anew.
        DiagramError: a metric that has a mistake, or needs what the diagram has not.
        CheckpointError: `resume` from a file of a training with another optimizer, other settings
            or another number of samples.
        TypeError: an argument of another type.
        ValueError: a number out of its range.
        KeyboardInterrupt: Ctrl+C.
        Exception: what a generator, a function of data or a callback raises.

        But for the last two, for batches as they come, and for an input whose range depends on the
        size of a batch, all is looked at before the first step: nothing has changed then.
    """
    program = expect_program("fit", program)
    measures = Measures(f"fit of '{program.diagram.name}'", program, metrics)
    epochs = integer("fit", "epochs", epochs, 0)
    shuffle, progress = flag("fit", "shuffle", shuffle), flag("fit", "progress", progress)
    resume = flag("fit", "resume", resume)
    options = Options(
        epochs, batch_size, shuffle, seed, axis, augment, steps_per_epoch, prefetch, sample_weight
    )
    plan = Plan(program, measures, data, validation, options)
    watchers = _callbacks(callbacks, early_stopping, checkpoint)
    state = TrainingState(program, History(), epochs, plan.steps, plan.settings(), watchers)
    judged = plan.held_out
    if judged is None and any(isinstance(item, EarlyStopping) for item in watchers):
        plan.expect_again("after each epoch, for early stopping without validation")
        judged = plan.feed
    if judged is not None:
        measures.execution("run")
    resumed = _resumed(state, plan) if resume else None
    training_begins()
    if resumed is not None:
        resumed.load_program(program)
        state.history = resumed.history
        if state.stopped or len(state.history) >= epochs:
            return state.history
    _train(state, plan, judged, resumed, progress)
    return state.history


def _train(
    state: TrainingState, plan: Plan, judged: Feed | None, resumed: Resumed | None, progress: bool
) -> None:
    """Make the epochs that are left, and tell the callbacks."""
    done, costs = len(state.history), state.program.diagram.cost is not None
    error: BaseException | None = None
    try:
        state.begin()
        if resumed is not None:
            resumed.load_callbacks(state.callbacks)
        with Bar(state.epochs, plan.steps, progress, costs, done) as bar:
            for number in range(done + 1, state.epochs + 1):
                _epoch(state, plan, judged, number, bar)
                if state.stopped:
                    break
    except BaseException as found:
        error = found
        raise
    finally:
        plan.close()
        state.end(error)


def _epoch(state: TrainingState, plan: Plan, judged: Feed | None, number: int, bar: Bar) -> None:
    """Make one epoch, and put its record into the history."""
    begin = [item for item in state.callbacks if overrides(item, "on_train_batch_begin")]
    end = [item for item in state.callbacks if overrides(item, "on_train_batch_end")]

    def watch(batch: int, meter: Meter | None) -> bool:
        state.batch = batch
        if meter is None:
            for callback in begin:
                callback.on_train_batch_begin(state)
            return False
        state.cost, state.batch_cost = meter.cost, meter.last
        bar.step(number, state.cost)
        for callback in end:
            callback.on_train_batch_end(state)
        return state.stopped

    state.epoch, state.batch = number, 0
    state.tell("on_epoch_begin")
    start = time.perf_counter()
    meter = plan.epoch(number, watch)
    after = None if judged is None else plan.judge(judged, number)
    validated, final = (after, None) if plan.held_out is not None else (None, after)
    epoch = Epoch(
        number,
        meter.cost,
        None if validated is None else validated.cost,
        time.perf_counter() - start,
        None if final is None else final.cost,
        meter.metrics(),
        None if validated is None else validated.metrics(),
        None if final is None else final.metrics(),
    )
    state.history.epochs.append(epoch)
    bar.epoch(epoch)
    state.tell("on_epoch_end")


def _callbacks(
    given: Any, early_stopping: EarlyStopping | None, checkpoint: Checkpoint | None
) -> list[Callback]:
    """All callbacks in the order in which they are called."""
    found = [as_callback(item) for item in items("fit", "callbacks", given, CALLBACKS)]
    if early_stopping is not None:
        instance("fit", "early_stopping", early_stopping, EarlyStopping, "a dg.EarlyStopping(...)")
        found.append(early_stopping)
    if checkpoint is not None:
        instance("fit", "checkpoint", checkpoint, Checkpoint, "a dg.Checkpoint(...)")
        found.append(checkpoint)
    for item in found:
        if isinstance(item, Checkpoint):
            item.check_folder()
    return sorted(found, key=lambda item: isinstance(item, Checkpoint))


def _resumed(state: TrainingState, plan: Plan) -> Resumed | None:
    """The training to go on with, if there is a file of one."""
    plan.expect_again("in each epoch, for resume=True")
    saving = [item for item in state.callbacks if isinstance(item, Checkpoint)]
    if len(saving) != 1:
        raise InputError(
            f"{plan.name} expects one checkpoint=dg.Checkpoint(path) for resume=True, got "
            f"{len(saving) or 'none'}"
        )
    file = saving[0].latest()
    return None if file is None else Resumed(file, state)

"""What `fit` trains on and validates with, checked before the first step, and an epoch of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arguments import integer, number, shown, wrong
from ..drawing.drawing import Drawing
from ..errors import InputError
from ..programs.execution import Execution
from ..programs.inputs import Expected
from ..programs.running import Running
from .augment.augmentation import Augment, Augmentation
from .feeding.batches import Array, Axis, Samples
from .feeding.streams import AGAIN, Stream, comes_in_batches
from .measuring import Measures, Meter, check_weights

Feed = Samples | Stream
_HELD_OUT, _ORDER, _CHANGES = 1, 2, 3
"""Streams of random numbers of one seed: the samples held out, orders, changes of samples."""
_COMPILE = "diagram.compile(optimizer=dg.Adam(1e-3))"


def expect_program(what: str, program: Any) -> Running:
    """The program itself; TypeError for anything else."""
    if not isinstance(program, Running):
        remedy = f"compile it, as {_COMPILE}" if isinstance(program, Drawing) else ""
        raise wrong(what, "a program first", program, TypeError, remedy)
    return program


def feed_of(
    what: str, expected: list[Expected], data: Any, axis: Axis, epochs: int, **stream: Any
) -> Feed:
    """Data in any of their forms."""
    if comes_in_batches(data):
        return Stream(what, expected, data, axis, epochs=epochs, **stream)
    if stream.get("steps") is not None:
        raise InputError(f"{what} expects steps_per_epoch for data in batches, got arrays of all "
                         "samples: batch_size says how many steps they make")  # fmt: skip
    return Samples(what, expected, data, axis)


class Options(NamedTuple):
    """How an epoch goes: arguments of `fit` by these names."""

    epochs: int
    batch_size: int | None
    shuffle: bool
    seed: int
    axis: Axis
    augment: Augment | None
    steps_per_epoch: int | None
    prefetch: int
    sample_weight: str | None


class Plan:
    """What `fit` trains on and validates with, all of it checked, and how epochs are made.

    Args:
        program: that of `fit`.
        measures: the cost and the metrics.
        data: to train on.
        validation: as for `fit`.
        options: as for `fit`.
    """

    def __init__(
        self, program: Running, measures: Measures, data: Any, validation: Any, options: Options
    ) -> None:
        self.program = program
        self.measures = measures
        self.options = options
        step = measures.execution("step")
        name = self.name = measures.what
        given = options.batch_size
        self.asked_size = None if given is None else integer("fit", "batch_size", given, 1)
        self.seed = integer("fit", "seed", options.seed, 0)
        self.feed = feed_of(
            name, step.expected, data, options.axis, options.epochs,
            steps=options.steps_per_epoch, ahead=options.prefetch,
        )  # fmt: skip
        check_weights(name, options.sample_weight, step.expected)
        self.augmentation: Augmentation | None = None
        if options.augment is not None:
            axes = self.feed.axes
            self.augmentation = Augmentation(name, step.expected, axes, options.augment)
        self.held_out = self._held_out(validation, step.expected)
        for feed, execution in ((self.feed, step), (self.held_out, None)):
            if isinstance(feed, Samples):
                execution = execution or measures.execution("run")
                feed.check_batches("fit", self._size_of(feed), execution)
        if isinstance(self.feed, Stream) and given is not None:
            raise InputError(
                f"{name} expects no batch_size for data that come in batches, got {given}: the "
                "batches are taken as they are"
            )

    def _held_out(self, validation: Any, expected: list[Expected]) -> Feed | None:
        """What is validated with, in any of its forms."""
        if validation is None:
            return None
        name = f"validation of {self.name}"
        if isinstance(validation, (Mapping, tuple)) or comes_in_batches(validation):
            ahead = self.options.prefetch
            feed = feed_of(name, expected, validation, self.options.axis, 1, ahead=ahead)
            if isinstance(feed, Stream) and feed.once:
                raise InputError(
                    f"{name} expects batches for every epoch, got {shown(validation)}, which gives "
                    f"them once: {AGAIN}"
                )
            return feed
        text = "validation (data, or the fraction to hold out)"
        share = number("fit", text, validation, above=0, below=1)
        if not isinstance(self.feed, Samples):
            raise InputError(
                f"{self.name} expects validation as data where the training data come in batches, "
                f"got the fraction {share}: give a list of batches, or arrays"
            )
        rng = np.random.default_rng([self.seed, _HELD_OUT])
        self.feed, held = self.feed.split(share, rng)
        return held

    @property
    def steps(self) -> int | None:
        """How many steps an epoch has, where that is known."""
        if isinstance(self.feed, Stream):
            return self.feed.steps
        return -(-self.feed.count // self._size_of(self.feed))

    def settings(self) -> dict[str, Any]:
        """What the course of training depends on, to be compared when it is resumed."""
        size = self._size_of(self.feed) if isinstance(self.feed, Samples) else None
        held = self.held_out
        return {
            "diagram": self.program.diagram.name,
            "optimizer": re.sub(r" at 0x[0-9a-f]+", "", repr(self.program.optimizer)),
            "samples": self.feed.count,
            "batch_size": size,
            "steps_per_epoch": self.options.steps_per_epoch,
            "shuffle": self.options.shuffle,
            "seed": self.seed,
            "validation samples": None if held is None else held.count,
            "metrics": list(self.measures.metrics),
        }

    def expect_again(self, why: str) -> None:
        """InputError for training data that cannot be gone through once more."""
        if isinstance(self.feed, Stream) and self.feed.once:
            raise InputError(
                f"{self.name} expects data that can be begun anew {why}, got "
                f"{shown(self.feed.data)}, which gives its batches once: {AGAIN}"
            )

    def epoch(self, number: int, watch: Callable[[int, Meter | None], bool]) -> Meter:
        """Go through the data once, a step for each batch.

        `watch` hears of every batch before its step, with None, and after it; True ends the epoch.
        """
        program = self.program
        execution = self.measures.execution("step") if self.measures.values else None
        meter = self.measures.meter(self._sums(self.feed), self.options.sample_weight)
        batches = self._batches(self.feed, number, self.options.shuffle)
        try:
            for place, (count, inputs) in enumerate(batches, 1):
                watch(place, None)
                if self.augmentation is not None:
                    seed = [self.seed, _CHANGES, int(program.states["step"])]
                    inputs = self.augmentation(inputs, seed)
                if execution is None:
                    answer, outputs = program.step(**inputs), {}
                else:
                    outputs = execution.native(inputs) or execution.call("fit", inputs)
                    answer = outputs.get("cost")
                cost = math.nan if program.diagram.cost is None else float(answer)
                meter.add(cost, outputs, inputs, count)
                if watch(place, meter):
                    break
        finally:
            batches.close()
        return meter

    def judge(self, feed: Feed, number: int) -> Meter:
        """The cost and the metrics of data as the program is now, in inference."""
        execution, weights = self.measures.execution("run"), self.options.sample_weight
        batches = self._batches(feed, number)
        return judged("fit", self.measures, execution, batches, self._sums(feed), weights)

    def close(self) -> None:
        """Let go of what makes batches."""
        if isinstance(self.feed, Stream):
            self.feed.close()

    def _batches(self, feed: Feed, number: int, shuffle: bool = False) -> Any:
        if isinstance(feed, Stream):
            return feed.batches(number)
        size, order = self._size_of(feed), None
        if shuffle and size < feed.count:
            made = int(self.program.states["step"])
            order = np.random.default_rng([self.seed, _ORDER, made]).permutation(feed.count)
        return feed.batches(size, order)

    def _size_of(self, samples: Samples) -> int:
        return min(self.asked_size or samples.count, samples.count)

    def _sums(self, feed: Feed) -> set[str]:
        """What of several batches is added up."""
        if isinstance(feed, Samples) and self._size_of(feed) >= feed.count:
            return set()
        return self.measures.sums(feed.counted)


def judged(
    what: str,
    measures: Measures,
    execution: Execution,
    batches: Iterator[tuple[int, dict[str, Array]]],
    sums: set[str],
    weights: str | None,
) -> Meter:
    """The cost and the metrics of batches, without a step."""
    meter = measures.meter(sums, weights)
    names = [item.name for item in execution.expected]
    for count, inputs in batches:
        outputs = execution.call(what, {name: inputs[name] for name in names})
        cost = outputs.get("cost")
        meter.add(math.nan if cost is None else float(cost), outputs, inputs, count)
    return meter

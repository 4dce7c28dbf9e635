"""Which learning rate to begin with: the cost of steps whose rate grows from step to step."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import integer, number
from ..errors import InputError
from ..location import user_location
from ..programs.running import Running
from .augment.augmentation import Augment
from .feeding.batches import Axis
from .feeding.streams import Stream
from .measuring import Measures, Meter
from .plan import Options, Plan, expect_program
from .plots import Plot
from .rates import set_rate

Array = npt.NDArray[np.float64]
_TOO_HIGH = 4.0
"""How many times the least cost is where the search ends."""


@dataclass(frozen=True, eq=False)
class RateCurve:
    """What `dg.find_rate` saw.

    Attributes:
        rates: the learning rate of each step.
        costs: its cost, before its update.
        smoothed: the costs, each averaged with its neighbours before and after, and none after the
            least counted higher than where the search ends; without one that is no number.
        suggestion: the rate at which the smoothed cost falls fastest, before its least value; None
            where it does not fall.
    """

    rates: Array
    costs: Array
    smoothed: Array
    suggestion: float | None

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the costs over the rates into a file that ends in .svg or .png; its path.

        Raises:
            ValueError: another suffix.
            ImportError: Matplotlib is not installed.
        """
        plot = Plot("RateCurve.plot", path)
        axes = plot.axes
        axes.set_xscale("log")
        axes.plot(self.rates, self.costs, linewidth=0.8, alpha=0.4, label="cost")
        axes.plot(self.rates[: len(self.smoothed)], self.smoothed, label="smoothed")
        if self.suggestion is not None:
            text = f"suggestion {self.suggestion:.2g}"
            axes.axvline(self.suggestion, linestyle="--", color="0.5", label=text)
        if len(self.smoothed):
            low = min(self.smoothed.min(), np.nanmin(self.costs))
            high = self.smoothed.max()
            room = 0.1 * (high - low or 1.0)
            axes.set_ylim(low - room, high + room)
        axes.legend(frameon=False)
        return plot.write("learning rate", "cost", whole=False)


def find_rate(
    program: Running,
    data: Any,
    batch_size: int | None = None,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.8,
    seed: int = 0,
    axis: Axis = 0,
    augment: Augment | None = None,
) -> RateCurve:
    """Train a copy of the program, with a rate that grows from step to step, and look at the cost.

    A good rate is where the cost falls fast, well below the one where it begins to grow.  The
    program itself stays as it is.  Smith, Cyclical learning rates for training neural networks,
    2017 (section 3.3); the rate grows by a factor, as is usual since.

    Args:
        program: compiled with an optimizer, whose schedule is not looked at; of groups all get the
            same rate.
        data: as for `fit`, gone through as often as it takes; of a generator, what it gives.
        batch_size: as for `fit`: the rate found is for batches of this size.
        lowest: the first rate.
        highest: that of the last step; the search ends before it where the running mean of the
            costs is no number, or four times its least value.
        steps: how many.
        smoothing: in [0, 1): how much of that mean stays at a step, and by which factor a step
            counts less for its neighbour in what is drawn.
        seed: of the orders, as for `fit`.
        axis: as for `fit`.
        augment: as for `fit`.

    Raises:
        InputError: no optimizer, no cost, or data that `fit` would refuse.
        TypeError, ValueError: a number of another type or out of its range.
    """
    what = "find_rate"
    program = expect_program(what, program)
    lowest = number(what, "lowest", lowest, above=0)
    highest = number(what, "highest", highest, above=lowest)
    steps = integer(what, "steps", steps, 2)
    smoothing = number(what, "smoothing", smoothing, least=0, below=1)
    if program.diagram.cost is None:
        raise InputError(
            f"{what} ({user_location()}) expects a program with a cost, got "
            f"'{program.diagram.name}' without: Diagram(..., cost=...)"
        )
    twin = program.on_copies()
    rates = np.geomspace(lowest, highest, steps)
    set_rate(twin, float(rates[0]))
    options = Options(1, batch_size, True, seed, axis, augment, None, 2, None)
    plan = Plan(twin, Measures(f"{what} of '{twin.diagram.name}'", twin, None), data, None, options)
    costs: list[float] = []
    mean = _RunningMean(smoothing)

    def watch(batch: int, meter: Meter | None) -> bool:
        if meter is None:
            set_rate(twin, float(rates[len(costs)]))
            return False
        costs.append(meter.last)
        mean.add(meter.last)
        return mean.too_high or len(costs) == steps

    epoch, over = 0, False
    try:
        while not over:
            epoch += 1
            plan.epoch(epoch, watch)
            over = mean.too_high or len(costs) == steps
            over = over or (isinstance(plan.feed, Stream) and plan.feed.once)
    finally:
        plan.close()
    found = np.array(costs)
    bounded = found[np.isfinite(found)]
    bounded[mean.best :] = np.minimum(bounded[mean.best :], mean.limit)
    smoothed = _smoothed(bounded, smoothing)
    return RateCurve(rates[: len(found)], found, smoothed, _steepest(rates, smoothed))


class _RunningMean:
    """A running mean, corrected for its start at 0; how many values it had at its least."""

    def __init__(self, kept: float) -> None:
        self.kept = kept
        self.total = self.weight = 0.0
        self.least = math.inf
        self.limit = math.inf
        self.best = self.count = 0
        self.too_high = False

    def add(self, value: float) -> None:
        """Take one more value."""
        self.total = self.kept * self.total + value
        self.weight = self.kept * self.weight + 1.0
        now = self.total / self.weight
        self.count += 1
        if now < self.least:
            self.least, self.best = now, self.count
        self.limit = self.least + (_TOO_HIGH - 1.0) * abs(self.least)
        self.too_high = not now <= self.limit or not math.isfinite(now)


def _smoothed(costs: Array, kept: float) -> Array:
    """The mean of all costs around each, which count by kept ** distance: nothing lags behind."""
    places = np.arange(len(costs))
    weights = kept ** np.abs(places[:, None] - places).astype(np.float64)
    found: Array = weights @ costs / weights.sum(1)
    return found


def _steepest(rates: Array, smoothed: Array) -> float | None:
    """The rate where the cost falls fastest over the logarithm of the rate, before the least."""
    end = int(smoothed.argmin()) + 1 if len(smoothed) else 0
    if end < 3:
        return None
    slopes = np.gradient(smoothed[:end], np.log(rates[:end]))
    return float(rates[int(slopes.argmin())])

"""Schedules: the learning rate as a function of the steps made, drawn and compiled into the step.

A schedule is a block from the step count to a rate.  Called with a Python integer it gives the
number that a program would use, for plotting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import numpy as np

from ...compiler.graphs.binding import value_of
from ...compiler.passes.inline import inline
from ..arguments import flag, integer, items, number, wrong
from ..drawing.blocks import Block
from ..drawing.lower import lower
from ..keywords import expect_call
from ..location import user_location
from ..operations.broadcasting import as_variables
from ..operations.elementwise import cos, floor, log, maximum, minimum, power, where
from ..variables.constants import constant as constant_variable
from ..variables.variable import Variable

Formula = Callable[[Variable], Variable]


class Schedule(Block):
    """A learning rate that depends on the number of steps made (0 at the first step).

    Args:
        name: what its bullet is called.
        formula: from the step count to the rate, float64 variables of shape ().
        settings: what it was made with, for `repr`.
    """

    def __init__(self, name: str, formula: Formula, settings: Mapping[str, Any] = {}) -> None:
        self.name = name
        self.formula = formula
        self._settings = dict(settings)

    @property
    def _has_place(self) -> bool:
        """A schedule belongs to no one place."""
        return False

    def _describe(self) -> str:
        """The schedule's name."""
        return self.name or "schedule"

    def forward(self, step: Variable) -> Variable:
        """The rate, float64 of shape (), at an integer variable of shape ()."""
        return self.rate(step.astype("float64"))

    def rate(self, step: Variable) -> Variable:
        """The rate, whatever number or dtype the formula gives, float64 as the step is."""
        given = self.formula(step)
        if not isinstance(given, Variable):
            given = _number_of_formula(self._describe(), given)
        rate, _ = as_variables(given, step)
        return rate if rate.mistakes or rate.dtype == step.dtype else rate.astype(step.dtype)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{self._describe()}({settings})" if settings else self._describe()

    @overload
    def __call__(self, step: Variable) -> Variable: ...
    @overload
    def __call__(self, step: int) -> float: ...
    def __call__(self, step: Any) -> Any:
        """The rate at a step: a variable of a variable, a number of a number."""
        if isinstance(step, Variable):
            return super().__call__(step)
        step = integer(str(self.name), "the count of steps", step, 0)
        rate = self(constant_variable(step, "int64"))
        graph = inline(lower(self._describe(), {"rate": rate}, [], {}, {}, {}))
        return float(value_of(graph.outputs[0][1], {}))


Rate = float | Schedule | Formula
"""A learning rate: a number, a schedule, or a function from the step (float64) to a rate."""


def constant(learning_rate: float) -> Schedule:
    """The same rate at every step."""
    rate = not_negative("constant", "a learning rate", learning_rate)
    return Schedule(
        "constant", lambda step: constant_variable(rate, "float64"), {"learning_rate": rate}
    )


def step_decay(learning_rate: float, every: int, factor: float = 0.1) -> Schedule:
    """The rate times `factor` once more after every `every` steps."""
    rate = not_negative("step_decay", "a learning rate", learning_rate)
    _positive("step_decay", "every", every)
    _positive("step_decay", "factor", factor)
    return Schedule(
        "step_decay",
        lambda step: rate * power(factor, floor(step / every)),
        {"learning_rate": rate, "every": every, "factor": factor},
    )


def exponential(learning_rate: float, rate: float) -> Schedule:
    """learning_rate * rate ** step: `rate` is the factor from one step to the next."""
    first = not_negative("exponential", "a learning rate", learning_rate)
    _positive("exponential", "rate", rate)
    return Schedule(
        "exponential",
        lambda step: first * power(rate, step),
        {"learning_rate": first, "rate": rate},
    )


def inverse_time(learning_rate: float, decay: float) -> Schedule:
    """learning_rate / (1 + decay * step).

    Robbins and Monro, A stochastic approximation method, 1951.
    """
    rate = not_negative("inverse_time", "a learning rate", learning_rate)
    not_negative("inverse_time", "decay", decay)
    return Schedule(
        "inverse_time",
        lambda step: rate / (1.0 + decay * step),
        {"learning_rate": rate, "decay": decay},
    )


def cosine(learning_rate: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a wave of a cosine from `learning_rate` down to `final`, which stays after `steps`.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """
    rate = not_negative("cosine", "a learning rate", learning_rate)
    _positive("cosine", "steps", steps)
    not_negative("cosine", "final", final)

    def formula(step: Variable) -> Variable:
        done = minimum(step / steps, 1.0)
        return final + (rate - final) * (0.5 + 0.5 * cos(math.pi * done))

    settings = {"learning_rate": rate, "steps": steps, "final": final}
    return Schedule("cosine", formula, settings)


def multi_step(learning_rate: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """The rate times `factor` once more from each of some counts of steps on.

    ValueError unless these are integers of 1 or more, in rising order.
    """
    rate = not_negative("multi_step", "a learning rate", learning_rate)
    counts = _rising("multi_step", milestones)
    _positive("multi_step", "factor", factor)

    def formula(step: Variable) -> Variable:
        value, found = rate, constant_variable(rate, "float64")
        for count in counts:
            value *= factor
            found = where(step >= count, value, found)
        return found

    settings = {"learning_rate": rate, "milestones": counts, "factor": factor}
    return Schedule("multi_step", formula, settings)


def polynomial(
    learning_rate: float, steps: int, power: float = 1.0, final: float = 0.0
) -> Schedule:
    """From `learning_rate` to `final`, which stays after `steps`, by (1 - step / steps) ** power.

    A line for the power 1; a bend as in Chen et al., DeepLab, 2017, for 0.9.
    """
    rate = not_negative("polynomial", "a learning rate", learning_rate)
    _positive("polynomial", "steps", steps)
    _positive("polynomial", "power", power)
    not_negative("polynomial", "final", final)

    def formula(step: Variable) -> Variable:
        left = 1.0 - minimum(step / steps, 1.0)
        return final + (rate - final) * (left if power == 1 else left**power)

    settings = {"learning_rate": rate, "steps": steps, "power": power, "final": final}
    return Schedule("polynomial", formula, settings)


def warm_restarts(
    learning_rate: float, steps: int, factor: int = 1, final: float = 0.0
) -> Schedule:
    """`cosine` again and again: over `steps`, then `factor` times as many, and so on.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """
    rate = not_negative("warm_restarts", "a learning rate", learning_rate)
    first = integer("warm_restarts", "steps", steps, 1)
    growth = integer("warm_restarts", "factor", factor, 1)
    not_negative("warm_restarts", "final", final)

    def formula(step: Variable) -> Variable:
        if growth == 1:
            done = step / first - floor(step / first)
        else:  # in units of the first, cycles begin at (growth ** n - 1) / (growth - 1)
            passed = (growth - 1.0) * step / first + 1.0
            guess = floor(log(passed) / math.log(growth) + 0.5)
            length = floor(power(float(growth), guess) + 0.5)
            length = where(length > passed, length / growth, length)
            done = (passed / length - 1.0) / (growth - 1.0)
        return final + (rate - final) * (0.5 + 0.5 * cos(math.pi * done))

    settings = {"learning_rate": rate, "steps": first, "factor": growth, "final": final}
    return Schedule("warm_restarts", formula, settings)


def one_cycle(
    learning_rate: float,
    steps: int,
    rising: float = 0.3,
    first: float = 0.04,
    last: float = 4e-6,
    linear: bool = False,
) -> Schedule:
    """Up to `learning_rate`, and down to far less: half waves of a cosine, or lines.

    Smith and Topin, Super-convergence: very fast training of neural networks using large learning
    rates, 2019; the numbers are those of `torch.optim.lr_scheduler.OneCycleLR`.

    Args:
        learning_rate: the highest.
        steps: of the whole cycle; the last rate stays after it.
        rising: the share of the steps that go up, in (0, 1).
        first: the first rate, as a share of the highest.
        last: the last rate, as a share of the highest.
        linear: whether it goes along lines.

    Raises:
        ValueError: a number out of its range, or a rise that is shorter than a step.
    """
    rate = not_negative("one_cycle", "a learning rate", learning_rate)
    count = integer("one_cycle", "steps", steps, 2)
    share = number("one_cycle", "rising", rising, above=0, below=1)
    low, end = (
        rate * not_negative("one_cycle", n, v) for n, v in (("first", first), ("last", last))
    )
    flag("one_cycle", "linear", linear)
    top = share * count - 1.0
    if top <= 0:
        raise ValueError(
            f"one_cycle ({user_location()}) expects a rise of more than one step, got "
            f"{share:g} of {count} steps"
        )

    def between(start: float, stop: float, done: Variable) -> Variable:
        if linear:
            return start + (stop - start) * done
        return stop + (start - stop) * (0.5 + 0.5 * cos(math.pi * done))

    def formula(step: Variable) -> Variable:
        down = minimum((step - top) / (count - 1.0 - top), 1.0)
        return where(step <= top, between(low, rate, step / top), between(rate, end, down))

    settings = {"learning_rate": rate, "steps": count, "rising": share, "first": first}
    return Schedule("one_cycle", formula, settings | {"last": last, "linear": linear})


def cyclic(
    low: float, high: float, up: int, down: int | None = None, decay: float = 1.0
) -> Schedule:
    """Along lines from `low` to `high` and back, again and again.

    Smith, Cyclical learning rates for training neural networks, 2017; with `decay=0.5` its
    "triangular2".

    Args:
        low: the lowest rate.
        high: the highest one, of the first cycle.
        up: how many steps go up.
        down: how many go down; by default as many.
        decay: what the height of a cycle is multiplied by for the next one.
    """
    bottom, top = not_negative("cyclic", "low", low), not_negative("cyclic", "high", high)
    rise = integer("cyclic", "up", up, 1)
    fall = rise if down is None else integer("cyclic", "down", down, 1)
    _positive("cyclic", "decay", decay)

    def formula(step: Variable) -> Variable:
        cycle = floor(step / float(rise + fall))
        at = step - cycle * float(rise + fall)
        height = where(at <= rise, at / rise, (rise + fall - at) / fall)
        scale = top - bottom if decay == 1 else (top - bottom) * power(decay, cycle)
        return bottom + scale * height

    settings = {"low": bottom, "high": top, "up": rise, "down": fall, "decay": decay}
    return Schedule("cyclic", formula, settings)


def sequence(schedules: Sequence[Rate], milestones: Sequence[int]) -> Schedule:
    """One schedule after another, each from its own step 0.

    Args:
        schedules: numbers, schedules, or functions from the step to a rate.
        milestones: the counts of steps at which the second begins, the third, and so on.

    Raises:
        TypeError, ValueError: something that is no rate; milestones that are not one fewer than
            schedules, or not integers of 1 or more in rising order.
    """
    parts = [
        as_schedule("sequence", item)
        for item in items("sequence", "schedules", schedules, "schedules")
    ]
    counts = _rising("sequence", milestones)
    if len(counts) != len(parts) - 1:
        raise ValueError(
            f"sequence ({user_location()}) expects one milestone fewer than schedules, got "
            f"{len(counts)} for {len(parts)}"
        )

    def formula(step: Variable) -> Variable:
        found = parts[0].rate(step)
        for part, begins in zip(parts[1:], counts, strict=True):
            found = where(step < begins, found, part.rate(maximum(step - begins, 0.0)))
        return found

    return Schedule("sequence", formula, {"schedules": parts, "milestones": counts})


def warm_up(schedule: Rate, steps: int) -> Schedule:
    """A schedule times 1/steps, 2/steps, ... 1: linear over the first steps.

    Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.
    """
    _positive("warm_up", "steps", steps)
    after = as_schedule("warm_up", schedule)

    def formula(step: Variable) -> Variable:
        return minimum((step + 1.0) / steps, 1.0) * after.rate(step)

    return Schedule("warm_up", formula, {"schedule": after, "steps": steps})


def as_schedule(what: str, rate: Any) -> Schedule:
    """The schedule of any kind of learning rate; ValueError or TypeError for what is none."""
    if isinstance(rate, Schedule):
        return rate
    if isinstance(rate, (np.generic, np.ndarray)) and rate.ndim == 0 and rate.dtype.kind in "iuf":
        rate = rate.item()
    if isinstance(rate, (int, float)):
        return constant(not_negative(what, "a learning rate", rate))
    if callable(rate) and not isinstance(rate, type):
        name = getattr(rate, "__name__", "schedule")
        expect_call(f"{what}'s schedule {name}, called with the count of steps,", rate, (0,), {})
        return Schedule(name, rate)
    raise wrong(what, "a learning rate that is a number or a schedule of dg.schedules", rate)


def _number_of_formula(name: str, given: Any) -> float:
    """What a function gives that is no variable, if it is a learning rate."""
    if isinstance(given, (np.generic, np.ndarray)) and given.ndim == 0:
        given = given.item()
    return not_negative(f"schedule {name}", "the rate that its function gives", given)


def not_negative(what: str, name: str, value: float) -> float:
    """The value itself; ValueError unless it is a finite number of 0 or more."""
    return number(what, name, value, least=0)


def _rising(what: str, milestones: Sequence[int]) -> list[int]:
    """Integers of 1 or more, each larger than the one before; TypeError or ValueError."""
    counts = [
        integer(what, "a milestone", item, 1)
        for item in items(what, "milestones", milestones, "integers")
    ]
    if sorted({*counts}) != counts:
        raise ValueError(f"{what} ({user_location()}) expects rising milestones, got {counts}")
    return counts


def _positive(what: str, name: str, value: float) -> None:
    number(what, name, value, above=0)

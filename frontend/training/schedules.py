"""Schedules: the learning rate as a function of the steps made, drawn and compiled into the step.

A schedule is a block from the step count to a rate.  Called with a Python integer it gives the
number that a program would use, for plotting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, overload

import numpy as np

from ...compiler.graphs.binding import value_of
from ...compiler.passes.inline import inline
from ..arguments import integer, number, wrong
from ..drawing.blocks import Block
from ..drawing.lower import lower
from ..keywords import expect_call
from ..operations.broadcasting import as_variables
from ..operations.elementwise import cos, floor, minimum, power
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


def _positive(what: str, name: str, value: float) -> None:
    number(what, name, value, above=0)

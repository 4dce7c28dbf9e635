"""Gradients of several batches for one update, drawn as states like what optimizers keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ....compiler.graph import Type
from ...arguments import flag, integer, text, wrong
from ...location import user_location
from ...operations.elementwise import equal, floor, where
from ...operations.integers.division import floor_divide, remainder
from ...operations.source import size
from ...sealed import Sealed
from ...variables.variable import Variable
from ..schedules import Schedule
from .groups import ParameterGroups
from .optimizer import Optimizer, State


class Accumulate(Sealed):
    """An optimizer that makes one update of several steps: of the mean of their gradients.

        dg.Accumulate(dg.Adam(1e-3), 4)

    Four batches of 16 samples then train as one of 64 does, to rounding, where the cost is a mean
    over the samples and nothing else depends on the batch (dropout's draws and batch statistics
    do).  What has been added up is kept in the program's states, and so are saved and loaded:
    `optimizer/.../accumulated`.  The steps of an epoch that are left over go on in the next one.
    `states["step"]` counts steps; the optimizer and its schedule count updates.

    Args:
        optimizer: what makes the updates; `dg.ParameterGroups` too.
        steps: how many steps one update has, at least 1.
        samples: the name of the size that counts samples, where batches differ in it: each gradient
            then counts by its samples, as in one batch of them all.
        mean: False for a cost that is a sum over the samples: gradients are added up.

    Raises:
        TypeError: no optimizer.
        ValueError: fewer than 1 step; `samples` for sums.
    """

    _instead = "make another one"

    def __init__(
        self,
        optimizer: Optimizer | ParameterGroups,
        steps: int,
        samples: str | None = None,
        mean: bool = True,
    ) -> None:
        if not isinstance(optimizer, (Optimizer, ParameterGroups)):
            raise wrong("Accumulate", "an optimizer such as dg.Adam(1e-3)", optimizer)
        self.optimizer = optimizer
        self.steps = integer("Accumulate", "steps", steps, 1)
        self.mean = flag("Accumulate", "mean", mean)
        if samples is not None:
            text("Accumulate", "samples", samples, "the name of a size")
            if not mean:
                raise ValueError(
                    f"Accumulate ({user_location()}) expects no samples with mean=False, got "
                    f"{samples!r}: gradients that are sums are added up as they are"
                )
        self.samples = samples

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The rate of each group, as a function of the steps."""
        return tuple(self._slower(schedule) for schedule in self.optimizer.schedules)

    def _slower(self, schedule: Schedule) -> Schedule:
        return Schedule(
            "accumulate",
            lambda step: schedule.rate(floor(step / self.steps)),
            {"schedule": schedule, "steps": self.steps},
        )

    @property
    def trained(self) -> Any:
        """What says which parameters a step changes."""
        return self.optimizer.trained

    def __deepcopy__(self, memo: dict[int, object]) -> Accumulate:
        """Itself: it changes the same parameters."""
        return self

    def __repr__(self) -> str:
        more = f", samples={self.samples!r}" if self.samples is not None else ""
        more += "" if self.mean else ", mean=False"
        return f"Accumulate({self.optimizer!r}, {self.steps}{more})"

    def draw(
        self,
        parameters: Mapping[str, Variable],
        gradients: Mapping[str, Variable],
        step: Variable,
    ) -> tuple[dict[str, Variable], list[State]]:
        """The next value of every parameter, and what is kept; as `Optimizer.draw`."""
        place = remainder(step, self.steps)
        first, last = equal(place, 0), equal(place, self.steps - 1)
        states: list[State] = []

        def added(name: str, value: Variable) -> Variable:
            """A value added to those of the steps before, since the last update."""
            shape = tuple(int(str(extent)) for extent in value.shape)
            held = Variable("parameter", Type(value.dtype, value.shape), name)
            total = where(first, value, held + value)
            states.append(State(held, np.zeros(shape, value.dtype), total))
            return total

        weight = count = None
        if self.samples is not None:
            weight = size(self.samples, "float64")
            count = added("optimizer/accumulated", weight)
        means = {}
        for name in parameters:
            slope = gradients[name]
            if weight is not None:
                slope = slope * weight.astype(slope.dtype)
            total = added(f"optimizer/{name}/accumulated", slope)
            if count is not None:
                means[name] = total / count.astype(total.dtype)
            else:
                means[name] = total / float(self.steps) if self.mean else total
        updates = floor_divide(step, self.steps)
        following, kept = self.optimizer.draw(parameters, means, updates)
        for state in kept:
            after = None if state.next is None else where(last, state.next, state.variable)
            states.append(State(state.variable, state.initial, after))
        changed = {name: where(last, value, parameters[name]) for name, value in following.items()}
        return changed, states

"""Loops that integrate: a state that goes only a part of the way, and differential equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from ...arguments import flag, function, number, one_of
from ...drawing.blocks import Block
from ...drawing.loops.loop import loop
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, astype, sigmoid
from ...operations.source import arange
from ...variables.variable import Variable, dtype_name, shape_of, shape_text, source_text

Method = Literal["euler", "midpoint", "rk4"]
Field = Callable[..., Variable]


class LeakyIntegrator(Block):
    """A step of a part of the way: z' = z + rate * (f - z).

    With f = f(z, x) in a loop it is a leaky integration: what z was is forgotten with the time
    constant 1 / rate, in steps (Jaeger, Lukoševičius, Popovici and Siewert, Optimization and
    applications of echo state networks with leaky-integrator neurons, 2007).  Applied to z and f
    of shape (..., size) it gives z' of that shape.

    Args:
        size: how many features z has.
        rate: 1 forgets z at once, 0 keeps it. Or any variable of shape (size,), whose sigmoid is
            the rate of each feature.
        trained: whether each feature has a rate of its own, the sigmoid of a parameter `rate` of
            shape (size,), which starts at the number given.
        dtype: of the parameter, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: a rate outside [0, 1]; 0 or 1 for one that is trained.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to other shapes.
    """

    rate: Variable | None

    def __init__(
        self,
        size: int,
        rate: float | Variable,
        trained: bool = False,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.size = size
        if isinstance(rate, Variable):
            self._hold("rate", rate, (size,), None, dtype_name(dtype))
            return
        subject = f"{self._describe()} ({user_location()})"
        trained = flag(subject, "trained", trained)
        rate = number(subject, "rate", rate)
        if not 0 <= rate <= 1 or (trained and rate in (0, 1)):
            raise ValueError(
                f"{subject} expects a rate in {'(0, 1)' if trained else '[0, 1]'}, got {rate}"
            )
        self.start = rate
        start = math.log(rate / (1 - rate)) if trained else None
        self._hold("rate", trained, (size,), start, dtype_name(dtype))

    def forward(self, z: Variable, f: Variable) -> Variable:
        """(..., size), (..., size) -> (..., size)."""
        z, f = as_operands(z, f)
        for item in (z, f):
            if item.shape[-1:] != (self.size,):
                raise ShapeError(
                    f"{self._describe()} ({user_location()}) expects variables of shape "
                    f"(..., {self.size}), got {shape_text(item.shape)} from {source_text(item)}"
                )
        rate = self.start if self.rate is None else sigmoid(self.rate)
        return z + rate * (f - z)


class NeuralODE(Block):
    """The solution of dz/dt = field(z), in steps of equal length, as a loop.

    Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations, 2018; the
    gradient is that of the steps themselves.  Applied to z(0) of any shape it gives z(dt * steps).

    Args:
        field: a block or a function: of z, or of z and t (of shape ()); its result has the shape
            and dtype of z.
        dt: the length of a step.
        steps: how many: an integer, or a named size that something else binds.
        method: "euler"; "midpoint", the second order method of Runge; or "rk4", the fourth order
            one of Kutta (1901). Errors fall with dt, dt**2 and dt**4.
        time: whether the field is a function of z and t; t is 0 at first.
        trajectory: whether to give the states after each step too, (steps, *shape of z).
        checkpoint: as for `dg.loop`.
        name: as for every block.

    Raises:
        ValueError: another method.
        ShapeError, DtypeError: when applied, for a field of another shape or dtype than z.
    """

    def __init__(
        self,
        field: Field,
        dt: float,
        steps: Any,
        method: Method = "rk4",
        time: bool = False,
        trajectory: bool = False,
        checkpoint: int | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        subject = f"{self._describe()} ({user_location()})"
        self.method: Method = one_of(subject, "method", method, ("euler", "midpoint", "rk4"))
        self.field = function(subject, "field", field, "of z, or a block")
        self.dt = number(subject, "dt", dt)
        self.steps = shape_of((steps,), subject)[0]
        self.time = flag(subject, "time", time)
        self.trajectory = flag(subject, "trajectory", trajectory)
        self.checkpoint = checkpoint

    def forward(self, z: Variable) -> Any:
        """The last state; with `trajectory`, a tuple of it and all states."""
        (z,) = as_operands(z)
        t = loop("t", steps=self.steps, checkpoint=self.checkpoint)
        now = None
        if self.time:
            now = t.each(astype(arange(self.steps), z.dtype) * self.dt)
        state = t.delay("z", z)
        following = self._step(state, now)
        t.close(state, following)
        last = t.last(following)
        return (last, t.stack(following)) if self.trajectory else last

    def _step(self, z: Variable, t: Variable | None) -> Variable:
        """The state one step later, from z at the time t."""
        dt = self.dt
        first = self._slope(z, t, 0.0)
        if self.method == "euler":
            return z + dt * first
        second = self._slope(z + (0.5 * dt) * first, t, 0.5 * dt)
        if self.method == "midpoint":
            return z + dt * second
        third = self._slope(z + (0.5 * dt) * second, t, 0.5 * dt)
        fourth = self._slope(z + dt * third, t, dt)
        return z + (dt / 6) * (first + 2 * (second + third) + fourth)

    def _slope(self, z: Variable, t: Variable | None, later: float) -> Variable:
        """The field at z, at a time some later than t."""
        slope = as_operands(self.field(z) if t is None else self.field(z, t + later))[0]
        if slope.mistakes or slope.type == z.type:
            return slope
        kind = ShapeError if slope.shape != z.shape else DtypeError
        raise kind(
            f"{self._describe()} ({user_location()}) expects a field of {z.dtype} "
            f"{shape_text(z.shape)} like z, got {slope.dtype} {shape_text(slope.shape)} from "
            f"{source_text(slope)}"
        )

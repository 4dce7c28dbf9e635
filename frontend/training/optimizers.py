"""Optimizers: what a step does with the gradients, drawn like everything else.

An optimizer is a block: applied to one parameter, its gradient and what it remembers of them, it
gives their next values.  `draw` does so for all parameters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.graph import Type
from ..arguments import flag, function, items, number
from ..drawing.blocks import Block
from ..keywords import wrong_keyword
from ..location import user_location
from ..operations.elementwise import expm1, rsqrt, sqrt, where
from ..sealed import Sealed, Sealing
from ..variables.variable import Variable
from .clipping import Clip
from .schedules import Rate, Schedule, as_schedule, not_negative
from .trained import Choice, Parameters

RATE = "optimizer/learning_rate"
"""The state that holds a learning rate set while training; NaN where none was, or is any more."""


@dataclass(frozen=True, eq=False)
class State:
    """An array that an optimizer keeps from step to step.

    Attributes:
        variable: stands for its value, of kind "parameter"; its name is the whole path.
        initial: its value before the first step.
        next: its value after a step; None for what a step only reads.
    """

    variable: Variable
    initial: npt.NDArray[Any]
    next: Variable | None


class _OptimizerType(Sealing):
    """The type of optimizers: what one is made with is checked, and noted for `repr`."""

    def __call__(cls, *given: Any, **options: Any) -> Any:  # noqa: N805 (a metaclass)
        """Make one of these settings, or say which there are."""
        signature = cls.__signature__
        try:
            bound = signature.bind(*given, **options)
        except TypeError as error:
            known = signature.parameters
            if not known.keys() >= options.keys():
                raise wrong_keyword(cls.__name__, known, options) from None
            raise TypeError(
                f"{cls.__name__} ({user_location()}) expects {', '.join(known)}; {error}"
            ) from None
        made = super().__call__(*given, **options)
        bound.apply_defaults()
        given_ones = {name: item for name, item in bound.arguments.items() if item is not None}
        made._settings = ", ".join(f"{name}={_written(it)}" for name, it in given_ones.items())
        return made


class Optimizer(Sealed, Block, metaclass=_OptimizerType):
    """Makes the cost smaller, one step at a time.  Subclasses say how in `forward`.

    Attributes:
        memory: the names of the arrays kept for each parameter, of its shape and dtype, 0 before
            the first step.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        weight_decay: the factor of the parameters' own pull towards 0.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`, applied to the gradients first.
        parameters: those that a step changes: a parameter, a block (all in it), or the path of
            either; or several in a list. By default all that the cost depends on. The others stay
            as they are, and no gradient is computed for them.
    """

    _instead = "make another one; the rate of a program can be set, program.learning_rate = ..."

    memory: tuple[str, ...] = ()
    _settings = ""

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
    ) -> None:
        label = type(self).__name__
        self.schedule = as_schedule(label, learning_rate)
        self.weight_decay = not_negative(label, "weight_decay", weight_decay)
        if clip is not None:
            function(label, "clip", clip, "dg.clip_norm(...) or dg.clip_value(...)")
        self.clip = clip
        self.trained = Choice(label, parameters)

    @property
    def _has_place(self) -> bool:
        """An optimizer belongs to no one place."""
        return False

    @property
    def learning_rate(self) -> Schedule:
        """What it was made with; the rate of a program can be set: `program.learning_rate`."""
        return self.schedule

    def _describe(self) -> str:
        """The class's name."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def scalars(self, rate: Variable, count: Variable) -> tuple[Variable, ...]:
        """What `forward` needs besides arrays, once for all parameters.

        `rate` is the learning rate and `count` the number of steps with this one, float64 of
        shape (), and so are the results; `forward` gets them in the parameter's dtype.
        """
        return (rate,)

    def draw(
        self,
        parameters: Mapping[str, Variable],
        gradients: Mapping[str, Variable],
        step: Variable,
    ) -> tuple[dict[str, Variable], list[State]]:
        """The next value of every parameter, and what the optimizer keeps for the next step.

        Args:
            parameters: float variables by full name.
            gradients: of the cost, by the same names, of the same shapes and dtypes.
            step: int64 of shape (), how many steps were made: 0 at the first.
        """
        chosen = Variable("parameter", Type("float64"), RATE)
        rate = where(chosen >= 0.0, chosen, self.schedule(step))
        scalars = self.scalars(rate, step.astype("float64") + 1.0)
        slopes = [gradients[name] for name in parameters]
        if self.clip is not None:
            slopes = self.clip(slopes)
        dtypes = dict.fromkeys(parameter.dtype for parameter in parameters.values())
        narrow = {dtype: [item.astype(dtype) for item in scalars] for dtype in dtypes}
        following: dict[str, Variable] = {}
        states = [State(chosen, np.array(np.nan), None)]
        for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
            before = [_state(f"optimizer/{name}/{slot}", parameter) for slot in self.memory]
            after = self(parameter, slope, *narrow[parameter.dtype], *before)
            following[name] = after[0]
            states += [
                State(old, _zeros(old), new) for old, new in zip(before, after[1:], strict=True)
            ]
        return following, states


class SGD(Optimizer):
    """Stochastic gradient descent; with momentum, the heavy ball of Polyak (1964).

    The update rule is that of `torch.optim.SGD` without dampening.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        momentum: how much of the last direction stays, at least 0.
        nesterov: look ahead (Sutskever et al., On the importance of initialization and momentum in
            deep learning, 2013).
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.

    Raises:
        ValueError: a number out of its range, or `nesterov` without momentum.
    """

    def __init__(
        self,
        learning_rate: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters)
        self.momentum = not_negative("SGD", "momentum", momentum)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        if nesterov and momentum == 0:
            raise ValueError(
                f"SGD ({user_location()}) expects a momentum above 0 for nesterov=True, got 0"
            )
        self.memory = ("momentum",) if momentum else ()

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, *memory: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter, and next momentum if there is any."""
        slope = _decayed(gradient, parameter, self.weight_decay)
        if not memory:
            return (parameter - rate * slope,)
        velocity = self.momentum * memory[0] + slope
        direction = slope + self.momentum * velocity if self.nesterov else velocity
        return parameter - rate * direction, velocity


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square.

    Tieleman and Hinton, Lecture 6.5 of Neural networks for machine learning, 2012; the update rule
    is that of `torch.optim.RMSprop`, not centred.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        decay: how much of the running mean stays at a step, in [0, 1).
        epsilon: added to the root.
        momentum: how much of the last direction stays, at least 0.
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-2,
        decay: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters)
        self.decay = _fraction("RMSprop", "decay", decay)
        self.epsilon = not_negative("RMSprop", "epsilon", epsilon)
        self.momentum = not_negative("RMSprop", "momentum", momentum)
        self.memory = ("square", "momentum") if momentum else ("square",)

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, *memory: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter, mean square, and momentum if there is any."""
        slope = _decayed(gradient, parameter, self.weight_decay)
        square = self.decay * memory[0] + (1.0 - self.decay) * slope * slope
        direction = slope / (sqrt(square) + self.epsilon)
        if len(memory) == 1:
            return parameter - rate * direction, square
        velocity = self.momentum * memory[1] + direction
        return parameter - rate * velocity, square, velocity


class Adam(Optimizer):
    """Running means of the gradient and of its square, corrected for their start at 0.

    Kingma and Ba, Adam: a method for stochastic optimization, 2015; the update rule is that of
    `torch.optim.Adam`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        betas: how much of either running mean stays at a step, in [0, 1).
        epsilon: added to the root of the mean square.
        weight_decay: added to the gradient, times the parameter (`AdamW` does otherwise).
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.

    Raises:
        ValueError: a number out of its range.
    """

    memory = ("mean", "square")

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters)
        label = type(self).__name__
        pair = items(label, "betas", betas, "two numbers")
        if len(pair) != 2:
            raise ValueError(f"{label} ({user_location()}) expects two betas, got {len(pair)}")
        self.betas = tuple(_fraction(label, "betas", beta) for beta in pair)
        self.epsilon = not_negative(label, "epsilon", epsilon)

    def scalars(self, rate: Variable, count: Variable) -> tuple[Variable, ...]:
        """The rate, the rate corrected for the mean's start, and the correction of the root."""
        first, second = (_one_minus_power(beta, count) for beta in self.betas)
        return rate, rate / first, rsqrt(second)

    def forward(
        self,
        parameter: Variable,
        gradient: Variable,
        rate: Variable,
        corrected: Variable,
        root_correction: Variable,
        mean: Variable,
        square: Variable,
    ) -> tuple[Variable, ...]:
        """Next parameter, mean and mean square."""
        slope = self.decayed_gradient(gradient, parameter)
        mean = mean + (1.0 - self.betas[0]) * (slope - mean)
        square = self.betas[1] * square + (1.0 - self.betas[1]) * slope * slope
        root = sqrt(square) * root_correction + self.epsilon
        kept = self.decayed_parameter(parameter, rate)
        return kept - corrected * (mean / root), mean, square

    def decayed_gradient(self, gradient: Variable, parameter: Variable) -> Variable:
        """The gradient of the cost with half the squared length of the parameters."""
        return _decayed(gradient, parameter, self.weight_decay)

    def decayed_parameter(self, parameter: Variable, rate: Variable) -> Variable:
        """The parameter itself: the gradient has the decay already."""
        return parameter


class AdamW(Adam):
    """Adam whose weight decay does not pass through the running means.

    Loshchilov and Hutter, Decoupled weight decay regularization, 2019; the update rule is that of
    `torch.optim.AdamW`.  Arguments as for `Adam`.
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip: Clip | None = None,
        parameters: Parameters = None,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon, weight_decay, clip, parameters)

    def decayed_gradient(self, gradient: Variable, parameter: Variable) -> Variable:
        """The gradient itself."""
        return gradient

    def decayed_parameter(self, parameter: Variable, rate: Variable) -> Variable:
        """The parameter, nearer to 0."""
        return parameter * (1.0 - rate * self.weight_decay) if self.weight_decay else parameter


def _decayed(gradient: Variable, parameter: Variable, decay: float) -> Variable:
    return gradient + decay * parameter if decay else gradient


def _one_minus_power(beta: float, count: Variable) -> Variable:
    """1 - beta ** count, as precise in float32 as in float64."""
    return -expm1(count * math.log(beta)) if beta else count / count


def _fraction(what: str, name: str, value: float) -> float:
    return number(what, name, value, least=0, below=1)


def _written(value: Any) -> str:
    """A setting as it was given: functions by their names."""
    return value.__name__ if inspect.isfunction(value) else repr(value)


def _state(name: str, like: Variable) -> Variable:
    return Variable("parameter", Type(like.dtype, like.shape), name)


def _zeros(variable: Variable) -> npt.NDArray[Any]:
    shape = tuple(int(str(extent)) for extent in variable.shape)
    return np.zeros(shape, variable.dtype)

"""The base of optimizers: what a step does with the gradients, drawn like everything else.

An optimizer is a block: applied to one parameter, its gradient and what it remembers of them, it
gives their next values.  `draw` does so for all parameters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ....compiler.graph import Type
from ...arguments import flag, function, items, number
from ...drawing.blocks import Block
from ...keywords import wrong_keyword
from ...location import user_location
from ...operations.elementwise import expm1, where
from ...sealed import Sealed, Sealing
from ...variables.variable import Variable
from ..clipping import Clip
from ..schedules import Rate, Schedule, as_schedule, not_negative
from ..trained import Choice, Parameters

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
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


class OptimizerType(Sealing):
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
        given_ones = {
            name: item
            for name, item in bound.arguments.items()
            if item is not None
            and (name in options or signature.parameters[name].kind is not KEYWORD_ONLY)
        }
        made._settings = ", ".join(f"{name}={_written(it)}" for name, it in given_ones.items())
        return made


class Optimizer(Sealed, Block, metaclass=OptimizerType):
    """Makes the cost smaller, one step at a time.  Subclasses say how in `forward`.

    Attributes:
        memory: the names of the arrays kept for each parameter, of its shape and dtype. They are 0
            before the first step, or filled with what a mapping has for their names.
        scalar_memory: numbers that are kept for all parameters together, float64, by name, and
            what they are before the first step.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        weight_decay: the factor of the parameters' own pull towards 0.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`, applied to the gradients first.
        parameters: those that a step changes: a parameter, a block (all in it), the path of
            either, or a pattern of paths such as "*/bias"; or several in a list. By default all
            that the cost depends on. The others stay as they are, and no gradient is computed for
            them.
        maximize: make the cost large instead of small.
    """

    _instead = "make another one; the rate of a program can be set, program.learning_rate = ..."

    memory: Iterable[str] = ()
    scalar_memory: Mapping[str, float] = {}
    _settings = ""

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        maximize: bool = False,
    ) -> None:
        label = type(self).__name__
        self.schedule = as_schedule(label, learning_rate)
        self.weight_decay = not_negative(label, "weight_decay", weight_decay)
        if clip is not None:
            function(label, "clip", clip, "dg.clip_norm(...) or dg.clip_value(...)")
        self.clip = clip
        self.trained = Choice(label, parameters)
        self.maximize = flag(label, "maximize", maximize)

    @property
    def _has_place(self) -> bool:
        """An optimizer belongs to no one place."""
        return False

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The rate of each group of parameters: it has one."""
        return (self.schedule,)

    @property
    def learning_rate(self) -> Schedule:
        """What it was made with; the rate of a program can be set: `program.learning_rate`."""
        return self.schedule

    def _describe(self) -> str:
        """The class's name."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings})"

    def scalars(self, rate: Variable, count: Variable, *memory: Variable) -> tuple[Variable, ...]:
        """What `forward` needs besides arrays, once for all parameters.

        `rate` is the learning rate and `count` the number of steps with this one, float64 of
        shape (), and so are the results; `forward` gets them in the parameter's dtype.  Where there
        is a `scalar_memory`, its values come after those, and the first results are the next ones.
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
        following, states = self.updates(parameters, gradients, chosen, step, "optimizer")
        return following, [State(chosen, np.array(np.nan), None), *states]

    def updates(
        self,
        parameters: Mapping[str, Variable],
        gradients: Mapping[str, Variable],
        chosen: Variable,
        step: Variable,
        name: str,
    ) -> tuple[dict[str, Variable], list[State]]:
        """As `draw`, without the state of the rate.

        Args:
            parameters: as for `draw`, and so are the next two.
            gradients: of the cost.
            chosen: the rate that was set while training, or NaN, float64 of shape ().
            step: how many steps were made.
            name: begins the names of the numbers that are kept for all parameters together.
        """
        rate = where(chosen >= 0.0, chosen, self.schedule(step))
        held = [
            Variable("parameter", Type("float64"), f"{name}/{slot}") for slot in self.scalar_memory
        ]
        scalars = self.scalars(rate, step.astype("float64") + 1.0, *held)
        slopes = [gradients[name] for name in parameters]
        if self.clip is not None:
            slopes = self.clip(slopes)
        if self.maximize:
            slopes = [-slope for slope in slopes]
        dtypes = dict.fromkeys(parameter.dtype for parameter in parameters.values())
        narrow = {dtype: [item.astype(dtype) for item in scalars] for dtype in dtypes}
        following: dict[str, Variable] = {}
        states = [
            State(old, np.array(value), new)
            for old, value, new in zip(held, self.scalar_memory.values(), scalars, strict=False)
        ]
        starts = (
            self.memory if isinstance(self.memory, Mapping) else dict.fromkeys(self.memory, 0.0)
        )
        for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
            before = [_state(f"optimizer/{name}/{slot}", parameter) for slot in starts]
            after = self(parameter, slope, *narrow[parameter.dtype], *before)
            following[name] = after[0]
            states += [
                State(old, _filled(old, start), new)
                for old, start, new in zip(before, starts.values(), after[1:], strict=True)
            ]
        return following, states


def decayed(gradient: Variable, parameter: Variable, decay: float) -> Variable:
    """The gradient of the cost with `decay` times half the squared length of the parameter."""
    return gradient + decay * parameter if decay else gradient


def shrunk(parameter: Variable, rate: Variable, decay: float) -> Variable:
    """The parameter nearer to 0: weight decay that does not pass through the gradient."""
    return parameter * (1.0 - rate * decay) if decay else parameter


def one_minus_power(beta: float, count: Variable) -> Variable:
    """1 - beta ** count, as precise in float32 as in float64."""
    return -expm1(count * math.log(beta)) if beta else count / count


def fraction(what: str, name: str, value: float) -> float:
    """The value; TypeError or ValueError unless it is a number in [0, 1)."""
    return number(what, name, value, least=0, below=1)


def fractions(what: str, betas: tuple[float, float]) -> tuple[float, float]:
    """Two of them, called betas."""
    pair = items(what, "betas", betas, "two numbers")
    if len(pair) != 2:
        raise ValueError(f"{what} ({user_location()}) expects two betas, got {len(pair)}")
    return fraction(what, "betas", pair[0]), fraction(what, "betas", pair[1])


def _written(value: Any) -> str:
    """A setting as it was given: functions by their names."""
    return value.__name__ if inspect.isfunction(value) else repr(value)


def _state(name: str, like: Variable) -> Variable:
    return Variable("parameter", Type(like.dtype, like.shape), name)


def _filled(variable: Variable, value: float) -> npt.NDArray[Any]:
    shape = tuple(int(str(extent)) for extent in variable.shape)
    return np.full(shape, value, variable.dtype)

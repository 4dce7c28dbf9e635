"""Steps along the gradient, or along its signs, with what was the last direction."""

from __future__ import annotations

from ...arguments import flag, number
from ...location import user_location
from ...operations.elementwise import sign, where
from ...variables.constants import constant
from ...variables.variable import Variable
from ..clipping import Clip
from ..schedules import Rate, not_negative
from ..trained import Parameters
from .optimizer import Optimizer, decayed, fractions, shrunk


class SGD(Optimizer):
    """Stochastic gradient descent; with momentum, the heavy ball of Polyak (1964).

    The update rule is that of `torch.optim.SGD`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        momentum: how much of the last direction stays, at least 0.
        nesterov: look ahead (Sutskever et al., On the importance of initialization and momentum in
            deep learning, 2013).
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        dampening: the share of the gradient that does not join the last direction, from the
            second step on; at most 1.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range; `nesterov` without momentum, or with dampening.
    """

    def __init__(
        self,
        learning_rate: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        dampening: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        self.momentum = not_negative("SGD", "momentum", momentum)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        self.dampening = number("SGD", "dampening", dampening, least=0, most=1)
        place = f"SGD ({user_location()})"
        if nesterov and momentum == 0:
            raise ValueError(f"{place} expects a momentum above 0 for nesterov=True, got 0")
        if dampening and (nesterov or momentum == 0):
            reason = "nesterov=True" if nesterov else "momentum=0"
            raise ValueError(f"{place} expects dampening=0 for {reason}, got {dampening}")
        self.memory = ("momentum",) if momentum else ()

    def scalars(self, rate: Variable, count: Variable, *memory: Variable) -> tuple[Variable, ...]:
        """The rate, and how much of the gradient joins the direction if that is not all."""
        if not self.dampening:
            return (rate,)
        share = where(count > 1.0, constant(1.0 - self.dampening, "float64"), 1.0)
        return rate, share

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, *more: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter, and next momentum if there is any."""
        slope = decayed(gradient, parameter, self.weight_decay)
        if not more:
            return (parameter - rate * slope,)
        *share, memory = more
        velocity = self.momentum * memory + (share[0] * slope if share else slope)
        direction = slope + self.momentum * velocity if self.nesterov else velocity
        return parameter - rate * direction, velocity


class Lion(Optimizer):
    """Steps of one length, along the signs of a mean of the last gradients.

    Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.  The weight decay
    is that of `AdamW`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`; a third to a tenth of Adam's.
        betas: how much of the running mean stays in the direction, and in the mean itself.
        weight_decay: the share of the parameter that is taken away at a step, times the rate.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    memory = ("mean",)

    def __init__(
        self,
        learning_rate: Rate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        self.betas = fractions("Lion", betas)

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, mean: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter and mean."""
        near, far = self.betas
        direction = sign(near * mean + (1.0 - near) * gradient)
        kept = shrunk(parameter, rate, self.weight_decay)
        return kept - rate * direction, far * mean + (1.0 - far) * gradient

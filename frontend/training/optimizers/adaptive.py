"""A rate of its own for every element, by the squares of its gradients so far."""

from __future__ import annotations

from ...arguments import flag
from ...operations.elementwise import sqrt
from ...variables.variable import Variable
from ..clipping import Clip
from ..schedules import Rate, not_negative
from ..trained import Parameters
from .optimizer import Optimizer, decayed, fraction


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
    optimization, 2011; the update rule is that of `torch.optim.Adagrad`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`. PyTorch's `lr_decay` is
            `dg.schedules.inverse_time`.
        epsilon: added to the root.
        initial: the sum of squares before the first step.
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-2,
        epsilon: float = 1e-10,
        initial: float = 0.0,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        self.epsilon = not_negative("Adagrad", "epsilon", epsilon)
        self.initial = not_negative("Adagrad", "initial", initial)
        self.memory = {"sum": self.initial}

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, total: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter, and sum of squares."""
        slope = decayed(gradient, parameter, self.weight_decay)
        total = total + slope * slope
        return parameter - rate * (slope / (sqrt(total) + self.epsilon)), total


class Adadelta(Optimizer):
    """Steps as long as the last ones were, so that the rate has no unit.

    Zeiler, ADADELTA: an adaptive learning rate method, 2012; the update rule is that of
    `torch.optim.Adadelta`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        decay: how much of the running means stays at a step, in [0, 1).
        epsilon: added to both mean squares, inside of their roots.
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    memory = ("square", "change")

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        decay: float = 0.9,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        self.decay = fraction("Adadelta", "decay", decay)
        self.epsilon = not_negative("Adadelta", "epsilon", epsilon)

    def forward(
        self,
        parameter: Variable,
        gradient: Variable,
        rate: Variable,
        square: Variable,
        change: Variable,
    ) -> tuple[Variable, ...]:
        """Next parameter, mean square of gradients, and of changes."""
        slope = decayed(gradient, parameter, self.weight_decay)
        square = self.decay * square + (1.0 - self.decay) * slope * slope
        direction = sqrt(change + self.epsilon) / sqrt(square + self.epsilon) * slope
        change = self.decay * change + (1.0 - self.decay) * direction * direction
        return parameter - rate * direction, square, change


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square.

    Tieleman and Hinton, Lecture 6.5 of Neural networks for machine learning, 2012; the update rule
    is that of `torch.optim.RMSprop`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        decay: how much of the running mean stays at a step, in [0, 1).
        epsilon: added to the root.
        momentum: how much of the last direction stays, at least 0.
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        centered: divide by the running deviation: the mean square less the squared mean (Graves,
            Generating sequences with recurrent neural networks, 2013).
        epsilon_in_root: add epsilon inside of the root, g / sqrt(s + epsilon), as lectures and
            TensorFlow do.
        maximize: make the cost large instead of small.

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
        *,
        centered: bool = False,
        epsilon_in_root: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        self.decay = fraction("RMSprop", "decay", decay)
        self.epsilon = not_negative("RMSprop", "epsilon", epsilon)
        self.momentum = not_negative("RMSprop", "momentum", momentum)
        self.centered = flag("RMSprop", "centered", centered)
        self.epsilon_in_root = flag("RMSprop", "epsilon_in_root", epsilon_in_root)
        held = {"square": True, "mean": self.centered, "momentum": self.momentum > 0}
        self.memory = tuple(name for name, there in held.items() if there)

    def forward(
        self, parameter: Variable, gradient: Variable, rate: Variable, *memory: Variable
    ) -> tuple[Variable, ...]:
        """Next parameter, mean square, and mean and momentum if there are any."""
        before = dict(zip(self.memory, memory, strict=True))
        slope = decayed(gradient, parameter, self.weight_decay)
        square = self.decay * before["square"] + (1.0 - self.decay) * slope * slope
        after = {"square": square}
        if self.centered:
            mean = before["mean"] + (1.0 - self.decay) * (slope - before["mean"])
            square, after["mean"] = square - mean * mean, mean
        if self.epsilon_in_root:
            direction = slope / sqrt(square + self.epsilon)
        else:
            direction = slope / (sqrt(square) + self.epsilon)
        if self.momentum:
            direction = self.momentum * before["momentum"] + direction
            after["momentum"] = direction
        return parameter - rate * direction, *after.values()

"""Adam and what was made of it: running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable

from ...arguments import flag
from ...operations.elementwise import maximum, power, rsqrt, sqrt, where
from ...variables.variable import Variable
from ..clipping import Clip
from ..schedules import Rate, not_negative
from ..trained import Parameters
from .optimizer import Optimizer, decayed, fractions, one_minus_power, shrunk


class _Moments(Optimizer):
    """What they share: two running means, epsilon, and the way of weight decay."""

    memory: Iterable[str] = ("mean", "square")
    _decoupled = False

    def __init__(
        self,
        learning_rate: Rate,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
        clip: Clip | None,
        parameters: Parameters,
        maximize: bool,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip, parameters, maximize=maximize)
        label = type(self).__name__
        self.betas = fractions(label, betas)
        self.epsilon = not_negative(label, "epsilon", epsilon)

    def corrections(self, count: Variable) -> tuple[Variable, Variable]:
        """By what the running means are too small, since they began at 0."""
        return one_minus_power(self.betas[0], count), one_minus_power(self.betas[1], count)

    def means(
        self, parameter: Variable, gradient: Variable, mean: Variable, square: Variable
    ) -> tuple[Variable, Variable, Variable]:
        """The gradient with what weight decay adds to it, and both next means."""
        decay = 0.0 if self._decoupled else self.weight_decay
        slope = decayed(gradient, parameter, decay)
        mean = mean + (1.0 - self.betas[0]) * (slope - mean)
        square = self.betas[1] * square + (1.0 - self.betas[1]) * slope * slope
        return slope, mean, square

    def kept(self, parameter: Variable, rate: Variable) -> Variable:
        """What weight decay leaves of the parameter, where it does not pass through the means."""
        return shrunk(parameter, rate, self.weight_decay if self._decoupled else 0.0)


class Adam(_Moments):
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
        amsgrad: divide by the root of the largest mean square so far (Reddi, Kale and Kumar, On
            the convergence of Adam and beyond, 2018).
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon, weight_decay, clip, parameters, maximize)
        self.amsgrad = flag(type(self).__name__, "amsgrad", amsgrad)
        if amsgrad:
            self.memory = ("mean", "square", "largest")

    def scalars(self, rate: Variable, count: Variable, *memory: Variable) -> tuple[Variable, ...]:
        """The rate, the rate corrected for the mean's start, and the correction of the root."""
        first, second = self.corrections(count)
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
        *largest: Variable,
    ) -> tuple[Variable, ...]:
        """Next parameter, mean, mean square, and the largest of these if it is kept."""
        _, mean, square = self.means(parameter, gradient, mean, square)
        largest = tuple(maximum(item, square) for item in largest)
        root = sqrt(largest[0] if largest else square) * root_correction + self.epsilon
        return self.kept(parameter, rate) - corrected * (mean / root), mean, square, *largest


class AdamW(Adam):
    """Adam whose weight decay does not pass through the running means.

    Loshchilov and Hutter, Decoupled weight decay regularization, 2019; the update rule is that of
    `torch.optim.AdamW`.  Arguments as for `Adam`.
    """

    _decoupled = True

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            learning_rate, betas, epsilon, weight_decay, clip, parameters,
            amsgrad=amsgrad, maximize=maximize,
        )  # fmt: skip


class NAdam(_Moments):
    """Adam with the momentum of Nesterov: it looks ahead.

    Dozat, Incorporating Nesterov momentum into Adam, 2016; the update rule is that of
    `torch.optim.NAdam`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        betas: how much of either running mean stays at a step, in [0, 1).
        epsilon: added to the root of the mean square.
        momentum_decay: how fast the share of the mean grows from half the first beta to all of it:
            by 0.96 ** (momentum_decay * step).
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        decoupled_weight_decay: whether weight decay is as in `AdamW` instead.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    scalar_memory = {"momentum_product": 1.0}  # noqa: RUF012 (read only)

    def __init__(
        self,
        learning_rate: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon, weight_decay, clip, parameters, maximize)
        self.decoupled_weight_decay = flag(
            "NAdam", "decoupled_weight_decay", decoupled_weight_decay
        )
        self._decoupled = self.decoupled_weight_decay
        self.momentum_decay = not_negative("NAdam", "momentum_decay", momentum_decay)

    def scalars(self, rate: Variable, count: Variable, *memory: Variable) -> tuple[Variable, ...]:
        """The product of all shares, the rate, those of gradient and mean, and of the root."""

        def share(count: Variable) -> Variable:
            return self.betas[0] * (1.0 - 0.5 * power(0.96, count * self.momentum_decay))

        now, ahead = share(count), share(count + 1.0)
        product = memory[0] * now
        _, second = self.corrections(count)
        gradient = rate * (1.0 - now) / (1.0 - product)
        return product, rate, gradient, rate * ahead / (1.0 - product * ahead), rsqrt(second)

    def forward(
        self,
        parameter: Variable,
        gradient: Variable,
        product: Variable,
        rate: Variable,
        gradient_rate: Variable,
        mean_rate: Variable,
        root_correction: Variable,
        mean: Variable,
        square: Variable,
    ) -> tuple[Variable, ...]:
        """Next parameter, mean and mean square."""
        slope, mean, square = self.means(parameter, gradient, mean, square)
        root = sqrt(square) * root_correction + self.epsilon
        change = (gradient_rate * slope + mean_rate * mean) / root
        return self.kept(parameter, rate) - change, mean, square


class RAdam(_Moments):
    """Adam without its own rates while too few squares were seen to tell them.

    Liu et al., On the variance of the adaptive learning rate and beyond, 2020; the update rule is
    that of `torch.optim.RAdam`.

    Args:
        learning_rate: a number, or a schedule of `dg.schedules`.
        betas: how much of either running mean stays at a step, in [0, 1).
        epsilon: added to the root of the mean square.
        weight_decay: added to the gradient, times the parameter.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`.
        parameters: those that it changes, as for `Optimizer`; by default all.
        decoupled_weight_decay: whether weight decay is as in `AdamW` instead.
        maximize: make the cost large instead of small.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip: Clip | None = None,
        parameters: Parameters = None,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon, weight_decay, clip, parameters, maximize)
        self.decoupled_weight_decay = flag(
            "RAdam", "decoupled_weight_decay", decoupled_weight_decay
        )
        self._decoupled = self.decoupled_weight_decay

    def scalars(self, rate: Variable, count: Variable, *memory: Variable) -> tuple[Variable, ...]:
        """The rate, the rate corrected for the mean's start, and the factor of the root or 0."""
        first, second = self.corrections(count)
        longest = 2.0 / (1.0 - self.betas[1]) - 1.0
        length = longest - 2.0 * count * (1.0 - second) / second
        certain = (length - 4.0) * (length - 2.0) * longest * second
        certain = certain / ((longest - 4.0) * (longest - 2.0) * length)
        return rate, rate / first, where(length > 5.0, sqrt(certain), 0.0)

    def forward(
        self,
        parameter: Variable,
        gradient: Variable,
        rate: Variable,
        corrected: Variable,
        factor: Variable,
        mean: Variable,
        square: Variable,
    ) -> tuple[Variable, ...]:
        """Next parameter, mean and mean square."""
        _, mean, square = self.means(parameter, gradient, mean, square)
        own = where(factor > 0.0, factor / (sqrt(square) + self.epsilon), 1.0)
        return self.kept(parameter, rate) - corrected * mean * own, mean, square

"""Functions with kinks: rectifiers, and shrinkage; each says its derivative at a kink."""

from __future__ import annotations

from ...arguments import number, wrong
from ...drawing.blocks import block
from ...location import user_location
from ...operations.elementwise import (
    absolute,
    as_operands,
    expm1,
    less_equal,
    maximum,
    minimum,
    sign,
    where,
)
from ...variables.variable import Variable


@block
def relu(x: Variable) -> Variable:
    """max(x, 0), elementwise; NaN stays NaN, with the derivative 1, and the derivative at 0 is 0.

    Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
    """
    return maximum(x, 0.0)


@block
def leaky_relu(x: Variable, slope: float = 0.01) -> Variable:
    """The identity where x is positive, else slope * x; the derivative at 0 is the slope.

    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.
    """
    (x,) = as_operands(x)
    return where(x > 0.0, x, slope * x)


@block
def relu6(x: Variable) -> Variable:
    """min(max(x, 0), 6); the derivative at both ends is 0.

    Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.
    """
    return minimum(maximum(x, 0.0), 6.0)


@block
def elu(x: Variable, alpha: float = 1.0) -> Variable:
    """The identity where x is positive, else alpha * (exp(x) - 1).

    Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
    linear units, 2016.
    """
    (x,) = as_operands(x)
    below = where(x > 0.0, 0.0, x)
    return where(x > 0.0, x, alpha * expm1(below))


@block
def celu(x: Variable, alpha: float = 1.0) -> Variable:
    """The identity where x is positive, else alpha * (exp(x / alpha) - 1), of slope 1 at 0.

    Barron, Continuously differentiable exponential linear units, 2017.

    Raises:
        ValueError: an alpha that is 0.
    """
    alpha = number("celu", "alpha", alpha)
    if alpha == 0:
        raise wrong("celu", "alpha to be a number other than 0", alpha, ValueError)
    (x,) = as_operands(x)
    below = where(x > 0.0, 0.0, x)
    return where(x > 0.0, x, alpha * expm1(below / alpha))


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


@block
def selu(x: Variable) -> Variable:
    """1.0507 times `elu` with alpha = 1.6733, which keeps mean 0 and variance 1 through layers.

    The derivative at 0 is that from below, 1.7581.  Weights start with `dg.init.lecun_normal()`.

    Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017.
    """
    (x,) = as_operands(x)
    below = where(x > 0.0, 0.0, x)
    return where(x > 0.0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * expm1(below))


@block
def hard_tanh(x: Variable, low: float = -1.0, high: float = 1.0) -> Variable:
    """The identity between -1 and 1, level beyond; the derivative at both ends is 0.

    (PyTorch's `clamp` has 1 there, its `hardtanh` 0.)

    Args:
        x: floats of any shape.
        low: the other lower end.
        high: the upper one.

    Raises:
        ValueError: a low end that is not below the high one.
    """
    low, high = number("hard_tanh", "low", low), number("hard_tanh", "high", high)
    if not low < high:
        raise ValueError(
            f"hard_tanh ({user_location()}) expects low < high, got {low:g} and {high:g}"
        )
    return maximum(minimum(x, high), low)


@block
def hard_sigmoid(x: Variable) -> Variable:
    """min(max(x + 3, 0), 6) / 6, a sigmoid of three lines; the derivative at both ends is 0.

    Courbariaux, Bengio and David, BinaryConnect, 2015, with PyTorch's slope of 1/6.
    """
    (x,) = as_operands(x)
    return minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0


@block
def hard_swish(x: Variable) -> Variable:
    """X times `hard_sigmoid`(x); the derivative at -3 is 0, at 3 it is 1, as beyond.

    Howard and others, Searching for MobileNetV3, 2019.
    """
    (x,) = as_operands(x)
    inside = minimum(maximum(x, -3.0), 3.0)  # an infinite x would be multiplied by 0
    return where(x < 3.0, inside * (inside + 3.0) / 6.0, x)


@block
def soft_shrink(x: Variable, threshold: float = 0.5) -> Variable:
    """Each element moved towards 0 by the threshold; 0 where it is nearer than that.

    Donoho, De-noising by soft-thresholding, 1995; the shrinkage of sparse coding.
    """
    _check_threshold("soft_shrink", threshold)
    (x,) = as_operands(x)
    return where(less_equal(absolute(x), threshold), 0.0, x - threshold * sign(x))


@block
def hard_shrink(x: Variable, threshold: float = 0.5) -> Variable:
    """The identity where |x| is above the threshold, else 0."""
    _check_threshold("hard_shrink", threshold)
    return where(less_equal(absolute(x), threshold), 0.0, x)


def _check_threshold(label: str, threshold: float) -> None:
    number(label, "threshold", threshold, least=0)


@block
def threshold(x: Variable, threshold: float, value: float) -> Variable:
    """The identity where x is above the threshold, else the value; the derivative there is 0.

    Raises:
        TypeError, ValueError: a threshold or value that is no finite number.
    """
    limit = number("threshold", "threshold", threshold)
    value = number("threshold", "value", value)
    (x,) = as_operands(x)
    return where(less_equal(x, limit), value, x)

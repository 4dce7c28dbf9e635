"""Smooth functions of each element, and gates, which are products of two."""

from __future__ import annotations

import math
from typing import Literal

from ...arguments import number, one_of
from ...drawing.blocks import block
from ...operations.elementwise import (
    absolute,
    as_operands,
    erf,
    exp,
    log1p,
    maximum,
    minimum,
    sigmoid,
    tanh,
    where,
)
from ...operations.structure import split
from ...variables.variable import Variable


@block
def gelu(x: Variable, approximate: Literal["none", "tanh"] = "none") -> Variable:
    """The normal distribution's cumulative function at x, times x; NaN at -inf, as in PyTorch.

    Hendrycks and Gimpel, Gaussian error linear units, 2016.

    Args:
        x: floats of any shape.
        approximate: "none", or "tanh" for the paper's approximation by a hyperbolic tangent.

    Raises:
        ValueError: another word for `approximate`.
    """
    (x,) = as_operands(x)
    if one_of("gelu", "approximate", approximate, ("none", "tanh")) == "none":
        return 0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))
    inner = maximum(minimum(x, 10.0), -10.0)  # beyond, the tangent is 1 in every precision
    cubic = inner + 0.044715 * inner * inner * inner
    return 0.5 * x * (1.0 + tanh(math.sqrt(2.0 / math.pi) * cubic))


@block
def silu(x: Variable) -> Variable:
    """Swish: x * sigmoid(x); NaN at -inf, as in PyTorch.

    Elfwing, Uchibe and Doya, Sigmoid-weighted linear units, 2018.
    """
    (x,) = as_operands(x)
    return x * sigmoid(x)


@block
def mish(x: Variable) -> Variable:
    """X * tanh(softplus(x)); NaN at -inf, as in PyTorch.

    Misra, Mish: a self regularized non-monotonic activation function, 2019.
    """
    (x,) = as_operands(x)
    return x * tanh(log_of_1_and_exp(x))


@block
def softplus(x: Variable, beta: float = 1.0) -> Variable:
    """log(1 + exp(beta * x)) / beta, without overflow and precise at both ends.

    (PyTorch's is x itself above its threshold.)

    Dugas, Bengio, Belisle, Nadeau and Garcia, Incorporating second-order functional knowledge for
    better option pricing, 2001.

    Args:
        x: floats of any shape.
        beta: how sharp the bend is, above 0.

    Raises:
        ValueError: a beta that is not above 0.
    """
    beta = number("softplus", "beta", beta, above=0)
    (x,) = as_operands(x)
    return log_of_1_and_exp(x) if beta == 1 else log_of_1_and_exp(beta * x) / beta


@block
def log_sigmoid(x: Variable) -> Variable:
    """The logarithm of the sigmoid, -log(1 + exp(-x)), precise at both ends."""
    (x,) = as_operands(x)
    return -log_of_1_and_exp(-x)


def log_of_1_and_exp(x: Variable) -> Variable:
    """log(1 + exp(x)), drawn as no bullet of its own."""
    return maximum(x, 0.0) + log1p(exp(minus_magnitude(x)))


def minus_magnitude(x: Variable) -> Variable:
    """-|x|, with the derivative 1 at 0: log1p(exp(-|x|)) + max(x, 0) is smooth there."""
    return where(x > 0.0, -x, x)


@block
def softsign(x: Variable) -> Variable:
    """X / (1 + |x|); NaN at the infinities, as in PyTorch.

    Turian, Bergstra and Bengio, Quadratic features and deep architectures for chunking, 2009.
    """
    (x,) = as_operands(x)
    return x / (1.0 + absolute(x))


@block
def tanh_shrink(x: Variable) -> Variable:
    """X - tanh(x)."""
    (x,) = as_operands(x)
    return x - tanh(x)


@block
def glu(x: Variable, axis: int = -1) -> Variable:
    """The first half of x along an axis, times the sigmoid of the second half.

    Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks, 2017.

    Raises:
        ShapeError: an axis that has no halves, or no such axis.
    """
    value, gate = split(x, 2, axis)
    return value * sigmoid(gate)

"""The deterministic functions of the lectures, each composed of operations and drawn as one bullet.

Derivatives are found from these expressions, never written down here.  They are right to the
second order and finite wherever the function is smooth: no branch that is not taken computes
anything that could overflow.  (`tanh`, `sigmoid` and `sign` are operations of their own.)
"""

from __future__ import annotations

import math
from typing import Literal

from ..arguments import flag, number, one_of
from ..drawing.blocks import block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations import reductions
from ..operations.broadcasting import as_variables
from ..operations.elementwise import (
    absolute,
    erf,
    exp,
    expm1,
    greater,
    less_equal,
    log,
    log1p,
    logical_and,
    maximum,
    minimum,
    sigmoid,
    sign,
    stop_gradient,
    tanh,
    where,
)
from ..operations.reductions import Axis
from ..operations.structure import squeeze
from ..variables.variable import Variable, source_text


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
    (x,) = as_variables(x)
    return where(x > 0.0, x, slope * x)


@block
def elu(x: Variable, alpha: float = 1.0) -> Variable:
    """The identity where x is positive, else alpha * (exp(x) - 1).

    Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
    linear units, 2016.
    """
    (x,) = as_variables(x)
    below = where(x > 0.0, 0.0, x)
    return where(x > 0.0, x, alpha * expm1(below))


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
    (x,) = as_variables(x)
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
    (x,) = as_variables(x)
    return x * sigmoid(x)


@block
def softplus(x: Variable) -> Variable:
    """log(1 + exp(x)), without overflow and precise at both ends.

    Dugas, Bengio, Belisle, Nadeau and Garcia, Incorporating second-order functional knowledge for
    better option pricing, 2001.
    """
    (x,) = as_variables(x)
    return maximum(x, 0.0) + log1p(exp(minus_magnitude(x)))


def minus_magnitude(x: Variable) -> Variable:
    """-|x|, with the derivative 1 at 0: log1p(exp(-|x|)) + max(x, 0) is smooth there."""
    return where(x > 0.0, -x, x)


@block
def softmax(x: Variable, axis: int = -1) -> Variable:
    """exp(x) over its sum along an axis; NaN where every element is -inf, and at one that is inf.

    Beside an infinite element the others are 0.

    Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
    """
    (x,) = as_variables(x)
    weights = exp(x - greatest("softmax", x, axis))
    return weights / reductions.sum(weights, axis, keepdims=True)


@block
def log_softmax(x: Variable, axis: int = -1) -> Variable:
    """The logarithm of `softmax`, precise where the softmax itself would round to 0 or 1."""
    (x,) = as_variables(x)
    centred = x - greatest("log_softmax", x, axis)
    return centred - log(reductions.sum(exp(centred), axis, keepdims=True))


@block
def logsumexp(x: Variable, axis: Axis = -1, keepdims: bool = False) -> Variable:
    """log(sum(exp(x))) over axes, without overflow; its gradient is the softmax.

    Over elements that are all -inf, and over none, it is -inf, and the gradient is 0.
    """
    (x,) = as_variables(x)
    keepdims = flag("logsumexp", "keepdims", keepdims)
    top = greatest("logsumexp", x, axis)
    total = reductions.sum(exp(x - top), axis, keepdims=True)
    nothing = less_equal(total, 0.0)
    value = top + where(nothing, -math.inf, log(where(nothing, 1.0, total)))
    return value if keepdims else squeeze(value, axis)


def greatest(label: str, x: Variable, axis: Axis) -> Variable:
    """What a softmax subtracts: the greatest element over axes, 0 where that is infinite.

    The result keeps its axes.  No gradient flows through it: the functions that use it do not
    depend on what they subtract.
    """
    (x,) = as_variables(x)
    if not x.type.is_float:
        raise DtypeError(
            f"{label} ({user_location()}) expects floats, got {x.dtype} from {source_text(x)}: "
            'convert it with .astype("float32")'
        )
    if x.ndim == 0:
        raise ShapeError(
            f"{label} ({user_location()}) expects at least one axis, got shape () from "
            f"{source_text(x)}"
        )
    top = stop_gradient(reductions.max(x, axis, keepdims=True))
    finite = logical_and(greater(top, -math.inf), top < math.inf)
    return where(finite, top, 0.0)


@block
def hard_tanh(x: Variable) -> Variable:
    """The identity between -1 and 1, level beyond; the derivative at both ends is 0.

    (PyTorch's `clamp` has 1 there, its `hardtanh` 0.)
    """
    return maximum(minimum(x, 1.0), -1.0)


@block
def soft_shrink(x: Variable, threshold: float = 0.5) -> Variable:
    """Each element moved towards 0 by the threshold; 0 where it is nearer than that.

    Donoho, De-noising by soft-thresholding, 1995; the shrinkage of sparse coding.
    """
    _check_threshold("soft_shrink", threshold)
    (x,) = as_variables(x)
    return where(less_equal(absolute(x), threshold), 0.0, x - threshold * sign(x))


@block
def hard_shrink(x: Variable, threshold: float = 0.5) -> Variable:
    """The identity where |x| is above the threshold, else 0."""
    _check_threshold("hard_shrink", threshold)
    return where(less_equal(absolute(x), threshold), 0.0, x)


def _check_threshold(label: str, threshold: float) -> None:
    number(label, "threshold", threshold, least=0)

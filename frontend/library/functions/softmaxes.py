"""Softmax and what belongs to it: numbers whose sum is 1, their logarithms, and draws."""

from __future__ import annotations

import math

from ...arguments import flag, number
from ...drawing.blocks import block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.elementwise import (
    as_operands,
    astype,
    equal,
    exp,
    greater,
    less_equal,
    log,
    logical_and,
    maximum,
    stop_gradient,
    where,
)
from ...operations.random import random_uniform
from ...operations.reductions import Axis
from ...operations.source import arange
from ...operations.structure import expand_dims, squeeze
from ...variables.variable import Variable, source_text


@block
def softmax(x: Variable, axis: int = -1) -> Variable:
    """exp(x) over its sum along an axis; NaN where every element is -inf, and at one that is inf.

    Beside an infinite element the others are 0.

    Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
    """
    (x,) = as_operands(x)
    return _shares("softmax", x, axis)


@block
def softmin(x: Variable, axis: int = -1) -> Variable:
    """The `softmax` of -x."""
    (x,) = as_operands(x)
    return _shares("softmin", -x, axis)


def _shares(label: str, x: Variable, axis: int) -> Variable:
    weights = exp(x - greatest(label, x, axis))
    return weights / reductions.sum(weights, axis, keepdims=True)


@block
def log_softmax(x: Variable, axis: int = -1) -> Variable:
    """The logarithm of `softmax`, precise where the softmax itself would round to 0 or 1."""
    (x,) = as_operands(x)
    centred = x - greatest("log_softmax", x, axis)
    return centred - log(reductions.sum(exp(centred), axis, keepdims=True))


@block
def logsumexp(x: Variable, axis: Axis = -1, keepdims: bool = False) -> Variable:
    """log(sum(exp(x))) over axes, without overflow; its gradient is the softmax.

    Over elements that are all -inf, and over none, it is -inf, and the gradient is 0.
    """
    (x,) = as_operands(x)
    keepdims = flag("logsumexp", "keepdims", keepdims)
    top = greatest("logsumexp", x, axis)
    total = reductions.sum(exp(x - top), axis, keepdims=True)
    nothing = less_equal(total, 0.0)
    value = top + where(nothing, -math.inf, log(where(nothing, 1.0, total)))
    return value if keepdims else squeeze(value, axis)


@block
def gumbel_softmax(
    x: Variable,
    temperature: float = 1.0,
    hard: bool = False,
    axis: int = -1,
    stream: str | None = None,
) -> Variable:
    """A draw of one of the elements along an axis, of probabilities softmax(x), made smooth.

    The softmax of (x + noise) / temperature, whose greatest element is such a draw; the noise is
    drawn anew at every step, as by `dg.random_uniform`.

    Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, 2017.

    Args:
        x: floats, logarithms of probabilities but for a constant; -inf for an element that is
            never drawn.
        temperature: above 0; the nearer to it, the more the result is a 1 among zeros.
        hard: whether the result is a 1 among zeros, with the gradient of the smooth one.
        axis: along which the elements are.
        stream: as of `dg.random_uniform`.

    Raises:
        TypeError, ValueError: a temperature or `hard` that is none.
        DtypeError, ShapeError: no floats, no axis.
    """
    temperature = number("gumbel_softmax", "temperature", temperature, above=0)
    hard = flag("gumbel_softmax", "hard", hard)
    (x,) = as_operands(x)
    # Draws are multiples of 2 ** -24: that of 0 stands for the middle of what is next to it.
    waiting = maximum(-log(1.0 - random_uniform(x.shape, stream)), 2.0**-25)
    smooth = _shares("gumbel_softmax", (x - log(waiting)) / temperature, axis)
    if not hard:
        return smooth
    chosen = expand_dims(reductions.argmax(smooth, axis), axis)
    numbers = arange(x.shape[axis], dtype=chosen.dtype)
    for _ in range(x.ndim - 1 - axis % x.ndim):
        numbers = expand_dims(numbers, -1)
    return astype(equal(chosen, numbers), x.dtype) + (smooth - stop_gradient(smooth))


def greatest(label: str, x: Variable, axis: Axis) -> Variable:
    """What a softmax subtracts: the greatest element over axes, 0 where that is infinite.

    The result keeps its axes.  No gradient flows through it: the functions that use it do not
    depend on what they subtract.
    """
    (x,) = as_operands(x)
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

"""Costs of distributions: the negative logarithm of a density, and the divergence of two."""

from __future__ import annotations

import math
from typing import Any

from ...arguments import flag, number
from ...errors import ShapeError
from ...location import user_location
from ...operations.elementwise import (
    as_operands,
    equal,
    exp,
    greater,
    greater_equal,
    log,
    logical_and,
    maximum,
    stop_gradient,
    where,
)
from ...operations.functions.exponentials import xlogy
from ...variables.variable import Variable, shape_text, source_text
from .reduction import Reduction, alike, cost, expect_dtype, reduced
from .squashed import warn_of


@cost
def kl_divergence(
    log_probabilities: Variable,
    targets: Variable,
    reduction: Reduction = "mean",
    *,
    log_targets: bool = False,
) -> Variable:
    """The divergence of Kullback and Leibler, t * (log t - log p), of each element.

    On information and sufficiency, 1951.  What is compared is a whole distribution: the mean over
    the samples of a batch, PyTorch's "batchmean", is the "sum" over their number.

    Args:
        log_probabilities: floats of any shape, such as the output of `log_softmax`.
        targets: of the same shape and dtype, probabilities; 0 costs nothing.
        reduction: "mean" or "sum" over all elements, as in PyTorch, or "none".
        log_targets: whether the targets are logarithms of probabilities, too.

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    label = "kl_divergence"
    predicted, targets = alike(label, log_probabilities=log_probabilities, targets=targets)
    warn_of(label, predicted, "softmax", "log-probabilities", "use dg.log_softmax")
    if flag(label, "log_targets", log_targets):
        never = equal(targets, -math.inf)
        share, known = exp(targets), where(never, 0.0, targets)
    else:
        never = equal(targets, 0.0)
        share, known = targets, log(where(never, 1.0, targets))
    # What never happens would be 0 times infinity where it is not expected to happen, either.
    settled = logical_and(never, equal(predicted, -math.inf))
    costs = share * (known - where(settled, 0.0, predicted))
    return reduced(label, costs, reduction)


@cost
def poisson_nll(
    prediction: Variable,
    target: Variable,
    reduction: Reduction = "mean",
    *,
    log_input: bool = True,
    full: bool = False,
    epsilon: float = 1e-8,
) -> Variable:
    """The negative logarithm of the probability of counts of a Poisson distribution.

    exp(x) - t * x of the logarithm x of its mean, without log(t!), which no x changes.

    Args:
        prediction: floats of any shape, the logarithm of the mean.
        target: of the same shape and dtype, counts of 0 or more.
        reduction: "mean" or "sum" over all elements, or "none".
        log_input: False for a prediction that is the mean itself: x - t * log(x + epsilon).
        full: whether to add Stirling's approximation of log(t!), where t is above 1.
        epsilon: 0 or more.

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    label = "poisson_nll"
    epsilon = number(label, "epsilon", epsilon, least=0)
    prediction, target = alike(label, prediction=prediction, target=target)
    if flag(label, "log_input", log_input):
        costs = exp(prediction) - target * prediction
    else:
        costs = prediction - xlogy(target, prediction + epsilon)
    if flag(label, "full", full):
        many = greater(target, 1.0)
        count = where(many, target, 1.0)
        rest = count * log(count) - count + 0.5 * log(2 * math.pi * count)
        costs = costs + where(many, rest, 0.0)
    return reduced(label, costs, reduction)


@cost
def gaussian_nll(
    prediction: Variable,
    target: Variable,
    variance: Any,
    reduction: Reduction = "mean",
    *,
    full: bool = False,
    epsilon: float = 1e-6,
) -> Variable:
    """The negative logarithm of the density of a normal distribution, of its mean and variance.

    (log v + (x - t)^2 / v) / 2, for a v that is the variance, or epsilon where that is below.

    Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.

    Args:
        prediction: floats of any shape, the mean x.
        target: of the same shape and dtype.
        variance: of their dtype and shape, or with one element in the place of the last axis; 0 or
            more, and NaN is the cost of one below.
        reduction: "mean" or "sum" over all elements, or "none".
        full: whether to add the constant log(2 pi) / 2.
        epsilon: above 0, the least variance; the gradient of a smaller one is that of epsilon, as
            in PyTorch.

    Raises:
        ShapeError: different shapes: nothing else is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    label = "gaussian_nll"
    epsilon = number(label, "epsilon", epsilon, above=0)
    prediction, target = alike(label, prediction=prediction, target=target)
    given: Variable = as_operands(prediction, variance)[1]
    subject = f"{label} ({user_location()})"
    shape = prediction.shape
    if given.shape != shape and (not shape or given.shape != (*shape[:-1], 1)):
        one = f", or {shape_text((*shape[:-1], 1))}" if shape else ""
        raise ShapeError(
            f"{subject} expects variance of shape {shape_text(shape)}{one}, got "
            f"{shape_text(given.shape)} from {source_text(given)}"
        )
    expect_dtype(subject, "variance", given, "prediction", prediction)
    raised = given + stop_gradient(maximum(given, epsilon) - given)
    raised = where(greater_equal(given, 0.0), raised, math.nan)
    difference = prediction - target
    costs = 0.5 * (log(raised) + difference * difference / raised)
    if flag(label, "full", full):
        costs = costs + 0.5 * math.log(2 * math.pi)
    return reduced(label, costs, reduction)

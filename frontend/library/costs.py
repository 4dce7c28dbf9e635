"""Costs: functions of what a model says and of what it should say, drawn as cost nodes.

Each compares elements (or samples) and reduces them to one scalar.  Nothing is broadcast and no
dtype is promoted: (B, 1) beside (B,) is a mistake that the diagram reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from ...compiler.dtypes import INDICES
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..arguments import number, one_of
from ..drawing.blocks import CostFunction, R
from ..errors import DiagramWarning, DtypeError, ShapeError
from ..location import user_location, warn_user
from ..operations import reductions
from ..operations.broadcasting import as_variables
from ..operations.elementwise import (
    absolute,
    equal,
    exp,
    greater_equal,
    less_equal,
    log,
    log1p,
    logical_and,
    maximum,
    where,
)
from ..operations.places import expect_within, fixed_value
from ..operations.source import arange, size
from ..operations.structure import expand_dims
from ..variables.applying import apply
from ..variables.dependencies import maker_of
from ..variables.kinds import Elementwise
from ..variables.variable import Variable, application_text, shape_text, source_text
from .functions import greatest, minus_magnitude, softmax

Reduction = Literal["mean", "sum", "none"]


def cost(function: Callable[..., R], name: str | None = None) -> CostFunction[R]:
    """Draw a function of variables as a cost node (`@dg.cost`); otherwise as `dg.block`."""
    return CostFunction(function, name)


@cost
def squared_error(
    prediction: Variable, target: Variable, reduction: Reduction = "mean"
) -> Variable:
    """The squared difference (without a factor 1/2), by default its mean over all elements.

    Args:
        prediction: floats of any shape.
        target: of the same shape and dtype.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    prediction, target = _alike("squared_error", prediction=prediction, target=target)
    difference = prediction - target
    return reduced("squared_error", difference * difference, reduction)


@cost
def absolute_error(
    prediction: Variable, target: Variable, reduction: Reduction = "mean"
) -> Variable:
    """The absolute difference; its derivative at 0 is 0.  Arguments and errors: `squared_error`."""
    prediction, target = _alike("absolute_error", prediction=prediction, target=target)
    return reduced("absolute_error", absolute(prediction - target), reduction)


@cost
def huber(
    prediction: Variable, target: Variable, delta: float = 1.0, reduction: Reduction = "mean"
) -> Variable:
    """Half the squared difference up to `delta`, and linear with the same slope beyond.

    Huber, Robust estimation of a location parameter, 1964.

    Args:
        prediction: floats of any shape.
        target: of the same shape and dtype.
        delta: where the line begins, above 0, in units of the prediction.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        ValueError: `delta` is not above 0, or infinite.
    """
    delta = number("huber", "delta", delta, above=0)
    prediction, target = _alike("huber", prediction=prediction, target=target)
    difference = prediction - target
    distance = absolute(difference)
    near = less_equal(distance, delta)
    small = where(near, difference, 0.0)  # a square of all would overflow, and 0 * inf follow
    costs = where(near, 0.5 * small * small, delta * (distance - 0.5 * delta))
    return reduced("huber", costs, reduction)


@cost
def cross_entropy(scores: Variable, labels: Variable, reduction: Reduction = "mean") -> Variable:
    """-log softmax(scores) at each sample's label, by default the mean over the samples.

    Computed from the scores, without overflow.  Where a label is computed and lies outside
    [0, classes), the cost is NaN; those of an observed variable are checked before a step, and
    fixed ones when the cost is drawn.

    Args:
        scores: floats (..., classes), not normalised.
        labels: int32 or int64 of the shape (...).
        reduction: "mean" or "sum" over the samples, or "none".

    Raises:
        ShapeError: labels of another shape.
        DtypeError: labels that are no integers, or scores that are no floats.
    """
    scores, labels = _scored("cross_entropy", "scores", scores, labels)
    _warn_of("cross_entropy", scores, "softmax", "scores as they are", "leave the softmax out")
    centred = scores - greatest("cross_entropy", scores, -1)
    total = log(reductions.sum(exp(centred), -1))
    return reduced("cross_entropy", total - _at_label(centred, labels), reduction)


@cost
def nll(log_probabilities: Variable, labels: Variable, reduction: Reduction = "mean") -> Variable:
    """The negative logarithm of each label's probability: of the output of `log_softmax`.

    Args:
        log_probabilities: floats (..., classes).
        labels: int32 or int64 of the shape (...); outside the classes as in `cross_entropy`.
        reduction: "mean" or "sum" over the samples, or "none".

    Raises:
        ShapeError: labels of another shape.
        DtypeError: labels that are no integers, or log-probabilities that are no floats.
    """
    scores, labels = _scored("nll", "log-probabilities", log_probabilities, labels)
    _warn_of("nll", scores, "softmax", "log-probabilities", "use dg.log_softmax")
    return reduced("nll", -_at_label(scores, labels), reduction)


@cost
def binary_cross_entropy(
    scores: Variable, targets: Variable, reduction: Reduction = "mean"
) -> Variable:
    """-t log s - (1 - t) log(1 - s) for s = sigmoid(scores): give it scores, no probabilities.

    Precise for scores of any size; of an infinite score that is right, cost and gradients are 0.

    Args:
        scores: floats of any shape, not squashed.
        targets: of the same shape and dtype, probabilities in [0, 1].
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    scores, targets = _alike("binary_cross_entropy", scores=scores, targets=targets)
    for squash in ("sigmoid", "softmax"):
        remedy = f"leave the {squash} out"
        _warn_of("binary_cross_entropy", scores, squash, "scores as they are", remedy)
    wrong = where(scores > 0.0, 1.0 - targets, targets)
    # An infinite score that is right would be multiplied with 0.
    settled = logical_and(equal(absolute(scores), math.inf), equal(wrong, 0.0))
    magnitude = -minus_magnitude(where(settled, 0.0, scores))
    costs = magnitude * wrong + log1p(exp(minus_magnitude(scores)))
    return reduced("binary_cross_entropy", costs, reduction)


@cost
def hinge(score: Variable, target: Variable, reduction: Reduction = "mean") -> Variable:
    """max(0, 1 - target * score), the margin of a binary classifier; derivative 0 at the margin.

    Cortes and Vapnik, Support-vector networks, 1995.

    Args:
        score: floats of any shape.
        target: of the same shape and dtype, -1 or +1.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    score, target = _alike("hinge", score=score, target=target)
    return reduced("hinge", maximum(1.0 - target * score, 0.0), reduction)


def _warn_of(label: str, given: Variable, squash: str, wanted: str, remedy: str) -> None:
    """Warn of scores that come out of a softmax or a sigmoid, though the cost has its own."""
    maker = maker_of(given)
    if maker is None:
        return
    op = maker.op if isinstance(maker, Elementwise) else None
    if op == squash or (squash == "softmax" and maker.block is softmax):
        subject, got = f"{label} ({user_location()})", application_text(maker)
        warn_user(f"{subject} expects {wanted}, got {got}: {remedy}", DiagramWarning)


def reduced(label: str, costs: Variable, reduction: Reduction) -> Variable:
    """The mean or sum of all costs, or these themselves."""
    chosen = one_of(label, "reduction", reduction, ("mean", "sum", "none"))
    if chosen == "none":
        return costs
    return reductions.mean(costs) if chosen == "mean" else reductions.sum(costs)


def _alike(label: str, **operands: Any) -> list[Variable]:
    """Two operands, floats of one shape and dtype, as variables."""
    first, second = variables = as_variables(*operands.values())
    one, other = operands
    subject = f"{label} ({user_location()})"
    if first.shape != second.shape:
        raise ShapeError(
            f"{subject} expects {one} and {other} of one shape, got {shape_text(first.shape)} from "
            f"{source_text(first)} and {shape_text(second.shape)} from {source_text(second)}: "
            "nothing is broadcast, reshape one of them"
        )
    _expect_floats(subject, one, first)
    if second.dtype != first.dtype:
        raise DtypeError(
            f"{subject} expects {other} of dtype {first.dtype} like {one}, got {second.dtype} from "
            f'{source_text(second)}: convert it with .astype("{first.dtype}")'
        )
    return variables


def _expect_floats(subject: str, name: str, variable: Variable) -> None:
    if not variable.type.is_float:
        raise DtypeError(
            f"{subject} expects {name} of dtype float32 or float64, got {variable.dtype} from "
            f'{source_text(variable)}: convert it with .astype("float32")'
        )


def _scored(label: str, name: str, scores: Any, labels: Any) -> tuple[Variable, Variable]:
    """Scores, and labels that fit them, to be checked before a step that is given them."""
    subject = f"{label} ({user_location()})"
    (scores,), (labels,) = as_variables(scores), as_variables(labels)
    _expect_floats(subject, name, scores)
    if scores.ndim == 0:
        raise ShapeError(
            f"{subject} expects {name} of shape (..., classes), got () from {source_text(scores)}"
        )
    if labels.dtype not in INDICES:
        raise DtypeError(
            f"{subject} expects labels of dtype int32 or int64, got {labels.dtype} from "
            f"{source_text(labels)}: labels are class numbers"
        )
    *samples, classes = scores.shape
    if labels.shape != tuple(samples):
        raise ShapeError(
            f"{subject} expects labels of shape {shape_text(samples)}, got "
            f"{shape_text(labels.shape)} from {source_text(labels)}: one class number for each "
            f"sample of the {name} {shape_text(scores.shape)}"
        )
    fixed = fixed_value(labels)

    def rule(b: Builder, node: Node) -> Node:
        if fixed is not None:
            expect_within("labels", fixed, 0, classes, where="labels")
        return b.widened(b.apply("in_range", node, low=0, high=classes))

    checked: Variable = apply("labels", rule, [labels], as_stored=True)
    return scores, checked


def _at_label(values: Variable, labels: Variable) -> Variable:
    """The value at each sample's label; NaN where there is none."""
    classes = values.shape[-1]
    chosen = equal(expand_dims(labels, -1), arange(classes, labels.dtype))
    picked = reductions.sum(where(chosen, values, 0.0), -1)
    limit = classes if isinstance(classes, int) else size(classes, labels.dtype)
    inside = logical_and(greater_equal(labels, 0), labels < limit)
    return where(inside, picked, math.nan)

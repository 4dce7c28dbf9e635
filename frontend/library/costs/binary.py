"""Costs of yes or no: of scores, one for each question, and of the probability of a yes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....compiler.dtypes import computed
from ...arguments import flag, number
from ...location import user_location
from ...operations.elementwise import (
    absolute,
    equal,
    exp,
    greater,
    log,
    log1p,
    logical_and,
    sigmoid,
    where,
)
from ...variables.variable import Variable
from ..functions.smooth import minus_magnitude
from .reduction import Reduction, alike, cost, reduced, weights_of
from .squashed import warn_of

LEAST_LOG = -100.0
"""What the logarithm of a probability of 0 counts as, as in PyTorch."""


@cost
def binary_cross_entropy(
    scores: Variable,
    targets: Variable,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    pos_weight: Any = None,
    from_logits: bool = True,
) -> Variable:
    """-t log s - (1 - t) log(1 - s) for s = sigmoid(scores): give it scores, no probabilities.

    Precise for scores of any size; of an infinite score that is right, cost and gradients are 0.

    Args:
        scores: floats of any shape, not squashed.
        targets: of the same shape and dtype, probabilities in [0, 1].
        reduction: "mean" or "sum" over all elements, or "none"; weights change no divisor.
        weight: what the cost of an element is multiplied with: a number, or numbers that broadcast
            to the shape of the scores.
        pos_weight: what -t log s is multiplied with, likewise: above 1 for a yes that is rare.
        from_logits: False for `scores` that are probabilities, s itself, which is less precise: the
            logarithm of 0 counts as -100, as in PyTorch, and has no gradient.

    Raises:
        ShapeError: different shapes: nothing is broadcast; weights that do not broadcast to them.
        DtypeError: no floats, or different dtypes.
    """
    label = "binary_cross_entropy"
    scores, targets = alike(label, scores=scores, targets=targets)
    if pos_weight is None:
        yes, mass = targets, None
    else:
        yes = targets * _weights(label, "pos_weight", pos_weight, scores)
        mass = yes + (1.0 - targets)
    if flag(label, "from_logits", from_logits):
        for squash in ("sigmoid", "softmax"):
            remedy = f"leave the {squash} out"
            warn_of(label, scores, squash, "scores as they are", remedy)
        costs = _of_scores(scores, yes, 1.0 - targets, mass)
    else:
        costs = -(yes * _log(scores, False) + (1.0 - targets) * _log(scores, True))
    if weight is not None:
        costs = costs * _weights(label, "weight", weight, scores)
    return reduced(label, costs, reduction)


def _weights(label: str, name: str, weight: Any, scores: Variable) -> Variable:
    return weights_of(f"{label} ({user_location()})", name, weight, "scores", scores, None)


def _of_scores(scores: Variable, yes: Variable, no: Variable, mass: Variable | None) -> Variable:
    """-yes log s - no log(1 - s) for s = sigmoid(scores); `mass` is yes + no, unless it is 1."""
    wrong = where(scores > 0.0, no, yes)
    # An infinite score that is right would be multiplied by 0.
    settled = logical_and(equal(absolute(scores), math.inf), equal(wrong, 0.0))
    magnitude = -minus_magnitude(where(settled, 0.0, scores))
    rest = log1p(exp(minus_magnitude(scores)))
    return magnitude * wrong + (rest if mass is None else mass * rest)


def _log(share: Variable, rest: bool) -> Variable:
    """The logarithm of a probability, or of what it leaves of 1."""
    if rest:
        some = share < 1.0
        return where(some, log1p(-where(some, share, 0.0)), LEAST_LOG)
    some = greater(share, float(np.finfo(computed(share.dtype)).tiny))
    return where(some, log(where(some, share, 1.0)), LEAST_LOG)


@cost
def focal(
    scores: Variable,
    targets: Variable,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
) -> Variable:
    """`binary_cross_entropy`, less of what is told well: times (1 - p) ** gamma.

    p is the probability that the scores give to the target, sigmoid(score) of a 1.

    Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection, 2017.

    Args:
        scores: floats of any shape, not squashed.
        targets: of the same shape and dtype, 0 or 1; for a share t between them, p is
            t * s + (1 - t) * (1 - s), as in torchvision.
        alpha: in [0, 1], what a target of 1 counts, and 1 - alpha one of 0; None for 1 both.
        gamma: 0 or more.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        ValueError: an alpha or gamma outside of its range.
    """
    gamma = number("focal", "gamma", gamma, least=0)
    scores, targets = alike("focal", scores=scores, targets=targets)
    warn_of("focal", scores, "sigmoid", "scores as they are", "leave the sigmoid out")
    costs = _of_scores(scores, targets, 1.0 - targets, None)
    if gamma:
        missed = sigmoid(-scores) * targets + sigmoid(scores) * (1.0 - targets)
        some = missed > 0.0  # a power below 1 has no derivative at 0
        costs = costs * where(some, where(some, missed, 1.0) ** gamma, 0.0)
    if alpha is not None:
        alpha = number("focal", "alpha", alpha, least=0, most=1)
        costs = costs * (alpha * targets + (1.0 - alpha) * (1.0 - targets))
    return reduced("focal", costs, reduction)

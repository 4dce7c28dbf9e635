"""Costs of elements: each compares two arrays of one shape, element by element.

Nothing is broadcast and no dtype is promoted: (B, 1) beside (B,) is a mistake that the diagram
reports.
"""

from __future__ import annotations

from ...arguments import number
from ...operations.elementwise import absolute, less_equal, maximum, where
from ...variables.variable import Variable
from .reduction import Reduction, alike, cost, reduced


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
    prediction, target = alike("squared_error", prediction=prediction, target=target)
    difference = prediction - target
    return reduced("squared_error", difference * difference, reduction)


@cost
def absolute_error(
    prediction: Variable, target: Variable, reduction: Reduction = "mean"
) -> Variable:
    """The absolute difference; its derivative at 0 is 0.  Arguments and errors: `squared_error`."""
    prediction, target = alike("absolute_error", prediction=prediction, target=target)
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
    prediction, target = alike("huber", prediction=prediction, target=target)
    difference = prediction - target
    distance = absolute(difference)
    near = less_equal(distance, delta)
    small = where(near, difference, 0.0)  # a square of all would overflow, and 0 * inf follow
    costs = where(near, 0.5 * small * small, delta * (distance - 0.5 * delta))
    return reduced("huber", costs, reduction)


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
    score, target = alike("hinge", score=score, target=target)
    return reduced("hinge", maximum(1.0 - target * score, 0.0), reduction)

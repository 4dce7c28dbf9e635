"""How near vectors are to each other, and vectors of length 1."""

from __future__ import annotations

from typing import Any

from ...arguments import flag, number
from ...drawing.blocks import block
from ...operations import reductions
from ...operations.elementwise import as_operands, maximum
from ...operations.products.norms import norm
from ...operations.reductions import Axis
from ...variables.variable import Variable


@block
def normalize(x: Variable, p: float = 2.0, axis: Axis = -1, epsilon: float = 1e-12) -> Variable:
    """Vectors along an axis over their `dg.norm`; over epsilon where that is smaller.

    Args:
        x: floats of any shape.
        p: the norm's `ord`.
        axis: along which the vectors are.  (PyTorch's is 1 by default.)
        epsilon: above 0, so that a vector of zeros stays one; its gradient is divided by it.

    Raises:
        TypeError, ValueError: an epsilon that is not above 0.
        DtypeError, ShapeError: no floats, no such axis.
    """
    epsilon = number("normalize", "epsilon", epsilon, above=0)
    (x,) = as_operands(x)
    return x / maximum(norm(x, p, axis, keepdims=True), epsilon)


@block
def cosine_similarity(x: Variable, y: Variable, axis: int = -1, epsilon: float = 1e-8) -> Variable:
    """The cosine of the angle between vectors along an axis: their product over their lengths.

    Args:
        x: floats of any shape.
        y: of a shape that broadcasts with it, and of its dtype.
        axis: along which the vectors are.  (PyTorch's is 1 by default.)
        epsilon: above 0, what a length below counts as: 0 is the cosine beside a vector of zeros.

    Raises:
        TypeError, ValueError: an epsilon that is not above 0.
        DtypeError, ShapeError: no floats, shapes that do not broadcast, no such axis.
    """
    epsilon = number("cosine_similarity", "epsilon", epsilon, above=0)
    x, y = as_operands(x, y)
    lengths = (maximum(norm(item, 2, axis, keepdims=True), epsilon) for item in (x, y))
    return reductions.sum(x / next(lengths) * (y / next(lengths)), axis)


@block
def pairwise_distance(
    x: Variable,
    y: Variable,
    p: float = 2.0,
    epsilon: float = 1e-6,
    keepdims: bool = False,
) -> Variable:
    """The norm of x - y + epsilon along the last axis: how far vectors are from each other.

    Args:
        x: floats (..., n).
        y: of a shape that broadcasts with it, and of its dtype.
        p: the norm's `ord`.
        epsilon: what each difference is increased by, as in PyTorch; 0 for the distance itself,
            whose gradient between equal vectors is 0.
        keepdims: whether the last axis stays, with one element.

    Raises:
        TypeError, ValueError: an epsilon that is no number, a `keepdims` that is none.
        DtypeError, ShapeError: no floats, shapes that do not broadcast.
    """
    epsilon = number("pairwise_distance", "epsilon", epsilon, least=0)
    keepdims = flag("pairwise_distance", "keepdims", keepdims)
    x, y = as_operands(x, y)
    return distance(x, y, p, epsilon, keepdims)


def distance(x: Any, y: Any, p: float, epsilon: float, keepdims: bool = False) -> Variable:
    """`pairwise_distance`, drawn as no bullet of its own."""
    difference = x - y
    return norm(difference + epsilon if epsilon else difference, p, -1, keepdims)

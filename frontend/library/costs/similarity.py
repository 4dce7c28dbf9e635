"""Costs of what shall be near and what far: of vectors, and of scores that are ranked."""

from __future__ import annotations

from typing import Any

from ...arguments import flag, number
from ...errors import ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.elementwise import as_operands, greater, maximum, minimum, rsqrt, where
from ...variables.variable import Variable, shape_text, source_text
from ..functions.similarity import distance
from .reduction import Reduction, alike, cost, expect_dtype, reduced

EPSILON = 1e-12
"""What the squared lengths of vectors are increased by, as in PyTorch."""


@cost
def cosine(
    first: Variable,
    second: Variable,
    target: Variable,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Variable:
    """1 - cos of the angle between vectors that belong together, else max(0, cos - margin).

    PyTorch's `cosine_embedding_loss`; the derivative at the margin is 0.

    Args:
        first: floats (..., n).
        second: of the same shape and dtype.
        target: (...), of their dtype: 1 for two vectors that belong together, -1 for two that do
            not.
        margin: from -1 to 1, below which the cosine of two that do not costs nothing.
        reduction: "mean" or "sum" over the pairs, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        ValueError: a margin outside of its range.
    """
    margin = number("cosine", "margin", margin, least=-1, most=1)
    first, second = alike("cosine", first=first, second=second)
    target = _of_pairs("cosine", first, target)
    lengths = (reductions.sum(item * item, -1) + EPSILON for item in (first, second))
    cos = reductions.sum(first * second, -1) * rsqrt(next(lengths) * next(lengths))
    costs = where(greater(target, 0.0), 1.0 - cos, maximum(cos - margin, 0.0))
    return reduced("cosine", costs, reduction)


def _of_pairs(label: str, vectors: Variable, target: Any) -> Variable:
    """One number for each of the vectors."""
    given: Variable = as_operands(vectors, target)[1]
    subject = f"{label} ({user_location()})"
    if vectors.ndim == 0:
        raise ShapeError(
            f"{subject} expects vectors along the last axis, got () from {source_text(vectors)}"
        )
    if given.shape != vectors.shape[:-1]:
        raise ShapeError(
            f"{subject} expects target of shape {shape_text(vectors.shape[:-1])}, got "
            f"{shape_text(given.shape)} from {source_text(given)}: one number for each pair"
        )
    expect_dtype(subject, "target", given, "first", vectors)
    return given


@cost
def margin(
    first: Variable,
    second: Variable,
    target: Variable,
    margin: float = 0.0,
    reduction: Reduction = "mean",
) -> Variable:
    """max(0, margin - target * (first - second)): which of two scores shall be the greater one.

    PyTorch's `margin_ranking_loss`; the derivative at the margin is 0.

    Herbrich, Graepel and Obermayer, Large margin rank boundaries for ordinal regression, 2000.

    Args:
        first: floats of any shape.
        second: of the same shape and dtype.
        target: likewise: 1 where the first shall be greater, -1 where the second shall.
        margin: by how much.
        reduction: "mean" or "sum" over all pairs, or "none".

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
    """
    wanted = number("margin", "margin", margin)
    first, second, target = alike("margin", first=first, second=second, target=target)
    return reduced("margin", maximum(wanted - target * (first - second), 0.0), reduction)


@cost
def triplet(
    anchor: Variable,
    positive: Variable,
    negative: Variable,
    margin: float = 1.0,
    reduction: Reduction = "mean",
    *,
    p: float = 2.0,
    epsilon: float = 1e-6,
    swap: bool = False,
) -> Variable:
    """max(0, margin + distance to the positive - distance to the negative vector).

    Distances are `dg.pairwise_distance`; the derivative at the margin is 0.

    Schroff, Kalenichenko and Philbin, FaceNet, 2015; with `swap` Balntas, Riba, Ponsa and
    Mikolajczyk, Learning local feature descriptors with triplets, 2016.

    Args:
        anchor: floats (..., n).
        positive: of the same shape and dtype, what shall be near.
        negative: likewise, what shall be far.
        margin: by how much farther, above 0.
        reduction: "mean" or "sum" over the triplets, or "none".
        p: of the norm.
        epsilon: what each difference is increased by, 0 or more.
        swap: whether the negative's distance to the positive counts where it is the lesser one.

    Raises:
        ShapeError: different shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        ValueError: a margin that is not above 0.
    """
    margin = number("triplet", "margin", margin, above=0)
    p = number("triplet", "p", p, above=0)
    epsilon = number("triplet", "epsilon", epsilon, least=0)
    given = alike("triplet", anchor=anchor, positive=positive, negative=negative)
    anchor, positive, negative = given
    if anchor.ndim == 0:
        raise ShapeError(
            f"triplet ({user_location()}) expects vectors along the last axis, got () from "
            f"{source_text(anchor)}"
        )
    near, far = (distance(anchor, other, p, epsilon) for other in (positive, negative))
    if flag("triplet", "swap", swap):
        far = minimum(far, distance(positive, negative, p, epsilon))
    return reduced("triplet", maximum(margin + near - far, 0.0), reduction)

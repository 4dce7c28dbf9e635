"""Costs of joint embeddings: two views of each sample, whose codes should agree and tell it apart.

`info_nce` keeps the codes of different samples apart by comparing them, `vicreg` by what their
variances and covariances should be.
"""

from __future__ import annotations

import math
from typing import Any

from ...compiler.sizes import Dim
from ..arguments import flag, number
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations import reductions
from ..operations.contractions import matmul
from ..operations.elementwise import as_operands, equal, maximum, rsqrt, sqrt, where
from ..operations.source import arange, size
from ..operations.structure import concatenate, expand_dims, transpose
from ..variables.variable import Variable, shape_text, source_text
from .costs.reduction import Reduction, cost, reduced
from .functions.softmaxes import logsumexp


@cost
def info_nce(
    a: Variable,
    b: Variable,
    temperature: float = 0.1,
    same_view: bool = False,
    reduction: Reduction = "mean",
) -> Variable:
    """How well each sample's code is told from the others' by that of its other view.

        s_ij = cos(a_i, b_j) / temperature
        cost = mean_i (log sum_j exp(s_ij) - s_ii)

    and the same from b to a, of which the mean is taken: InfoNCE of contrastive predictive coding
    with cosines, in both directions, as CLIP has it.  With `same_view` the other codes of a
    sample's own view are negatives too, 2 B - 2 in all: that is SimCLR's NT-Xent.

    Van den Oord, Li and Vinyals, Representation learning with contrastive predictive coding, 2018;
    Chen, Kornblith, Norouzi and Hinton, A simple framework for contrastive learning of visual
    representations, 2020.

    Args:
        a: floats (B, D), the codes of one view, of any length but 0.
        b: of the same shape and dtype, those of the other view.
        temperature: what the cosines are divided by, above 0.
        same_view: whether the samples of a view are told apart from one another too.
        reduction: "mean" or "sum" over the samples, or "none".

    Raises:
        ShapeError: codes that are not (B, D), or of two shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        TypeError, ValueError: a `temperature` that is not above 0; a `same_view` that is no bool.
    """
    temperature = number("info_nce", "temperature", temperature, above=0)
    same_view = flag("info_nce", "same_view", same_view)
    a, b = (_unit(item) for item in _codes("info_nce", a, b))
    across = matmul(a, transpose(b)) / temperature
    right = reductions.sum(a * b, -1) / temperature
    totals = []
    for rows, own in ((across, a), (transpose(across), b)):
        if same_view:
            beside = matmul(own, transpose(own)) / temperature
            rows = concatenate([rows, where(_diagonal(own.shape[0]), -math.inf, beside)], axis=1)
        totals.append(reduced("info_nce", logsumexp(rows, 1) - right, reduction))
    forth, back = totals
    found: Variable = 0.5 * (forth + back)
    return found


@cost
def vicreg(
    a: Variable,
    b: Variable,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    epsilon: float = 1e-4,
) -> Variable:
    """Codes of two views that agree, vary in every element, and vary in each on their own.

        invariance * mean (a - b)^2
        + variance * 1/2 sum over both of mean_d max(0, 1 - sqrt(Var[z_d] + epsilon))
        + covariance * sum over both of 1/D sum_(d != e) Cov[z_d, z_e]^2

    Var and Cov are over the batch, with B - 1 in the denominator: of one sample the cost is NaN.
    These are the terms and weights of the authors' program; their paper sums the two variance
    terms where the program takes the mean.

    Bardes, Ponce and LeCun, VICReg: variance-invariance-covariance regularization for
    self-supervised learning, 2022.

    Args:
        a: floats (B, D), the codes of one view.
        b: of the same shape and dtype, those of the other view.
        invariance: the weight of the first term, 0 or more.
        variance: that of the second.
        covariance: that of the third.
        epsilon: is added to a variance, 0 or more.

    Raises:
        ShapeError: codes that are not (B, D), or of two shapes: nothing is broadcast.
        DtypeError: no floats, or different dtypes.
        TypeError, ValueError: a weight or an epsilon that is none or below 0.
    """
    weights = {"invariance": invariance, "variance": variance, "covariance": covariance}
    same, spread, apart = (
        number("vicreg", name, given, least=0) for name, given in weights.items()
    )
    epsilon = number("vicreg", "epsilon", epsilon, least=0)
    a, b = _codes("vicreg", a, b)
    difference = a - b
    total = same * reductions.mean(difference * difference)
    samples, width = a.shape
    for codes in (a, b):
        centred = codes - reductions.mean(codes, 0, keepdims=True)
        freedom = size(samples, codes.dtype) - 1.0
        deviation = sqrt(reductions.sum(centred * centred, 0) / freedom + epsilon)
        total = total + 0.5 * spread * reductions.mean(maximum(1.0 - deviation, 0.0))
        products = matmul(transpose(centred), centred) / freedom
        beside = where(_diagonal(width), 0.0, products)
        total = total + apart * reductions.sum(beside * beside) / size(width, codes.dtype)
    return total


def _unit(codes: Variable) -> Variable:
    """Codes of length 1; those shorter than 1e-12 are divided by that."""
    squares = reductions.sum(codes * codes, -1, keepdims=True)
    found: Variable = codes * rsqrt(maximum(squares, 1e-24))
    return found


def _diagonal(extent: Dim) -> Variable:
    """The bools (extent, extent) that are true where both indices are one."""
    places = arange(extent)
    found: Variable = equal(expand_dims(places, 1), places)
    return found


def _codes(label: str, a: Any, b: Any) -> tuple[Variable, Variable]:
    """Two views' codes, floats (B, D) of one shape and dtype, as variables."""
    a, b = as_operands(a, b)
    subject = f"{label} ({user_location()})"
    for codes in (a, b):
        if codes.ndim != 2:
            raise ShapeError(
                f"{subject} expects codes (B, D), got {shape_text(codes.shape)} from "
                f"{source_text(codes)}"
            )
        if not codes.type.is_float:
            raise DtypeError(
                f"{subject} expects codes of dtype float32 or float64, got {codes.dtype} from "
                f'{source_text(codes)}: convert it with .astype("float32")'
            )
    if a.shape != b.shape:
        raise ShapeError(
            f"{subject} expects the codes of two views of one shape, got {shape_text(a.shape)} "
            f"from {source_text(a)} and {shape_text(b.shape)} from {source_text(b)}"
        )
    if a.dtype != b.dtype:
        raise DtypeError(
            f"{subject} expects the codes of two views of one dtype, got {a.dtype} from "
            f"{source_text(a)} and {b.dtype} from {source_text(b)}"
        )
    return a, b

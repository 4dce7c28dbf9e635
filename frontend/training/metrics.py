"""Metrics: what else `fit` and `evaluate` say of a program, drawn and compiled into its steps.

A variable of shape () is a metric as it is: of several batches, `fit` and `evaluate` give the mean,
weighted by their samples, or the sum where it is a sum over the samples.  What is neither, such as
a quotient of sums, is a `Metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import INDICES
from ..arguments import function, integer, number, text, wrong
from ..drawing.blocks import block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.elementwise import as_operands, equal, greater, greater_equal, less, logical_and
from ..operations.ordering.along import take_along_axis
from ..operations.reductions import argmax, mean, sum
from ..operations.source import size
from ..operations.structure import expand_dims, squeeze
from ..variables.variable import Variable, shape_text, source_text

Array = npt.NDArray[Any]
__all__ = ["Metric", "accuracy", "binary_accuracy", "r2", "top_k"]


class Metric:
    """A number of all samples, put together from what is computed of each batch.

        hits, found = dg.sum(hit.astype("float32")), dg.sum(said.astype("float32"))
        precision = dg.metrics.Metric(
            {"hits": hits, "found": found}, lambda hits, found: hits.sum() / found.sum()
        )

    Args:
        parts: variables that are computed of each batch, by name; their shapes do not depend on
            the batch.
        total: a function of the parts, by these names, each an array in float64 with the batches
            along a first axis; it gives a number.

    Raises:
        TypeError: no dict of variables; no function.
    """

    def __init__(self, parts: Mapping[str, Variable], total: Callable[..., Any]) -> None:
        if not isinstance(parts, Mapping) or not parts:
            raise wrong("Metric", "a dict of variables, {'hits': ...}", parts)
        for name, part in parts.items():
            text("Metric", "the names of its parts", name)
            if not isinstance(part, Variable):
                raise wrong("Metric", f"part '{name}' to be a variable", part)
        self.parts = dict(parts)
        self._total = function("Metric", "total", total, "of arrays by the names of the parts")

    def total(self, values: Mapping[str, Array]) -> float:
        """The number of all batches, from the parts, stacked along a first axis."""
        with np.errstate(all="ignore"):
            return float(self._total(**values))


@block
def accuracy(scores: Variable, labels: Variable, weights: Variable | None = None) -> Variable:
    """The share of samples whose greatest score is their label's.

    Args:
        scores: floats (..., classes), normalised or not; the first of equal ones is the greatest.
        labels: int32 or int64 of the shape (...).
        weights: of the samples, of the labels' shape, as floats: the share of the sum of weights.

    Returns:
        A float of shape (), in the dtype of the scores.

    Raises:
        ShapeError, DtypeError: labels or weights of another shape or dtype.
    """
    scores, labels = _scored("accuracy", scores, labels)
    hits = equal(argmax(scores, -1).astype(labels.dtype), labels)
    return _share("accuracy", hits, scores, weights)


@block
def binary_accuracy(
    scores: Variable, labels: Variable, threshold: float = 0.0, weights: Variable | None = None
) -> Variable:
    """The share of elements whose score is on its label's side of the threshold.

    Args:
        scores: floats of any shape: of logits the threshold is 0, of probabilities 0.5.
        labels: of the same shape: 0 or 1 in any dtype, or bool.
        threshold: what a score of a 1 reaches.
        weights: of the elements, of the same shape, as floats.

    Returns:
        A float of shape (), in the dtype of the scores.

    Raises:
        ShapeError, DtypeError: labels or weights of another shape, scores that are no floats.
        ValueError: a threshold that is no finite number.
    """
    threshold = number("binary_accuracy", "threshold", threshold)
    scores, labels = as_operands(scores, labels)
    _expect_floats("binary_accuracy", scores)
    _expect_shape("binary_accuracy", "labels", labels, scores)
    truth = labels if labels.dtype == "bool" else greater(labels, 0)
    hits = equal(greater_equal(scores, threshold), truth)
    return _share("binary_accuracy", hits, scores, weights)


@block
def top_k(
    scores: Variable, labels: Variable, k: int = 5, weights: Variable | None = None
) -> Variable:
    """The share of samples whose label's score is among the k greatest; equal ones are all in.

    Args:
        scores: floats (..., classes).
        labels: int32 or int64 of the shape (...), in [0, classes).
        k: how many, at least 1.
        weights: of the samples, of the labels' shape, as floats.

    Returns:
        A float of shape (), in the dtype of the scores.

    Raises:
        ShapeError, DtypeError: labels or weights of another shape or dtype.
        ValueError: k below 1.
    """
    k = integer("top_k", "k", k, 1)
    scores, labels = _scored("top_k", scores, labels)
    own = take_along_axis(scores, expand_dims(labels, -1), -1)
    above = sum(greater(scores, own).astype("int64"), -1)
    own = squeeze(own, -1)
    return _share("top_k", logical_and(less(above, k), equal(own, own)), scores, weights)


def r2(prediction: Variable, target: Variable) -> Metric:
    """The coefficient of determination, 1 - sum((t - p)**2) / sum((t - mean(t))**2).

    Samples are in front; of further axes it is the mean of the coefficients of all columns, as
    scikit-learn's `r2_score`.  The mean is that of all samples: batches are put together as by
    Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
    variances, 1979, in float64.  A column of equal targets has -inf, or NaN where all is hit.

    Args:
        prediction: floats (B, ...).
        target: of the same shape and dtype.

    Raises:
        ShapeError, DtypeError: another shape or dtype; no axis in front.
    """
    prediction, target = as_operands(prediction, target)
    _expect_floats("r2", prediction)
    _expect_shape("r2", "target", target, prediction)
    if not target.shape:
        raise ShapeError(f"r2 ({user_location()}) expects samples in front, got a target of ()")
    target, prediction = target.astype("float64"), prediction.astype("float64")
    middle = mean(target, 0)
    parts = {
        "count": size(target.shape[0]).astype("float64"),
        "middle": middle,
        "spread": sum((target - middle) * (target - middle), 0),
        "error": sum((target - prediction) * (target - prediction), 0),
    }
    return Metric(parts, _coefficient)


def _coefficient(count: Array, middle: Array, spread: Array, error: Array) -> float:
    counts = count.reshape(-1, *[1] * (middle.ndim - 1))
    away = middle - (counts * middle).sum(0) / count.sum()
    total = (spread + counts * away * away).sum(0)
    return float(np.mean(1.0 - error.sum(0) / total))


def _scored(what: str, scores: Any, labels: Any) -> list[Variable]:
    scores, labels = as_operands(scores, labels)
    _expect_floats(what, scores)
    if labels.dtype not in INDICES:
        raise DtypeError(
            f"{what} ({user_location()}) expects labels of int32 or int64, got "
            f"{source_text(labels)} of {labels.dtype}"
        )
    if labels.shape != scores.shape[:-1] or not scores.shape:
        raise ShapeError(
            f"{what} ({user_location()}) expects a label for each sample, of shape "
            f"{shape_text(scores.shape[:-1])} for scores {shape_text(scores.shape)}, got "
            f"{source_text(labels)} of {shape_text(labels.shape)}"
        )
    return [scores, labels]


def _share(what: str, hits: Variable, scores: Variable, weights: Variable | None) -> Variable:
    """The mean of hits, or that with weights."""
    if weights is None:
        return mean(hits.astype(scores.dtype))
    (weights,) = as_operands(weights)
    _expect_floats(what, weights)
    _expect_shape(what, "weights", weights, hits)
    return (sum(weights * hits.astype(weights.dtype)) / sum(weights)).astype(scores.dtype)


def _expect_floats(what: str, item: Variable) -> None:
    if not item.type.is_float:
        raise DtypeError(
            f"{what} ({user_location()}) expects floats, got {source_text(item)} of {item.dtype}"
        )


def _expect_shape(what: str, name: str, item: Variable, other: Variable) -> None:
    if item.shape != other.shape:
        raise ShapeError(
            f"{what} ({user_location()}) expects {name} of shape {shape_text(other.shape)}, got "
            f"{source_text(item)} of {shape_text(item.shape)}"
        )

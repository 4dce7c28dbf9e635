"""Costs of classes: of scores or log-probabilities, and of the class that is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....compiler.dtypes import INDICES
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import integer, number
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.elementwise import (
    as_operands,
    astype,
    equal,
    exp,
    greater_equal,
    log,
    logical_and,
    maximum,
    where,
)
from ...operations.places import expect_within, fixed_value
from ...operations.source import arange, size
from ...operations.structure import expand_dims
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text, source_text
from ..functions.softmaxes import greatest
from .reduction import Reduction, alike, cost, expect_floats, reduced, weights_of
from .squashed import warn_of


@cost
def cross_entropy(
    scores: Variable,
    labels: Variable,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Variable:
    """-log softmax(scores) at each sample's label, by default the mean over the samples.

    Computed from the scores, without overflow.  Where a label is computed and lies outside
    [0, classes), the cost is NaN; those of an observed variable are checked before a step, and
    fixed ones when the cost is drawn.

    Label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception
    architecture for computer vision, 2016.

    Args:
        scores: floats (..., classes), not normalised.
        labels: int32 or int64 of the shape (...); or the probabilities of the classes, floats of
            the shape and dtype of the scores, for -sum(labels * log softmax(scores)).
        reduction: "mean" or "sum" over the samples, or "none".  The mean is over the sum of the
            weights of the labels that are not ignored, as in PyTorch, NaN where all are; with
            probabilities it is over the number of samples, whatever the weights.
        weight: (classes,) of the scores' dtype: what each class counts.
        ignore_index: a label, among the classes or not, whose samples cost nothing.
        label_smoothing: in [0, 1], the share of a label that all classes have in equal parts.
        axis: where the scores have their classes: 1 of maps (B, classes, H, W), whose labels are
            (B, H, W).

    Raises:
        ShapeError: labels or weights of another shape.
        DtypeError: labels that are no integers, or scores that are no floats.
        ValueError: a `label_smoothing` outside of [0, 1], an `ignore_index` for probabilities.
    """
    label = "cross_entropy"
    smoothing = number(label, "label_smoothing", label_smoothing, least=0, most=1)
    samples = _samples(label, "scores", scores, labels, weight, ignore_index, axis)
    warn_of(label, samples.values, "softmax", "scores as they are", "leave the softmax out")
    centred = samples.values - greatest(label, samples.values, samples.axis)
    total = log(reductions.sum(exp(centred), samples.axis))
    if samples.labels.type.is_float:
        costs = _of_shares(samples, centred, total, smoothing)
        return reduced(label, costs, reduction)
    costs = samples.weighted(total - samples.at_label(centred))
    if smoothing:
        spread = _of_shares(samples, centred, total, 1.0)
        costs = (1.0 - smoothing) * costs + smoothing * spread
    return samples.reduced(label, costs, reduction)


@cost
def nll(
    log_probabilities: Variable,
    labels: Variable,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    axis: int = -1,
) -> Variable:
    """The negative logarithm of each label's probability: of the output of `log_softmax`.

    Args:
        log_probabilities: floats (..., classes).
        labels: int32 or int64 of the shape (...); outside the classes as in `cross_entropy`.
        reduction: "mean" or "sum" over the samples, or "none"; as in `cross_entropy`.
        weight: (classes,) of the same dtype: what each class counts.
        ignore_index: a label, among the classes or not, whose samples cost nothing.
        axis: where the classes are.

    Raises:
        ShapeError: labels or weights of another shape.
        DtypeError: labels that are no integers, or log-probabilities that are no floats.
    """
    given = "nll", "log-probabilities", log_probabilities, labels, weight, ignore_index, axis
    samples = _samples(*given, shares=False)
    warn_of("nll", samples.values, "softmax", "log-probabilities", "use dg.log_softmax")
    costs = samples.weighted(-samples.at_label(samples.values))
    return samples.reduced("nll", costs, reduction)


@cost
def multi_margin(
    scores: Variable,
    labels: Variable,
    p: int = 1,
    margin: float = 1.0,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    axis: int = -1,
) -> Variable:
    """By how much the score of the right class fails to exceed the others by a margin.

    The sum over the other classes of max(0, margin - score of the label + score) ** p, over the
    number of classes; its derivative at the margin is 0.

    Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector
    machines, 2001, with the sum of PyTorch's `multi_margin_loss` in the place of the maximum.

    Args:
        scores: floats (..., classes).
        labels: int32 or int64 of the shape (...); outside the classes as in `cross_entropy`.
        p: 1 or 2.
        margin: a number.
        reduction: "mean" or "sum" over the samples, or "none"; the mean is over their number.
        weight: (classes,) of the same dtype: what a sample of each class counts.
        axis: where the classes are.

    Raises:
        ShapeError: labels or weights of another shape.
        DtypeError: labels that are no integers, or scores that are no floats.
        ValueError: another p.
    """
    p = integer("multi_margin", "p", p, 1, 2)
    margin = number("multi_margin", "margin", margin)
    samples = _samples("multi_margin", "scores", scores, labels, weight, None, axis, shares=False)
    right = expand_dims(samples.at_label(samples.values), samples.axis)
    short = maximum(margin - right + samples.values, 0.0)
    others = where(samples.chosen, 0.0, short if p == 1 else short * short)
    costs = samples.weighted(reductions.mean(others, samples.axis))
    return reduced("multi_margin", costs, reduction)


@dataclass(frozen=True, eq=False)
class _Samples:
    """Numbers of each sample and class, and the labels of the samples.

    Attributes:
        values: floats, with the classes along `axis`.
        labels: integers without that axis, or the probabilities of the classes.
        axis: counted from the front.
        weight: of the classes, of a shape that broadcasts to the values; None for 1.
        kept: which samples count; None for all.
        chosen: of each sample, its class; of no meaning for probabilities.
    """

    values: Variable
    labels: Variable
    axis: int
    weight: Variable | None
    kept: Variable | None
    chosen: Variable

    def at_label(self, values: Variable) -> Variable:
        """The value at each sample's label; NaN where there is none."""
        picked = reductions.sum(where(self.chosen, values, 0.0), self.axis)
        classes = values.shape[self.axis]
        limit = classes if isinstance(classes, int) else size(classes, self.labels.dtype)
        inside = logical_and(greater_equal(self.labels, 0), self.labels < limit)
        return where(inside, picked, math.nan)

    def _weight_at_label(self) -> Variable:
        assert self.weight is not None
        return reductions.sum(where(self.chosen, self.weight, 0.0), self.axis)

    def weighted(self, costs: Variable) -> Variable:
        """The costs of the samples, times the weights of their labels."""
        return costs if self.weight is None else costs * self._weight_at_label()

    def reduced(self, label: str, costs: Variable, reduction: Reduction) -> Variable:
        """What the samples that count cost; the mean is over their weights."""
        count = None if self.weight is None else self._weight_at_label()
        if self.kept is not None:
            costs = where(self.kept, costs, 0.0)
            one = astype(self.kept, costs.dtype)
            count = one if count is None else where(self.kept, count, 0.0)
        total = None if count is None else reductions.sum(count)
        return reduced(label, costs, reduction, total)


def _of_shares(samples: _Samples, centred: Variable, total: Variable, smoothing: float) -> Variable:
    """Minus the sum of the classes' log-probabilities, times their probabilities and weights."""
    axis = samples.axis
    costs = expand_dims(total, axis) - centred
    if smoothing:
        classes = centred.shape[axis]
        even = smoothing / (classes if isinstance(classes, int) else size(classes, centred.dtype))
        share = even if smoothing == 1 else samples.labels * (1.0 - smoothing) + even
    else:
        share = samples.labels
        # A class that is impossible and has no share would be infinity times 0.
        costs = where(logical_and(equal(share, 0.0), equal(costs, math.inf)), 0.0, costs)
    costs = costs * share
    if samples.weight is not None:
        costs = costs * samples.weight
    return reductions.sum(costs, axis)


def _samples(
    label: str,
    name: str,
    values: Any,
    labels: Any,
    weight: Any,
    ignore_index: int | None,
    axis: int,
    shares: bool = True,
) -> _Samples:
    """Values, and labels that fit them, to be checked before a step that is given them."""
    subject = f"{label} ({user_location()})"
    (values,), (labels,) = as_operands(values), as_operands(labels)
    expect_floats(subject, name, values)
    where_ = integer(label, "axis", axis)
    if values.ndim == 0:
        raise ShapeError(
            f"{subject} expects {name} of shape (..., classes), got () from {source_text(values)}"
        )
    if not -values.ndim <= where_ < values.ndim:
        raise ShapeError(
            f"{subject} expects an axis of the {name} {shape_text(values.shape)}, got {axis}"
        )
    where_ %= values.ndim
    if ignore_index is not None:
        ignore_index = integer(label, "ignore_index", ignore_index)
    classes = values.shape[where_]
    if weight is not None:
        weight = weights_of(subject, "weight", weight, name, values, (classes,))
        for _ in range(where_ + 1, values.ndim):
            weight = expand_dims(weight, -1)
    if shares and labels.type.is_float and labels.shape == values.shape:
        values, labels = alike(label, scores=values, labels=labels)
        if ignore_index is not None:
            raise ValueError(
                f"{subject} expects no ignore_index beside probabilities, got {ignore_index}: give "
                "samples that shall not count probabilities of 0"
            )
        return _Samples(values, labels, where_, weight, None, labels)
    if labels.dtype not in INDICES:
        also = f", or probabilities of shape {shape_text(values.shape)}" if shares else ""
        raise DtypeError(
            f"{subject} expects labels of dtype int32 or int64, got {labels.dtype} from "
            f"{source_text(labels)}: labels are class numbers{also}"
        )
    samples = values.shape[:where_] + values.shape[where_ + 1 :]
    if labels.shape != samples:
        raise ShapeError(
            f"{subject} expects labels of shape {shape_text(samples)}, got "
            f"{shape_text(labels.shape)} from {source_text(labels)}: one class number for each "
            f"sample of the {name} {shape_text(values.shape)}"
        )
    checked, kept = _checked(labels, classes, ignore_index)
    numbers = arange(classes, dtype=checked.dtype)
    for _ in range(where_ + 1, values.ndim):
        numbers = expand_dims(numbers, -1)
    chosen = equal(expand_dims(checked, where_), numbers)
    return _Samples(values, checked, where_, weight, kept, chosen)


def _checked(
    labels: Variable, classes: Any, ignore_index: int | None
) -> tuple[Variable, Variable | None]:
    """Labels that are to be in [0, classes), 0 for those that do not count; and which ones do."""
    fixed = fixed_value(labels)
    if fixed is not None and ignore_index is not None:
        fixed = np.where(fixed == ignore_index, 0, fixed)

    def expected(b: Builder, node: Node) -> Node:
        if fixed is not None:
            expect_within("labels", fixed, 0, classes, where="labels")
        return b.widened(b.apply("in_range", node, low=0, high=classes))

    def rule(b: Builder, node: Node) -> tuple[Node, Node]:
        wide = b.widened(node)
        kept = b.ne(wide, b.fill(ignore_index, wide.type))
        return expected(b, b.select(kept, node, b.fill(0, node.type))), kept

    if ignore_index is None:
        checked: Variable = apply("labels", expected, [labels], as_stored=True)
        return checked, None
    kept: Variable
    checked, kept = apply("labels", rule, [labels], 2, as_stored=True)
    return checked, kept

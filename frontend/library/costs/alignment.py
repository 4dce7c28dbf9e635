"""The cost of a sequence of labels that says nothing of where in time they are."""

from __future__ import annotations

import functools
import math
from typing import Any

from ....compiler.dtypes import INDICES, computed
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import flag, integer
from ...drawing.blocks import block
from ...drawing.loops.loop import loop
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.elementwise import (
    add,
    as_operands,
    astype,
    equal,
    exp,
    greater,
    less_equal,
    log,
    maximum,
    not_equal,
    stop_gradient,
    where,
)
from ...operations.ordering.along import take_along_axis
from ...operations.source import arange, fill, size
from ...operations.structure import broadcast_to, concatenate, expand_dims
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text, source_text
from .reduction import Reduction, cost, expect_floats, expect_reduction, reduced
from .squashed import warn_of


@cost
def ctc(
    log_probabilities: Variable,
    labels: Variable,
    lengths: Variable | None = None,
    label_lengths: Variable | None = None,
    blank: int = 0,
    reduction: Reduction = "mean",
    *,
    zero_infinity: bool = False,
) -> Variable:
    """Connectionist temporal classification: -log of the probability of a sequence of labels.

    The sum is over all ways to spread the labels over the steps, each for one step or several in
    turn, with blanks between them, one at least between two that are the same.  Where the steps do
    not suffice, the cost is infinite, with the gradient 0.

    Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification, 2006.

    Args:
        log_probabilities: floats (T, B, classes), time first: the output of `log_softmax`.
        labels: int32 or int64 (B, S), class numbers other than the blank; behind a sample's own
            they are padding, and may be anything.
        lengths: int32 or int64 (B,), how many steps each sample has; by default T.
        label_lengths: likewise, how many labels; by default S.
        blank: the class that is no label.
        reduction: "mean" is over the samples, of the costs over the numbers of labels (over 1 where
            there are none), as in PyTorch; "sum", or "none" for each sample's.
        zero_infinity: whether an infinite cost counts as 0.

    Raises:
        ShapeError: other shapes, a blank that is no class.
        DtypeError: no floats, or labels and lengths that are no integers.
    """
    subject = f"ctc ({user_location()})"
    (scores,), (labels,) = as_operands(log_probabilities), as_operands(labels)
    expect_floats(subject, "log-probabilities", scores)
    warn_of("ctc", scores, "softmax", "log-probabilities", "use dg.log_softmax")
    if scores.ndim != 3:
        raise ShapeError(
            f"{subject} expects log-probabilities of shape (T, B, classes), got "
            f"{shape_text(scores.shape)} from {source_text(scores)}"
        )
    steps, samples, classes = scores.shape
    blank = integer("ctc", "blank", blank, 0)
    if isinstance(classes, int) and blank >= classes:
        raise ShapeError(f"{subject} expects a blank that is one of {classes} classes, got {blank}")
    if labels.ndim != 2 or labels.shape[0] != samples:
        raise ShapeError(
            f"{subject} expects labels of shape ({samples}, S), got {shape_text(labels.shape)} "
            f"from {source_text(labels)}"
        )
    count = labels.shape[1]
    for name, given, shape in (
        ("labels", labels, labels.shape),
        ("lengths", lengths, (samples,)),
        ("label_lengths", label_lengths, (samples,)),
    ):
        if given is not None:
            _expect_integers(subject, name, as_operands(given)[0], shape)
    labels, ends = _checked(labels, label_lengths, classes)

    index = broadcast_to(expand_dims(labels, 0), (steps, samples, count))
    spoken = take_along_axis(scores, index, -1)
    dtype = computed(scores.dtype)
    impossible = fill(-math.inf, (samples, 1), dtype)
    before_all = fill(-1, (samples, 1), labels.dtype)
    # Two labels that are the same need a blank between them.
    other = not_equal(labels, concatenate([before_all, labels], 1)[:, :-1])
    places = arange(count + 1)
    start = where(equal(places, 0), fill(0.0, (), dtype), -math.inf)

    t = loop("t", lengths=lengths)
    at_label = t.delay("label", -math.inf, shape=(samples, count), dtype=dtype)
    at_blank = t.delay("blank", start, shape=(samples, count + 1), dtype=dtype)
    before = concatenate([impossible, at_label], 1)
    direct = where(other, before[:, :-1], -math.inf)
    label = log_sum(at_label, at_blank[:, :-1], direct) + t.each(spoken)
    silence = log_sum(at_blank, before) + expand_dims(t.each(scores[:, :, blank]), 1)
    t.close(at_label, label)
    t.close(at_blank, silence)

    last_labels = concatenate([impossible, t.last(label)], 1)
    ending = equal(places, expand_dims(ends, -1))
    both = log_sum(t.last(silence), last_labels)
    costs = -reductions.max(where(ending, both, -math.inf), -1)
    if flag("ctc", "zero_infinity", zero_infinity):
        costs = where(costs < math.inf, costs, 0.0)
    if expect_reduction("ctc", reduction) == "mean":
        costs = costs / astype(maximum(ends, 1), costs.dtype)
    return reduced("ctc", costs, reduction)


def _expect_integers(subject: str, name: str, given: Variable, shape: Any) -> None:
    if given.dtype not in INDICES:
        raise DtypeError(
            f"{subject} expects {name} of dtype int32 or int64, got {given.dtype} from "
            f"{source_text(given)}"
        )
    if given.shape != tuple(shape):
        raise ShapeError(
            f"{subject} expects {name} of shape {shape_text(tuple(shape))}, got "
            f"{shape_text(given.shape)} from {source_text(given)}"
        )


def _checked(
    labels: Variable, label_lengths: Variable | None, classes: Any
) -> tuple[Variable, Variable]:
    """Labels that are to be in [0, classes), 0 behind a sample's own, and their numbers."""
    samples, count = labels.shape

    def whole(b: Builder, node: Node) -> Node:
        return b.widened(b.apply("in_range", node, low=0, high=classes))

    def rule(b: Builder, node: Node, numbers: Node) -> tuple[Node, Node]:
        ends = b.widened(b.apply("in_range", numbers, low=0, high=count + 1))
        place = b.apply("iota", axis=1, shape=node.shape, dtype=ends.dtype)
        own = b.apply("lt", place, b.broadcast(ends, shape=node.shape, axes=(0,)))
        return whole(b, b.select(own, node, b.fill(0, node.type))), ends

    if label_lengths is None:
        checked: Variable = apply("labels", whole, [labels], as_stored=True)
        number = fill(count, (), "int32") if isinstance(count, int) else size(count, "int32")
        return checked, broadcast_to(number, (samples,))
    ends: Variable
    checked, ends = apply("labels", rule, [labels, label_lengths], 2, as_stored=True)
    return checked, ends


@block
def log_sum(*terms: Variable) -> Variable:
    """log(sum(exp(term))), elementwise; -inf of none that is more, with the gradient 0."""
    most = stop_gradient(functools.reduce(maximum, terms))
    most = where(greater(most, -math.inf), most, 0.0)
    total = functools.reduce(add, [exp(term - most) for term in terms])
    nothing = less_equal(total, 0.0)
    return most + where(nothing, -math.inf, log(where(nothing, 1.0, total)))

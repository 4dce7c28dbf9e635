"""The forward score of a lattice: the log-sum-exp of all paths of a machine through it."""

from __future__ import annotations

import math

from ...drawing.loops.loop import loop
from ...operations.elementwise import equal, where
from ...operations.indexing import one_hot
from ...variables.variable import Variable
from ..functions.softmaxes import greatest, logsumexp
from .steps import OfMachine, log_sums


class ForwardScore(OfMachine):
    """See `WFSM`."""

    def forward(self, scores: Variable, lengths: Variable | None = None) -> Variable:
        """(T, B, labels) -> (B,): of all paths."""
        return _total(self, scores, None, lengths)


class ConstrainedScore(OfMachine):
    """See `WFSM`."""

    def forward(
        self, scores: Variable, labels: Variable, lengths: Variable | None = None
    ) -> Variable:
        """(T, B, labels), (T, B) -> (B,): of the paths that take these labels."""
        return _total(self, scores, labels, lengths)


def _total(
    machine: OfMachine, scores: Variable, labels: Variable | None, lengths: Variable | None
) -> Variable:
    scores = machine.lattice(scores)
    arcs, weights = machine.arcs, machine.arc_weights()
    t = loop("t", lengths=lengths)
    score = t.each(scores)
    if labels is not None:
        chosen = one_hot(t.each(labels), scores.shape[2], machine.dtype)
        score = where(equal(chosen, 1.0), score, -math.inf)
    alpha = t.delay("alpha", machine.start(), shape=(scores.shape[1], len(arcs.states)))
    following = log_sums(arcs, alpha, weights, score)
    # The greatest is 0 after every step, and what is subtracted for that is added up apart.
    level = greatest("forward", following, -1)
    following = following - level
    t.close(alpha, following)
    return t.sum(level)[:, 0] + logsumexp(t.last(following) + machine.final())

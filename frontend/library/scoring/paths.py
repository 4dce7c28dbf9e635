"""Single paths through a lattice: the best one, and the score of one that is given."""

from __future__ import annotations

import math

from ...drawing.loops.loop import loop
from ...operations import reductions
from ...operations.elementwise import (
    astype,
    equal,
    greater,
    less_equal,
    logical_and,
    stop_gradient,
    where,
)
from ...operations.indexing import gather, one_hot
from ...operations.source import arange
from ...operations.structure import concatenate, expand_dims
from ...variables.variable import Variable
from ..functions.softmaxes import greatest, logsumexp
from .steps import OfMachine, along_arcs, taken


class PathScore(OfMachine):
    """See `WFSM`."""

    def forward(
        self,
        scores: Variable,
        labels: Variable,
        states: Variable,
        lengths: Variable | None = None,
    ) -> Variable:
        """(T, B, labels), (T, B) and (T + 1, B) -> (B,): the weights and scores of one path."""
        scores = self.lattice(scores)
        arcs, weights = self.arcs, self.arc_weights()
        t = loop("t", lengths=lengths)
        score, label, following = t.each(scores), t.each(labels), t.each(states[1:])
        state = t.delay("state", states[0])
        rows = gather(arcs.incoming, following)
        source, target = (
            gather(arcs.into(values), following) for values in (arcs.source, arcs.label)
        )
        meant = logical_and(
            equal(source, astype(expand_dims(state, -1), "int32")),
            equal(target, astype(expand_dims(label, -1), "int32")),
        )
        # Arcs that differ in nothing else than their weights are one with the log-sum of these.
        arc = logsumexp(where(meant, gather(weights, rows), -math.inf), -1)
        t.close(state, following)
        total = t.sum(arc + _at(score, label))
        return total + gather(self.start(), states[0]) + gather(self.final(), t.last(following))


class Viterbi(OfMachine):
    """See `WFSM`."""

    def forward(
        self, scores: Variable, lengths: Variable | None = None
    ) -> tuple[Variable, Variable, Variable]:
        """(T, B, labels) -> (B,), int32 (T, B) and int32 (T + 1, B)."""
        scores = self.lattice(scores)
        arcs = self.arcs
        choices, end, alive = self._choices(stop_gradient(scores), lengths)
        weights, width = self.arc_weights(), arcs.incoming.shape[1]
        back = loop("back", reverse=True, lengths=lengths)
        score, choice = back.each(scores), back.each(choices)
        state = back.delay("state", end)
        place = state * width + _at(choice, state)
        arc = gather(arcs.incoming.reshape(-1), place)
        label = gather(arcs.into(arcs.label).reshape(-1), place)
        before = gather(arcs.into(arcs.source).reshape(-1), place)
        back.close(state, before)
        first = back.last(before)
        total = back.sum(gather(weights, arc) + _at(score, label))
        total = total + gather(self.start(), first) + gather(self.final(), end)
        labels, states = back.stack(label), concatenate([first[None], back.stack(state)])
        real = alive
        if lengths is not None:
            steps = expand_dims(arange(states.shape[0], dtype=lengths.dtype), 1)
            real = logical_and(alive, less_equal(steps, lengths))
        taking = real if lengths is None else real[1:]
        return (
            where(alive, total, -math.inf),
            where(taking, labels, -1),
            where(real, states, -1),
        )

    def _choices(
        self, scores: Variable, lengths: Variable | None
    ) -> tuple[Variable, Variable, Variable]:
        """The best arc into each state at each step, the best last state, and whether it is one."""
        weights = stop_gradient(self.arc_weights())
        t = loop("t", lengths=lengths)
        score = taken(self.arcs, t.each(scores))
        shape = (scores.shape[1], len(self.arcs.states))
        best = t.delay("best", stop_gradient(self.start()), shape=shape)
        along = along_arcs(self.arcs, best, weights) + score
        following = reductions.max(along, 1)
        following = following - greatest("viterbi", following, -1)
        t.close(best, following)
        ends = t.last(following) + stop_gradient(self.final())
        choices = t.stack(astype(reductions.argmax(along, 1), "int32"))
        end = astype(reductions.argmax(ends, -1), "int32")
        return choices, end, greater(reductions.max(ends, -1), -math.inf)


def _at(values: Variable, index: Variable) -> Variable:
    """Of each row of (B, n) the element at an index of shape (B,)."""
    chosen = equal(one_hot(index, values.shape[1]), 1.0)
    return reductions.sum(where(chosen, values, 0), -1)

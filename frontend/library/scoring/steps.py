"""What forward and Viterbi share: the weights of a machine, and one step over its arcs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ....compiler.dtypes import computed
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.contractions import logmatmulexp
from ...operations.elementwise import as_operands
from ...operations.indexing import take
from ...operations.structure import concatenate, expand_dims, squeeze
from ...variables.constants import constant
from ...variables.variable import Variable, shape_text, source_text
from ..functions.softmaxes import logsumexp
from .arcs import Arcs


class OfMachine(Block):
    """A machine, or a block that it holds, which computes with its weights.

    Args:
        arcs: the machine's.
        weights: what is added to the arcs' own weights, of shape (arcs,), or None.
        scalars: the variables among those.
        dtype: of all of them.
    """

    weights: Variable | None
    scalars: tuple[Variable, ...]

    def __init__(
        self, arcs: Arcs, weights: Variable | None, scalars: Sequence[Variable], dtype: str
    ) -> None:
        self.arcs = arcs
        self.dtype = dtype
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "scalars", tuple(scalars))

    def parameters(self) -> dict[str, Variable]:
        """As for every block, with the names of the scalars as they are."""
        return {k.removeprefix("scalars/"): v for k, v in super().parameters().items()}

    def arc_weights(self) -> Variable:
        """The weight of each arc, and -inf behind them."""
        own = self.arcs.weight.vector(self.scalars, self.dtype)
        found = own if self.weights is None else own + self.weights
        return concatenate([found, constant(np.full(1, -math.inf, self.dtype))])

    def start(self) -> Variable:
        """The weight of each state as the first one."""
        return self.arcs.start.vector(self.scalars, self.dtype)

    def final(self) -> Variable:
        """The weight of each state as the last one."""
        return self.arcs.final.vector(self.scalars, self.dtype)

    def lattice(self, scores: Variable) -> Variable:
        """The scores, as a variable of shape (T, B, labels)."""
        (scores,) = as_operands(scores)
        subject, count = f"{self._describe()} ({user_location()})", len(self.arcs.labels)
        came = f"got {scores.dtype} {shape_text(scores.shape)} from {source_text(scores)}"
        if scores.ndim != 3 or scores.shape[2] != count:
            raise ShapeError(f"{subject} expects scores of shape (T, B, {count}), {came}")
        if scores.dtype != computed(self.dtype):
            raise DtypeError(
                f"{subject} expects {self.dtype} scores like the weights of its machine, {came}: "
                f'convert them with .astype("{self.dtype}")'
            )
        return scores


def along_arcs(arcs: Arcs, values: Variable, weights: Variable) -> Variable:
    """A value of each state before a step, plus the weight of each arc out of it.

    Args:
        arcs: of S states, into each of which lead at most D arcs.
        values: (B, S).
        weights: (arcs + 1,), the last one -inf.

    Returns:
        (B, D, S): the arcs into a state are a column, so that sums over them go side by side.
    """
    if arcs.complete:
        before = expand_dims(values, 2)
    else:
        before = take(values, arcs.into(arcs.source).T, axis=1)
    return before + take(weights, arcs.incoming.T)


def log_sums(arcs: Arcs, values: Variable, weights: Variable, scores: Variable) -> Variable:
    """Of all arcs into a state, the log-sum-exp of what `along_arcs` gives plus their scores.

    The scores are (B, labels), the result is (B, S).
    """
    score = taken(arcs, scores)
    if arcs.by_state is None:
        return logsumexp(along_arcs(arcs, values, weights) + score, 1)
    if arcs.complete:
        following = logmatmulexp(values, take(weights, arcs.incoming.T))
    else:
        following = logsumexp(along_arcs(arcs, values, weights), 1)
    return following + squeeze(score, 1)


def taken(arcs: Arcs, scores: Variable) -> Variable:
    """The scores (B, labels) of the labels that the arcs take.

    Returns:
        (B, 1, S) where all arcs into a state take one label, else (B, D, S).
    """
    of_state = arcs.by_state
    if of_state is None:
        return take(scores, arcs.into(arcs.label).T, axis=1)
    if not np.array_equal(of_state, np.arange(len(arcs.labels))):
        scores = take(scores, of_state, axis=1)
    return expand_dims(scores, 1)

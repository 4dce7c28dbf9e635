"""A model that goes on with a sequence: the loop in which it reads what it has written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...drawing.blocks import Block, block
from ...drawing.loops.loop import loop
from ...drawing.states import updates_inside
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, astype, equal, log, logical_or, maximum
from ...operations.ordering.along import take_along_axis
from ...operations.ordering.sorting import topk
from ...operations.random import random_uniform
from ...operations.reductions import argmax
from ...operations.reductions import min as least
from ...operations.structure import concatenate, expand_dims, squeeze
from ...variables.variable import Variable, shape_text, source_text
from ..attention.continuing import continued_by
from .caches import Prompt, Step

LEAST = 2.0**-25
"""Half of the least uniform number that is not 0: its logarithm is finite."""


@dataclass(frozen=True, eq=False)
class Written:
    """What a model has written, as variables.

    Attributes:
        symbols: int32 of shape (N + 1, B); 0 behind the steps that were made.
        last_place: the position of the last symbol that it has read behind the prompt, int32 of
            shape (); 0 without such.
        scores: of the symbol behind the prompt, (B, V).
        last_scores: of the last symbol, computed from what the blocks kept; 0 without such.
        limits: blocks of the model that have so many positions and no more.
    """

    symbols: Variable
    last_place: Variable
    scores: Variable
    last_scores: Variable
    limits: list[tuple[Block, int]]

    @property
    def outputs(self) -> dict[str, Variable]:
        """The variables by name."""
        return {name: item for name, item in vars(self).items() if isinstance(item, Variable)}


def write(
    model: Callable[[Variable], Any],
    prompt: Variable,
    places: Variable,
    temperature: Variable | None = None,
    top_k: int | None = None,
    stop: Variable | None = None,
    batch_first: bool = True,
) -> Written:
    """The symbols that a model writes after a prompt, each of which it reads at the next step.

    The prompt goes through the model once.  Each further step reads one symbol, and of those before
    it what the blocks keep: keys and values, or states.

    Args:
        model: a block or a function of symbols (B, T) that gives scores (B, T, V), such that those
            of a step depend on no later one.
        prompt: int32 of shape (B, P).
        places: int32 of shape (N,): the positions P, P + 1, ... of the symbols that are read.
        temperature: what the probabilities are raised to 1 over, of shape (); without one, the
            symbol with the greatest score is written.
        top_k: how many of the greatest scores may be drawn; None for all.
        stop: int32 of shape (), a symbol: no step is made once all samples have written it.
        batch_first: the prompt and the model's symbols and scores with samples first; otherwise
            with time first.

    Raises:
        ShapeError, DtypeError: a model that gives something else.
    """
    time = 1 if batch_first else 0
    begin = Prompt(prompt.shape[time] + places.shape[0])
    with continued_by(begin), updates_inside() as left:
        scores = _last(model(prompt), prompt, time)
    first = _sound(next_symbol(scores, temperature, top_k))
    t = loop("write")
    place = t.each(places)
    symbol = t.delay("symbol", first)
    number = iter(range(len(left)))
    kept = [
        (owner, tuple(t.delay(f"{key.name}_{next(number)}", left[key]) for key in keys))
        for owner, keys in begin.kept
    ]
    with continued_by(Step(place, kept)), updates_inside() as left:
        after = _last(model(expand_dims(symbol, time)), prompt, time)
    chosen = _sound(next_symbol(after, temperature, top_k))
    t.close(symbol, chosen)
    for _, delays in kept:
        for delay in delays:
            t.close(delay, left[delay])
    if stop is not None:
        ended = t.delay("ended", equal(first, stop))
        now = logical_or(ended, equal(chosen, stop))
        t.close(ended, now)
        t.until(equal(least(astype(now, "int32")), 1))
    symbols = concatenate([expand_dims(first, 0), t.stack(chosen)], 0)
    return Written(symbols, t.last(place), scores, t.last(after), begin.limits)


@block
def next_symbol(scores: Variable, temperature: Variable | None, top_k: int | None) -> Variable:
    """A symbol for each sample: scores (B, V) -> int32 (B,).

    With a temperature it is drawn with the probabilities softmax(scores / temperature), by the
    greatest of the scores with Gumbel's noise: which of them is greatest does not depend on a
    factor, so that the noise has the temperature, which may be 0.

    Gumbel, Statistical theory of extreme values and some practical applications, 1954.
    """
    symbols = None
    if temperature is not None:
        if top_k is not None:
            scores, symbols = topk(scores, top_k)
        uniform = random_uniform(scores.shape, dtype=scores.dtype)
        scores = scores - astype(temperature, scores.dtype) * log(-log(maximum(uniform, LEAST)))
    chosen = argmax(scores, -1)
    if symbols is not None:
        chosen = squeeze(take_along_axis(symbols, expand_dims(chosen, -1)), -1)
    return astype(chosen, "int32")


def _sound(variable: Variable) -> Variable:
    """The variable; the first mistake is raised, so that no others come of it."""
    for mistake in variable.mistakes:
        raise mistake
    return variable


def _last(given: Any, prompt: Variable, time: int) -> Variable:
    """The scores after the last step, (B, V)."""
    place = f"generate ({user_location()})"
    if not isinstance(given, Variable):
        raise TypeError(f"{place} expects a model that gives scores, got {type(given).__name__}")
    (scores,) = as_operands(given)
    if scores.mistakes:
        return scores
    axes = "(B, T, V)" if time else "(T, B, V)"
    if scores.ndim != 3 or scores.shape[1 - time] != prompt.shape[1 - time]:
        raise ShapeError(
            f"{place} expects a model that gives scores of shape {axes}, got "
            f"{shape_text(scores.shape)} from {source_text(scores)}"
        )
    if not scores.type.is_float:
        raise DtypeError(
            f"{place} expects a model that gives scores, got {scores.dtype} from "
            f"{source_text(scores)}"
        )
    return scores[:, -1] if time else scores[-1]

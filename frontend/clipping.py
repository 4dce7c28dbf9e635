"""Clipping: gradients made smaller before an optimizer uses them, drawn and compiled into the step.

A clip is a callable from the gradients of all parameters to as many; an optimizer takes any.
"""

from __future__ import annotations

from collections.abc import Callable

from .operations import reductions
from .operations.elementwise import astype, maximum, minimum, sqrt
from .schedules import not_negative
from .variable import Variable

Clip = Callable[[list[Variable]], list[Variable]]


def clip_norm(limit: float) -> Clip:
    """Scale all gradients together so that their joint Euclidean norm is at most `limit`.

    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013; as
    `torch.nn.utils.clip_grad_norm_`.  ValueError for a negative limit.
    """
    most = not_negative("clip_norm", "a limit", limit)

    def clip(gradients: list[Variable]) -> list[Variable]:
        if not gradients:
            return []
        # Scalars in float64: gradients of two dtypes have one norm.
        squares = [astype(reductions.sum(item * item), "float64") for item in gradients]
        norm = sqrt(_total(squares))
        factor = minimum(most / (norm + 1e-6), 1.0)
        return [item * astype(factor, item.dtype) for item in gradients]

    return clip


def clip_value(limit: float) -> Clip:
    """Keep every element of every gradient in [-limit, limit].

    As `torch.nn.utils.clip_grad_value_`.  ValueError for a negative limit.
    """
    most = not_negative("clip_value", "a limit", limit)

    def clip(gradients: list[Variable]) -> list[Variable]:
        return [maximum(minimum(item, most), -most) for item in gradients]

    return clip


def _total(terms: list[Variable]) -> Variable:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total

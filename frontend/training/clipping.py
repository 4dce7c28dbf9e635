"""Clipping: gradients made smaller before an optimizer uses them, drawn and compiled into the step.

A clip is a callable from the gradients of all parameters to as many; an optimizer takes any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..arguments import number
from ..operations import reductions
from ..operations.elementwise import astype, maximum, minimum, sqrt
from ..variables.variable import Variable

Clip = Callable[[list[Variable]], list[Variable]]


def clip_norm(limit: float) -> Clip:
    """Scale all gradients together so that their joint Euclidean norm is at most `limit`.

    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013; as
    `torch.nn.utils.clip_grad_norm_`.  TypeError or ValueError unless it is a number of 0 or more.
    """
    return _ByNorm(number("clip_norm", "limit", limit, least=0))


def clip_value(limit: float) -> Clip:
    """Keep every element of every gradient in [-limit, limit].

    As `torch.nn.utils.clip_grad_value_`.  TypeError or ValueError unless it is a number of 0 or
    more.
    """
    return _ByValue(number("clip_value", "limit", limit, least=0))


@dataclass(frozen=True)
class _ByNorm:
    limit: float

    def __call__(self, gradients: list[Variable]) -> list[Variable]:
        if not gradients:
            return []
        # Scalars in float64: gradients of two dtypes have one norm.
        squares = [astype(reductions.sum(item * item), "float64") for item in gradients]
        norm = sqrt(_total(squares))
        factor = minimum(self.limit / (norm + 1e-6), 1.0)
        return [item * astype(factor, item.dtype) for item in gradients]

    def __repr__(self) -> str:
        return f"clip_norm({self.limit})"


@dataclass(frozen=True)
class _ByValue:
    limit: float

    def __call__(self, gradients: list[Variable]) -> list[Variable]:
        return [maximum(minimum(item, self.limit), -self.limit) for item in gradients]

    def __repr__(self) -> str:
        return f"clip_value({self.limit})"


def _total(terms: list[Variable]) -> Variable:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total

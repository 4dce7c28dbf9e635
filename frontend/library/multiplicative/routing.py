"""Routing: each sample goes to the experts that are chosen for it, and to no other.

    w = softmax(gate(x))       router: the k greatest of a row of w, and which they are
    rows                       dispatch: the samples, once for each choice, in the order of experts
    weights                    each row's own, out of those of all experts
    s                          combine: a sample's answers, each times its share, added up

The rows of one expert lie side by side, so that the compiler makes them one product.
"""

from __future__ import annotations

from typing import Any

from ....compiler.sizes import product
from ...drawing.blocks import Block, CostFunction, parameters_of
from ...operations.indexing import one_hot, scatter_add, take
from ...operations.ordering.sorting import argsort, topk
from ...operations.reductions import mean, sum
from ...operations.source import arange
from ...operations.structure import broadcast_to, expand_dims, reshape
from ...variables.variable import Variable


class Router(Block):
    """The k greatest of the gate's weights, and which they are: (..., E) -> twice (..., k)."""

    def __init__(self, k: int, normalise: bool) -> None:
        self.k = k
        self.normalise = normalise

    def forward(self, w: Variable) -> tuple[Variable, Variable]:
        """(..., E) -> the shares and the numbers of the chosen, (..., k)."""
        share, chosen = topk(w, self.k)
        if self.normalise:
            share = share / sum(share, -1, keepdims=True)
        return share, chosen


class Dispatch(Block):
    """The samples that experts are asked about, sorted by their experts."""

    def forward(self, x: Variable, chosen: Variable) -> tuple[Variable, Variable, Variable]:
        """(..., *features), (..., k) -> the rows, the expert of each, the choice that it was."""
        *lead, k = chosen.shape
        count = product(lead)
        numbers = reshape(chosen, (count * k,))
        order = argsort(numbers)
        sample = broadcast_to(expand_dims(arange(count, "int64"), 1), (count, k))
        rows = reshape(x, (count, *x.shape[len(lead) :]))
        rows = take(rows, take(reshape(sample, -1), order))
        return rows, take(numbers, order), order


class Together(Block):
    """The parameters of several blocks in one, at the paths that they have in each.

    Applied to the numbers of blocks, it gives the parameters of each, in the order of
    `parameters()`.
    """

    def hold(self, path: str, whole: Variable) -> None:
        """Hold a parameter at a path such as 0/weight."""
        place, _, rest = path.partition("/")
        if not rest:
            setattr(self, place, whole)
            return
        if place not in vars(self):
            setattr(self, place, Together())
        vars(self)[place].hold(rest, whole)

    def forward(self, numbers: Variable) -> dict[str, Variable]:
        """(N,) -> (N, *shape) of each parameter of shape (E, *shape)."""
        return {name: take(item, numbers) for name, item in parameters_of(self).items()}


class Combine(Block):
    """What the experts say of a sample, each times its share, added up."""

    def forward(self, answers: Variable, share: Variable, order: Variable) -> Variable:
        """(N, *results), (..., k), the choices in the order of rows -> (..., *results)."""
        *lead, k = share.shape
        rest = answers.shape[1:]
        shares = take(reshape(share, (product(lead) * k,)), order)
        answers = answers * reshape(shares, (-1, *[1] * len(rest)))
        each = reshape(scatter_add(order, answers, product(lead) * k), (product(lead), k, *rest))
        return reshape(sum(each, 1), (*lead, *rest))


def _load(w: Variable, chosen: Variable) -> Variable:
    """E sum_e f_e P_e, of weights (..., E) and the experts that were chosen, (..., k).

    No gradient goes through the choice.
    """
    hits = one_hot(chosen, w.shape[-1], w.dtype)
    asked = mean(hits, axis=tuple(range(hits.ndim - 1)))
    trusted = mean(w, axis=tuple(range(w.ndim - 1)))
    result: Variable = sum(asked * trusted) * float(str(w.shape[-1]))
    return result


load_balance: Any = CostFunction(_load, "load balance")

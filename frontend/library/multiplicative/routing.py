"""Routing: each sample goes to the experts that are chosen for it, and to no other.

    w = softmax(gate(x))       router: the k greatest of a row of w, and which they are
    rows                       dispatch: the samples, once for each choice, in blocks of one expert
    weights                    each block's own, out of those of all experts
    s                          combine: a sample's answers, each times its share, added up

All blocks have as many rows, a part of what an expert is asked about on average.  So the compiler
makes one batched product of them, in which weights are read once for a block.  An expert has at
most one block that is not full.  What is left over repeats rows that are asked for: it computes
nothing that they do not, such as the logarithm of a zero, and no result of it is taken.
"""

from __future__ import annotations

from typing import Any

from ....compiler.sizes import floor_divide, product
from ....compiler.sizes import minimum as smaller
from ...drawing.blocks import Block, CostFunction, parameters_of
from ...operations.elementwise import minimum, where
from ...operations.indexing import gather, one_hot, scatter_add
from ...operations.ordering.sorting import argsort, topk
from ...operations.reductions import cumsum, mean, sum
from ...operations.source import arange, fill
from ...operations.source import size as extent
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


FEWER = 4
"""Of the rows that experts are asked about on average, a block has one in so many."""


class Dispatch(Block):
    """The samples that experts are asked about, sorted by their experts into blocks of rows."""

    def __init__(self, experts: int) -> None:
        self.experts = experts

    def forward(self, x: Variable, chosen: Variable) -> tuple[Variable, Variable, Variable]:
        """(..., *features), (..., k) -> the blocks of rows, each block's expert, each choice's row.

        For N choices of E experts these are (blocks, N // (4 E) + 1, *features), (blocks,) and
        (N,), where the rows of all blocks are counted on.
        """
        *lead, k = chosen.shape
        count = product(lead)
        choices, features = count * k, x.shape[len(lead) :]
        size = floor_divide(choices, FEWER * self.experts) + 1
        # Experts with rows fill choices / size < FEWER * experts blocks, and one more each.
        most = (FEWER + 1) * self.experts - 1
        blocks = smaller(choices, most)
        numbers = reshape(chosen, (choices,)).astype("int64")
        asked = scatter_add(numbers, fill(1, (choices,), "int64"), self.experts)
        rows, place = extent(size, "int64"), arange(blocks, dtype="int64")
        filled = sum((place * rows < expand_dims(asked, 1)).astype("int64"), 1)
        behind = cumsum(filled)
        # The choices in the order of experts: an expert's first one is the first row of its block.
        order = argsort(numbers)
        first = cumsum(asked) - asked
        own = gather((behind - filled) * rows - first, gather(numbers, order))
        row = scatter_add(order, own + arange(choices, dtype="int64"), choices)
        # A row that nobody asked for is the last one of its expert, a block the last one of all.
        place = minimum(place, behind[-1] - 1)
        expert = sum((expand_dims(place, 1) >= behind).astype("int64"), 1)
        within = (place - gather(behind - filled, expert)) * rows
        last = gather(first + asked, expert) - 1
        offset = expand_dims(gather(first, expert) + within, 1) + arange(size, dtype="int64")
        choice = gather(order, minimum(offset, expand_dims(last, 1)))
        sample = broadcast_to(expand_dims(arange(count, dtype="int64"), 1), (count, k))
        found = gather(reshape(x, (count, *features)), gather(reshape(sample, (choices,)), choice))
        none = fill(0.0, found.shape, found.dtype)  # where there is no sample
        return where(behind[-1] > 0, found, none), expert, row


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
        return {name: gather(item, numbers) for name, item in parameters_of(self).items()}


class Rows(Block):
    """A block on the rows of one block of Dispatch."""

    def __init__(self, block: Block) -> None:
        object.__setattr__(self, "block", block)

    block: Block

    @property
    def _has_place(self) -> bool:
        """The block has one."""
        return False

    def _describe(self) -> str:
        return "experts"

    def parameters(self) -> dict[str, Variable]:
        """The block's."""
        return dict(parameters_of(self.block))

    def forward(self, x: Variable) -> Variable:
        """(blocks, rows, *features) -> (blocks, rows, *results)."""
        blocks, rows, *features = x.shape
        found: Variable = self.block(reshape(x, (blocks * rows, *features)))
        return reshape(found, (blocks, rows, *found.shape[1:]))


class Combine(Block):
    """What the experts say of a sample, each times its share, added up."""

    def forward(self, answers: Variable, share: Variable, row: Variable) -> Variable:
        """(blocks, rows, *results), (..., k), each choice's row -> (..., *results)."""
        blocks, rows, *rest = answers.shape
        answers = reshape(answers, (blocks * rows, *rest))
        each = reshape(gather(answers, row), (*share.shape, *rest))
        shares = reshape(share, (*share.shape, *[1] * len(rest)))
        return sum(each * shares, share.ndim - 1)


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

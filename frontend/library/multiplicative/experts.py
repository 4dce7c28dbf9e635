"""Mixtures of experts: a gate says how much of each expert's answer is in the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import flag, integer, items, wrong
from ...drawing.binding import bind
from ...drawing.blocks import Block, parameters_of
from ...errors import ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands
from ...operations.reductions import argmax
from ...operations.structure import expand_dims
from ...variables.applying import apply
from ...variables.kinds import BlockParts
from ...variables.variable import Variable, parameter, shape_text, source_text
from ..functions.softmaxes import softmax
from ..init import initial_value
from .routing import Combine, Dispatch, Router, Rows, Together, load_balance
from .switch import SoftSwitch

if TYPE_CHECKING:
    Array = npt.NDArray[Any]


class MixtureOfExperts(Block):
    """Experts, and a gate that switches softly between them: s = sum_e w_e f_e(x), w = softmax(z).

    Jacobs, Jordan, Nowlan and Hinton, Adaptive mixtures of local experts, 1991.  With `k`, only the
    k experts of the greatest w are asked about a sample (Shazeer, Mirhoseini, Maziarz, Davis, Le,
    Hinton and Dean, Outrageously large neural networks, 2017): the rows of the samples are sorted
    by their experts, and each expert computes its own in blocks, however many they are, so that no
    sample is dropped.

    Experts whose parameters have the same names, shapes and dtypes have them in one array each,
    with an axis of experts in front: `expert/0/weight` of shape (E, *shape) for the weight of
    layer 0.  Where they compute the same of it, all run as one batched product.

    Applied to x it gives what an expert gives.  `moe(x, balance=True)` gives that and the cost of
    an uneven load,

        E sum_e f_e P_e        f_e: the share of the choices that fell on e,  P_e: the mean of w_e

    which is 1 where all experts have as much to do, and at most E (Fedus, Zoph and Shazeer, Switch
    Transformers, 2022, equation 4; the paper takes 0.01 of it).  Without k, an expert is chosen
    where its w is the greatest.

    Args:
        experts: blocks of x, one or more, whose results have one shape.
        gate: a block or function that gives scores z of shape (..., E) of x; its leading axes are
            those of x and of the experts' results, and with k the experts are asked about single
            samples of them.
        k: how many experts are asked about a sample, 1 to E; by default all.
        normalise: with k, whether the w of those that are asked are divided by their sum.  By
            default they are where k > 1; where it is 1, the gate would not learn.
        name: as for every block.

    Raises:
        TypeError, ValueError: something else than blocks; no expert; a k out of its range; with k,
            experts that differ in more than the numbers in their parameters.
        ShapeError: when applied: another number of scores than experts.
    """

    gate: Any
    experts: list[Block]
    expert: Together | None

    def __init__(
        self,
        experts: Sequence[Block],
        gate: Any,
        k: int | None = None,
        normalise: bool | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.gate = gate
        self.experts = items("MixtureOfExperts", "experts", experts, "blocks")
        for item in self.experts:
            if not isinstance(item, Block):
                raise wrong("MixtureOfExperts", "experts to be blocks", item)
        if not callable(gate):
            raise wrong("MixtureOfExperts", "a block as the gate", gate)
        if not self.experts:
            raise wrong("MixtureOfExperts", "one expert or more", experts, ValueError)
        self.k = None if k is None else integer("MixtureOfExperts", "k", k, 1)
        if k is not None and k > len(self.experts):
            expected = f"k to be at most {len(self.experts)}, the number of experts"
            raise wrong("MixtureOfExperts", expected, k, ValueError)
        self.normalise = (self.k or 1) > 1
        if normalise is not None:
            self.normalise = flag("MixtureOfExperts", "normalise", normalise)
        self.expert = _together(self.experts)
        if self.k is None:
            self.switch = SoftSwitch()
            return
        self.router = Router(self.k, self.normalise)
        self.dispatch = Dispatch(len(self.experts))
        self.combine = Combine()
        if not _alike(self.experts):
            raise ValueError(
                f"MixtureOfExperts ({user_location()}) with k expects experts that differ in the "
                "numbers in their parameters alone: leave out k, which asks all of them"
            )

    def parameters(self) -> dict[str, Variable]:
        """Those of the gate, and those of all experts in one."""
        found = {}
        if isinstance(self.gate, Block):
            found = {f"gate/{name}": item for name, item in parameters_of(self.gate).items()}
        if self.expert is not None:
            held = parameters_of(self.expert).items()
            return found | {f"expert/{name}": item for name, item in held}
        for place, expert in enumerate(self.experts):
            found |= {f"experts/{place}/{n}": item for n, item in parameters_of(expert).items()}
        return found

    def forward(self, x: Variable, balance: bool = False) -> Any:
        """What the experts say of x; and the cost of the load where `balance`."""
        balance = flag("MixtureOfExperts", "balance", balance)
        (x,) = as_operands(x)
        z = self.gate(x)
        if z.shape[-1:] != (len(self.experts),):
            raise ShapeError(
                f"{self._describe()} ({user_location()}) expects a gate with a score for each of "
                f"{len(self.experts)} experts, got {shape_text(z.shape)} from {source_text(z)}"
            )
        if self.k is None:
            value = self.switch(z, *[expert(x) for expert in self._bound()])
            if not balance:
                return value
            return value, load_balance(softmax(z), expand_dims(argmax(z, -1), -1))
        w = softmax(z)
        share, chosen = self.router(w)
        blocks, numbers, row = self.dispatch(x, chosen)
        expert: Any = Rows(self.experts[0])
        if self.expert is not None:  # otherwise all are one and the same
            expert = bind(expert, self.expert(numbers))
        value = self.combine(expert(blocks), share, row)
        return (value, load_balance(w, chosen)) if balance else value

    def _bound(self) -> list[Any]:
        """The experts, each on its part of the arrays that hold the parameters of all."""
        if self.expert is None:
            return list(self.experts)
        parts = {name: _cut(whole) for name, whole in parameters_of(self.expert).items()}
        return [
            bind(expert, {name: part[place] for name, part in parts.items()})
            for place, expert in enumerate(self.experts)
        ]


@dataclass(frozen=True, eq=False)
class _Each:
    """What parameters of all experts start with: that of each, side by side."""

    parameters: tuple[Variable, ...]

    def __call__(self, rng: Any, shape: tuple[int, ...], dtype: str) -> Array:
        """As every initialiser; each has a seed of its own."""
        seeds = rng.integers(0, 2**31, len(self.parameters))
        pairs = zip(self.parameters, seeds, strict=True)
        return np.stack([initial_value(item, item.name or "", int(seed)) for item, seed in pairs])


def _together(experts: Sequence[Block]) -> Together | None:
    """The parameters of experts that have the same, with an axis of experts in front; or None."""
    each = [parameters_of(expert) for expert in experts]
    different = {item for held in each for item in held.values()}
    alike = all(_types(held) == _types(each[0]) for held in each)
    if not (alike and each[0]) or len(different) != len(experts) * len(each[0]):
        return None
    found = Together()
    for path, first in each[0].items():
        start = _Each(tuple(held[path] for held in each))
        shape = (len(experts), *first.shape)
        found.hold(path, parameter(first.name or "", shape, start, first.dtype))
    return found


def _types(held: Mapping[str, Variable]) -> dict[str, Any]:
    return {name: item.type for name, item in held.items()}


def _alike(blocks: Sequence[Block]) -> bool:
    """Whether blocks are the same but for the numbers in their parameters."""
    return all(_form(block) == _form(blocks[0]) for block in blocks)


def _form(value: Any) -> Any:
    """What a block is besides its name and place, to be compared."""
    if isinstance(value, Block) and value._has_place:
        own = {k: v for k, v in vars(value).items() if k not in ("name", "_parent")}
        return type(value), _form(own)
    if isinstance(value, Variable):
        return value.type if value.kind == "parameter" else value
    if isinstance(value, Mapping):
        return tuple((key, _form(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_form(item) for item in value)
    return value


def _cut(whole: Variable) -> Sequence[Variable]:
    """The parts of a variable along its first axis."""
    count = len(whole)

    def rule(b: Builder, node: Node) -> tuple[Node, ...]:
        rest = node.shape[1:]
        return tuple(b.reshape(b.slice_axis(node, 0, i, i + 1), shape=rest) for i in range(count))

    found: Any = apply("cut", rule, [whole], count, BlockParts, as_stored=True)
    return [found] if count == 1 else list(found)

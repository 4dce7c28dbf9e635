"""A block with averages of another block's parameters: the second branch of MoCo and BYOL."""

from __future__ import annotations

from typing import Any

from ..arguments import number
from ..drawing.blocks import Block, members, parameters_of
from ..drawing.blocks import block as block_of
from ..drawing.copying import copy_block
from ..drawing.states import update_average
from ..errors import DiagramError
from ..location import user_location
from ..operations.elementwise import stop_gradient, where
from ..operations.mode import training
from ..variables.dependencies import ordered, resolve_ties
from ..variables.substitution import bound
from ..variables.variable import Variable, source_text


class MovingAverage(Block):
    """A block once more, with a moving average in the place of each of its parameters.

        target = dg.MovingAverage(encoder, decay=0.99)
        cost = dg.squared_error(predictor(encoder(x)), dg.stop_gradient(target(x)))

    A step first moves each average, and computes with what it is then:

        average = decay * average + (1 - decay) * parameter

    A run takes the averages as they are.  They are states, at first what the parameters are; files
    have them, no optimizer changes them, and no gradient flows from them into the parameters.  It
    is MoCo's order; code that moves them behind the optimizer, as BYOL's, computes the same.

    What the block keeps itself, such as the averages of a batch norm, the copy has once more, and
    moves by its own inputs.  Its random draws are its own too.

    He, Fan, Wu, Xie and Girshick, Momentum contrast for unsupervised visual representation
    learning, 2020; Grill et al., Bootstrap your own latent, 2020; for averages that are only to be
    run: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.

    Args:
        block: the block whose parameters are averaged.  It stays what it is.
        decay: the part that an average keeps, from 0 to 1: MoCo's m, BYOL's tau; 1 - decay is what
            batch norm calls its momentum.
        name: as for every block.

    Attributes:
        average: the copy of the block, whose parameters are the states.
        averages: these, in the order of the block's parameters.

    Raises:
        TypeError: something else than a block; a `decay` that is no number.
        ValueError: a `decay` out of its range.
        DiagramError: a block without parameters, or with a weight that is computed from parameters
            that it does not hold; when the diagram is built, one that is applied in a loop (average
            the block that has the loop).
    """

    def __init__(self, block: Block, decay: float = 0.99, name: str | None = None) -> None:
        self.name = name
        place = f"MovingAverage ({user_location()})"
        self.decay = number(place, "decay", decay, least=0, most=1)
        if not isinstance(block, Block):
            raise TypeError(f"{place} expects a block, got {type(block).__name__}")
        held = parameters_of(block)
        if not held:
            raise DiagramError(f"{place} expects a block with parameters, got {block._describe()}")
        self.average = copy_block(block, {})
        averages = parameters_of(self.average)
        for path, item in _variables(self.average):
            for source in ordered([item], {}, []):
                if source.kind == "parameter" and source not in set(averages.values()):
                    raise DiagramError(
                        f"{place} expects a block that holds all of its parameters, got "
                        f"{block._describe()}, whose {path} is computed from {source_text(source)}"
                    )
        for path, item in averages.items():
            item.kind, item.init = "state", held[path]
        self.averages = tuple(averages.values())

    def parameters(self) -> dict[str, Variable]:
        """None: the averages are states."""
        return {}

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the block makes of its inputs, with the averages."""
        now = block_of(self._now, "average")()
        with bound(dict(zip(self.averages, now, strict=True))):
            return self.average(*inputs, **options)

    def _now(self) -> tuple[Variable, ...]:
        """What stands for the parameters: the averages, in a step moved by it."""
        found = []
        for average in self.averages:
            moved = resolve_ties(average.init)
            if moved.type.is_float:
                moved = self.decay * average + (1.0 - self.decay) * stop_gradient(moved)
            update_average(average, moved)
            found.append(where(training(), moved, average))
        return tuple(found)


def _variables(block: Block) -> list[tuple[str, Variable]]:
    """The variables that a block and those in it hold, with their paths."""
    found, waiting, seen = [], [("", block)], set()
    while waiting:
        prefix, item = waiting.pop()
        seen.add(item)
        for path, inner in members(item):
            if isinstance(inner, Variable):
                found.append((prefix + path, inner))
            elif inner not in seen:
                waiting.append((f"{prefix}{path}/", inner))
    return found

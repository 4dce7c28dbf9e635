"""Weight normalisation: a parameter transform."""

from __future__ import annotations

from typing import Any

from ..arguments import integer, text
from ..drawing.blocks import Block
from ..drawing.sharing import tie
from ..location import user_location
from ..operations.elementwise import sqrt
from ..operations.reductions import sum
from ..operations.structure import reshape
from ..variables.variable import Variable
from ..variables.variable import parameter as drawn
from . import init


class WeightNorm(Block):
    """A block whose weight has a length and a direction of its own: w = g * v / |v|.

    The lengths are over all axes of the weight but one.  It is a parameter transform: the block's
    weight is no longer free, and the gradient goes to g and v (`magnitude`, `direction`).

        dg.WeightNorm(dg.Conv2d(3, 8, 3))

    Salimans and Kingma, Weight normalization, 2016.

    Args:
        inner: the block.
        parameter: the attribute that is its weight.
        axis: the axis along which each element has a length of its own.
        direction_init: as for `dg.parameter`; by default LeCun's uniform, for which lengths are
            about 1, as `magnitude` is at first.
        name: as for every block.

    Raises:
        TypeError: a block without such a parameter.
    """

    def __init__(
        self,
        inner: Block,
        parameter: str = "weight",
        axis: int = 0,
        direction_init: Any = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.inner = inner
        weight = getattr(inner, text("WeightNorm", "parameter", parameter), None)
        if not isinstance(weight, Variable) or weight.kind != "parameter":
            raise TypeError(
                f"WeightNorm ({user_location()}) expects a block with a parameter '{parameter}', "
                f"got {inner!r}"
            )
        self.axis = integer("WeightNorm", "axis", axis, least=0, most=weight.ndim - 1)
        start = weight.init if direction_init is None else direction_init
        self.direction = drawn("direction", weight.shape, start, weight.dtype)
        self.magnitude = drawn("magnitude", (weight.shape[self.axis],), init.ones, weight.dtype)
        others = tuple(k for k in range(weight.ndim) if k != self.axis)
        length = sqrt(sum(self.direction * self.direction, others, keepdims=True))
        scale = reshape(
            self.magnitude, tuple(n if k == self.axis else 1 for k, n in enumerate(weight.shape))
        )
        tie(self.direction * (scale / length), weight)

    def forward(self, *inputs: Any) -> Any:
        """What the block makes of its inputs."""
        return self.inner(*inputs)

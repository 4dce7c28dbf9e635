"""Dropout: elements, or whole maps, that a training step leaves out at random."""

from __future__ import annotations

from ..arguments import number
from ..drawing.blocks import Block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.elementwise import as_operands, greater_equal, multiply, where
from ..operations.mode import training
from ..operations.random import random_uniform
from ..variables.variable import Variable, shape_text, source_text


class Dropout(Block):
    """Each element is 0 with probability p in a training step, and divided by 1 - p otherwise.

        dg.Chain(dg.Linear(64, 64), dg.relu, dg.Dropout(0.5), dg.Linear(64, 10))

    So its mean stays what it was ("inverted dropout"), and a run gives x itself.  Every application
    has draws of its own, which each step makes anew: they are a program's random draws, the same
    on every target and for any number of threads.  Applied to x of any shape it gives the same.

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to prevent
    neural networks from overfitting, 2014.

    Args:
        p: the probability that an element is left out, from 0 to 1.
        name: as for every block.

    Raises:
        TypeError, ValueError: a p that is no such number.
        DtypeError: when applied to what is no float.
    """

    space = 0

    def __init__(self, p: float = 0.5, name: str | None = None) -> None:
        self.name = name
        self.p = number(type(self).__name__, "p", p, least=0, most=1)

    @property
    def symbol(self) -> str:
        """What its bullet says; nothing where the block has a name of its own."""
        return "" if self.name else f"dropout {self.p:g}"

    def forward(self, x: Variable) -> Variable:
        """X -> x, or what is left of it."""
        (x,) = as_operands(x)
        place = f"{self._describe()} ({user_location()})"
        if not x.type.is_float:
            raise DtypeError(
                f"{place} expects floats, got {x.dtype} from {source_text(x)}: convert it with "
                '.astype("float32")'
            )
        if x.ndim < self.space + 1:
            raise ShapeError(
                f"{place} expects {self.space + 1} axes or more, maps behind their channels, got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        if self.p == 0:
            return x
        drawn = x.shape[: x.ndim - self.space] + (1,) * self.space
        kept = greater_equal(random_uniform(drawn), self.p)
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        left: Variable = where(training(), where(kept, multiply(x, scale), 0.0), x)
        return left


class Dropout1d(Dropout):
    """`Dropout` of whole channels of sequences: x of shape (..., C, L) has one draw for each L.

    Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using convolutional
    networks, 2015: elements beside each other in a map are alike, so that leaving out some of them
    leaves out little.
    """

    space = 1


class Dropout2d(Dropout1d):
    """`Dropout` of whole maps: x of shape (..., C, H, W) has one draw for each (H, W)."""

    space = 2


class Dropout3d(Dropout1d):
    """`Dropout` of whole volumes: x of shape (..., C, D, H, W) has one draw for each (D, H, W)."""

    space = 3

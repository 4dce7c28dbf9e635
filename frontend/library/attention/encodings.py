"""Positions: what tells attention, which has no order of its own, where in a sequence a step is.

Angles are computed in float64, so that they are right for sequences of any length.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....compiler.dtypes import INDICES, computed
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...arguments import flag, integer, number
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, astype, cos, sin
from ...operations.indexing import gather
from ...operations.source import arange
from ...operations.structure import expand_dims, reshape, split, squeeze, stack
from ...variables.applying import apply
from ...variables.constants import constant
from ...variables.variable import Variable, dtype_name, shape_of, shape_text, source_text
from .. import init as initialisers
from .continuing import continuation, first_step

Start = Variable | int | None
"""The position of the first step; None for 0, or for that of the sequence that is continued."""


def positional_encoding(
    steps: Any, features: int, start: Variable | int = 0, base: float = 10000.0, dtype: Any = None
) -> Variable:
    """The sinusoidal encoding: sin(p / base^(2i/D)) at feature 2i of position p, cos at 2i + 1.

    Vaswani et al., Attention is all you need, 2017.

    Args:
        steps: how many positions, T: an integer or a named size.
        features: D, how many features; it may be odd.
        start: the first position, an integer or a variable of shape ().
        base: of the wavelengths, which go from 2 pi to 2 pi base.
        dtype: of the result, float32 by default.

    Returns:
        Floats of shape (T, D).

    Raises:
        TypeError, ValueError: features or a base that are no such numbers.
    """
    place = f"positional_encoding ({user_location()})"
    features = integer(place, "features", features, 0)
    base = number(place, "base", base, above=0)
    pair = np.arange(features) // 2
    frequency = base ** (-2.0 * pair / max(features, 1))
    phase = np.arange(features) % 2 * (math.pi / 2)  # a cosine is a sine, a quarter ahead
    angle = _angles(place, shape_of((steps,), place)[0], start, frequency)
    table = sin(angle + constant(phase, "float64"))
    return astype(table, dtype_name("float32" if dtype is None else dtype, place))


class SinusoidalEncoding(Block):
    """x + `dg.positional_encoding`: of any length, and without parameters.

        z = dg.SinusoidalEncoding()(embedding(symbols) * 8.0)

    Applied to x of shape (..., T, D) it gives the same.  `start`, an option of the application, is
    the position of the first step.

    Args:
        base: of the wavelengths.
        name: as for every block.

    Raises:
        ShapeError: when applied to fewer axes, or to features whose number has a name.
        DtypeError: when applied to what is no float.
    """

    symbol = "positions"

    def __init__(self, base: float = 10000.0, name: str | None = None) -> None:
        self.name = name
        self.base = number(_place(self), "base", base, above=0)

    def forward(self, x: Variable, start: Start = None) -> Variable:
        """(..., T, D) -> (..., T, D)."""
        x, features = _sequence(self, x)
        first = first_step() if start is None else start
        return x + positional_encoding(x.shape[-2], features, first, self.base, x.dtype)


class LearnedEncoding(Block):
    """x + a vector of its own for each position: rows of a parameter, `weight`.

        z = dg.LearnedEncoding(128, 64)(embedding(symbols))

    Applied to x of shape (..., T, features) it gives the same, for T up to the number of positions:
    where T has a name, that is checked before a step. `start`, an option of the application, is the
    position of the first step; what comes behind the last position gives NaN.

    Gehring, Auli, Grangier, Yarats and Dauphin, Convolutional sequence to sequence learning, 2017.

    Args:
        positions: how many there are.
        features: how many features x has.
        weight_init: the initialiser; by default normal numbers with a standard deviation of 0.02.
        weight: any variable of shape (positions, features) in place of the parameter.
        dtype: of the parameter, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a weight of another shape or dtype; when applied to such.
    """

    symbol = "positions"
    weight: Variable

    def __init__(
        self,
        positions: int,
        features: int,
        weight_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.positions = integer(_place(self), "positions", positions, 0)
        self.features = integer(_place(self), "features", features, 0)
        self.dtype = dtype_name(dtype)
        start = initialisers.normal(0.0, 0.02) if weight_init is None else weight_init
        start = initialisers.with_layout(start, "io")
        self._hold("weight", weight, (positions, features), start, self.dtype)

    def forward(self, x: Variable, start: Start = None) -> Variable:
        """(..., T, features) -> (..., T, features)."""
        x, features = _sequence(self, x)
        steps = x.shape[-2]
        if features != self.features or (isinstance(steps, int) and steps > self.positions):
            raise ShapeError(
                f"{_place(self)} expects (..., T, {self.features}) of {self.positions} steps or "
                f"fewer, got {shape_text(x.shape)} from {source_text(x)}"
            )
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{_place(self)} expects {self.dtype}, got {x.dtype} from {source_text(x)}: "
                f'convert it with .astype("{self.dtype}")'
            )
        steps_before = continuation() if start is None else None
        if steps_before is not None:
            steps_before.limit(self, self.positions)
        first = _first(_place(self), first_step() if start is None else start)
        if isinstance(first, Variable) or first:
            return x + gather(self.weight, arange(steps, dtype="int64") + astype(first, "int64"))
        return x + _rows(self.weight, steps)


def _rows(weight: Variable, steps: Dim) -> Variable:
    """The first rows of a matrix, which must have so many."""

    def rule(b: Builder, node: Node) -> Node:
        return b.slice(node, start=(0, 0), stop=(steps, node.shape[1]), step=(1, 1))

    found: Variable = apply("first rows", rule, [weight], as_stored=True)
    return found


class RotaryEncoding(Block):
    """Each pair of features, seen as a point, turned about the origin: by p / base^(2i/D).

        y = dg.MultiHeadAttention(64, heads=4, rotary=True)(x)

    Pair i of D / 2 at position p is turned by that angle.  A product of a query and a key that are
    both turned depends on the distance of their positions alone: `MultiHeadAttention` applies this
    to the queries and keys of its heads.

    Applied to x of shape (..., T, D) it gives the same.  `start`, an option of the application, is
    the position of the first step.

    Su, Lu, Pan, Murtadha, Wen and Liu, RoFormer: enhanced transformer with rotary position
    embedding, 2021.

    Args:
        base: of the wavelengths.
        halves: whether feature i is paired with i + D / 2, as many language models have it, and
            not 2i with 2i + 1, the paper's. To go from one to the other is to put features into
            another order, for queries and keys alike, which changes no product; halves are faster.
        name: as for every block.

    Raises:
        ShapeError: when applied to fewer axes, or to an odd number of features.
        DtypeError: when applied to what is no float.
    """

    symbol = "rotary positions"

    def __init__(
        self, base: float = 10000.0, halves: bool = False, name: str | None = None
    ) -> None:
        self.name = name
        self.base = number(_place(self), "base", base, above=0)
        self.halves = flag(_place(self), "halves", halves)

    def forward(self, x: Variable, start: Start = None) -> Variable:
        """(..., T, D) -> (..., T, D)."""
        x, features = _sequence(self, x)
        if features % 2:
            raise ShapeError(
                f"{_place(self)} expects an even number of features, got {shape_text(x.shape)} "
                f"from {source_text(x)}"
            )
        pairs = features // 2
        frequency = self.base ** (-np.arange(pairs) / max(pairs, 1))
        first = first_step() if start is None else start
        angle = _angles(_place(self), x.shape[-2], first, frequency)
        cosine, sine = astype(cos(angle), x.dtype), astype(sin(angle), x.dtype)
        shape = (*x.shape[:-1], 2, pairs) if self.halves else (*x.shape[:-1], pairs, 2)
        axis = -2 if self.halves else -1
        left, right = (squeeze(item, axis) for item in split(reshape(x, shape), 2, axis))
        turned = stack([left * cosine - right * sine, right * cosine + left * sine], axis)
        return reshape(turned, x.shape)


def _angles(place: str, steps: Dim, start: Variable | int, frequency: Any) -> Variable:
    """Positions times frequencies, in float64: (T, D)."""
    positions = astype(arange(steps, dtype="int64"), "float64")
    first = _first(place, start)
    if isinstance(first, Variable):
        positions = positions + astype(first, "float64")
    elif first:
        positions = positions + first
    return expand_dims(positions, 1) * constant(frequency, "float64")


def _first(place: str, start: Variable | int) -> Variable | int:
    """The position of a first step, if it is one."""
    if not isinstance(start, Variable):
        return integer(place, "start", start, 0)
    if not start.mistakes and (start.shape or start.dtype not in INDICES):
        raise DtypeError(
            f"{place} expects a start of shape () and dtype int32 or int64, got {start.dtype} "
            f"{shape_text(start.shape)} from {source_text(start)}"
        )
    return start


def _sequence(block: Block, x: Variable) -> tuple[Variable, int]:
    """What a block is applied to, and how many features it has."""
    (x,) = as_operands(x)
    features = x.shape[-1] if x.ndim > 1 else None
    if not isinstance(features, int):
        raise ShapeError(
            f"{_place(block)} expects (..., T, D) with a D that is a number, got "
            f"{shape_text(x.shape)} from {source_text(x)}"
        )
    if not x.type.is_float:
        raise DtypeError(
            f"{_place(block)} expects floats, got {x.dtype} from {source_text(x)}: convert it with "
            '.astype("float32")'
        )
    return x, features


def _place(block: Block) -> str:
    return f"{block._describe()} ({user_location()})"

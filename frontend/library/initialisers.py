"""What initialisers are: callables (generator, shape, dtype) -> array; `init` makes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..variables.variable import shape_text

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Initialiser = Callable[["np.random.Generator", Shape, str], Array]  # numpy.random costs 10 ms
Fan = tuple[int, int]


@dataclass(frozen=True)
class Constant:
    """`value` in every element."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        return np.full(shape, self.value, dtype)


@dataclass(frozen=True)
class Uniform:
    """Uniform numbers in [low, high)."""

    low: float
    high: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        return np.asarray(rng.uniform(self.low, self.high, shape), dtype)


@dataclass(frozen=True)
class Normal:
    """Normal numbers, not truncated."""

    mean: float
    deviation: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        return np.asarray(rng.normal(self.mean, self.deviation, shape), dtype)


@dataclass(frozen=True)
class Scaled:
    """Numbers of mean 0 whose variance is gain**2 over a fan of the weight.

    The fans (inputs, outputs) are those of the layout, unless `fan` gives them.
    """

    gain: float
    over: Literal["inputs", "outputs", "average"]
    distribution: Literal["uniform", "normal"]
    fan: Fan | None = None
    layout: str | None = None

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        inputs, outputs = self.fan or _fans(shape, self.layout)
        count = {"inputs": inputs, "outputs": outputs, "average": (inputs + outputs) / 2}
        deviation = self.gain / math.sqrt(max(count[self.over], 1))
        if self.distribution == "normal":
            return Normal(0.0, deviation)(rng, shape, dtype)
        limit = math.sqrt(3.0) * deviation
        return Uniform(-limit, limit)(rng, shape, dtype)


@dataclass(frozen=True)
class Orthogonal:
    """Random matrices, inputs and taps by outputs, with orthonormal columns (or rows), times gain.

    There is one for each copy of the layout.
    """

    gain: float
    layout: str | None = None

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) < 2:
            raise ShapeError(f"orthogonal expects two or more axes, got {shape_text(shape)}")
        layout = _layout_of(shape, self.layout)
        order = sorted(range(len(shape)), key=lambda axis: "niko".index(layout[axis]))
        count, columns = _extent(shape, layout, "n"), _extent(shape, layout, "o")
        rows = _extent(shape, layout, "ik")
        drawn = rng.standard_normal((count, max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        # Else the distribution would not be uniform.
        q *= np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None]
        matrices = self.gain * (q if rows >= columns else q.swapaxes(1, 2))
        sorted_ = matrices.reshape([shape[axis] for axis in order])
        return np.asarray(sorted_.transpose(np.argsort(order)), dtype)


@dataclass(frozen=True)
class TruncatedNormal:
    """Normal numbers, but for those that are not in [low, high]."""

    mean: float
    deviation: float
    low: float
    high: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        low, high = ((end - self.mean) / self.deviation for end in (self.low, self.high))
        drawn = self.mean + self.deviation * _between(rng, math.prod(shape), low, high)
        return np.asarray(np.clip(drawn, self.low, self.high).reshape(shape), dtype)


def _between(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Standard normal numbers in [low, high], by rejection.

    Where few are there, of an exponential density above theirs: Robert, Simulation of truncated
    normal variables, 1995.
    """
    if high <= 0:
        return -_between(rng, count, -high, -low)
    share = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    rate, found = max(low, 0.0), np.empty(0)
    while len(found) < count:
        missing = count - len(found)
        if share > 0.25:
            drawn = rng.standard_normal(missing)
            kept = (drawn >= low) & (drawn <= high)
        else:
            u = rng.random(missing)
            whole = high - low
            drawn = low + (-np.log1p(u * np.expm1(-rate * whole)) / rate if rate else u * whole)
            kept = rng.random(missing) < np.exp(-((drawn - rate) ** 2) / 2)
        found = np.concatenate([found, drawn[kept]])
    return found


@dataclass(frozen=True)
class Sparse:
    """A matrix of normal numbers, with a share of each column 0."""

    share: float
    deviation: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) != 2:
            raise ShapeError(f"sparse expects two axes, got {shape_text(shape)}")
        drawn = rng.normal(0.0, self.deviation, shape)
        order = np.argsort(rng.random(shape), axis=0)
        return np.asarray(np.where(order < math.ceil(self.share * shape[0]), 0.0, drawn), dtype)


@dataclass(frozen=True)
class Dirac:
    """The weight of a convolution that gives each channel as it is, while there are any.

    There is one for each copy of the layout.
    """

    layout: str | None = None

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) < 3:
            raise ShapeError(f"dirac expects three or more axes, got {shape_text(shape)}")
        layout = _layout_of(shape, self.layout)
        if sorted(layout.replace("k", "").replace("n", "")) != ["i", "o"]:
            raise ShapeError(f"dirac expects one axis of inputs and one of outputs, got {layout!r}")
        order = sorted(range(len(shape)), key=lambda axis: "noik".index(layout[axis]))
        weight = np.zeros([shape[axis] for axis in order], dtype)
        copies, taps = layout.count("n"), layout.count("k")
        same = np.arange(min(weight.shape[copies : copies + 2]))
        centre = (n // 2 for n in weight.shape[len(shape) - taps :])
        if math.prod(weight.shape):
            weight[(*[slice(None)] * copies, same, same, *centre)] = 1
        return weight.transpose(np.argsort(order))


@dataclass(frozen=True)
class Grouped:
    """An initialiser of this layout for each of the parts into which the first axis falls."""

    each: Scaled | Orthogonal | Dirac
    layout: str
    groups: int

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        parts = (self.groups, shape[0] // self.groups, *shape[1:])
        return replace(self.each, layout="n" + self.layout)(rng, parts, dtype).reshape(shape)


@dataclass(frozen=True)
class Identity:
    """The gain on the diagonal of a matrix, 0 elsewhere."""

    gain: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) != 2:
            raise ShapeError(f"identity expects two axes, got {shape_text(shape)}")
        return np.asarray(self.gain * np.eye(*shape), dtype)


def _layout_of(shape: Shape, layout: str | None) -> str:
    """A letter for each axis."""
    if layout is None:
        return "io" if len(shape) == 2 else "oi" + "k" * (len(shape) - 2)
    if len(layout) != len(shape):
        raise ShapeError(
            f"expected a weight of {len(layout)} axes for the layout {layout!r}, got shape "
            f"{shape_text(shape)}"
        )
    return layout


def _extent(shape: Shape, layout: str, letters: str) -> int:
    """The elements along the axes of these letters."""
    return math.prod(n for n, letter in zip(shape, layout, strict=True) if letter in letters)


def _fans(shape: Shape, layout: str | None) -> Fan:
    if layout is None and len(shape) < 2:
        raise ShapeError(
            f"expected a weight of two or more axes to count its inputs, got shape "
            f"{shape_text(shape)}: give fan=(inputs, outputs)"
        )
    layout = _layout_of(shape, layout)
    return _extent(shape, layout, "ik"), _extent(shape, layout, "ok")

"""Initialisers: the numbers that free parameters start with.

An initialiser is a callable (generator, shape, dtype) -> array.  Numbers are drawn in float64 and
then converted, so a float32 and a float64 program start from the same ones.  Nothing here draws.
"""

from __future__ import annotations

import math
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .errors import DtypeError, ShapeError
from .variable import Variable, shape_text, source_text

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

    A weight of shape (inputs, ..., outputs) has the fans (inputs * rest, rest * outputs), the
    rest being the axes between, as the taps of a convolution; `fan` gives other ones, as
    (inputs, outputs).
    """

    gain: float
    over: Literal["inputs", "outputs", "average"]
    distribution: Literal["uniform", "normal"]
    fan: Fan | None = None

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        inputs, outputs = self.fan or _fans(shape)
        count = {"inputs": inputs, "outputs": outputs, "average": (inputs + outputs) / 2}
        deviation = self.gain / math.sqrt(max(count[self.over], 1))
        if self.distribution == "normal":
            return Normal(0.0, deviation)(rng, shape, dtype)
        limit = math.sqrt(3.0) * deviation
        return Uniform(-limit, limit)(rng, shape, dtype)


@dataclass(frozen=True)
class Orthogonal:
    """A random orthogonal matrix times the gain: orthonormal columns, or rows if they are fewer."""

    gain: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) < 2:
            raise ShapeError(f"orthogonal expects two or more axes, got {shape_text(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # else the distribution would not be uniform
        matrix = q if rows >= columns else q.T
        return np.asarray(self.gain * matrix.reshape(shape), dtype)


@dataclass(frozen=True)
class Identity:
    """The gain on the diagonal of a matrix, 0 elsewhere."""

    gain: float

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        if len(shape) != 2:
            raise ShapeError(f"identity expects two axes, got {shape_text(shape)}")
        return np.asarray(self.gain * np.eye(*shape), dtype)


zeros = Constant(0.0)
ones = Constant(1.0)


def constant(value: float) -> Constant:
    """`value` in every element."""
    return Constant(value)


def uniform(low: float = 0.0, high: float = 1.0) -> Uniform:
    """Uniform numbers in [low, high); ValueError unless low <= high."""
    if not low <= high:
        raise ValueError(f"uniform expects low <= high, got {low} and {high}")
    return Uniform(low, high)


def normal(mean: float = 0.0, deviation: float = 1.0) -> Normal:
    """Normal numbers with this mean and standard deviation; ValueError for one below 0."""
    if not deviation >= 0:
        raise ValueError(f"normal expects a deviation of 0 or more, got {deviation}")
    return Normal(mean, deviation)


def kaiming_uniform(
    nonlinearity: str = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
) -> Scaled:
    """Uniform numbers of variance gain**2 / fan, which keep the size of signals through layers.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    Args:
        nonlinearity: what follows the weight, see `gain`.
        mode: "inputs" keeps the size of activations, "outputs" that of gradients.
        fan: (inputs, outputs) of one output and of one input; by default from a weight's shape
            (inputs, ..., outputs).
    """
    return Scaled(gain(nonlinearity), mode, "uniform", fan)


def kaiming_normal(
    nonlinearity: str = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
) -> Scaled:
    """As `kaiming_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity), mode, "normal", fan)


def xavier_uniform(nonlinearity: str = "linear", fan: Fan | None = None) -> Scaled:
    """Uniform numbers of variance gain**2 over the average of both fans.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010.  Arguments as for `kaiming_uniform`.
    """
    return Scaled(gain(nonlinearity), "average", "uniform", fan)


def xavier_normal(nonlinearity: str = "linear", fan: Fan | None = None) -> Scaled:
    """As `xavier_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity), "average", "normal", fan)


def lecun_uniform(fan: Fan | None = None) -> Scaled:
    """Uniform numbers of variance 1 / inputs: what a weight starts with by default.

    LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.
    """
    return Scaled(1.0, "inputs", "uniform", fan)


def lecun_normal(fan: Fan | None = None) -> Scaled:
    """As `lecun_uniform`, with normal numbers (not truncated)."""
    return Scaled(1.0, "inputs", "normal", fan)


def orthogonal(gain: float = 1.0) -> Orthogonal:
    """A random matrix with orthonormal columns (or rows, if they are fewer), times the gain.

    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2014.  Of more than two axes, all but the last are taken as rows.
    """
    return Orthogonal(gain)


def identity(gain: float = 1.0) -> Identity:
    """The gain on the diagonal of a matrix, 0 elsewhere.

    Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units,
    2015.
    """
    return Identity(gain)


GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "selu": 3.0 / 4.0,
}


def gain(nonlinearity: str) -> float:
    """The factor by which a weight makes up for the nonlinearity that follows it.

    ValueError for one that is not linear, sigmoid, tanh, relu, leaky_relu (slope 0.01) or selu.
    """
    if nonlinearity not in GAINS:
        raise ValueError(f"expected a nonlinearity out of {', '.join(GAINS)}, got {nonlinearity!r}")
    return GAINS[nonlinearity]


def with_fan(init: Any, fan: Fan) -> Any:
    """An initialiser for a weight whose shape does not tell its fans: by default `lecun_uniform`.

    One that scales by a fan gets this one, unless it has its own.
    """
    init = lecun_uniform() if init is None else init
    return replace(init, fan=fan) if isinstance(init, Scaled) and init.fan is None else init


def initial_value(variable: Variable, name: str, seed: int) -> Array:
    """What a parameter starts with: an array of its own, of the variable's shape and dtype.

    The numbers depend on the seed and on the parameter's full name, not on what else is there.

    Raises:
        ShapeError: an array, or what an initialiser makes, of another shape.
        DtypeError: an array that would lose its kind, such as floats for integers.
        TypeError: an `init` that is none.
    """
    shape = tuple(int(str(extent)) for extent in variable.shape)
    init = variable.init
    if init is None:
        init = lecun_uniform() if len(shape) >= 2 else zeros
    place = f"{source_text(variable)} expects initial values"
    if isinstance(init, types.FunctionType) and init.__module__ == __name__:
        raise TypeError(f"{place} of an initialiser, got the function {init.__name__}: call it, "
                        f"dg.init.{init.__name__}()")  # fmt: skip
    if isinstance(init, (bool, int, float, np.number)):
        init = np.full(shape, init)
    if callable(init):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        init = init(rng, shape, variable.dtype)
    if not isinstance(init, (np.ndarray, list, tuple)):
        raise TypeError(
            f"{place} from an initialiser of dg.init, a number or an array, got "
            f"{type(init).__name__}"
        )
    array = np.asarray(init)
    if array.shape != shape:
        raise ShapeError(f"{place} of shape {shape_text(shape)}, got {shape_text(array.shape)}")
    if not np.can_cast(array.dtype, variable.dtype, "same_kind"):
        raise DtypeError(f"{place} that become {variable.dtype}, got {array.dtype}")
    return np.array(array, dtype=variable.dtype, order="C")


def _fans(shape: Shape) -> Fan:
    if len(shape) < 2:
        raise ShapeError(
            f"expected a weight of two or more axes to count its inputs, got shape "
            f"{shape_text(shape)}: give fan=(inputs, outputs)"
        )
    return math.prod(shape[:-1]), math.prod(shape[1:])

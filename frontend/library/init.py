"""Initialisers: the numbers that free parameters start with.

An initialiser is a callable (generator, shape, dtype) -> array.  Numbers are drawn in float64 and
then converted, so a float32 and a float64 program start from the same ones.

What an axis of a weight counts, its layout says, a letter for each: "i" inputs, "o" outputs, "k"
the taps of a window, "n" copies with weights of their own.  One output is made of as many numbers
as there are inputs times taps; one input goes into outputs times taps.  A matrix is "io" by
default, as in `dg.Linear`, and a weight of more axes "oikk", as in a convolution.
"""

from __future__ import annotations

import math
import types
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..arguments import items, number, one_of, wrong
from ..errors import DtypeError, InputError, ShapeError
from ..location import user_location
from ..variables.dependencies import resolve_ties
from ..variables.numbers import in_dtype, refuse_masked
from ..variables.variable import Variable, full_name, shape_text, source_text

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
class Grouped:
    """An initialiser of this layout for each of the parts into which the first axis falls."""

    each: Scaled | Orthogonal
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


zeros = Constant(0.0)
ones = Constant(1.0)


def constant(value: float) -> Constant:
    """`value` in every element."""
    return Constant(number("constant", "value", value))


def uniform(low: float = 0.0, high: float = 1.0) -> Uniform:
    """Uniform numbers in [low, high); ValueError unless low <= high."""
    low, high = number("uniform", "low", low), number("uniform", "high", high)
    if not low <= high:
        raise ValueError(f"uniform ({user_location()}) expects low <= high, got {low} and {high}")
    return Uniform(low, high)


def normal(mean: float = 0.0, deviation: float = 1.0) -> Normal:
    """Normal numbers with this mean and standard deviation; ValueError for one below 0."""
    mean = number("normal", "mean", mean)
    return Normal(mean, number("normal", "deviation", deviation, least=0))


def kaiming_uniform(
    nonlinearity: str = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
    layout: str | None = None,
) -> Scaled:
    """Uniform numbers of variance gain**2 / fan, which keep the size of signals through layers.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    Args:
        nonlinearity: what follows the weight, see `gain`.
        mode: "inputs" keeps the size of activations, "outputs" that of gradients.
        fan: (inputs, outputs): how many numbers make one output, and how many outputs one number
            goes into; by default counted from the weight's shape.
        layout: what its axes are, a letter for each: "i" inputs, "o" outputs, "k" the taps of a
            window, "n" copies with weights of their own. By default "io" for two axes and "oik...",
            a convolution's, for more; blocks state their own.

    Raises:
        ValueError: another letter, or neither inputs nor outputs.
    """
    return Scaled(gain(nonlinearity), _mode(mode), "uniform", _fan(fan), _checked(layout))


def kaiming_normal(
    nonlinearity: str = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
    layout: str | None = None,
) -> Scaled:
    """As `kaiming_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity), _mode(mode), "normal", _fan(fan), _checked(layout))


def xavier_uniform(
    nonlinearity: str = "linear", fan: Fan | None = None, layout: str | None = None
) -> Scaled:
    """Uniform numbers of variance gain**2 over the average of both fans.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010.  Arguments as for `kaiming_uniform`.
    """
    return Scaled(gain(nonlinearity), "average", "uniform", _fan(fan), _checked(layout))


def xavier_normal(
    nonlinearity: str = "linear", fan: Fan | None = None, layout: str | None = None
) -> Scaled:
    """As `xavier_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity), "average", "normal", _fan(fan), _checked(layout))


def lecun_uniform(fan: Fan | None = None, layout: str | None = None) -> Scaled:
    """Uniform numbers of variance 1 / inputs: what a weight starts with by default.

    LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.  Arguments as for `kaiming_uniform`.
    """
    return Scaled(1.0, "inputs", "uniform", _fan(fan), _checked(layout))


def lecun_normal(fan: Fan | None = None, layout: str | None = None) -> Scaled:
    """As `lecun_uniform`, with normal numbers (not truncated)."""
    return Scaled(1.0, "inputs", "normal", _fan(fan), _checked(layout))


def orthogonal(gain: float = 1.0, layout: str | None = None) -> Orthogonal:
    """A random matrix with orthonormal columns (or rows, if they are fewer), times the gain.

    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2014.  Rows are the inputs (and taps), columns the outputs; `layout` as
    for `kaiming_uniform`.
    """
    return Orthogonal(number("orthogonal", "gain", gain), _checked(layout))


def identity(gain: float = 1.0) -> Identity:
    """The gain on the diagonal of a matrix, 0 elsewhere.

    Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units,
    2015.
    """
    return Identity(number("identity", "gain", gain))


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
    return GAINS[one_of("gain", "nonlinearity", nonlinearity, list(GAINS))]


def with_layout(init: Any, layout: str, groups: int = 1) -> Any:
    """An initialiser of a block's weight, whose axes are these: by default `lecun_uniform`.

    One that counts axes gets this layout, unless it has its own, or its own fan.  With groups, the
    first axis has that many parts, each a weight of its own.
    """
    init = lecun_uniform() if init is None else init
    if not isinstance(init, (Scaled, Orthogonal)) or init.layout is not None:
        return init
    return replace(init, layout=layout) if groups == 1 else Grouped(init, layout, groups)


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
    subject = f"{source_text(variable)} expects initial values"
    refuse_masked(subject, init)
    if isinstance(init, types.FunctionType) and init.__module__ == __name__:
        raise TypeError(f"{subject} of an initialiser, got the function {init.__name__}: call it, "
                        f"dg.init.{init.__name__}()")  # fmt: skip
    if isinstance(init, (bool, int, float, np.number)):
        init = np.full(shape, init)
    if callable(init):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        try:
            init = init(rng, shape, variable.dtype)
        except ShapeError as error:
            raise ShapeError(f"{source_text(variable)}: {error}") from None
    if not isinstance(init, (np.ndarray, list, tuple)):
        raise TypeError(
            f"{subject} from an initialiser of dg.init, a number or an array, got "
            f"{type(init).__name__}"
        )
    array = np.asarray(init)
    if array.shape != shape:
        raise ShapeError(f"{subject} of shape {shape_text(shape)}, got {shape_text(array.shape)}")
    if not _can_become(array, variable.dtype):
        raise DtypeError(f"{subject} that become {variable.dtype}, got {array.dtype}")
    return in_dtype(source_text(variable), array, variable.dtype, "initial values")


def initial_state(
    variable: Variable, name: str, dtype: str, seed: int, names: Mapping[Variable, str]
) -> Array:
    """A state before the first step; InputError where its `init` is not of its shape or dtype.

    `names` are those of the diagram's parameters, one of which may be the `init`.
    """
    subject, init = f"state '{name}' ({variable.where})", variable.init
    refuse_masked(f"{subject} expects a number or an array for its init", init)
    if isinstance(init, Variable):
        init = resolve_ties(init)
        if init.kind != "parameter":
            raise InputError(
                f"{subject} expects a number, an array, an initialiser or a parameter, got "
                f"{source_text(init)}"
            )
        init = initial_value(init, names.get(init) or full_name(init), seed)
    elif callable(init):
        init = initial_value(variable, name, seed)
    value = np.asarray(init)
    array = np.empty(variable.type.extents, dtype)
    if value.shape not in ((), array.shape) or not _can_become(value, dtype):
        raise InputError(
            f"{subject} expects a number or {dtype} {shape_text(array.shape)} for its init, got "
            f"{value.dtype} {shape_text(value.shape)}"
        )
    array[...] = in_dtype(subject, value, dtype, "initial values")
    return array


def _can_become(array: Array, dtype: str) -> bool:
    """Whether numbers keep their kind in a dtype; each integer must fit, too."""
    whole = {array.dtype.kind, np.dtype(dtype).kind} <= {"i", "u"}
    return whole or np.can_cast(array.dtype, dtype, "same_kind")


def _mode(mode: Any) -> Literal["inputs", "outputs"]:
    return one_of("init", "mode", mode, ("inputs", "outputs"))


def _fan(fan: Any) -> Fan | None:
    """Two numbers of 0 or more; or None, to count them from the weight's shape."""
    if fan is None:
        return None
    pair = items("init", "fan", fan, "two numbers")
    if len(pair) != 2:
        raise wrong("init", "fan to be a pair (inputs, outputs)", fan, ValueError)
    first, second = (number("init", "fan", item, least=0) for item in pair)
    return int(first), int(second)


def _checked(layout: str | None) -> str | None:
    """A layout itself; ValueError for what is none."""
    known = isinstance(layout, str) and set(layout) <= set("iokn") and set(layout) & set("io")
    if layout is None or known:
        return layout
    letters = 'of the letters "i" (inputs), "o" (outputs), "k" (taps) and "n" (copies)'
    kind = ValueError if isinstance(layout, str) else TypeError
    raise wrong("init", f'a layout {letters}, such as "io" or "oikk"', layout, kind)


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

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
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..arguments import items, number, one_of, wrong
from ..errors import DtypeError, InputError, ShapeError
from ..location import user_location
from ..variables.dependencies import resolve_ties
from ..variables.numbers import in_dtype, refuse_masked
from ..variables.variable import Variable, full_name, shape_text, source_text
from .initialisers import (
    Array,
    Constant,
    Dirac,
    Fan,
    Grouped,
    Identity,
    Initialiser,
    Normal,
    Orthogonal,
    Scaled,
    Shape,
    Sparse,
    TruncatedNormal,
    Uniform,
)

__all__ = [
    "GAINS",
    "Array",
    "Constant",
    "Dirac",
    "Fan",
    "Grouped",
    "Identity",
    "Initialiser",
    "Normal",
    "Orthogonal",
    "Scaled",
    "Shape",
    "Sparse",
    "TruncatedNormal",
    "Uniform",
    "constant",
    "dirac",
    "gain",
    "identity",
    "initial_state",
    "initial_value",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "with_layout",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

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
    nonlinearity: str | float = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
    layout: str | None = None,
    slope: float | None = None,
) -> Scaled:
    """Uniform numbers of variance gain**2 / fan, which keep the size of signals through layers.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    Args:
        nonlinearity: what follows the weight, or the gain as a number, see `gain`.
        mode: "inputs" keeps the size of activations, "outputs" that of gradients.
        fan: (inputs, outputs): how many numbers make one output, and how many outputs one number
            goes into; by default counted from the weight's shape.
        layout: what its axes are, a letter for each: "i" inputs, "o" outputs, "k" the taps of a
            window, "n" copies with weights of their own. By default "io" for two axes and "oik...",
            a convolution's, for more; blocks state their own.
        slope: of a leaky_relu below 0, if it is not 0.01.

    Raises:
        ValueError: another letter, or neither inputs nor outputs.
    """
    return Scaled(gain(nonlinearity, slope), _mode(mode), "uniform", _fan(fan), _checked(layout))


def kaiming_normal(
    nonlinearity: str | float = "relu",
    mode: Literal["inputs", "outputs"] = "inputs",
    fan: Fan | None = None,
    layout: str | None = None,
    slope: float | None = None,
) -> Scaled:
    """As `kaiming_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity, slope), _mode(mode), "normal", _fan(fan), _checked(layout))


def xavier_uniform(
    nonlinearity: str | float = "linear",
    fan: Fan | None = None,
    layout: str | None = None,
    slope: float | None = None,
) -> Scaled:
    """Uniform numbers of variance gain**2 over the average of both fans.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010.  Arguments as for `kaiming_uniform`.
    """
    return Scaled(gain(nonlinearity, slope), "average", "uniform", _fan(fan), _checked(layout))


def xavier_normal(
    nonlinearity: str | float = "linear",
    fan: Fan | None = None,
    layout: str | None = None,
    slope: float | None = None,
) -> Scaled:
    """As `xavier_uniform`, with normal numbers."""
    return Scaled(gain(nonlinearity, slope), "average", "normal", _fan(fan), _checked(layout))


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


def truncated_normal(
    mean: float = 0.0, deviation: float = 1.0, low: float = -2.0, high: float = 2.0
) -> TruncatedNormal:
    """Normal numbers with this mean and standard deviation, of which only those in [low, high].

    ValueError for a deviation that is not above 0, and unless low < high.
    """
    mean = number("truncated_normal", "mean", mean)
    deviation = number("truncated_normal", "deviation", deviation, above=0)
    ends = number("truncated_normal", "low", low), number("truncated_normal", "high", high)
    if not ends[0] < ends[1]:
        subject = f"truncated_normal ({user_location()})"
        raise ValueError(f"{subject} expects low < high, got {low} and {high}")
    return TruncatedNormal(mean, deviation, *ends)


def sparse(share: float, deviation: float = 0.01) -> Sparse:
    """A matrix of normal numbers, of which a share is 0 in each column, the inputs of one output.

    Martens, Deep learning via Hessian-free optimization, 2010.

    Args:
        share: of zeros, from 0 to 1; their number is rounded up.
        deviation: the standard deviation of the others.

    Raises:
        ValueError: a share outside of its range, a deviation below 0.
    """
    share = number("sparse", "share", share, least=0, most=1)
    return Sparse(share, number("sparse", "deviation", deviation, least=0))


def dirac(layout: str | None = None) -> Dirac:
    """The weight of a convolution that gives each of its channels as it is: 1 at the centre tap.

    Output i is input i, in each group of channels for itself; outputs behind the last input are 0.
    The taps are centred, so that a padding "same" of odd windows keeps each pixel in its place.

    Zagoruyko and Komodakis, DiracNets, 2017.  `layout` as for `kaiming_uniform`.
    """
    return Dirac(_checked(layout))


GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "selu": 3.0 / 4.0,
}


def gain(nonlinearity: str | float, slope: float | None = None) -> float:
    """The factor by which a weight makes up for the nonlinearity that follows it.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu"; or a number, the
            factor itself.
        slope: of a leaky_relu below 0, if it is not 0.01.

    Raises:
        TypeError, ValueError: another nonlinearity, or a slope of one that has none.
    """
    if isinstance(nonlinearity, str) or not isinstance(nonlinearity, (int, float, np.number)):
        found = GAINS[one_of("gain", "nonlinearity", nonlinearity, list(GAINS))]
    else:
        found = number("gain", "nonlinearity", nonlinearity)
    if slope is None:
        return found
    slope = number("gain", "slope", slope)
    if nonlinearity != "leaky_relu":
        raise wrong("gain", 'no slope but of "leaky_relu"', nonlinearity, ValueError)
    return math.sqrt(2.0 / (1.0 + slope**2))


def with_layout(init: Any, layout: str, groups: int = 1) -> Any:
    """An initialiser of a block's weight, whose axes are these: by default `lecun_uniform`.

    One that counts axes gets this layout, unless it has its own, or its own fan.  With groups, the
    first axis has that many parts, each a weight of its own.
    """
    init = lecun_uniform() if init is None else init
    if not isinstance(init, (Scaled, Orthogonal, Dirac)) or init.layout is not None:
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

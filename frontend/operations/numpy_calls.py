"""NumPy's functions on variables: `np.sin(x)` is `dg.sin(x)`, or an error that says what is.

NumPy asks its arguments whether they want to do the work themselves (NEP 13 and NEP 18); here they
do, where diagrad has the function.  Nothing is computed by NumPy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..location import user_location
from ..variables.variable import Variable, source_text
from . import contractions, elementwise, indexing, reductions, structure
from .functions import exponentials, hyperbolic, rounding, trigonometry
from .integers import bits, division
from .linear import cholesky, determinants, orthogonal, powers, systems
from .making import arrays
from .moving import padding, repeats, triangles
from .ordering import along, quantiles, sorting
from .products import norms, products
from .running import running


def _clip(x: Any, a_min: Any = None, a_max: Any = None) -> Variable:
    return elementwise.clip(x, a_min, a_max)


def _std(
    x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, where: Any = None
) -> Variable:
    return reductions.std(x, axis, keepdims, ddof, where=where)


def _variance(
    x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, where: Any = None
) -> Variable:
    return reductions.variance(x, axis, keepdims, ddof, where=where)


def _square(x: Any) -> Variable:
    return elementwise.multiply(x, x)


def _reciprocal(x: Any) -> Variable:
    return elementwise.divide(1.0, x)


def _cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    line = structure.reshape(x, -1) if axis is None else x
    return reductions.cumsum(line, axis or 0, dtype=dtype)


def _cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    line = structure.reshape(x, -1) if axis is None else x
    return running.cumprod(line, axis or 0, dtype=dtype)


def _take(x: Any, indices: Any, axis: int | None = None) -> Variable:
    return indexing.take(structure.reshape(x, -1) if axis is None else x, indices, axis or 0)


def _ravel(x: Any) -> Variable:
    return structure.reshape(x, -1)


def _split(x: Any, places: Any, axis: int = 0) -> list[Variable]:
    """Cut at places, as NumPy's; `dg.split` has the sizes of the parts."""
    if isinstance(places, (int, np.integer)):
        return structure.split(x, int(places), axis)
    cuts = [0, *np.asarray(places).tolist()]
    return structure.split(x, [*np.diff(cuts).tolist(), -1], axis)


def _pad(x: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Variable:
    return padding.pad(x, pad_width, mode, constant_values)


def _tile(A: Any, reps: Any) -> Variable:  # noqa: N803 (NumPy's name)
    return repeats.tile(A, reps)


UFUNCS: dict[str, Callable[..., Any]] = {
    "divide": elementwise.divide,
    "float_power": elementwise.power,
    "bitwise_and": bits.bitwise_and,
    "bitwise_or": bits.bitwise_or,
    "bitwise_xor": bits.bitwise_xor,
    "invert": bits.bitwise_invert,
    "left_shift": bits.bitwise_left_shift,
    "right_shift": bits.bitwise_right_shift,
    "floor_divide": division.floor_divide,
    "remainder": division.remainder,
    "divmod": division.divmod,
    "fmod": division.fmod,
    "arcsin": trigonometry.asin,
    "arccos": trigonometry.acos,
    "arctan": trigonometry.atan,
    "arctan2": trigonometry.atan2,
    "tan": trigonometry.tan,
    "arcsinh": hyperbolic.asinh,
    "arccosh": hyperbolic.acosh,
    "arctanh": hyperbolic.atanh,
    "sinh": hyperbolic.sinh,
    "cosh": hyperbolic.cosh,
    "log2": exponentials.log2,
    "log10": exponentials.log10,
    "exp2": exponentials.exp2,
    "cbrt": exponentials.cbrt,
    "hypot": exponentials.hypot,
    "logaddexp": exponentials.logaddexp,
    "rint": rounding.round,
    "trunc": rounding.trunc,
    "copysign": rounding.copysign,
    "signbit": rounding.signbit,
    "isnan": rounding.isnan,
    "isinf": rounding.isinf,
    "isfinite": rounding.isfinite,
    "fabs": elementwise.absolute,
    "square": _square,
    "reciprocal": _reciprocal,
    "positive": lambda x: x,
    "matmul": contractions.matmul,
    **{
        name: getattr(elementwise, name)
        for name in (
            "absolute", "add", "subtract", "multiply", "power", "maximum", "minimum", "equal",
            "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
            "logical_or", "logical_xor", "logical_not", "negative", "sign", "floor", "ceil", "exp",
            "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh",
        )
    },
}  # fmt: skip
"""What a NumPy ufunc of this name is."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reductions.sum,
    np.mean: reductions.mean,
    np.max: reductions.max,
    np.min: reductions.min,
    np.var: _variance,
    np.std: _std,
    np.any: reductions.any,
    np.all: reductions.all,
    np.round: rounding.round,
    np.nan_to_num: lambda x, copy=True, nan=0.0, posinf=None, neginf=None: rounding.nan_to_num(
        x, nan, posinf, neginf
    ),
    np.sinc: trigonometry.sinc,
    np.count_nonzero: reductions.count_nonzero,
    np.argmax: reductions.argmax,
    np.argmin: reductions.argmin,
    np.argsort: sorting.argsort,
    np.sort: sorting.sort,
    np.median: lambda a, axis=None, keepdims=False: quantiles.median(a, axis, keepdims),
    np.quantile: lambda a, q, axis=None, keepdims=False: quantiles.quantile(a, q, axis, keepdims),
    np.searchsorted: quantiles.searchsorted,
    np.take_along_axis: along.take_along_axis,
    np.cumsum: _cumsum,
    np.take: _take,
    np.where: elementwise.where,
    np.clip: _clip,
    np.reshape: structure.reshape,
    np.ravel: _ravel,
    np.transpose: structure.transpose,
    np.swapaxes: structure.swapaxes,
    np.expand_dims: structure.expand_dims,
    np.squeeze: structure.squeeze,
    np.broadcast_to: structure.broadcast_to,
    np.flip: structure.flip,
    np.concatenate: structure.concatenate,
    np.stack: structure.stack,
    np.split: _split,
    np.pad: _pad,
    np.tile: _tile,
    np.repeat: repeats.repeat,
    np.roll: repeats.roll,
    np.moveaxis: structure.moveaxis,
    np.tril: triangles.tril,
    np.triu: triangles.triu,
    np.diagonal: triangles.diagonal,
    np.trace: triangles.trace,
    np.meshgrid: arrays.meshgrid,
    np.einsum: contractions.einsum,
    np.prod: running.prod,
    np.cumprod: _cumprod,
    np.outer: products.outer,
    np.inner: products.inner,
    np.tensordot: products.tensordot,
    np.kron: products.kron,
    np.linalg.norm: norms.norm,
    np.linalg.solve: systems.solve,
    np.linalg.eigvalsh: orthogonal.eigvalsh,
    np.linalg.svdvals: orthogonal.svdvals,
    np.linalg.pinv: orthogonal.pinv,
    np.linalg.matrix_rank: orthogonal.matrix_rank,
    np.linalg.inv: systems.inverse,
    np.linalg.cholesky: cholesky.cholesky,
    np.linalg.det: determinants.det,
    np.linalg.slogdet: determinants.slogdet,
    np.linalg.matrix_power: powers.matrix_power,
    np.zeros_like: arrays.zeros_like,
    np.ones_like: arrays.ones_like,
    np.full_like: arrays.full_like,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
}
"""What a NumPy function is; the first arguments have the same meaning."""

OURS: dict[str, str] = {
    "dot": "x @ y",
    "hstack": "dg.concatenate", "vstack": "dg.concatenate or dg.stack",
    "qr": "dg.qr", "svd": "dg.svd", "eigh": "dg.eigh", "lstsq": "dg.lstsq",
    "heaviside": "dg.where",
    "copyto": "dg.where", "put": "dg.put_along_axis", "put_along_axis": "dg.put_along_axis",
    "unique": "dg.sort, or dg.segment_sum for counts: what it gives has no known size",
    "nonzero": "dg.where: what it gives has no known size",
    "argwhere": "dg.where: what it gives has no known size",
    "extract": "where=mask in a sum, or dg.where: what it gives has no known size",
    "compress": "where=mask in a sum, or dg.where: what it gives has no known size",
    "choose": "dg.where, or dg.take_along_axis",
    "partition": "dg.topk or dg.sort", "argpartition": "dg.topk or dg.argsort",
    "bincount": "dg.segment_sum",
}  # fmt: skip
"""What to write instead of a function that diagrad does not have."""


METHODS: dict[str, dict[str, str]] = {
    "reduce": {
        "add": "dg.sum", "multiply": "dg.prod", "maximum": "dg.max", "minimum": "dg.min",
        "logical_and": "dg.all", "logical_or": "dg.any", "logaddexp": "dg.logsumexp",
    },
    "accumulate": {
        "add": "dg.cumsum", "multiply": "dg.cumprod", "logaddexp": "dg.logcumsumexp",
    },
    "outer": {"multiply": "dg.outer"},
    "at": {
        "add": "dg.scatter_add", "multiply": "dg.scatter_mul", "maximum": "dg.scatter_max",
        "minimum": "dg.scatter_min",
    },
}  # fmt: skip
"""What a method of a ufunc is, where diagrad has it."""


def array_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """What NumPy asks for a ufunc (`__array_ufunc__`): sin, add, and the operators of arrays."""
    name = ufunc.__name__
    if method != "__call__":
        raise _unknown(f"np.{name}.{method}", inputs, METHODS.get(method, {}).get(name))
    if "out" in options:
        raise TypeError(
            f"np.{name} ({user_location()}) expects no array to write to, got out= or an operator "
            f"such as += beside {_variable_in(inputs)}: use what {name} returns, as in a = a + x"
        )
    if name not in UFUNCS:
        raise _unknown(f"np.{name}", inputs, None)
    return _called(f"np.{name}", UFUNCS[name], inputs, options)


def array_function(
    self: Variable, function: Any, types: Any, given: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """What NumPy asks for its other functions (`__array_function__`): sum, concatenate."""
    name = f"{function.__module__.replace('numpy', 'np', 1)}.{function.__name__}"
    if function not in FUNCTIONS:
        raise _unknown(name, given, None)
    return _called(name, FUNCTIONS[function], given, options)


def _called(
    name: str, function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """A function on arguments that were meant for NumPy's."""
    signature = inspect.signature(function)
    try:
        signature.bind(*given, **options)
    except TypeError:
        words = ", ".join(signature.parameters)
        got = ", ".join([f"{len(given)} of them"] * bool(given) + [f"{key}=" for key in options])
        raise TypeError(
            f"{name} ({user_location()}) expects the arguments {words} beside a variable, got {got}"
        ) from None
    return function(*given, **options)


def _unknown(name: str, given: Any, instead: str | None) -> TypeError:
    instead = instead or OURS.get(name.rpartition(".")[2])
    remedy = f"use {instead}" if instead else (
        "compose it of the functions of diagrad, or make the variable an output and use NumPy on "
        "what a run gives"
    )  # fmt: skip
    return TypeError(
        f"{name} ({user_location()}) expects arrays, got {_variable_in(given)}: {remedy}"
    )


def _variable_in(given: Any) -> str:
    """The first variable among arguments, for messages."""
    waiting = list(given)
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, Variable):
            return source_text(item)
        if isinstance(item, (list, tuple)):
            waiting += item
    return "a variable"

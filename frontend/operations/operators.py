"""Attaches Python's operators and NumPy's methods to `Variable`."""

from __future__ import annotations

from typing import Any

from ..keywords import guarded
from ..variables.variable import Variable
from . import contractions, elementwise, indexing, reductions, source, structure
from .broadcasting import is_operand
from .functions import exponentials, hyperbolic, rounding, special, trigonometry
from .integers import bits, division
from .linear import cholesky, determinants, orthogonal, powers, systems
from .making import arrays
from .moving import padding, repeats, triangles
from .numpy_calls import array_function, array_ufunc
from .ordering import quantiles, sorting
from .products import norms, products
from .python_words import INSTEAD, missing_attribute, refusing
from .running import running


def _reversed(function: Any) -> Any:
    return lambda self, other: function(other, self)


def _comparison(function: Any) -> Any:
    """An operator as NumPy has it; with what is no number, objects are compared, as by Python."""
    return lambda self, other: function(self, other) if is_operand(other) else NotImplemented


def _shape_method(self: Variable, *shape: Any) -> Variable:
    return structure.reshape(self, shape[0] if len(shape) == 1 else shape)


def _flatten_method(self: Variable, start: int = 0, end: int = -1) -> Variable:
    return structure.flatten(self, start, end)


def _ravel_method(self: Variable) -> Variable:
    return structure.reshape(self, -1)


def _transpose_method(self: Variable, *axes: Any) -> Variable:
    """Axes one by one, as one tuple, or none, as NumPy's method takes them."""
    together = len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list)))
    return structure.transpose(self, axes[0] if together else axes or None)


def _cumsum_method(self: Variable, axis: int | None = None, dtype: Any = None) -> Variable:
    line = structure.reshape(self, -1) if axis is None else self
    return reductions.cumsum(line, axis or 0, dtype=dtype)


def _cumprod_method(self: Variable, axis: int | None = None, dtype: Any = None) -> Variable:
    line = structure.reshape(self, -1) if axis is None else self
    return running.cumprod(line, axis or 0, dtype=dtype)


def _take_method(self: Variable, index: Any, axis: int | None = None) -> Variable:
    return indexing.take(structure.reshape(self, -1) if axis is None else self, index, axis or 0)


def _round_method(self: Variable, digits: int | None = None) -> Variable:
    return rounding.round(self, 0 if digits is None else digits)


OPERATORS: dict[str, Any] = {
    "__getitem__": indexing.getitem,
    "__add__": elementwise.add,
    "__radd__": _reversed(elementwise.add),
    "__sub__": elementwise.subtract,
    "__rsub__": _reversed(elementwise.subtract),
    "__mul__": elementwise.multiply,
    "__rmul__": _reversed(elementwise.multiply),
    "__truediv__": elementwise.divide,
    "__rtruediv__": _reversed(elementwise.divide),
    "__pow__": elementwise.power,
    "__rpow__": _reversed(elementwise.power),
    "__matmul__": contractions.matmul,
    "__rmatmul__": _reversed(contractions.matmul),
    "__neg__": elementwise.negative,
    "__abs__": elementwise.absolute,
    "__floordiv__": division.floor_divide,
    "__rfloordiv__": _reversed(division.floor_divide),
    "__mod__": division.remainder,
    "__rmod__": _reversed(division.remainder),
    "__divmod__": division.divmod,
    "__rdivmod__": _reversed(division.divmod),
    "__invert__": bits.bitwise_invert,
    "__and__": bits.bitwise_and,
    "__rand__": _reversed(bits.bitwise_and),
    "__or__": bits.bitwise_or,
    "__ror__": _reversed(bits.bitwise_or),
    "__xor__": bits.bitwise_xor,
    "__rxor__": _reversed(bits.bitwise_xor),
    "__lshift__": bits.bitwise_left_shift,
    "__rlshift__": _reversed(bits.bitwise_left_shift),
    "__rshift__": bits.bitwise_right_shift,
    "__rrshift__": _reversed(bits.bitwise_right_shift),
    "__pos__": lambda self: self,
    "__floor__": elementwise.floor,
    "__trunc__": rounding.trunc,
    "__round__": _round_method,
    "__ceil__": elementwise.ceil,
    "__eq__": _comparison(elementwise.equal),
    "__ne__": _comparison(elementwise.not_equal),
    "__lt__": elementwise.less,
    "__le__": elementwise.less_equal,
    "__gt__": elementwise.greater,
    "__ge__": elementwise.greater_equal,
    "T": property(structure.transpose),
    "mT": property(lambda self: structure.swapaxes(self, -2, -1)),
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argsort": sorting.argsort,
    "cumprod": _cumprod_method,
    "cumsum": _cumsum_method,
    "diagonal": triangles.diagonal,
    "flatten": _flatten_method,
    "prod": running.prod,
    "ravel": _ravel_method,
    "repeat": repeats.repeat,
    "squeeze": structure.squeeze,
    "swapaxes": structure.swapaxes,
    "take": _take_method,
    "trace": triangles.trace,
    "var": reductions.variance,
    "sum": reductions.sum,
    "mean": reductions.mean,
    "std": reductions.std,
    "any": reductions.any,
    "all": reductions.all,
    "clip": elementwise.clip,
    "round": rounding.round,
    "max": reductions.max,
    "min": reductions.min,
    "reshape": _shape_method,
    "transpose": _transpose_method,
    "astype": elementwise.astype,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    **{method: refusing(method) for method in INSTEAD},
}
_FILES = (
    arrays, bits, cholesky, contractions, determinants, division, elementwise, exponentials,
    hyperbolic, indexing, norms, orthogonal, padding, powers, products, quantiles, reductions,
    repeats, rounding, running, sorting, source, special, structure, systems, triangles,
    trigonometry,
)  # fmt: skip
_FUNCTIONS = frozenset(
    name
    for module in _FILES
    for name, item in vars(module).items()
    if callable(item) and getattr(item, "__module__", "") == module.__name__ and name[0] != "_"
)
OPERATORS["__getattr__"] = missing_attribute(_FUNCTIONS)

for _name, _function in OPERATORS.items():
    setattr(Variable, _name, _function if _name[0] == "_" else guarded(_function, _name))

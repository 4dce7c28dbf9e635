"""Functions of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diagrad as dg

from .arrays import Array, Scalar, draw, draw_alike
from .dtypes import kind_of, promoted

Axis = int | tuple[int, ...] | None

UNARY: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(dg, name)
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "cos",
            "cosh", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log10", "log1p",
            "log2", "logical_not", "negative", "reciprocal", "round", "sign", "signbit", "sin",
            "sinh", "sqrt", "square", "tan", "tanh", "trunc",
        )
    },
    "abs": dg.absolute,
    "positive": lambda x: +x,
}  # fmt: skip
"""Of one array."""

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: getattr(dg, name)
        for name in (
            "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or",
            "bitwise_right_shift", "bitwise_xor", "copysign", "divide", "equal", "floor_divide",
            "greater", "greater_equal", "hypot", "less", "less_equal", "logaddexp", "logical_and",
            "logical_or", "logical_xor", "maximum", "minimum", "multiply", "not_equal",
            "remainder", "subtract",
        )
    },
    "pow": dg.power,
}  # fmt: skip
"""Of two, of which one may be a number."""


def _unary(name: str, function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    def named(x: Array, /) -> Array:
        result: Array = draw(function, x)
        return result

    named.__name__ = named.__qualname__ = name
    return named


def _binary(name: str, function: Callable[..., Any]) -> Callable[..., Array]:
    def named(x1: Array | Scalar, x2: Array | Scalar, /) -> Array:
        return draw_alike(function, x1, x2)

    named.__name__ = named.__qualname__ = name
    return named


globals().update({name: _unary(name, function) for name, function in UNARY.items()})
globals().update({name: _binary(name, function) for name, function in BINARY.items()})


def clip(x: Array, /, min: Any = None, max: Any = None) -> Any:
    """Between two bounds."""
    arrays = [item for item in (min, max) if isinstance(item, Array)]
    if kind_of(promoted([x.dtype, *(a.dtype for a in arrays)])) == "bool":
        raise TypeError("expected numbers")

    def drawn(v: Any, *bounds: Any) -> Any:
        given = iter(bound if bound.dtype == v.dtype else bound.astype(v.dtype) for bound in bounds)
        low, high = (next(given) if isinstance(item, Array) else item for item in (min, max))
        return dg.clip(v, low, high)

    return draw(drawn, x, *arrays)

"""Rounding, signs, and what kind of number a float is; integers are finite and round already."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.functions.formula import Formula, where
from ....compiler.primitives.record import Builder
from ...arguments import integer, wrong
from ...location import user_location
from ...variables.applying import apply
from ...variables.numbers import in_dtype, number_array
from ...variables.variable import Variable
from ..broadcasting import align, as_variables, one_dtype


def round(x: Any, decimals: int = 0) -> Variable:
    """The nearest number with so many decimals, of two the even one, as in NumPy and Python.

    Args:
        x: floats; integers are themselves, where there are decimals.
        decimals: digits behind the point, or, negative, zeros before it: x 10 ** decimals is
            rounded, as in NumPy.

    Returns:
        Of x's dtype; the derivative is 0.

    Raises:
        DtypeError: when the diagram is built: bools, or integers and negative decimals.
        TypeError: decimals that are no integer.
    """
    decimals = integer("round", "decimals", decimals)

    def nearest(x: Formula) -> Formula:
        if decimals == 0:
            return _nearest(x)
        scale = 10.0 ** abs(decimals)
        return _nearest(x * scale) / scale if decimals > 0 else _nearest(x / scale) * scale

    def whole(x: Formula) -> Formula:
        if decimals < 0:
            raise DtypeRuleError("expects floats where decimals are negative: convert the integers")
        return x

    return _number("round", x, nearest, whole)


def _nearest(x: Formula) -> Formula:
    """By a sum in which there is no room for a fraction; what is larger has none."""
    limit = 2.0 ** np.finfo(x.node.dtype).nmant
    size = abs(x)
    rounded = ((size + limit) - limit).signed_as(x)
    return x.like(x.b.stop_gradient(where(size < limit, rounded, x).node))


def trunc(x: Any) -> Variable:
    """The number without its fraction, rounded towards 0; the derivative is 0."""

    def cut(x: Formula) -> Formula:
        return where(x < 0, x.one("ceil"), x.one("floor"))

    return _number("trunc", x, cut, lambda x: x)


def copysign(x: Any, y: Any) -> Variable:
    """|x| with the sign of y, of a zero too; of floats."""

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        size, sign = (Formula(b, node) for node in align(b, nodes))
        if not size.node.type.is_float:
            raise DtypeRuleError("expects floats: convert with .astype(dg.float32)")
        return abs(size).signed_as(sign).node

    result: Variable = apply("copysign", rule, as_variables(x, y))
    return result


def signbit(x: Any) -> Variable:
    """Whether the sign is minus, as bool; that of -0.0 is, and no NaN has one."""
    return _number("signbit", x, lambda x: x.negative(), lambda x: x < 0)


def isnan(x: Any) -> Variable:
    """Whether a float is no number, as bool."""
    return _number("isnan", x, lambda x: x.like(x.b.ne(x.node, x.node)), lambda x: _all(x, False))


def isinf(x: Any) -> Variable:
    """Whether a float is infinite, as bool."""
    return _number("isinf", x, lambda x: abs(x).equals(math.inf), lambda x: _all(x, False))


def isfinite(x: Any) -> Variable:
    """Whether a float is a number and not infinite, as bool."""
    return _number("isfinite", x, lambda x: abs(x) < math.inf, lambda x: _all(x, True))


def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Variable:
    """Floats with a number in the place of NaN, and of the infinities, as NumPy's.

    Args:
        x: floats; integers are themselves.
        nan: what NaN becomes.
        posinf: what infinity becomes; by default the greatest number of the dtype.
        neginf: what -infinity becomes; by default the least.

    Returns:
        Of x's dtype; no gradient flows to what was replaced.

    Raises:
        TypeError, DtypeError: something that is no number of the dtype.
    """
    numbers = [_replacement(item) for item in (nan, posinf, neginf)]

    subject = f"nan_to_num ({user_location()})"

    def replaced(x: Formula) -> Formula:
        dtype = x.node.dtype
        limit = float(np.finfo(dtype).max)
        known = [
            default if array is None else float(in_dtype(subject, array, dtype))
            for array, default in zip(numbers, (0.0, limit, -limit), strict=True)
        ]
        found = where(x.equals(x), x, known[0])
        found = where(x.equals(math.inf), known[1], found)
        return where(x.equals(-math.inf), known[2], found)

    return _number("nan_to_num", x, replaced, lambda x: x)


def _replacement(value: Any) -> Any:
    """A number, as an array, or None."""
    subject = f"nan_to_num ({user_location()})"
    if value is None:
        return None
    array = None if isinstance(value, Variable) else number_array(subject, value)
    if array is None or array.ndim:
        raise wrong(subject, "a number in the place of another", value)
    return array


def _all(x: Formula, value: bool) -> Formula:
    return x.like(x.b.fill(value, x.node.type.with_dtype("bool")))


def _number(
    label: str,
    x: Any,
    of_floats: Callable[[Formula], Formula],
    of_integers: Callable[[Formula], Formula],
) -> Variable:
    """A function of floats, and another of integers."""

    def rule(b: Builder, node: Node) -> Node:
        if node.dtype == "bool":
            raise DtypeRuleError("expects numbers: cast bools with .astype(dg.int32)")
        return (of_floats if node.type.is_float else of_integers)(Formula(b, node)).node

    result: Variable = apply(label, rule, as_variables(x))
    return result

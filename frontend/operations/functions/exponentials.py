"""Logarithms and powers to other bases, roots, and logarithms of sums."""

from __future__ import annotations

from typing import Any

from ...variables.variable import Variable
from ..elementwise import power
from .composing import function


def log2(x: Any) -> Variable:
    """The logarithm to the base 2, an integer at every power of 2."""
    return function("log2", x)


def log10(x: Any) -> Variable:
    """The logarithm to the base 10, an integer at every power of 10."""
    return function("log10", x)


def cbrt(x: Any) -> Variable:
    """The cube root, negative of a negative x; its derivative at 0 is infinite."""
    return function("cbrt", x)


def hypot(x: Any, y: Any) -> Variable:
    """sqrt(x * x + y * y), without overflow or underflow of the squares.

    Infinite where one is, beside a NaN too.  The gradient is 0 at the origin, as in PyTorch's norm.
    """
    return function("hypot", x, y)


def logaddexp(x: Any, y: Any) -> Variable:
    """log(exp(x) + exp(y)), without overflow; -inf of two that are."""
    return function("logaddexp", x, y)


def xlogy(x: Any, y: Any) -> Variable:
    """X * log(y), and 0 where x is 0, unless y is NaN.

    The derivative by x is log(y), as in PyTorch 0 where x is 0 and y is not positive.
    """
    return function("xlogy", x, y)


def exp2(x: Any) -> Variable:
    """2 ** x, as `dg.power`."""
    return power(2.0, x)

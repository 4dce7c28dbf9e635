"""The hyperbolic functions and their inverses."""

from __future__ import annotations

from typing import Any

from ...variables.variable import Variable
from .composing import function


def sinh(x: Any) -> Variable:
    """The hyperbolic sine, (exp(x) - exp(-x)) / 2."""
    return function("sinh", x)


def cosh(x: Any) -> Variable:
    """The hyperbolic cosine, (exp(x) + exp(-x)) / 2."""
    return function("cosh", x)


def asinh(x: Any) -> Variable:
    """The number of which x is the hyperbolic sine."""
    return function("asinh", x)


def acosh(x: Any) -> Variable:
    """The number of 0 or more of which x is the hyperbolic cosine; NaN below 1."""
    return function("acosh", x)


def atanh(x: Any) -> Variable:
    """The number of which x is the hyperbolic tangent; NaN outside of [-1, 1]."""
    return function("atanh", x)

"""The error function from above, its inverse, and the logarithm of the gamma function."""

from __future__ import annotations

from typing import Any

from ...variables.variable import Variable
from .composing import function


def erfc(x: Any) -> Variable:
    """1 - erf(x), accurate where that is small: down to the least numbers at 26."""
    return function("erfc", x)


def erfinv(x: Any) -> Variable:
    """The number of which x is the error function; infinite at -1 and 1, NaN outside."""
    return function("erfinv", x)


def lgamma(x: Any) -> Variable:
    """The logarithm of |gamma(x)|; infinite at 0 and the negative integers.

    The derivative is `digamma`, and so on: derivatives of any order are polygamma functions.
    """
    return function("lgamma", x)


def digamma(x: Any) -> Variable:
    """The derivative of `lgamma`; -inf at 0, and NaN at the negative integers, as in PyTorch."""
    return function("polygamma", x, label="digamma", order=0)

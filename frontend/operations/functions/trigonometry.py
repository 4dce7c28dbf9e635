"""Tangents and the inverses of the trigonometric functions, in radians; sinc."""

from __future__ import annotations

from typing import Any

from ...variables.variable import Variable
from .composing import function


def tan(x: Any) -> Variable:
    """The tangent of radians: sin(x) / cos(x)."""
    return function("tan", x)


def asin(x: Any) -> Variable:
    """The angle in [-pi/2, pi/2] of which x is the sine; NaN outside of [-1, 1]."""
    return function("asin", x)


def acos(x: Any) -> Variable:
    """The angle in [0, pi] of which x is the cosine; NaN outside of [-1, 1]."""
    return function("acos", x)


def atan(x: Any) -> Variable:
    """The angle in [-pi/2, pi/2] of which x is the tangent."""
    return function("atan", x)


def atan2(y: Any, x: Any) -> Variable:
    """The angle in [-pi, pi] of the point (x, y), as NumPy's arctan2: signs of zeros count.

    The gradient at the origin is NaN: there is no angle.
    """
    return function("atan2", y, x)


def sinc(x: Any) -> Variable:
    """sin(pi x) / (pi x), and 1 at 0, as in NumPy and PyTorch."""
    return function("sinc", x)

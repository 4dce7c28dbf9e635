"""Values and derivatives of the trigonometric and hyperbolic functions, and of their inverses."""

from __future__ import annotations

import math

from .composed import Function
from .formula import Formula, exp, log, log1p, polynomial, sine_of_pi, sqrt, where

Slopes = tuple[Formula, ...]

# Cephes Mathematical Library (Moshier), atan.c: x + x z P(z) / Q(z) with z = x x, below tan(pi/8).
_ATAN_P = (
    -8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
    -1.228866684490136173410e2, -6.485021904942025371773e1,
)  # fmt: skip
_ATAN_Q = (
    1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
    4.853903996359136964868e2, 1.945506571482613964425e2,
)  # fmt: skip
_LOST = 6.123233995736765886130e-17
"""What pi/2 loses when it is rounded."""


def _tan(x: Formula) -> Formula:
    return x.one("sin") / x.one("cos")


def _tan_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 + y * y,)


def _atan(x: Formula) -> Formula:
    size = abs(x)
    far, middle = size > 1 + math.sqrt(2), size > 0.66
    reduced = where(far, -1 / size, where(middle, (size - 1) / (size + 1), size))
    z = reduced * reduced
    series = reduced * (z * polynomial(z, _ATAN_P) / polynomial(z, _ATAN_Q)) + reduced
    lost = where(far, _LOST, where(middle, x.number(_LOST / 2), 0))
    whole = where(far, math.pi / 2, where(middle, x.number(math.pi / 4), 0))
    return (whole + (series + lost)).signed_as(x)


def _atan_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 / (1 + x * x),)


def _atan2(y: Formula, x: Formula) -> Formula:
    level = y.equals(0) & x.equals(x)
    both = abs(x).equals(math.inf) & abs(y).equals(math.inf)
    ratio = where(both, x.one("sign") * y.one("sign"), where(level, y, y / x))
    turned = _atan(ratio) + x.number(math.pi).signed_as(y)
    return where(x.negative(), turned, where(level, y, _atan(ratio)))


def _atan2_slopes(_: Formula, y: Formula, x: Formula) -> Slopes:
    largest = abs(x).largest(abs(y))
    u, v = x / largest, y / largest
    square = (u * u + v * v) * largest
    return u / square, -(v / square)


def _asin(x: Formula) -> Formula:
    return _atan(x / sqrt((1 - x) * (1 + x)))


def _asin_slopes(y: Formula, x: Formula) -> Slopes:
    return (((1 - x) * (1 + x)).one("rsqrt"),)


def _acos(x: Formula) -> Formula:
    return 2 * _atan(sqrt((1 - x) / (1 + x)))


def _acos_slopes(y: Formula, x: Formula) -> Slopes:
    return (-((1 - x) * (1 + x)).one("rsqrt"),)


def _sinh(x: Formula) -> Formula:
    size = abs(x)
    near = size.one("expm1")
    half = exp(size * 0.5)
    small = 0.5 * (near + near / (near + 1))
    large = (0.5 * half) * half - (0.5 / half) / half
    return where(size > 1, large, small).signed_as(x)


def _sinh_slopes(y: Formula, x: Formula) -> Slopes:
    return (0.5 * exp(x) + 0.5 * exp(-x),)


def _cosh(x: Formula) -> Formula:
    half = exp(abs(x) * 0.5)
    return (0.5 * half) * half + (0.5 / half) / half


def _cosh_slopes(y: Formula, x: Formula) -> Slopes:
    """The formula of sinh with both signs of x: derivatives of it are those of exp and expm1."""
    near = x.one("expm1")
    bounded = where(x > 0, near, 0)
    back = where(x > 0, 0, (-x).one("expm1"))
    above = 0.5 * (bounded + bounded / (bounded + 1))
    below = -0.5 * (back + back / (back + 1))
    return (where(x > 0, above, below),)


def _asinh(x: Formula) -> Formula:
    size = abs(x)
    square = size * size
    near = log1p(size + square / (1 + sqrt(1 + square)))
    return where(size > 2.0**28, log(size) + math.log(2), near).signed_as(x)


def _asinh_slopes(y: Formula, x: Formula) -> Slopes:
    return ((1 + x * x).one("rsqrt"),)


def _acosh(x: Formula) -> Formula:
    above = x - 1
    near = log1p(above + sqrt(above) * sqrt(above + 2))  # NaN below 1, however far
    return where(x > 2.0**28, log(x) + math.log(2), near)


def _acosh_slopes(y: Formula, x: Formula) -> Slopes:
    return (((x - 1) * (x + 1)).one("rsqrt"),)


def _atanh(x: Formula) -> Formula:
    size = abs(x)
    twice = size + size
    near = log1p(twice + twice * size / (1 - size))
    return (0.5 * where(size < 0.5, near, log1p(twice / (1 - size)))).signed_as(x)


def _atanh_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 / ((1 - x) * (1 + x)),)


def _sinc(x: Formula) -> Formula:
    none = x.equals(0)
    return where(none, 1, sine_of_pi(x) / (math.pi * where(none, 1, x)))


_NEAR = 0.25
_SERIES = tuple(
    (-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(9, 0, -1)
)
"""Of the derivative of sinc, divided by x, in powers of x x."""


def _sinc_slopes(y: Formula, x: Formula) -> Slopes:
    """The quotient (cos(pi x) - sinc(x)) / x, or its series near 0, where the two cancel."""
    near = abs(x) < _NEAR
    series = x * polynomial(x * x, _SERIES)
    away = where(near, 1, x)
    z = math.pi * away
    return (where(near, series, (z.one("cos") - z.one("sin") / z) / away),)


FUNCTIONS = {
    "tan": Function(_tan, _tan_slopes),
    "atan": Function(_atan, _atan_slopes),
    "atan2": Function(_atan2, _atan2_slopes),
    "asin": Function(_asin, _asin_slopes),
    "acos": Function(_acos, _acos_slopes),
    "sinh": Function(_sinh, _sinh_slopes),
    "cosh": Function(_cosh, _cosh_slopes),
    "asinh": Function(_asinh, _asinh_slopes),
    "acosh": Function(_acosh, _acosh_slopes),
    "atanh": Function(_atanh, _atanh_slopes),
    "sinc": Function(_sinc, _sinc_slopes),
}
"""By name."""

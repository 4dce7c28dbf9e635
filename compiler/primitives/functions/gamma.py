"""Values and derivatives of the logarithm of the gamma function, and of its derivatives."""

from __future__ import annotations

import math

from .composed import Function, compose
from .formula import Formula, cosine_of_pi, log, polynomial, sine_of_pi, where

Slopes = tuple[Formula, ...]

# Cephes Mathematical Library (Moshier), gamma.c: Stirling's series A, and x B(x) / C(x) above 2.
_A = (
    8.11614167470508450300e-4, -5.95061904284301438324e-4, 7.93650340457716943945e-4,
    -2.77777777730099687205e-3, 8.33333333333331927722e-2,
)  # fmt: skip
_B = (
    -1.37825152569120859100e3, -3.88016315134637840924e4, -3.31612992738871184744e5,
    -1.16237097492762307383e6, -1.72173700820839662146e6, -8.53555664245765465627e5,
)  # fmt: skip
_C = (
    1.0, -3.51815701436523470549e2, -1.70642106651881159223e4, -2.20528590553854454839e5,
    -1.13933444367982507207e6, -2.53252307177582951285e6, -2.01889141433532773231e6,
)  # fmt: skip
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_LEAST, _SHIFT = 1.95, 13
_STEPS = 10


def _above_zero(x: Formula) -> Formula:
    """Of x > 0: by the recurrence from [1.95, 3], below 13, by Stirling's series above.

    From 1.95 and not from 2, so that no two terms cancel beside the roots, 1 and 2.
    """
    bounded = where(x < _SHIFT, x, 2)
    shift, factor, divisor = x.number(0), x.number(1), x.number(1)
    for _ in range(_SHIFT - 3):
        down = bounded + shift > 3
        shift = where(down, shift - 1, shift)
        factor = where(down, factor * (bounded + shift), factor)
    for _ in range(2):
        up = bounded + shift < _LEAST
        divisor = where(up, divisor * (bounded + shift), divisor)
        shift = where(up, shift + 1, shift)
    rest = bounded + (shift - 2)
    near = log(factor) - log(divisor) + rest * polynomial(rest, _B) / polynomial(rest, _C)
    high = where(x < _SHIFT, _SHIFT, x)
    inverse = 1 / high
    stirling = (high - 0.5) * (log(high) - 1) - 0.5 + 0.5 * math.log(2 * math.pi)
    stirling = stirling + inverse * polynomial(inverse * inverse, _A)
    return where(x < _SHIFT, near, where(x.equals(math.inf), x, stirling))


def _lgamma(x: Formula) -> Formula:
    """Below 0 by the reflection of 1 - x; infinite at its poles."""
    below = x <= 0
    whole = x.one("floor").equals(x) & below
    safe = where(x.equals(-math.inf), 0.5, x)
    sine = abs(sine_of_pi(where(below, safe, 0.5)))
    reflected = math.log(math.pi) - log(sine) - _above_zero(where(below, 1 - safe, 1))
    found = where(below, reflected, _above_zero(where(below, 1, x)))
    return where(whole | x.equals(-math.inf), math.inf, found)


def _lgamma_slopes(y: Formula, x: Formula) -> Slopes:
    return (compose("polygamma", x, order=0),)


def _polygamma(x: Formula, order: int) -> Formula:
    """By the recurrence up to 10 and the asymptotic series there; below 0 by the reflection.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 1964: 6.3.7, 6.3.18, 6.4.6 to 6.4.11.
    """
    below = x <= 0
    finite = where(x.equals(-math.inf), -0.5, x)
    upper = _polygamma_above_zero(where(below, 1 - finite, x), order)
    inside = where(below, finite, 0.25)
    cotangent = cosine_of_pi(inside) / sine_of_pi(inside)
    reflected = (-1) ** order * upper - math.pi ** (order + 1) * _cotangent(cotangent, order)
    pole = (x.one("floor").equals(x) & (x < 0)) | x.equals(-math.inf)
    return where(pole, math.nan, where(below, reflected, upper))


def _cotangent(c: Formula, order: int) -> Formula:
    """The derivative of cot as a polynomial of cot: p' of each is -(1 + c c) p'."""
    powers = [0.0, 1.0]
    for _ in range(order):
        slope = [k * powers[k] for k in range(1, len(powers))]
        powers = [0.0] * (len(slope) + 2)
        for k, factor in enumerate(slope):
            powers[k] -= factor
            powers[k + 2] -= factor
    return polynomial(c, powers[::-1])


def _polygamma_above_zero(x: Formula, order: int) -> Formula:
    sign, factorial = (-1) ** (order + 1), math.factorial(order)
    total, high = x.number(0), x
    for _ in range(_STEPS):
        low = high < _STEPS
        total = where(low, total + _power(1 / high, order + 1), total)
        high = where(low, high + 1, high)
    inverse = 1 / high
    series = polynomial(
        inverse * inverse,
        [
            number * math.factorial(2 * k + order - 1) / math.factorial(2 * k)
            for k, number in reversed(list(enumerate(_BERNOULLI, 1)))
        ],
    )
    rest = factorial * 0.5 * inverse + series * inverse * inverse
    rest = rest * _power(inverse, order)
    first = -log(high) if order == 0 else math.factorial(order - 1) * _power(inverse, order)
    found: Formula = sign * (factorial * total + rest + first)
    return found


def _power(x: Formula, exponent: int) -> Formula:
    found = x.number(1)
    for _ in range(exponent):
        found = found * x
    return found


def _polygamma_slopes(y: Formula, x: Formula, order: int) -> Slopes:
    return (compose("polygamma", x, order=order + 1),)


FUNCTIONS = {
    "lgamma": Function(_lgamma, _lgamma_slopes),
    "polygamma": Function(_polygamma, _polygamma_slopes),
}
"""By name."""

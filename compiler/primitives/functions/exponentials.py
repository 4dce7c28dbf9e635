"""Values and derivatives of logarithms to other bases, of roots, and of logarithms of sums."""

from __future__ import annotations

import math

from .composed import Function
from .formula import Formula, exp, log, log1p, sqrt, where

Slopes = tuple[Formula, ...]


def _logarithm(x: Formula, base: float) -> Formula:
    """The logarithm to a base, an integer where x is a power of it."""
    found = log(x) * (1 / math.log(base))
    whole = found.rounded()
    return where((x.number(base) ** whole).equals(x), whole, found)


def _log2(x: Formula) -> Formula:
    return _logarithm(x, 2.0)


def _log2_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 / math.log(2) / x,)


def _log10(x: Formula) -> Formula:
    return _logarithm(x, 10.0)


def _log10_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 / math.log(10) / x,)


def _cbrt(x: Formula) -> Formula:
    """A power, and one step of Newton's method, which makes good that 1/3 is rounded."""
    size = abs(x)
    whole = size.equals(0) | size.equals(math.inf)
    safe = where(whole, 1, size)
    root = safe ** (1 / 3)
    better = root + root * (safe / (root * root * root) - 1) * (1 / 3)
    return where(whole, size, better).signed_as(x)


def _cbrt_slopes(y: Formula, x: Formula) -> Slopes:
    return (1 / (3 * y * y),)


def _hypot(x: Formula, y: Formula) -> Formula:
    """In units of a power of two near the larger one, so that no square overflows."""
    large, small = abs(x).largest(abs(y)), abs(x).smallest(abs(y))
    unit = where(large > 2.0**500, 2.0**-600, where(large < 2.0**-400, x.number(2.0**600), 1))
    u, v = large * unit, small * unit
    found = sqrt(u * u + v * v) / unit
    infinite = abs(x).equals(math.inf) | abs(y).equals(math.inf)
    return where(infinite, math.inf, found)


def _hypot_slopes(r: Formula, x: Formula, y: Formula) -> Slopes:
    """The direction; 0 at the origin, where there is none."""
    none = r.equals(0)
    return x / where(none, 1, r), y / where(none, 1, r)


def _apart(x: Formula, y: Formula) -> Formula:
    """The difference x - y; 0 of two equal infinities."""
    same = x.equals(y) & abs(x).equals(math.inf)
    return where(same, 0, x) - where(same, 0, y)


def _logaddexp(x: Formula, y: Formula) -> Formula:
    return x.largest(y) + log1p(exp(-abs(_apart(x, y))))


def _logaddexp_slopes(_: Formula, x: Formula, y: Formula) -> Slopes:
    apart = _apart(x, y)
    return apart.one("sigmoid"), (-apart).one("sigmoid")


def _known(x: Formula, y: Formula) -> Formula:
    """The second operand, 1 where 0 log(y) has no value of its own."""
    return where(x.equals(0) & (y <= 0), 1, y)


def _xlogy(x: Formula, y: Formula) -> Formula:
    nothing = x.equals(0) & y.equals(y)
    return where(nothing, 0, x * log(where(nothing, 1, y)))


def _xlogy_slopes(_: Formula, x: Formula, y: Formula) -> Slopes:
    known = _known(x, y)
    return log(known), x / known


FUNCTIONS = {
    "log2": Function(_log2, _log2_slopes),
    "log10": Function(_log10, _log10_slopes),
    "cbrt": Function(_cbrt, _cbrt_slopes),
    "hypot": Function(_hypot, _hypot_slopes),
    "logaddexp": Function(_logaddexp, _logaddexp_slopes),
    "xlogy": Function(_xlogy, _xlogy_slopes),
}
"""By name."""

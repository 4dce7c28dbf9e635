"""The rows of the table for functions of floats that are composed of primitives."""

import math

import numpy as np

import diagrad as dg

from .operation import Array
from .rows import one, two

erfc = np.vectorize(math.erfc, otypes=[np.float64])
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def lgamma(x: Array) -> Array:
    """Infinite at the poles, where Python's raises."""
    pole = (x <= 0) & (np.floor(x) == x)
    safe = np.where(pole | ~np.isfinite(x), 1.0, x)
    found = np.where(np.isnan(x), np.nan, np.where(np.isinf(x) | pole, np.inf, _log_gamma(safe)))
    return np.asarray(found)


def digamma(x: Array) -> Array:
    """By the recurrence up to 30, and the asymptotic series; below 0 by reflection."""
    below = x <= 0
    high = np.where(below, 1 - x, x)
    total = np.zeros_like(high)
    for _ in range(30):
        low = high < 30
        total = np.where(low, total - 1 / high, total)
        high = np.where(low, high + 1, high)
    found = total + np.log(high) - 1 / (2 * high) - 1 / (12 * high**2)
    found = found + 1 / (120 * high**4) - 1 / (252 * high**6)
    reflected = found - np.pi / np.tan(np.pi * x)
    pole = (x < 0) & ((np.floor(x) == x) | np.isinf(x))
    found = np.where(x == 0, -np.inf, np.where(below, reflected, found))
    return np.asarray(np.where(pole, np.nan, found))


def erfinv(x: Array) -> Array:
    """By bisection."""
    low, high = np.full_like(x, -7.0), np.full_like(x, 7.0)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    for _ in range(80):
        middle = (low + high) / 2
        above = erf(middle) < x
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = np.where(abs(x) == 1, np.inf * x, np.where(abs(x) <= 1, low, np.nan))
    return np.asarray(found)


def xlogy(x: Array, y: Array) -> Array:
    return np.asarray(np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log(y)))


COMPOSED = [
    one("tan", dg.tan, np.tan, domains=("share",)),
    one("asin", dg.asin, np.arcsin, domains=("share",)),
    one("acos", dg.acos, np.arccos, domains=("share",)),
    one("atan", dg.atan, np.arctan),
    two("atan2", dg.atan2, np.arctan2),
    one("sinc", dg.sinc, np.sinc),
    one("sinh", dg.sinh, np.sinh),
    one("cosh", dg.cosh, np.cosh),
    one("asinh", dg.asinh, np.arcsinh),
    one("acosh", lambda x: dg.acosh(1 + x), lambda x: np.arccosh(1 + x), domains=("positive",)),
    one("atanh", dg.atanh, np.arctanh, domains=("share",)),
    one("log2", dg.log2, np.log2, domains=("positive",)),
    one("log10", dg.log10, np.log10, domains=("positive",)),
    one("exp2", dg.exp2, np.exp2),
    one("cbrt", dg.cbrt, np.cbrt),
    two("hypot", dg.hypot, np.hypot),
    two("logaddexp", dg.logaddexp, np.logaddexp),
    two("xlogy", dg.xlogy, xlogy, domains=("real", "positive")),
    one("erfc", dg.erfc, erfc),
    one("erfinv", dg.erfinv, erfinv, domains=("share",)),
    one("lgamma", dg.lgamma, lgamma),
    one("digamma", dg.digamma, digamma),
]
ROUNDINGS = [
    one("round", dg.round, np.round, kinds="fiu"),
    one("round 1", lambda x: dg.round(x, 1), lambda x: np.round(x, 1), kinds="fiu"),
    one("round -1", lambda x: dg.round(20 * x, -1), lambda x: np.round(20 * x, -1)),
    one("trunc", dg.trunc, np.trunc, kinds="fiu"),
    one("floor integers", dg.floor, lambda x: x, kinds="iu"),
    one("ceil integers", dg.ceil, lambda x: x, kinds="iu"),
    two("copysign", dg.copysign, np.copysign),
    one("signbit", dg.signbit, lambda x: x < 0, kinds="fiu", smooth=False),
    one("isnan", dg.isnan, np.isnan, kinds="fiu", smooth=False),
    one("isinf", dg.isinf, np.isinf, kinds="fiu", smooth=False),
    one("isfinite", dg.isfinite, np.isfinite, kinds="fiu", smooth=False),
    one("nan_to_num", lambda x: dg.nan_to_num(x, 1.5, 2.5, -3.5),
        lambda x: np.nan_to_num(x, nan=1.5, posinf=2.5, neginf=-3.5)),
    one("nan_to_num integers", dg.nan_to_num, lambda x: x, kinds="iu"),
]  # fmt: skip

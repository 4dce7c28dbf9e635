"""How far composed functions are off, in units in the last place, over the ranges they are used in.

The reference is NumPy's in extended precision where it has the function, Python's otherwise.  On a
processor whose long double is a double, its own rounding is allowed for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import apply
from .rows.operation import Array

COUNT = 4001
OWN = 1.0 if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps else 0.0


def line(low: float, high: float) -> Array:
    return np.linspace(low, high, COUNT)


def powers(low: float, high: float) -> Array:
    """Evenly spread exponents, both signs."""
    found = np.logspace(np.log10(low), np.log10(high), COUNT)
    return np.asarray(np.where(np.arange(COUNT) % 2, found, -found))


def below_one(exponent: float) -> Array:
    return np.asarray(1 - np.logspace(-exponent, 0, COUNT))


def each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return np.vectorize(function, otypes=[np.float64])


def _sinc(x: Any) -> Any:
    """Of arguments in quarters, where pi x is a quarter of a turn: NumPy's is off at large x."""
    quarter = np.longdouble(math.sqrt(2)) / 2 + np.longdouble(-4.833646656726456726e-17)
    wave = np.array([0, quarter, 1, quarter, 0, -quarter, -1, -quarter], np.longdouble)
    pi = np.longdouble(math.pi) + np.longdouble(1.2246467991473532e-16)
    return wave[(x * 4).astype(np.int64) % 8] / (pi * x)


ACCURACY: dict[str, tuple[Any, tuple[Array, ...], float]] = {
    "tan": (np.tan, (line(-1.5, 1.5), line(-900, 900)), 3),
    "asin": (np.arcsin, (line(-1, 1), powers(1e-9, 1)), 3),
    "acos": (np.arccos, (line(-1, 1), below_one(15)), 3),
    "atan": (np.arctan, (line(-3, 3), powers(1e-9, 1e9)), 1.5),
    "sinc": (_sinc, (np.arange(1, COUNT) / 4,), 3),
    "sinh": (np.sinh, (line(-2, 2), line(-710, 710), powers(1e-9, 1)), 3.5),
    "cosh": (np.cosh, (line(-2, 2), line(-710, 710)), 3),
    "asinh": (np.arcsinh, (line(-3, 3), powers(1e-9, 1e12)), 2.5),
    "acosh": (np.arccosh, (line(1, 9), 2 - below_one(15), abs(powers(1, 1e12))), 2.5),
    "atanh": (np.arctanh, (line(-0.999, 0.999), powers(1e-9, 0.99)), 2.5),
    "log2": (np.log2, (line(0.5, 2), abs(powers(1e-300, 1e300))), 2),
    "log10": (np.log10, (line(0.5, 2), abs(powers(1e-300, 1e300))), 3.5),
    "exp2": (np.exp2, (line(-3, 3), line(-1000, 1000)), 2),
    "cbrt": (np.cbrt, (line(-3, 3), powers(1e-300, 1e300)), 1.5),
    "erfc": (each(math.erfc), (line(-3, 3), line(0, 26)), 7),
}


@pytest.mark.parametrize("name", ACCURACY)
def test_units_in_the_last_place(name: str) -> None:
    reference, ranges, most = ACCURACY[name]
    for x in ranges:
        for dtype, limit in (("float64", most), ("float32", 0.51)):
            with np.errstate(all="ignore"):
                given = x.astype(dtype)
                exact = np.asarray(reference(given.astype(np.longdouble)), np.longdouble)
                rounded = exact.astype(dtype)
                unit = np.spacing(abs(rounded)).astype(np.longdouble)
                found = apply(getattr(dg, name), given, target="cpu")
                off = abs(found.astype(np.longdouble) - exact) / unit
            least = np.finfo(dtype).tiny
            normal = np.isfinite(rounded) & (abs(rounded) > least)
            normal &= (abs(given) > least) & np.isfinite(given)
            worst = int(np.argmax(np.where(normal, off, 0)))
            assert not normal.any() or off[worst] <= limit + OWN, (dtype, given[worst], off[worst])
            large = np.isinf(rounded)
            np.testing.assert_array_equal(found[large], rounded[large])


def test_erfinv_is_the_inverse_of_erf() -> None:
    x = np.concatenate([powers(1e-9, 0.9), line(-0.99, 0.99)])
    found = apply(dg.erfinv, x, target="cpu")
    slope = 2 / math.sqrt(math.pi) * np.exp(-(found**2))
    error = (each(math.erf)(found) - x) / slope
    assert np.max(abs(error) / np.spacing(abs(found))) < 8


def test_logarithms_of_powers_are_whole() -> None:
    twos, tens = np.arange(-1022, 1024), np.arange(0, 23)
    for dtype in ("float64", "float32"):
        limit = np.finfo(dtype).maxexp
        whole = twos[abs(twos) < limit - 2]
        found = apply(dg.log2, np.ldexp(np.ones(len(whole)), whole).astype(dtype), target="cpu")
        np.testing.assert_array_equal(found, whole)
        found = apply(dg.log10, (10.0**tens).astype(dtype), target="cpu")
        np.testing.assert_array_equal(found, tens)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hypot_neither_overflows_nor_vanishes(dtype: str) -> None:
    facts = np.finfo(dtype)
    x = np.array([facts.max / 2, 4 * facts.tiny, facts.max / 4, 3e-30, 0], dtype)
    y = np.array([facts.max / 2, 3 * facts.tiny, 0, 4e-30, 0], dtype)
    found = apply(dg.hypot, x, y, target="cpu")
    np.testing.assert_allclose(found, np.hypot(x, y), rtol=2 * float(facts.eps))


def test_signs_of_zeros() -> None:
    """A signed zero goes where the array API standard sends it."""
    zeros = np.array([0.0, -0.0])
    for name in (
        "tan",
        "asin",
        "atan",
        "sinh",
        "asinh",
        "atanh",
        "cbrt",
        "round",
        "trunc",
        "floor",
    ):
        found = apply(getattr(dg, name), zeros, target="cpu")
        assert np.signbit(found).tolist() == [False, True], name
    y, x = (v.ravel() for v in np.meshgrid(zeros, [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf]))
    found = apply(dg.atan2, y, x, target="cpu")
    wanted = np.arctan2(y, x)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_derivatives_where_differences_do_not_reach() -> None:
    def slope(function: Any, *values: float) -> list[float]:
        arrays = [np.array([v]) for v in values]
        return [
            float(apply(lambda *v, k=k: dg.gradient(dg.sum(function(*v)), v[k]), *arrays)[0])
            for k in range(len(arrays))
        ]

    assert slope(dg.hypot, 0.0, 0.0) == [0, 0]
    assert slope(dg.xlogy, 0.0, 0.0) == [0, 0]
    assert slope(dg.sinc, 0.0) == [0]
    assert slope(dg.cbrt, 0.0) == [math.inf]
    assert slope(dg.logaddexp, -math.inf, -math.inf) == [0.5, 0.5]
    assert slope(dg.nan_to_num, math.nan) == [0]
    assert slope(dg.round, 1.7) == [0] and slope(dg.trunc, 1.7) == [0]
    np.testing.assert_allclose(slope(dg.erfc, 20.0), -2 / math.sqrt(math.pi) * math.exp(-400))
    np.testing.assert_allclose(slope(dg.lgamma, 1.0), -0.5772156649015329, rtol=1e-14)


def test_derivatives_of_lgamma_to_the_fourth_order() -> None:
    """Digamma, trigamma and so on at 1: -gamma, zeta(2), -2 zeta(3), 6 zeta(4)."""

    def derivatives(x: Any) -> Any:
        found = [dg.lgamma(x)]
        for _ in range(4):
            found.append(dg.gradient(dg.sum(found[-1]), x))
        return dg.stack(found[1:])

    zeta = math.pi**2 / 6, 1.2020569031595942, math.pi**4 / 90
    wanted = [-0.5772156649015329, zeta[0], -2 * zeta[1], 6 * zeta[2]]
    found = apply(derivatives, np.array([1.0]), target="cpu")[:, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    below = apply(derivatives, np.array([-0.5]), target="cpu")[:, 0]
    wanted = [0.03648997397857652, 8.934802200544679, -0.82879664423431998, 193.40909103400244]
    np.testing.assert_allclose(below, wanted, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lgamma(dtype: str) -> None:
    """Beside Python's, which is off by a hundred units itself."""
    for x in (line(0.01, 0.8), line(1.2, 1.8), line(2.2, 99), abs(powers(1e-8, 1e30))):
        given = x.astype(dtype)
        exact = each(math.lgamma)(given)
        relative = 3e-14 if dtype == "float64" else 6.1e-8
        found = apply(dg.lgamma, given, target="cpu")
        np.testing.assert_allclose(found, exact, rtol=relative, atol=1e-15)


def test_lgamma_beside_its_roots() -> None:
    """Its series at 1, and log(x) more at 2."""
    d = powers(1e-9, 1e-4)
    zeta = (0, 0.5772156649015329, math.pi**2 / 6, 1.2020569031595942, math.pi**4 / 90)
    for root in (1, 2):
        rest = (root + d) - root  # as it is rounded
        exact = np.sum([(-rest) ** k * zeta[k] / k for k in range(1, 5)], 0)
        exact += np.log1p(rest) * (root - 1)
        np.testing.assert_allclose(apply(dg.lgamma, root + d, target="cpu"), exact, rtol=1e-14)

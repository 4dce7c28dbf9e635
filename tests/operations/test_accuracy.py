"""How far composed functions are off, in units in the last place, over the ranges they are used in.

The reference is NumPy's in extended precision where it has the function, Python's otherwise, and
decimal numbers of 45 digits for the gamma functions.  On a processor whose long double is a double,
its own rounding is allowed for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
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


_BERNOULLI = ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510))
_PI = Decimal("3.14159265358979323846264338327950288419716939937510")


def _gammas(x: float) -> tuple[Decimal, Decimal]:
    """log|gamma(x)| and digamma(x) to 25 digits: steps up to 40, and Stirling's series there."""
    with localcontext() as context:
        context.prec = 45
        high, product, total = Decimal(float(x)), Decimal(1), Decimal(0)
        while high < 40:
            product *= high
            total += 1 / high
            high += 1
        log = high.ln()
        lgamma = (high - Decimal("0.5")) * log - high + (2 * _PI).ln() / 2 - abs(product).ln()
        digamma = log - 1 / (2 * high) - total
        for k, (over, under) in enumerate(_BERNOULLI, 1):
            number = Decimal(over) / (under * 2 * k)
            lgamma += number / (2 * k - 1) / high ** (2 * k - 1)
            digamma -= number / high ** (2 * k)
        return lgamma, digamma


GAMMAS = {
    "above 0": np.concatenate([line(0.01, 4), line(4, 99), abs(powers(1e-8, 1e30))]),
    "beside 1": 1 + powers(1e-9, 0.3),
    "beside 2": 2 + powers(1e-9, 0.3),
    "below 0": np.concatenate([line(-9.953, -0.051), line(-99.953, -9.953)]),
}


@pytest.mark.parametrize("where", GAMMAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_functions(where: str, dtype: str) -> None:
    """In units in the last place, and in those of 1 where the value is smaller."""
    given = GAMMAS[where][::5].astype(dtype)
    given = given[(given > 0) | (given != np.floor(given))]
    given = given[(given != 1) & (given != 2)]
    exact = [_gammas(value) for value in given]

    def units(found: Array, wanted: list[Decimal], least: float) -> float:
        sizes = np.maximum(abs(np.array([float(value) for value in wanted])), least)
        unit = np.spacing(sizes.astype(dtype)).astype(np.float64)
        off = [
            abs(Decimal(float(value)) - right) / Decimal(float(one))
            for value, right, one in zip(found, wanted, unit, strict=True)
        ]
        return float(max(off))

    lgamma = apply(dg.lgamma, given, target="cpu")
    digamma = apply(dg.digamma, given, target="cpu")
    logarithms, derivatives = [one for one, _ in exact], [other for _, other in exact]
    if dtype == "float32":
        assert max(units(lgamma, logarithms, 0), units(digamma, derivatives, 0)) <= 0.51
    elif where == "below 0":
        assert max(units(lgamma, logarithms, 1), units(digamma, derivatives, 1)) <= 12
    else:
        assert units(lgamma, logarithms, 1) <= 4 and units(lgamma, logarithms, 0) <= 50
        assert units(digamma, derivatives, 1) <= 10


def test_roots_of_lgamma() -> None:
    np.testing.assert_array_equal(apply(dg.lgamma, np.array([1.0, 2.0]), target="cpu"), [0, 0])

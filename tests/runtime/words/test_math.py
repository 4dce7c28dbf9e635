"""The engine's own functions: error bounds over the whole range, special values, zeros' signs."""

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from diagrad.runtime.program import CPU

from ..engine import DTYPE, Array, apply, largest_error, some

Wide = npt.NDArray[np.longdouble]
LONG = np.finfo(np.longdouble).nmant > 60

# Largest error allowed in units of the last place; a little above what was measured.
BOUNDS = {
    "exp": (1.0, 1.0),
    "expm1": (1.5, 1.9),
    "log": (0.85, 0.85),
    "log1p": (0.85, 0.85),
    "sin": (1.6, 2.5),
    "cos": (1.6, 2.5),
    "tanh": (1.6, 1.9),
    "sigmoid": (1.5, 1.5),
    "erf": (1.2, 1.2),
    "rsqrt": (1.5, 1.5),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 0.5, 2.0, 1e-45, -1e-40, 1e30]

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def sigmoid(x: Wide) -> Wide:
    small = np.exp(-np.abs(x))
    top = np.where(x >= 0, np.longdouble(1), small)
    quotient: Any = top / (1 + small)
    return cast(Wide, quotient)


def exact(name: str, x: Array) -> Wide:
    wide = x.astype(np.longdouble)
    if name == "sigmoid":
        return sigmoid(wide)
    if name == "rsqrt":
        return cast(Wide, 1 / np.sqrt(wide))
    made: Wide = getattr(np, name)(wide)
    return made


def arguments(kind: str) -> Array:
    """Special values, the interesting interval, magnitudes near 1 and magnitudes of all sizes."""
    rng, dtype = np.random.default_rng(0), DTYPE[kind]
    info = np.finfo(dtype)
    reach = 110 if kind == "f32" else 760
    size = some(40_000)
    signs = rng.choice([-1.0, 1.0], size)
    tiny = math.log2(info.smallest_subnormal)
    parts: list[Array] = [
        np.array(SPECIAL),
        rng.uniform(-reach, reach, size),
        rng.uniform(-3, 3, size),
        np.exp2(rng.uniform(-40, 3, size)) * signs,
        np.exp2(rng.uniform(tiny, 127.9 if kind == "f32" else 1023.9, size)) * signs,
    ]
    return np.concatenate(parts).astype(dtype)


@pytest.mark.skipif(not LONG, reason="the reference needs a long double of more than 60 bits")
@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", [n for n in BOUNDS if n != "erf"])
def test_error_bound(name: str, kind: str) -> None:
    x = arguments(kind)
    bound = BOUNDS[name][kind == "f64"]
    assert largest_error(apply(f"{name}(a)", kind, x), exact(name, x)) <= bound


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_error_bound_of_erf(kind: str) -> None:
    """Against `math.erf`, which is itself within 1 unit of float64."""
    rng, dtype = np.random.default_rng(0), DTYPE[kind]
    parts: list[Array] = [
        np.array(SPECIAL),
        rng.uniform(-7, 7, some(40_000)),
        np.exp2(rng.uniform(-140, 3, some(20_000))),
    ]
    x = np.concatenate(parts).astype(dtype)
    wanted = np.array([math.erf(v) for v in x.tolist()], dtype=np.longdouble)
    slack = 1.0 if kind == "f64" else 0.0
    assert largest_error(apply("erf(a)", kind, x), wanted) <= BOUNDS["erf"][kind == "f64"] + slack


@pytest.mark.skipif(not LONG, reason="the reference needs a long double of more than 60 bits")
@pytest.mark.parametrize(("kind", "bound"), [("f32", 0.6), ("f64", 1.3)])
def test_error_bound_of_power(kind: str, bound: float, lanes: int) -> None:
    bound = 0.8 if kind == "f32" and lanes != CPU.lanes else bound
    rng, dtype, size = np.random.default_rng(0), DTYPE[kind], some(30_000)
    x = np.concatenate(
        [
            np.exp2(rng.uniform(-30, 30, size)),
            rng.uniform(0.5, 2, size),
            1 + rng.normal(size=size) / 1e3,
        ]
    )
    y = np.concatenate([rng.uniform(-30, 30, 2 * size), rng.uniform(-7e5, 7e5, size)])
    x, y = x.astype(dtype), y.astype(dtype)
    wanted = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    assert largest_error(apply("power(a, b)", kind, x, y), wanted) <= bound


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_power_of_special_values(kind: str) -> None:
    values = [0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, math.inf, -math.inf, math.nan, 3, -3, 1e30, 1e-30,
              2.5, -2.5, 1e20, 1e-45]  # fmt: skip
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    x, y = x.astype(DTYPE[kind]), y.astype(DTYPE[kind])
    got, wanted = apply("power(a, b)", kind, x, y), np.power(x, y)
    np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(DTYPE[kind]).eps, atol=0)
    number = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(wanted[number]))


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tanh", "erf"])
def test_zero_keeps_its_sign(name: str, kind: str) -> None:
    got = apply(f"{name}(a)", kind, np.array([0.0, -0.0], DTYPE[kind]))
    assert (got == 0).all()
    assert np.signbit(got).tolist() == [False, True]


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_huge_arguments_are_reduced_exactly(name: str, kind: str) -> None:
    """Both sides of the bound between the two reductions, and the largest numbers there are."""
    top = np.finfo(DTYPE[kind]).max
    edge = 2.0**21 if kind == "f32" else 2.0**50
    x = np.array([edge * 0.999, edge, edge * 1.001, 1e22, top / 3, top], DTYPE[kind])
    x = np.concatenate([x, -x])
    wanted = np.array([getattr(math, name)(v) for v in x.tolist()], dtype=np.longdouble)
    assert largest_error(apply(f"{name}(a)", kind, x), wanted) <= 3.0
    assert np.isnan(apply(f"{name}(a)", kind, np.array([np.inf, -np.inf], DTYPE[kind]))).all()

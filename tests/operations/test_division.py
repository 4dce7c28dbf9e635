"""Division that rounds down, bits and powers at the ends of their dtypes, beside NumPy's."""

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import run
from ..frontend.source import mistake_in
from .rows.operation import Array
from .rows.running import TARGETS, Target

INTEGERS = ("int32", "int64", "uint32")
DIVISIONS = ("floor_divide", "remainder", "fmod")


def pairs(items: Array) -> tuple[Array, Array]:
    first, second = np.meshgrid(items, items)
    return first.ravel(), second.ravel()


def ends(dtype: str) -> Array:
    """Integers at the ends of a dtype, at parts of them, around 0, and at random."""
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    near = [info.max // part + step for part in (1, 2, 3) for step in (-1, 0)]
    near += [info.min // part + step for part in (1, 2, 3) for step in (0, 1)]
    near += [n for n in range(-7, 8) if n >= info.min]
    large = rng.integers(info.min, info.max, 60, dtype, endpoint=True)
    small = rng.integers(info.min // 2**20, info.max // 2**20, 60, dtype)
    return np.concatenate([np.array(near, dtype), large, small])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_divided_exactly(dtype: str, target: Target) -> None:
    x, y = pairs(ends(dtype))
    a, b = (dg.observed(name, x.shape, dtype) for name in "ab")
    found = run({name: getattr(dg, name)(a, b) for name in DIVISIONS}, target, a=x, b=y)
    with np.errstate(all="ignore"):
        for name in DIVISIONS:
            np.testing.assert_array_equal(found[name], getattr(np, name)(x, y), err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_left_of_floats_is_exact(dtype: str, target: Target) -> None:
    rng = np.random.default_rng(1)
    powers = np.ldexp(rng.uniform(1, 2, (2, 4000)), rng.integers(-40, 60, (2, 4000)))
    x, y = (powers * rng.choice([-1, 1], powers.shape)).astype(dtype)
    whole = (y * rng.integers(1, 1000, y.shape)).astype(dtype)  # or nearly, after rounding
    special = [0, 1, -1, 3, -2.5, np.inf, -np.inf, np.nan, 1e-9, 1e9]
    first, second = pairs(np.array(special, dtype))
    x, y = np.concatenate([x, whole, first]), np.concatenate([y, y, second])
    a, b = (dg.observed(name, x.shape, dtype) for name in "ab")
    found = run({name: getattr(dg, name)(a, b) for name in DIVISIONS}, target, a=x, b=y)
    with np.errstate(all="ignore"):
        for name in ("fmod", "remainder"):
            np.testing.assert_array_equal(found[name], getattr(np, name)(x, y), err_msg=name)
        wanted, near = np.floor_divide(x, y), abs(x / y) < 2.0 ** (np.finfo(dtype).nmant + 1)
        np.testing.assert_array_equal(found["floor_divide"][near], wanted[near])
        relative = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(found["floor_divide"], wanted, rtol=relative)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_left_far_away_is_nan_and_not_wrong(dtype: str) -> None:
    x = np.array([1, 1e38, -1e38, 1e38], dtype)
    y = np.array([1e-38, 3, 1e-30, 2.5e-38], dtype)
    a, b = (dg.observed(name, x.shape, dtype) for name in "ab")
    found = run({"y": dg.remainder(a, b)}, "cpu", a=x, b=y)["y"]
    assert np.isnan(found).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits_at_the_ends(dtype: str, target: Target) -> None:
    info = np.iinfo(dtype)
    x, y = pairs(ends(dtype)[::5])
    counts = np.array([0, 1, 31, 32, 63, 64, 200, *([-1, info.min] if info.min else [])], dtype)
    y = np.concatenate([y, np.resize(counts, x.shape)])
    x = np.concatenate([x, x])
    a, b = (dg.observed(name, x.shape, dtype) for name in "ab")
    names = ("and", "or", "xor", "left_shift", "right_shift")
    outputs = {name: getattr(dg, f"bitwise_{name}")(a, b) for name in names}
    found = run({**outputs, "invert": ~a}, target, a=x, b=y)
    for name in names:
        wanted = getattr(np, f"bitwise_{name}")(x, y)
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
    np.testing.assert_array_equal(found["invert"], ~x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_powers_wrap_around(dtype: str, target: Target) -> None:
    info = np.iinfo(dtype)
    x, y = pairs(ends(dtype)[::3])
    y = np.where(y < 0, 0, y).astype(dtype)
    a, b = (dg.observed(name, x.shape, dtype) for name in "ab")
    span = 2**info.bits
    both = zip(x.tolist(), y.tolist(), strict=True)
    wanted = [(pow(m, n, span) - info.min) % span + info.min for m, n in both]
    fifth = [(m**5 - info.min) % span + info.min for m in x.tolist()]
    found = run({"y": a**b, "fifth": a**5}, target, a=x, b=y)
    assert found["y"].tolist() == wanted and found["fifth"].tolist() == fifth


def test_negative_computed_powers_are_what_is_left_of_a_fraction() -> None:
    base = np.array([1, 1, -1, -1, 2, 0, -7], np.int32)
    exponent = np.array([-1, -2, -1, -2, -1, -1, -3], np.int32)
    a, b = (dg.observed(name, base.shape, "int32") for name in "ab")
    assert run({"y": a**b}, "cpu", a=base, b=exponent)["y"].tolist() == [1, 1, -1, 1, 0, 0, 0]


REFUSED = {
    "i ** -2": "power (model.py:2) expects exponents of 0 or more for int32, not -2; given (3,) "
    "int32 from observed 'i' (model.py:1) and () int32 from constant (model.py:2): convert the "
    'base with .astype("float64")',
    "i & x": "bitwise_and (model.py:2) expects operands of one dtype, got (3,) int32 from observed "
    "'i' (model.py:1) and (3,) float32 from observed 'x' (model.py:1): convert one with "
    ".astype(...), nothing is promoted silently",
    "~x": "bitwise_invert (model.py:2) expects integers or bools, got (3,) float32 from observed "
    "'x' (model.py:1): compare floats, or convert them",
    "m << m": "bitwise_left_shift (model.py:2) expects integers, got (3,) bool from observed 'm' "
    "(model.py:1) and (3,) bool from observed 'm' (model.py:1): convert them with "
    ".astype(dg.int32)",
    "m // m": "floor_divide (model.py:2) expects numbers, got (3,) bool from observed 'm' "
    "(model.py:1) and (3,) bool from observed 'm' (model.py:1): cast bools with .astype(dg.int32)",
    "dg.logical_not(i)": "logical_not (model.py:2) expects bools, not int32; given (3,) int32 from "
    "observed 'i' (model.py:1): compare them, as in x != 0",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_what_is_refused(source: str) -> None:
    variables = 'i, x, m = (dg.observed(n, 3, d) for n, d in zip("ixm", (dg.int32, "f4", bool)))\n'
    assert str(mistake_in(f"{variables}y = {source}", dg.DtypeError)) == REFUSED[source]

"""Strategies: arrays of this namespace's dtypes, and how results are compared with NumPy's."""

from __future__ import annotations

from typing import Any

import array_api_strict as strict
import hypothesis.extra.numpy as arrays_of
import numpy as np
from hypothesis import strategies as st

import tests.array_api as xp

FLOATS, INTEGERS = ("float32", "float64"), ("int32", "int64", "uint32")
NUMBERS, ALL = FLOATS + INTEGERS, (*FLOATS, *INTEGERS, "bool")

SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
"""Of up to three axes, empty ones among them."""


def elements(dtype: str, special: bool = True) -> Any:
    """Numbers of a dtype: of floats also infinities, NaN and both zeros, or few small quarters."""
    if dtype == "bool":
        return st.booleans()
    if dtype in INTEGERS:
        low = 0 if dtype.startswith("u") else -1000
        return st.integers(low, 1000)
    if not special:
        return st.integers(-64, 64).map(lambda n: n / 4)
    wide = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
    return st.one_of(st.sampled_from([np.inf, -np.inf, np.nan, 0.0, -0.0]), wide)


@st.composite
def array(draw: Any, dtypes: Any = ALL, shape: Any = SHAPES, special: bool = True) -> Any:
    """An array of NumPy."""
    dtype = draw(st.sampled_from(dtypes))
    drawn = elements(dtype, special)
    return draw(arrays_of.arrays(dtype, shape, elements=drawn, fill=st.nothing()))


@st.composite
def pair(draw: Any, kinds: Any, special: bool = True) -> Any:
    """Two arrays of one kind whose shapes broadcast."""
    dtypes = draw(st.sampled_from(kinds))
    fitting = arrays_of.mutually_broadcastable_shapes(
        num_shapes=2, max_dims=3, min_side=0, max_side=3
    )
    shapes = draw(fitting).input_shapes
    return tuple(draw(array(dtypes, st.just(shape), special)) for shape in shapes)


def agree(name: str, arrays: Any, ulps: float = 16, **options: Any) -> None:
    """A function of the standard gives the same here as in the strict implementation on NumPy."""
    function, wanted = _found(xp, name), _found(strict, name)
    with np.errstate(all="ignore"):
        right = wanted(*(given_to(strict, item) for item in arrays), **options)
    got = function(*(given_to(xp, item) for item in arrays), **options)
    several = isinstance(right, (tuple, list))
    assert isinstance(got, (tuple, list)) == several
    for mine, theirs in zip(got, right, strict=True) if several else [(got, right)]:
        same(f"{name}{tuple(arrays)} {options}", mine, theirs._array, ulps)


def _found(namespace: Any, name: str) -> Any:
    for part in name.split("."):
        namespace = getattr(namespace, part)
    return namespace


def given_to(namespace: Any, item: Any) -> Any:
    """An array, or a list of some, as a namespace's own."""
    if isinstance(item, np.ndarray):
        return namespace.asarray(item, dtype=getattr(namespace, item.dtype.name))
    return [given_to(namespace, x) for x in item] if isinstance(item, list) else item


def same(what: str, got: Any, wanted: Any, ulps: float) -> None:
    """Equal dtypes, shapes and values, floats within some units in the last place."""
    mine, theirs = np.asarray(got), np.asarray(wanted)
    assert mine.dtype == theirs.dtype, f"{what}: {mine.dtype}, expected {theirs.dtype}"
    assert mine.shape == theirs.shape, f"{what}: {mine.shape}, expected {theirs.shape}"
    if mine.dtype.kind != "f":
        assert (mine == theirs).all(), f"{what}: {mine}, expected {theirs}"
        return
    unit = np.finfo(mine.dtype).eps
    np.testing.assert_allclose(mine, theirs, ulps * unit, ulps * unit * 1e-3, err_msg=what)

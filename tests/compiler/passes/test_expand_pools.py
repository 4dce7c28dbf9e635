"""Pools on both targets against loops over windows, and the kernels that they become."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.errors import DtypeRuleError, TypeRuleError
from diagrad.compiler.graph import Node
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.primitives.pooling import POOLS

from ..building import Array, b, given, graph, numbers, run

# Extents of the pooled axes; axes, size, stride, dilation, low, high.
POOL_CASES: list[tuple[tuple[int, ...], tuple[Any, ...]]] = [
    ((2, 8, 3), ((1,), (2,), (2,), (1,), (0,), (0,))),
    ((2, 3, 8), ((2,), (2,), (2,), (1,), (0,), (0,))),
    ((3, 9, 2), ((1,), (3,), (1,), (1,), (1,), (1,))),
    ((9,), ((0,), (3,), (2,), (1,), (1,), (2,))),  # overhangs behind
    ((10,), ((0,), (2,), (3,), (1,), (0,), (1,))),  # elements between windows
    ((11, 2), ((0,), (3,), (2,), (2,), (2,), (3,))),
    ((7, 3), ((0,), (2,), (4,), (3,), (1,), (1,))),
    ((1,), ((0,), (2,), (1,), (3,), (1,), (2,))),  # no tap lies inside
    ((1, 3), ((0,), (1,), (1,), (1,), (0,), (0,))),
    ((0, 5), ((1,), (3,), (2,), (1,), (1,), (0,))),  # no samples
    ((2, 6, 6, 5), ((1, 2), (2, 2), (2, 2), (1, 1), (0, 0), (0, 0))),
    ((2, 7, 6, 5), ((1, 2), (3, 2), (2, 1), (1, 2), (1, 0), (0, 1))),
    ((7, 5, 9), ((2, 0), (3, 2), (2, 3), (1, 2), (2, 1), (1, 2))),  # the other way round
    ((5, 17, 2), ((0, 1), (5, 4), (1, 3), (1, 1), (2, 1), (2, 3))),
    ((5, 5, 4, 3), ((0, 1, 2), (2, 3, 2), (2, 2, 1), (1, 1, 2), (1, 1, 1), (0, 1, 1))),
    ((2, 40), ((1,), (33,), (1,), (1,), (0,), (0,))),  # many taps
    ((2, 40, 3), ((1,), (35,), (1,), (1,), (3,), (7,))),
    ((3, 14, 13, 2), ((2, 1), (7, 6), (1, 2), (1, 1), (3, 2), (3, 4))),
    ((2, 9, 8, 5), ((1, 2), (9, 8), (9, 8), (1, 1), (0, 0), (0, 0))),  # all as one window
    ((40, 2), ((0,), (17,), (2,), (2,), (4,), (8,))),
]  # fmt: skip
NAMED: list[tuple[tuple[Any, ...], tuple[Any, ...], list[dict[str, int]]]] = [
    ((2, "N", 3), ((1,), (2,), (2,), (1,), (0,), (0,)), [{"N": n} for n in (2, 5, 8)]),
    (("N", 3), ((0,), (3,), (2,), (1,), (1,), (2,)), [{"N": n} for n in (1, 4, 7, 16)]),
    (("N", 3), ((0,), (3,), (2,), (2,), (4,), (1,)), [{"N": n} for n in (1, 4, 7, 16)]),
    ((2, "N", "M"), ((1, 2), (7, 5), (1, 2), (1, 1), (3, 4), (6, 0)), [{"N": 2, "M": 9}]),
]


def attributes(numbers: tuple[Any, ...]) -> dict[str, Any]:
    names = ("axes", "size", "stride", "dilation", "low", "high")
    return dict(zip(names, numbers, strict=True))


def every_pool(x: Node, g: Node, attrs: dict[str, Any]) -> dict[str, Node]:
    """All of the primitives on one operand; g is the gradient of a pool's result."""
    extents = tuple(x.shape[axis] for axis in attrs["axes"])
    code = b.max_code(x, **attrs)
    return {
        "max_pool": b.max_pool(x, **attrs),
        "max_code": code,
        "pool_spread": b.pool_spread(g, code, extents=extents, **attrs),
        "pool_take": b.pool_take(b.sin(x), code, **attrs),
        "sum_pool": b.sum_pool(x, **attrs),
        "sum_spread": b.sum_spread(g, extents=extents, **attrs),
    }


def pooled_shape(shape: tuple[int, ...], attrs: dict[str, Any]) -> tuple[int, ...]:
    found = list(shape)
    for axis, size, stride, dilation, low, high in zip(*attrs.values(), strict=True):
        reach = dilation * (size - 1) + 1
        found[axis] = (shape[axis] + low + high - reach) // stride + 1
    return tuple(found)


def by_loops(x: Array, g: Array, attrs: dict[str, Any]) -> dict[str, Array]:
    """What the pools give, window by window and tap by tap."""
    found: dict[str, Array] = {name: np.zeros_like(g) for name in POOLS}
    found["pool_spread"], found["sum_spread"] = np.zeros_like(x), np.zeros_like(x)
    found["max_code"] = np.zeros(g.shape, np.int32)
    for place in np.ndindex(*g.shape):
        best, code, chosen, total = -np.inf, -1, None, 0.0
        for number, tap in enumerate(product(*map(range, attrs["size"]))):
            at = list(place)
            for k, axis in enumerate(attrs["axes"]):
                at[axis] = place[axis] * attrs["stride"][k] + tap[k] * attrs["dilation"][k]
                at[axis] -= attrs["low"][k]
            if not all(0 <= i < n for i, n in zip(at, x.shape, strict=True)):
                continue
            value = x[tuple(at)]
            total += value
            found["sum_spread"][tuple(at)] += g[place]
            if code < 0 or (not np.isnan(best) and not value <= best):
                best, code, chosen = value, number, tuple(at)
        found["max_pool"][place], found["max_code"][place] = best, code
        found["sum_pool"][place] = total
        if chosen is not None:
            found["pool_spread"][chosen] += g[place]
            found["pool_take"][place] = np.sin(x[chosen])
    return found


def operands(shape: tuple[int, ...], pooled: tuple[int, ...], special: bool) -> dict[str, Array]:
    x, g = numbers(*shape, dtype="float64"), numbers(*pooled, seed=1, dtype="float64")
    if special:  # ties, and windows of nothing but minus infinity, and NaN here and there
        rng = np.random.default_rng(2)
        x = np.round(x)
        x[rng.random(shape) < 0.3] = -np.inf
        x[rng.random(shape) < 0.1] = np.nan
        x[..., : shape[-1] // 2] = np.where(x[..., : shape[-1] // 2] > 0, -np.inf, -np.inf)
    return {"x": x, "g": g}


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_pools_are_what_loops_over_windows_give(target: str, special: bool) -> None:
    for shape, given_numbers in POOL_CASES:
        attrs = attributes(given_numbers)
        pooled = pooled_shape(shape, attrs)
        x, g = given("x", *shape, dtype="float64"), given("g", *pooled, dtype="float64")
        arrays = operands(shape, pooled, special)
        whole = graph(x, g, outputs=every_pool(x, g, attrs))
        found = run(whole, arrays, target)
        with np.errstate(invalid="ignore"):
            wanted = by_loops(arrays["x"], arrays["g"], attrs)
        for name in POOLS:
            np.testing.assert_allclose(
                found[name], wanted[name], 1e-12, 1e-12, err_msg=f"{name} {shape} {attrs}"
            )


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_pools_of_named_sizes(target: str) -> None:
    for shape, given_numbers, bindings in NAMED:
        attrs = attributes(given_numbers)
        x = given("x", *shape, dtype="float64")
        g = b.apply("input", name="g", type=b.max_pool(x, **attrs).type, role="observed")
        whole = graph(x, g, outputs=every_pool(x, g, attrs))
        for sizes in bindings:
            extents = tuple(sizes.get(str(n), n) for n in shape)
            arrays = operands(extents, pooled_shape(extents, attrs), False)
            found = run(whole, arrays, target, sizes)
            wanted = by_loops(arrays["x"], arrays["g"], attrs)
            for name in POOLS:
                np.testing.assert_allclose(
                    found[name], wanted[name], 1e-12, 1e-12, err_msg=f"{name} {sizes} {attrs}"
                )


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_window_of_named_size_is_all_of_an_axis(target: str) -> None:
    x = given("x", 3, "N", "M", dtype="float64")
    attrs = attributes(((1, 2), x.shape[1:], (1, 1), (1, 1), (0, 0), (0, 0)))
    g = given("g", 3, 1, 1, dtype="float64")
    whole = graph(x, g, outputs=every_pool(x, g, attrs))
    for sizes in ({"N": 3, "M": 5}, {"N": 1, "M": 1}, {"N": 17, "M": 40}):
        extents = (3, sizes["N"], sizes["M"])
        arrays = operands(extents, (3, 1, 1), False)
        found = run(whole, arrays, target, sizes)
        bound = {**attrs, "size": extents[1:]}
        for name, value in by_loops(arrays["x"], arrays["g"], bound).items():
            np.testing.assert_allclose(found[name], value, 1e-12, 1e-12, err_msg=name)
    found = run(whole, operands((3, 0, 2), (3, 1, 1), False), target, {"N": 0, "M": 2})
    assert (found["max_pool"] == -np.inf).all()
    assert (found["max_code"] == -1).all()
    assert (found["pool_take"] == 0).all()
    assert found["pool_spread"].shape == (3, 0, 2)


def test_a_pool_is_one_kernel_each_way() -> None:
    attrs = attributes(((1, 2), (2, 2), (2, 2), (1, 1), (0, 0), (0, 0)))
    x, g = given("x", 32, 16, 16, 32), given("g", 32, 8, 8, 32)
    code = b.max_code(x, **attrs)
    front = graph(x, y=b.max_pool(x, **attrs), code=code)
    assert len(compile_kernels(front).kernels) == 1
    codes = given("c", 32, 8, 8, 32, dtype="int32")
    spread = b.pool_spread(g, codes, extents=(16, 16), **attrs)
    back = graph(x, g, codes, y=b.mul(spread, b.exp(x)))
    assert len(compile_kernels(back).kernels) == 2  # the second one is the product


X = given("x", 7, 4)
REFUSED: list[tuple[Callable[[], Node], str]] = [
    (lambda: b.max_pool(X, **attributes(((2,), (1,), (1,), (1,), (0,), (0,)))),
     "expected axes below 2, each once, got (2,)"),
    (lambda: b.sum_pool(X, **attributes(((0, 0), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0)))),
     "expected axes below 2, each once, got (0, 0)"),
    (lambda: b.max_pool(X, **attributes(((0,), (1,), (0,), (1,), (0,), (0,)))),
     "expected size, stride and dilation of 1 or more, got 1, 0, 1"),
    (lambda: b.max_pool(X, **attributes(((0,), (2,), (1,), (1,), (0,), (2,)))),
     "expected padding of 0 or more and less than the 2 elements that a window reaches over, got "
     "0 before and 2 behind"),
    (lambda: b.max_pool(X, **attributes(((1,), (4,), (1,), (3,), (1,), (2,)))),
     "expected 10 or more elements for a window, got 4 with 1 before and 2 behind"),
    (lambda: b.max_pool(X, **attributes(((1,), (5,), (1,), (1,), (0,), (0,)))),
     "expected 5 or more elements for a window, got 4"),
    (lambda: b.max_pool(given("n", 3, "N"), **attributes(((0,), (given("n", "N").shape[0],), (1,),
                                                          (1,), (0,), (0,)))),
     "expected a named size to be all of an axis, got N"),
    (lambda: b.pool_take(X, X, **attributes(((0,), (2,), (2,), (1,), (0,), (0,)))),
     "expected codes int32[3,4], got float32[7,4]"),
    (lambda: b.sum_spread(X, extents=(9,), **attributes(((0,), (2,), (2,), (1,), (0,), (0,)))),
     "expected float32[4,4] for float32[9,4], got float32[7,4]"),
    (lambda: b.pool_spread(X, X, extents=(8,), **attributes(((0,), (2,), (1,), (1,), (0,), (0,)))),
     "expected codes int32[7,4], got float32[7,4]"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), REFUSED)
def test_what_the_rules_refuse(make: Callable[[], Node], expected: str) -> None:
    with pytest.raises(TypeRuleError) as error:
        make()
    assert str(error.value) == expected


def test_integers_are_not_pooled() -> None:
    with pytest.raises(DtypeRuleError, match=r"^expected floats, got int32$"):
        b.max_pool(given("m", 3, dtype="int32"), **attributes(((0,), (1,), (1,), (1,), (0,), (0,))))

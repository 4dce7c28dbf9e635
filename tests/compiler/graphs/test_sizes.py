"""Sizes: polynomials over names are equal if they always have equal values, and print well."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagrad.compiler.sizes import (
    Dim,
    Size,
    assign,
    ceil_divide,
    evaluate,
    exact_divide,
    floor_divide,
    minimum,
    named,
    names,
    nominal,
    product,
    upper_bound,
)

B, T = named("B"), named("T")
NAMES = ("B", "T")
Case = tuple[Dim, dict[str, int]]

atoms: st.SearchStrategy[Dim] = st.sampled_from([B, T]) | st.integers(-5, 5)
sizes: st.SearchStrategy[Dim] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.integers(1, 4)).map(lambda p: floor_divide(*p)),
        st.tuples(inner, st.integers(-2, 9)).map(lambda p: minimum(*p)),
    ),
    max_leaves=6,
)
values = st.fixed_dictionaries({name: st.integers(0, 40) for name in NAMES})


@given(sizes, sizes, values)
def test_arithmetic_is_that_of_the_values(p: Dim, q: Dim, at: dict[str, int]) -> None:
    x, y = evaluate(p, at), evaluate(q, at)
    assert evaluate(p + q, at) == x + y
    assert evaluate(p - q, at) == x - y
    assert evaluate(p * q, at) == x * y
    assert evaluate(-p, at) == -x
    assert evaluate(product([p, q, p]), at) == x * y * x


@given(sizes, sizes, sizes)
def test_equal_polynomials_are_equal(p: Dim, q: Dim, r: Dim) -> None:
    assert p + q == q + p and hash(p + q) == hash(q + p)
    assert p * q == q * p and hash(p * q) == hash(q * p)
    assert (p + q) * r == p * r + q * r
    assert (p + q) + r == p + (q + r)
    assert p - p == 0 and isinstance(p - p, int)
    assert p * 0 == 0 and isinstance(p * 0, int)
    assert p * 1 == p and p + 0 == p


@given(sizes)
def test_a_size_without_names_is_an_integer(p: Dim) -> None:
    assert isinstance(p, int) == (not names(p))
    assert isinstance(p, int) or str(p) == repr(p)


@given(sizes, st.integers(1, 6), values)
def test_divisions_round_down_and_up(p: Dim, by: int, at: dict[str, int]) -> None:
    x = evaluate(p, at)
    assert evaluate(floor_divide(p, by), at) == x // by
    assert evaluate(ceil_divide(p, by), at) == -(-x // by)


@given(sizes, st.integers(-9, 40), values)
def test_minima_are_of_the_values(p: Dim, bound: int, at: dict[str, int]) -> None:
    x = evaluate(p, at)
    assert evaluate(minimum(p, bound), at) == min(x, bound)
    assert evaluate(assign(minimum(p, bound), {"B": at["B"]}), at) == min(x, bound)
    many = {name: np.array([number, number + 1]) for name, number in at.items()}
    each = [evaluate(p, {n: number + i for n, number in at.items()}) for i in (0, 1)]
    found = np.broadcast_to(evaluate(minimum(p, bound), many), 2)
    assert found.tolist() == [min(number, bound) for number in each]


@given(sizes, values)
def test_nothing_is_above_an_upper_bound(p: Dim, at: dict[str, int]) -> None:
    """Of what has one: here a size without the part that grows, rounded in several ways."""
    for size in (p, floor_divide(p, 3) * 3 - p, p - floor_divide(p - 1, 4) * 4):
        try:
            bound = upper_bound(size)
        except ValueError:
            assert names(size)
        else:
            assert evaluate(size, at) <= bound


@pytest.mark.parametrize(
    ("size", "bound"),
    [
        (7, 7), (-3, -3), (B - B + 2, 2), (B - floor_divide(B, 2) * 2, 1),
        (floor_divide(B, 2) * 2 - B, 0), (ceil_divide(B, 3) * 3 - B, 2),
        (floor_divide(B * 2 + 5, 4) * 2 - B, 2), (floor_divide(B + T, 5) * 5 - B - T, 0),
        (5 - floor_divide(B, 3) * 6 + floor_divide(B, 2) * 4, 9), (minimum(B * 2, 7) * 3 + 1, 22),
    ],
)  # fmt: skip
def test_upper_bounds(size: Dim, bound: int) -> None:
    """They are reached, or nearly so: here the greatest values of many."""
    assert upper_bound(size) == bound
    found = max(evaluate(size, {"B": batch, "T": 3}) for batch in range(60))
    assert bound - 2 <= found <= bound


@pytest.mark.parametrize("size", [B, B * T - B, floor_divide(B, 2), B - floor_divide(T, 2) * 2])
def test_what_grows_has_no_upper_bound(size: Dim) -> None:
    with pytest.raises(ValueError, match="grows with its names"):
        upper_bound(size)


@given(sizes, st.sampled_from([1, 3, B, B * 2, B * T, T * T * 5, B + 1, T - B * 3]), values)
def test_an_exact_division_undoes_a_product(p: Dim, by: Dim, at: dict[str, int]) -> None:
    quotient = exact_divide(p * by, by)
    assert quotient == p or p == 0
    other = exact_divide(p, by)
    if other is not None:
        assert other * by == p


@pytest.mark.parametrize(
    ("size", "divisor", "expected"),
    [
        (B * 6, 3, B * 2),
        (B * 6, 4, None),
        (B * T, T, B),
        (B * T + T, T, B + 1),
        (B + 1, B + 1, 1),
        (B * B + B, B + 1, B),
        (B * T - T + B * 2 - 2, T + 2, B - 1),
        (B * B + 1, B + 1, None),
        (B, T, None),
        (12, 4, 3),
        (12, 5, None),
        (12, 0, None),
        (B, 0, None),
    ],
)
def test_exact_division(size: Dim, divisor: Dim, expected: Dim | None) -> None:
    assert exact_divide(size, divisor) == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (B, "B"),
        (B * 10, "10*B"),
        (B + 1, "B+1"),
        (B - 1, "B-1"),
        (1 - B, "-B+1"),
        (-B, "-B"),
        (B * T * 2 - T + 3, "2*B*T-T+3"),
        (T * B, "B*T"),
        (floor_divide(B * 4, 2), "2*B"),
        (floor_divide(B + 1, 2), "((B+1)//2)"),
        (minimum(B * 2, 39) * 3, "3*min(2*B,39)"),
        (floor_divide(B, 2) * T * 3, "3*((B)//2)*T"),
    ],
)
def test_text(size: Dim, text: str) -> None:
    assert str(size) == text


def test_names_are_found_inside_divisions() -> None:
    assert names(floor_divide(B * T + 1, 2) + 5) == {"B", "T"}
    assert names(7) == set()


def test_names_stand_for_a_number() -> None:
    assert nominal(B * T + floor_divide(B, 5)) == 64 * 64 + 12 and nominal(7) == 7


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="'T'"):
        evaluate(B + T, {"B": 1})


def test_a_size_is_no_number() -> None:
    values: list[object] = [3, "B", 1]
    assert isinstance(B, Size) and B not in values

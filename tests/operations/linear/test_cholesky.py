"""Factors of Cholesky and triangular systems beyond the table: what is not read, NaN, messages."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS, Array, Target, text

DTYPES = ("float32", "float64")
SIZES = (0, 1, 2, 7, 8, 9, 16, 33, 70)


def positive(rng: np.random.Generator, *shape: int) -> Array:
    """Symmetric matrices with eigenvalues from 1 to about 9."""
    root = rng.normal(size=shape) / np.sqrt(max(shape[-1], 1))
    return np.asarray(root @ root.swapaxes(-1, -2) * 2 + np.eye(shape[-1]))


def program(target: Target, dtype: str) -> dg.Program:
    """The factors of a, and the systems of a and b of all kinds."""
    a, b = dg.observed("a", ("B", "n", "n"), dtype), dg.observed("b", ("B", "n", "k"), dtype)
    outputs = {"l": dg.cholesky(a), "u": dg.cholesky(a, upper=True)}
    for bits in range(8):
        lower, transposed, unit = (bool(bits >> place & 1) for place in range(3))
        outputs[f"x{bits}"] = dg.triangular_solve(
            a, b, lower=lower, transposed=transposed, unit_diagonal=unit
        )
    return dg.Diagram("factors", outputs).compile(target=target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_numpy(dtype: str, target: Target) -> None:
    made, rng = program(target, dtype), np.random.default_rng(1)
    close = 1e-5 if dtype == "float32" else 1e-13
    for count, n in [(2, n) for n in SIZES] + [(0, 3), (1, 5)]:
        a, b = positive(rng, count, n, n).astype(dtype), rng.normal(size=(count, n, 18 - count))
        found = made.run(a=a, b=b.astype(dtype))
        wide = a.astype(float)
        factor = np.linalg.cholesky(wide)
        np.testing.assert_allclose(found["l"], factor, close, close)
        np.testing.assert_allclose(found["u"], factor.swapaxes(1, 2), close, close)
        for bits in range(8):
            lower, transposed, unit = (bool(bits >> place & 1) for place in range(3))
            matrix = np.tril(wide) if lower else np.triu(wide)
            if unit:
                matrix = matrix * (1 - np.eye(n)) + np.eye(n)
            matrix = matrix.swapaxes(1, 2) if transposed else matrix
            size = np.abs(b).max(initial=1) * n
            error = matrix @ found[f"x{bits}"].astype(float) - b.astype(dtype)
            np.testing.assert_allclose(error, 0 * error, atol=close * size)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_positive_definite_gives_nan(dtype: str, target: Target) -> None:
    """In the whole triangle, and in no other matrix; so do a NaN and an infinity."""
    made, rng = program(target, dtype), np.random.default_rng(2)
    for n in (1, 2, 9, 17, 40):
        a = np.stack([positive(rng, n, n) for _ in range(7)]).astype(dtype)
        a[1, n // 2, n // 2] = -1
        a[2] = 0
        a[3] = np.ones((n, n)) if n > 1 else -np.ones((n, n))
        a[4, n - 1, 0] = np.nan
        a[5, n // 2, n // 2] = np.inf
        found = made.run(a=a, b=np.ones((7, n, 1), dtype))
        for name, triangle in (("l", np.tril), ("u", np.triu)):
            wanted = triangle(np.full((n, n), np.nan))
            for place in range(1, 6):
                np.testing.assert_array_equal(found[name][place], wanted)
            assert np.isfinite(found[name][[0, 6]]).all()


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_not_read(target: Target) -> None:
    """The other triangle, and a diagonal that is said to be 1; a 0 on it divides."""
    made, rng = program(target, "float64"), np.random.default_rng(3)
    n = 19
    a, b = positive(rng, 1, n, n), rng.normal(size=(1, n, 2))
    clean = made.run(a=a, b=b)
    for lower in (False, True):
        dirty = np.where(np.triu(np.ones((n, n)), 1) if lower else np.tri(n, k=-1), np.nan, a)
        found = made.run(a=dirty, b=b)
        for bits in range(lower, 8, 2):
            np.testing.assert_array_equal(found[f"x{bits}"], clean[f"x{bits}"])
        np.einsum("bii->bi", dirty)[:] = np.nan
        found = made.run(a=dirty, b=b)
        for bits in range(4 + lower, 8, 2):
            np.testing.assert_array_equal(found[f"x{bits}"], clean[f"x{bits}"])
    with np.errstate(all="ignore"):
        zero = made.run(a=np.zeros((1, 2, 2)), b=np.ones((1, 2, 1)))["x1"]
    assert not np.isfinite(zero).any()


def test_a_factor_is_that_of_the_symmetric_part() -> None:
    rng = np.random.default_rng(4)
    a = positive(rng, 1, 6, 6)
    skew = rng.normal(size=(1, 6, 6))
    given = a + skew - skew.swapaxes(1, 2)
    found = program("cpu", "float64").run(a=given, b=np.ones((1, 6, 1)))["l"]
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-12, atol=1e-12)


def test_threads_make_no_difference() -> None:
    a, b = dg.observed("a", (3, 90, 90)), dg.observed("b", (3, 90, 70))
    rng = np.random.default_rng(5)
    given = {"a": positive(rng, 3, 90, 90), "b": rng.normal(size=(3, 90, 70))}
    given = {name: value.astype(np.float32) for name, value in given.items()}
    x = dg.triangular_solve(dg.cholesky(a), b, lower=True)
    one, two = (dg.Diagram("d", {"x": x}).compile(threads=n).run(**given)["x"] for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop(target: Target) -> None:
    """A Kalman filter's covariance by its factor: p(t) = l l', l of p(t-1) + x(t) x(t)'."""
    x = dg.observed("x", ("T", 3), "float64")
    t = dg.loop("t")
    p = t.delay("p", np.eye(3), dtype="float64")
    row = t.each(x)
    factor = dg.cholesky(p + dg.outer(row, row))
    inside = dg.triangular_solve(factor, np.eye(3), lower=True)
    p_next = inside @ inside.mT + np.eye(3)
    t.close(p, p_next)
    last = t.last(p_next)
    slope = dg.gradient(dg.sum(last * last), x)
    made = dg.Diagram("filter", {"last": last, "slope": slope}).compile(target=target)
    inputs = np.random.default_rng(6).normal(size=(4, 3))

    def by_hand(rows: Array) -> Array:
        held = np.eye(3)
        for row in rows:
            inside = np.linalg.inv(np.linalg.cholesky(held + np.outer(row, row)))
            held = inside @ inside.T + np.eye(3)
        return held

    found = made.run(x=inputs)
    np.testing.assert_allclose(found["last"], by_hand(inputs), rtol=1e-12)
    for place in np.ndindex(4, 3):
        step = np.zeros((4, 3))
        step[place] = 1e-6
        after, before = (np.sum(by_hand(inputs + s) ** 2) for s in (step, -step))
        np.testing.assert_allclose(found["slope"][place], (after - before) / 2e-6, 1e-6, 1e-7)


def triangular(a: Any, b: Any) -> dg.Variable:
    return dg.triangular_solve(a, b, lower=True)


def operands(*shapes: Any, dtypes: Any = ("float32", "float32")) -> list[dg.Variable]:
    return [dg.observed(n, s, d) for n, s, d in zip("ab", shapes, dtypes, strict=False)]


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (dg.cholesky, operands((3, 4)),
         "cholesky (m.py:1) expects square matrices (..., n, n), got (3, 4) float32 from observed "
         "'a' (m.py:1)"),
        (dg.cholesky, operands((3, 3), dtypes=("int32",)),
         "cholesky (m.py:1) expects floats, got (3, 3) int32 from observed 'a' (m.py:1): convert "
         "it with .astype(...)"),
        (triangular, operands((3, 3), (4, 2)),
         "triangular_solve (m.py:1) expects as many rows on the right as the matrix has, not 4 and "
         "3; given (3, 3) float32 from observed 'a' (m.py:1) and (4, 2) float32 from observed 'b' "
         "(m.py:1)"),
        (triangular, operands((3,), (3, 2)),
         "triangular_solve (m.py:1) expects square matrices (..., n, n), got (3,) float32 from "
         "observed 'a' (m.py:1) and (3, 2) float32 from observed 'b' (m.py:1)"),
    ],
)  # fmt: skip
def test_messages(function: Any, given: list[dg.Variable], message: str) -> None:
    with pytest.raises(dg.DiagramError) as error:
        _ = function(*given).shape
    assert text(error.value) == message

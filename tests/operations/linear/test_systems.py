"""Linear equations beyond the table: pivots, singular matrices, threads, loops, and messages."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS, Array, Target, text

DTYPES = ("float32", "float64")


def program(target: Target, dtype: str) -> dg.Program:
    a = dg.observed("a", ("B", "n", "n"), dtype)
    b = dg.observed("b", ("B", "n", "k"), dtype)
    outputs = {"x": dg.solve(a, b), "inverse": dg.inverse(a)}
    return dg.Diagram("systems", outputs).compile(target=target)


def regular(rng: np.random.Generator, dtype: str, *shape: int) -> Array:
    """Matrices whose elements on the diagonal are 0, with singular values from 1 to 3."""
    u, _, v = np.linalg.svd(rng.normal(size=shape) * (1 - np.eye(shape[-1])))
    made = (u * np.linspace(1, 3, shape[-1])) @ v
    return np.asarray(made.astype(dtype))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_numpy(dtype: str, target: Target) -> None:
    made, rng = program(target, dtype), np.random.default_rng(1)
    close = 2e-5 if dtype == "float32" else 1e-12
    for count in (0, 1, 3):
        for n in (0, 1, 2, 7, 16, 17, 33):
            for k in (0, 1, 17):
                a, b = regular(rng, dtype, count, n, n), rng.normal(size=(count, n, k))
                found = made.run(a=a, b=b.astype(dtype))
                wanted = np.linalg.solve(a.astype(float), b.astype(dtype).astype(float))
                np.testing.assert_allclose(found["x"], wanted, close, close)
                wanted = np.linalg.inv(a.astype(float))
                np.testing.assert_allclose(found["inverse"], wanted, close, close)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_exchanged(dtype: str, target: Target) -> None:
    """A permutation is solved exactly; a small pivot is not taken where there is a larger one."""
    made, rng = program(target, dtype), np.random.default_rng(2)
    turned = np.stack([np.eye(19, dtype=dtype)[rng.permutation(19)] for _ in range(4)])
    b = rng.normal(size=(4, 19, 3)).astype(dtype)
    np.testing.assert_array_equal(made.run(a=turned, b=b)["x"], turned.swapaxes(1, 2) @ b)
    tiny = np.array([[[1e-20, 1], [1, 1]]], dtype)
    found = made.run(a=tiny, b=np.array([[[1], [2]]], dtype))["x"]
    np.testing.assert_allclose(found, [[[1], [1]]], rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_singular_matrices_give_nan(dtype: str, target: Target) -> None:
    """In all of their elements, and in no other matrix."""
    made = program(target, dtype)
    for n in (1, 2, 5, 17):
        a = np.stack([np.zeros((n, n)), 2 * np.eye(n), np.ones((n, n)), np.eye(n)])
        a[3, n // 2, n // 2] = 0
        b = np.ones((4, n, 2), dtype)
        found = made.run(a=a.astype(dtype), b=b)
        wanted = np.array([np.nan, 0.5, 1 if n == 1 else np.nan, np.nan])[:, None, None]
        np.testing.assert_array_equal(found["x"], np.broadcast_to(wanted, b.shape))
        assert np.isfinite(found["inverse"]).all((1, 2)).tolist() == [False, True, n == 1, False]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_in_its_matrix(dtype: str, target: Target) -> None:
    made = program(target, dtype)
    for special in (np.nan, np.inf, -np.inf):
        a = np.stack([np.eye(7, dtype=dtype)] * 2)
        a[1, 2:4, 1:6] = special
        b = np.ones((2, 7, 3), dtype)
        found = made.run(a=a, b=b)["x"]
        np.testing.assert_array_equal(found[0], b[0])
        assert not np.isfinite(found[1]).all()


def test_threads_make_no_difference() -> None:
    a, b = dg.observed("a", ("B", 40, 40)), dg.observed("b", ("B", 40, 5))
    rng = np.random.default_rng(3)
    given = {"a": regular(rng, "float32", 64, 40, 40), "b": rng.normal(size=(64, 40, 5))}
    given["b"] = given["b"].astype(np.float32)
    diagram = dg.Diagram("systems", {"x": dg.solve(a, b)})
    one, two = (diagram.compile(threads=n).run(**given)["x"] for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop(target: Target) -> None:
    """Steps of the implicit Euler method, (I - h A) z(t) = z(t-1) + x(t), and their gradient."""
    x, a = dg.observed("x", ("T", 3), "float64"), dg.observed("a", (3, 3), "float64")
    matrix = dg.constant(np.eye(3)) - a * 0.1
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(3,), dtype="float64")
    z_next = dg.solve(matrix, z + t.each(x))
    t.close(z, z_next)
    last = t.last(z_next)
    slope = dg.gradient(dg.sum(last * last), a)
    made = dg.Diagram("euler", {"last": last, "slope": slope}).compile(target=target)
    rng = np.random.default_rng(4)
    inputs, held = rng.normal(size=(6, 3)), rng.normal(size=(3, 3))

    def by_hand(a: Array) -> Array:
        state = np.zeros(3)
        for row in inputs:
            state = np.linalg.solve(np.eye(3) - 0.1 * a, state + row)
        return state

    found = made.run(x=inputs, a=held)
    np.testing.assert_allclose(found["last"], by_hand(held), rtol=1e-12)
    for place in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[place] = 1e-6
        after, before = (np.sum(by_hand(held + s) ** 2) for s in (step, -step))
        np.testing.assert_allclose(found["slope"][place], (after - before) / 2e-6, rtol=1e-6)


def operands(*shapes: Any, dtypes: Any = ("float32", "float32")) -> list[dg.Variable]:
    return [dg.observed(n, s, d) for n, s, d in zip("ab", shapes, dtypes, strict=False)]


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (dg.solve, operands((3, 4), (3, 2)),
         "solve (m.py:1) expects square matrices (..., n, n), got (3, 4) float32 from observed 'a' "
         "(m.py:1) and (3, 2) float32 from observed 'b' (m.py:1)"),
        (dg.solve, operands((3, 3), (4, 2)),
         "solve (m.py:1) expects as many rows on the right as the matrix has, not 4 and 3; given "
         "(3, 3) float32 from observed 'a' (m.py:1) and (4, 2) float32 from observed 'b' (m.py:1)"),
        (dg.solve, operands((3, 3), ()),
         "solve (m.py:1) expects a vector or matrices on the right, not a number; given (3, 3) "
         "float32 from observed 'a' (m.py:1) and () float32 from observed 'b' (m.py:1)"),
        (dg.inverse, operands((3,)),
         "inverse (m.py:1) expects square matrices (..., n, n), got (3,) float32 from observed 'a' "
         "(m.py:1)"),
        (dg.inverse, operands((3, 3), dtypes=("int32",)),
         "inverse (m.py:1) expects floats, got (3, 3) int32 from observed 'a' (m.py:1): convert it "
         "with .astype(...)"),
        (dg.solve, operands((3, 3), (3, 2), dtypes=("float32", "float64")),
         "solve (m.py:1) expects operands of one dtype, got (3, 3) float32 from observed 'a' "
         "(m.py:1) and (3, 2) float64 from observed 'b' (m.py:1): convert one with .astype(...), "
         "nothing is promoted silently"),
    ],
)  # fmt: skip
def test_messages(function: Any, given: list[dg.Variable], message: str) -> None:
    with pytest.raises(dg.DiagramError) as error:
        _ = function(*given).shape
    assert text(error.value) == message

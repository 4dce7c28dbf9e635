"""Products in logarithms beyond the table: any range, minus infinity, NaN, threads, loops."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import TARGETS, Array, Target, check_derivatives, run, text

DTYPES = ("float32", "float64")


def program(target: Target, dtype: str) -> dg.Program:
    x, y = dg.observed("x", ("B", "m", "k"), dtype), dg.observed("y", ("B", "k", "n"), dtype)
    g = dg.observed("g", ("B", "m", "n"), dtype)
    total = dg.logmatmulexp(x, y)
    seen = dg.sum(dg.where(dg.greater(total, -np.inf), total, 0) * g)
    slopes = dg.gradient(seen, [x, y])
    outputs = {"total": total, "x_": slopes[0], "y_": slopes[1]}
    return dg.Diagram("products", outputs).compile(target=target)


def by_hand(x: Array, y: Array, g: Array) -> dict[str, Array]:
    """All terms, in float64."""
    each = x.astype(float)[..., :, :, None] + y.astype(float)[..., None, :, :]
    total = np.logaddexp.reduce(each, axis=-2, initial=-np.inf)
    scale = np.where(total == -np.inf, np.inf, total)[..., None, :]
    terms = g[..., :, None, :] * np.exp(each - scale)
    return {"total": total, "x_": terms.sum(axis=-1), "y_": terms.sum(axis=-3)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_range(dtype: str, target: Target) -> None:
    """Values from near 0 to far beyond what exp holds, and holes of minus infinity among them."""
    made, rng = program(target, dtype), np.random.default_rng(0)
    close = 2e-5 if dtype == "float32" else 1e-12
    for shape in [(2, 3, 5, 19), (1, 1, 1, 1), (1, 7, 16, 33), (0, 2, 3, 4), (2, 0, 3, 4),
                  (2, 3, 0, 4), (2, 3, 4, 0)]:  # fmt: skip
        b, m, k, n = shape
        for size in (1.0, 40.0, 3000.0):
            for holes in (0.0, 0.4):
                x, y = ((size * rng.normal(size=s)).astype(dtype) for s in ((b, m, k), (b, k, n)))
                for item in (x, y):
                    item[rng.random(item.shape) < holes] = -np.inf
                g = rng.normal(size=(b, m, n)).astype(dtype)
                found, wanted = made.run(x=x, y=y, g=g), by_hand(x, y, g)
                np.testing.assert_allclose(found["total"], wanted["total"], close, close)
                # What is rounded in sums of 3000 is off by more in their exponentials.
                loose = close * max(1.0, size / 10)
                for key in ("x_", "y_"):
                    np.testing.assert_allclose(found[key], wanted[key], loose, loose)


def test_a_term_far_below_the_greatest_of_row_and_column() -> None:
    """The greatest of the row meets minus infinity; what is left has no exponential in floats."""
    x = np.array([[0.0, -300.0, -301.0]], np.float32)
    y = np.array([[-np.inf, 0.0], [0.0, -900.0], [0.5, 0.0]], np.float32)
    found = run({"z": dg.logmatmulexp(x, y)}, "cpu")["z"]
    np.testing.assert_allclose(found, [[-300 + np.log1p(np.exp(-0.5)), 0.0]], rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_nan_and_infinity_stay_in_their_rows_and_columns(target: Target) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(1, 4, 5)), rng.normal(size=(1, 5, 18))
    g = np.ones((1, 4, 18))
    made = program(target, "float64")
    clean = made.run(x=x, y=y, g=g)["total"]
    x[0, 1, 2], y[0, 3, 7], y[0, 0, 9] = np.nan, np.nan, np.inf
    found = made.run(x=x, y=y, g=g)["total"]
    bad = np.zeros((1, 4, 18), bool)
    bad[:, 1] = bad[:, :, 7] = True
    assert np.isnan(found[bad]).all()
    assert (found[0, [0, 2, 3], 9] == np.inf).all()
    bad[:, :, 9] = True
    np.testing.assert_array_equal(found[~bad], clean[~bad])


@pytest.mark.parametrize("size", [1.0, 500.0])
def test_derivatives(size: float) -> None:
    """Of first and second order, by products and by their terms."""
    rng = np.random.default_rng(2)
    shapes = ((2, 3), (3, 4))
    x, y = (size * rng.normal(size=s) / 10 for s in shapes)
    if size > 1:
        # Two terms of each element are near each other, far below the greatest of the row.
        x = np.array([[0.0, -1000.0, -1000.5], [0.0, -999.0, -999.7]])
        y = np.array([[-5000.0] * 4, [0.1, 0.5, -0.2, 0.0], [0.0, -0.4, 0.3, 0.6]])
    check_derivatives(dg.logmatmulexp, x, y, width=1e-3)


def test_impossible_sums_have_no_derivative() -> None:
    """Of first and second order: zeros, not NaN."""
    x = dg.observed("x", (2, 2), "float64")
    y = np.array([[0.0, -np.inf], [1.0, -np.inf]])
    total = dg.logmatmulexp(x, y)
    first = dg.gradient(dg.sum(dg.where(dg.greater(total, -np.inf), total, 0)), x)
    second = dg.gradient(dg.sum(first * first), x)
    found = (
        dg.Diagram("test", {"a": first, "b": second})
        .compile()
        .run(x=np.array([[0.0, 1.0], [-np.inf] * 2]))
    )
    share = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(found["a"], [[1 - share, share], [0, 0]])
    slope = 2 * share * (1 - share) * (2 * share - 1)
    np.testing.assert_allclose(found["b"], [[-slope, slope], [0, 0]])


def test_threads_make_no_difference() -> None:
    rng = np.random.default_rng(3)
    x, y = dg.observed("x", ("m", 40)), dg.observed("y", (40, 70))
    total = dg.logmatmulexp(x, y)
    outputs = {"a": total, **dict(zip("xy", dg.gradient(dg.sum(total), [x, y]), strict=True))}
    outputs = {f"{key}_": value for key, value in outputs.items()}
    diagram = dg.Diagram("test", outputs)
    inputs = {key: (30 * rng.normal(size=s)).astype(np.float32)
              for key, s in (("x", (200, 40)), ("y", (40, 70)))}  # fmt: skip
    one, two = (diagram.compile(threads=n).run(**inputs) for n in (1, 2))
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key])
    # A row's result does not depend on what else there is.
    few = diagram.compile().run(x=inputs["x"][3:5], y=inputs["y"])
    np.testing.assert_array_equal(few["a_"], one["a_"][3:5])


def test_no_array_of_all_terms() -> None:
    """200 x 200 x 200 floats would be 30 MiB."""
    x, y = dg.observed("x", (200, 200)), dg.observed("y", (200, 200))
    total = dg.sum(dg.logmatmulexp(x, y))
    slopes = dg.gradient(total, [x, y])
    program = dg.Diagram("test", {"t": total, "a": slopes[0], "b": slopes[1]}).compile()
    zeros = np.zeros((200, 200), np.float32)
    found = program.run(x=zeros, y=zeros)
    np.testing.assert_allclose(found["a"], np.ones((200, 200)), rtol=1e-5)
    memory = next(line for line in program.explain().splitlines() if "temporaries" in line)
    size, unit = memory.partition("temporaries ")[2].split()[:2]
    assert float(size) < (2 if unit.startswith("MiB") else 2000), memory


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop(target: Target) -> None:
    """The power of a matrix: a chain of products, and its gradient by the matrix."""
    y = dg.observed("y", (3, 3), "float64")
    t = dg.loop("t", steps=5)
    z = t.delay("z", np.zeros((1, 3)), shape=(1, 3), dtype="float64")
    after = dg.logmatmulexp(z, y)
    t.close(z, after)
    last = t.last(after)
    slope = dg.gradient(dg.sum(last), y)
    made = dg.Diagram("test", {"last": last, "slope": slope}).compile(target=target)
    held = np.random.default_rng(4).normal(size=(3, 3))

    def wanted(y: Array) -> Array:
        return np.asarray(np.log(np.ones((1, 3)) @ np.linalg.matrix_power(np.exp(y), 5)))

    found = made.run(y=held)
    np.testing.assert_allclose(found["last"], wanted(held), rtol=1e-12)
    for place in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[place] = 1e-6
        sides = [wanted(held + s).sum() for s in (step, -step)]
        np.testing.assert_allclose(found["slope"][place], (sides[0] - sides[1]) / 2e-6, rtol=1e-6)


def operands(*shapes: Any, dtypes: Any = ("float32", "float32")) -> list[dg.Variable]:
    return [dg.observed(n, s, d) for n, s, d in zip("ab", shapes, dtypes, strict=True)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (operands((3, 4), (3, 2)),
         "logmatmulexp (m.py:1) expects as many columns on the left as rows on the right, not 4 "
         "and 3; given (3, 4) float32 from observed 'a' (m.py:1) and (3, 2) float32 from observed "
         "'b' (m.py:1)"),
        (operands((3,), (3, 2)),
         "logmatmulexp (m.py:1) expects matrices (..., m, k) and (..., k, n), got (3,) float32 "
         "from observed 'a' (m.py:1) and (3, 2) float32 from observed 'b' (m.py:1)"),
        (operands((3, 3), (3, 3), dtypes=("int32", "int32")),
         "logmatmulexp (m.py:1) expects floats, got (3, 3) int32 from observed 'a' (m.py:1) and "
         "(3, 3) int32 from observed 'b' (m.py:1): convert it with .astype(...)"),
    ],
)  # fmt: skip
def test_messages(given: list[dg.Variable], message: str) -> None:
    with pytest.raises(dg.DiagramError) as error:
        _ = dg.logmatmulexp(*given).shape
    assert text(error.value) == message

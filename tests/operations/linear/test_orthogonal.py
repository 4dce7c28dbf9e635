"""Factors with orthonormal columns beyond the table: what is degenerate, far or not finite."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS, Array, Target, apply, gradients, text

DTYPES = ("float32", "float64")
CLOSE = {"float32": 2e-5, "float64": 1e-12}


def transposed(x: Array) -> Array:
    return np.asarray(np.swapaxes(x, -1, -2))


def factors(a: Any) -> dict[str, Any]:
    q, r = dg.qr(a)
    u, s, vh = dg.svd(a)
    w, v = dg.eigh(a.mT @ a)
    return {"q": q, "r": r, "u": u, "s": s, "vh": vh, "w": w, "v": v}


def check(a: Array, found: dict[str, Array], close: float) -> None:
    """Products are what was given, columns orthonormal, values in order; to `close` of the norm."""
    norm = np.abs(a).max(initial=np.finfo(a.dtype).tiny)
    a = a.astype(np.float64) / norm
    f = {name: value.astype(np.float64) for name, value in found.items()}
    r, s, w = f["r"] / norm, f["s"] / norm, f["w"] / norm / norm
    each = np.eye(a.shape[-1])
    for columns in (f["q"], f["u"], transposed(f["vh"]), f["v"]):
        product = transposed(columns) @ columns
        np.testing.assert_allclose(product, np.broadcast_to(each, product.shape), atol=close)
    np.testing.assert_allclose(f["q"] @ r, a, atol=close)
    np.testing.assert_array_equal(np.tril(r, -1), 0)
    assert (np.diagonal(r, 0, -2, -1) >= 0).all()
    np.testing.assert_allclose((f["u"] * s[..., None, :]) @ f["vh"], a, atol=close)
    assert (np.diff(s) <= 0).all() and (s >= 0).all() and (np.diff(w) >= 0).all()
    again = (f["v"] * w[..., None, :]) @ transposed(f["v"])
    np.testing.assert_allclose(again, transposed(a) @ a, atol=close)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_factors(dtype: str, target: Target) -> None:
    """Of sizes beside those of vectors, of rank 0, 1 and n, equal values, and far from 1."""
    a = dg.observed("a", ("B", "n", "n"), dtype)
    run = dg.Diagram("factors", factors(a)).compile(target=target).run
    rng = np.random.default_rng(1)
    for n in (0, 1, 2, 5, 16, 17, 40):
        full, one = rng.normal(size=(n, n)), np.outer(rng.normal(size=n), rng.normal(size=n))
        turned, _ = np.linalg.qr(full)
        half = full * (np.arange(n) % 2)
        made = np.stack([full, one, half, 0 * full, np.eye(n), turned, np.ones((n, n))])
        check(made.astype(dtype), run(a=made.astype(dtype)), CLOSE[dtype] * (n + 1))
        found = run(a=made[:0].astype(dtype))
        assert [value.size for value in found.values()] == [0] * 7
    for factor in (1e-15, 1e15):
        far = (factor * rng.normal(size=(2, 6, 6))).astype(dtype)
        check(far, run(a=far), CLOSE[dtype] * 7)


def test_small_singular_values_are_accurate() -> None:
    """Of columns of very different lengths: values have as many digits as elements have."""
    rng = np.random.default_rng(2)
    turned, _ = np.linalg.qr(rng.normal(size=(6, 4)))
    lengths = np.array([1e12, 1e4, 1e-5, 1e-14])
    found = apply(dg.svdvals, turned * lengths, target="cpu")
    np.testing.assert_allclose(found, lengths, rtol=1e-13)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_is_nan_in_its_matrix_alone(dtype: str, target: Target) -> None:
    a = dg.observed("a", (2, 7, 7), dtype)
    outputs = {**factors(a), "pinv": dg.pinv(a), "svdvals": dg.svdvals(a)}
    outputs |= {"eigvalsh": dg.eigvalsh(a), "lstsq": dg.lstsq(a, a)}
    run = dg.Diagram("factors", outputs).compile(target=target).run
    for special in (np.nan, np.inf, -np.inf):
        given = np.random.default_rng(3).normal(size=(2, 7, 7)).astype(dtype)
        given[1, 2, 3] = special
        for name, value in run(a=given).items():
            assert np.isfinite(value[0]).all(), name
            assert np.isnan(value[1]).all(), name


def test_threads_make_no_difference() -> None:
    a = dg.observed("a", ("B", 12, 12))
    given = np.random.default_rng(4).normal(size=(40, 12, 12)).astype(np.float32)
    diagram = dg.Diagram("factors", factors(a))
    one, two = (diagram.compile(threads=n).run(a=given) for n in (1, 2))
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_where_values_are_equal(target: Target) -> None:
    """Right for values and pseudo-inverses; for vectors 1 / (l_j - l_i) counts as 0."""
    equal = np.diag([2.0, 2, 2, 5])
    (found,) = gradients(lambda a: dg.sum(dg.eigvalsh(a) ** 3), equal, target=target)
    np.testing.assert_allclose(found, 3 * equal**2, atol=1e-12)
    (found,) = gradients(lambda a: dg.sum(dg.svdvals(a) ** 3), equal, target=target)
    np.testing.assert_allclose(found, 3 * equal**2, atol=1e-12)
    weights = np.random.default_rng(5).normal(size=(4, 4))
    (found,) = gradients(lambda a: dg.sum(dg.eigh(a)[1] * weights), equal, target=target)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:3, :3], 0, atol=1e-12)
    assert np.abs(found[3, :3]).max() > 0.1
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    (found,) = gradients(lambda a: dg.sum(dg.svd(a)[0] * weights), equal, target=target)
    np.testing.assert_allclose(found[:3, :3], 0, atol=1e-12)
    (found,) = gradients(lambda a: dg.sum(dg.pinv(a) * weights), equal, target=target)
    inverse = np.linalg.inv(equal)
    np.testing.assert_allclose(found, -inverse @ weights @ inverse, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_where_values_are_0(target: Target) -> None:
    """Of the nuclear norm one of the many, u vh; a pseudo-inverse keeps its rank."""
    rng = np.random.default_rng(6)
    low = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 4))
    (found,) = gradients(lambda a: dg.norm(a, "nuc"), low, target=target)
    u, _, vh = np.linalg.svd(low)
    np.testing.assert_allclose(u[:, :2].T @ found @ vh[:2].T, np.eye(2), atol=1e-10)
    assert np.linalg.norm(found, 2) < 1 + 1e-10
    weights, left, right = (rng.normal(size=shape) for shape in ((4, 5), (5, 5), (4, 4)))
    (found,) = gradients(lambda a: dg.sum(dg.pinv(a, 1e-10) * weights), low, target=target)
    along = left @ low + low @ right  # the rank stays
    step = 1e-6
    after, before = (np.linalg.pinv(low + s * along, 1e-4) for s in (step, -step))
    wanted = np.sum((after - before) * weights) / (2 * step)
    np.testing.assert_allclose(np.sum(found * along), wanted, rtol=1e-6)
    (found,) = gradients(lambda a: dg.sum(dg.svd(a)[0] * left[:, :4]), 0 * low, target=target)
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop(target: Target) -> None:
    """Subspace iteration, z(t) = q of a z(t-1), in a loop; and batched, for a jacobian."""
    a = dg.observed("a", (4, 4), "float64")
    x = dg.observed("x", ("T", 1), "float64")
    t = dg.loop("t")
    z = t.delay("z", np.eye(4)[:, :2])
    q, _ = dg.qr(a @ z + t.each(x) * 0.0)
    t.close(z, q)
    values = dg.eigvalsh(t.last(q).T @ a @ t.last(q))
    slopes = dg.jacobian(dg.eigvalsh(a), a)
    outputs = {"values": values, "slopes": slopes, "slope": dg.gradient(values[1], a)}
    given = np.random.default_rng(7).normal(size=(4, 4))
    given = given @ np.diag([9.0, 4, 0.1, 0.01]) @ given.T
    made = dg.Diagram("subspace", outputs).compile(target=target)
    found = made.run(a=given, x=np.zeros((200, 1)))
    w, v = np.linalg.eigh(given)
    np.testing.assert_allclose(found["values"], w[2:], rtol=1e-9)
    np.testing.assert_allclose(found["slope"], np.outer(v[:, 3], v[:, 3]), atol=1e-6)
    np.testing.assert_allclose(found["slopes"], np.einsum("ik,jk->kij", v, v), atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_more_rows_than_the_name_says(target: Target) -> None:
    """Where rows have a name they count as no fewer than columns: q and u have all columns."""
    a = dg.observed("a", ("N", 3), "float64")
    u, s, vh = dg.svd(a)
    outputs = {"u": u, "s": s, "vh": vh, "q": dg.qr(a)[0], "x": dg.lstsq(a, a[:, :1])}
    made = dg.Diagram("tall", outputs).compile(target=target)
    rng = np.random.default_rng(8)
    for rows in (3, 4, 20):
        given = rng.normal(size=(rows, 3))
        found = made.run(a=given)
        wanted = np.linalg.svd(given, full_matrices=False)
        np.testing.assert_allclose(found["s"], wanted[1], rtol=1e-12)
        np.testing.assert_allclose((found["u"] * found["s"]) @ found["vh"], given, atol=1e-13)
        np.testing.assert_allclose(found["q"].T @ found["q"], np.eye(3), atol=1e-13)
        np.testing.assert_allclose(found["x"], [[1], [0], [0]], atol=1e-12)
    found = made.run(a=rng.normal(size=(2, 3)))
    assert found["u"].shape == (2, 3) and abs(found["s"][2]) < 1e-15


def test_ranks() -> None:
    low = np.diag([1.0, 1e-3, 1e-9, 0])
    for rtol, rank in ((None, 3), (1e-6, 2), (0.1, 1)):
        assert apply(lambda a, r=rtol: dg.matrix_rank(a, r), low) == rank
        kept = np.where(np.arange(4) < rank, np.diag(low), 0)
        wanted = np.diag(np.divide(1, kept, out=np.zeros(4), where=kept > 0))
        np.testing.assert_allclose(apply(lambda a, r=rtol: dg.pinv(a, r), low), wanted)


SQUARE = dg.observed("a", (3, 4))
LINE = dg.observed("a", (3,))
WHOLE = dg.observed("a", (3, 3), "int32")


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (dg.eigh, [SQUARE], "eigh (m.py:1) expects square matrices (..., n, n), got (3, 4) float32 "
         "from observed 'a' (m.py:1)"),
        (dg.eigvalsh, [WHOLE], "eigvalsh (m.py:1) expects floats, got (3, 3) int32 from observed "
         "'a' (m.py:1): convert it with .astype(...)"),
        (dg.qr, [LINE], "qr (m.py:1) expects matrices (..., m, n), got (3,) float32 from observed "
         "'a' (m.py:1)"),
        (dg.svd, [WHOLE], "svd (m.py:1) expects floats, got (3, 3) int32 from observed 'a' "
         "(m.py:1): convert it with .astype(...)"),
        (dg.lstsq, [SQUARE, LINE[:2]], "lstsq (m.py:1) expects as many rows on the right as the "
         "matrix has, not 2 and 3; given (3, 4) float32 from observed 'a' (m.py:1) and (2,) "
         "float32 from index (m.py:1)"),
        (dg.matrix_rank, [LINE], "matrix_rank (m.py:1) expects matrices (..., m, n), got (3,) "
         "float32 from observed 'a' (m.py:1)"),
    ],
)  # fmt: skip
def test_messages(function: Any, given: list[dg.Variable], message: str) -> None:
    with pytest.raises(dg.DiagramError) as error:
        found = function(*given)
        _ = (found[0] if isinstance(found, tuple) else found).shape
    assert text(error.value) == message


def test_tolerances_are_numbers() -> None:
    with pytest.raises(ValueError, match=r"pinv .*expects rtol to be a number of 0 or more"):
        dg.pinv(SQUARE, -1.0)

"""Determinants, powers and exponentials beyond the table: ends of their range, messages."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS, Array, Target, gradients, run, text

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_determinants(dtype: str, target: Target) -> None:
    """Exchanged rows change the sign; singular matrices have 0; NaN stays in its matrix."""
    a = dg.observed("a", ("B", "n", "n"), dtype)
    sign, logs = dg.slogdet(a)
    outputs = {"det": dg.det(a), "sign": sign, "logs": logs}
    made = dg.Diagram("determinants", outputs).compile(target=target)
    rng, close = np.random.default_rng(1), 2e-6 if dtype == "float32" else 1e-13
    for n in (0, 1, 2, 3, 16, 19):
        turned = np.stack([np.eye(n)[rng.permutation(n)] for _ in range(5)])
        found = made.run(a=(turned * 2).astype(dtype))
        signs = np.rint(np.linalg.det(turned))
        np.testing.assert_allclose(found["det"], signs * 2**n, rtol=close)
        np.testing.assert_array_equal(found["sign"], signs)
        np.testing.assert_allclose(found["logs"], n * np.log(2), rtol=1e-6)
    cases = np.stack([np.zeros((4, 4)), np.ones((4, 4)), np.eye(4), np.eye(4), 1e30 * np.eye(4)])
    cases[2, 1, 2] = np.nan
    with np.errstate(all="ignore"):
        found = made.run(a=cases.astype(dtype))
    large = np.inf if dtype == "float32" else 1e120
    np.testing.assert_allclose(found["det"], [0, 0, np.nan, 1, large], rtol=close)
    np.testing.assert_array_equal(found["sign"], [0, 0, np.nan, 1, 1])
    wanted = np.array([-np.inf, -np.inf, np.nan, 0, 4 * np.log(1e30)])
    np.testing.assert_allclose(found["logs"], wanted, rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_derivatives_of_determinants(target: Target) -> None:
    """By hand; NaN where the matrix is singular, as `det` says."""
    a = np.random.default_rng(2).normal(size=(2, 4, 4))
    inverse = np.linalg.inv(a).swapaxes(1, 2)
    (found,) = gradients(lambda x: dg.det(x), a, target=target)
    np.testing.assert_allclose(found, np.linalg.det(a)[:, None, None] * inverse, rtol=1e-10)
    (found,) = gradients(lambda x: dg.slogdet(x)[1] + dg.slogdet(x)[0], a, target=target)
    np.testing.assert_allclose(found, inverse, rtol=1e-10)
    a[0] = 1
    (found,) = gradients(lambda x: dg.det(x), a, target=target)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def turns(angle: float) -> Array:
    return np.array([[0.0, -angle], [angle, 0.0]])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_of_all_sizes(dtype: str, target: Target) -> None:
    """Matrices of one batch that are squared from never to 13 times; one that is too large."""
    angles = np.array([0, 1e-3, 1, 5, 6, 50, 2e4, 4e5])
    a = np.stack([turns(angle) for angle in angles]).astype(dtype)
    exact = a[:, 1, 0].astype(float)
    cos, sin = np.cos(exact), np.sin(exact)
    wanted = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    wanted[-1] = np.nan
    with np.errstate(all="ignore"):
        found = run({"e": dg.expm(dg.constant(a))}, target)["e"]
    ulp = float(np.finfo(dtype).eps)
    for value, right, angle in zip(found, wanted, angles, strict=True):
        np.testing.assert_allclose(value, right, atol=ulp * (8 + 4 * angle))
    nilpotent = np.diag(np.array([1e3, 1e3]), 1)
    wanted = np.array([[1, 1e3, 5e5], [0, 1, 1e3], [0, 0, 1]])
    powers = run({"e": dg.expm(dg.constant(nilpotent.astype(dtype)))}, target)["e"]
    np.testing.assert_allclose(powers, wanted, rtol=1e3 * ulp)


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop(target: Target) -> None:
    """x(t) = exp(a h(t)) x(t-1), and its gradient: exponentials of one matrix multiply."""
    a = dg.observed("a", (3, 3), "float64")
    t = dg.loop("t")
    x = t.delay("x", np.ones(3), dtype="float64")
    x_next = dg.expm(a * t.each(dg.constant(np.array([0.5, 1.5, 1.0])))) @ x
    t.close(x, x_next)
    last = t.last(x_next)
    direct = dg.matrix_power(dg.expm(a), 3) @ np.ones(3)
    outputs = {"last": last, "direct": direct}
    for name, value in list(outputs.items()):
        outputs[f"slope of {name}"] = dg.gradient(dg.sum(value * value), a)
    found = run(outputs, target, a=np.random.default_rng(3).normal(size=(3, 3)) * 0.3)
    np.testing.assert_allclose(found["last"], found["direct"], rtol=1e-12)
    np.testing.assert_allclose(found["slope of last"], found["slope of direct"], rtol=1e-10)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (dg.det, "det"), (dg.slogdet, "slogdet"), (dg.expm, "expm"),
        (lambda a: dg.matrix_power(a, -1), "matrix_power"),
    ],
)  # fmt: skip
def test_messages(function: Any, name: str) -> None:
    for shape, dtype, message in (
        ((3, 4), "float32", "square matrices (..., n, n), got (3, 4) float32 from observed 'a' "
         "(m.py:1)"),
        ((3, 3), "int32", "floats, got (3, 3) int32 from observed 'a' (m.py:1): convert it with "
         ".astype(...)"),
    ):  # fmt: skip
        with pytest.raises(dg.DiagramError) as error:
            found = function(dg.observed("a", shape, dtype))
            _ = (found[0] if isinstance(found, tuple) else found).shape
        assert text(error.value) == f"{name} (m.py:1) expects {message}"

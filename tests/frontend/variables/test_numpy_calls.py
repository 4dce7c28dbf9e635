"""NumPy's functions on variables: the values are NumPy's, or an error says what to use instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.operations.numpy_calls import FUNCTIONS, UFUNCS

from ..evaluating import apply
from ..source import draw

RNG = np.random.default_rng(0)
A = RNG.uniform(0.1, 2.0, (3, 3))
B = RNG.uniform(0.1, 2.0, (3, 3))
T, F = A > 1.0, B > 1.0
M, N = (np.rint(7 * item).astype(np.int32) for item in (A, B))
LOGICAL = (
    "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor",
    "logical_not", "invert",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(UFUNCS))
def test_ufuncs(name: str) -> None:
    function = getattr(np, name)
    both: list[Any] = [T, F] if name in LOGICAL else [M, N] if "shift" in name else [A, B]
    if name in ("arcsin", "arccos", "arctanh", "arccosh"):
        both = [A / 2.5 if name != "arccosh" else A + 1]
    arrays = both[: function.nin]
    if function.nout == 2:
        for place in range(2):
            found = apply(lambda *v: function(*v)[place], *arrays)  # noqa: B023
            np.testing.assert_allclose(found, function(*arrays)[place], rtol=1e-12)
        return
    np.testing.assert_allclose(apply(function, *arrays), function(*arrays), rtol=1e-12)


CALLS: dict[str, Any] = {
    "sum": lambda x: np.sum(x, axis=0),
    "sum all": np.sum,
    "mean": lambda x: np.mean(x, 1, keepdims=True),
    "max": lambda x: np.max(x, axis=1),
    "min": lambda x: np.min(x, axis=(0, 1)),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "std": lambda x: np.std(x, 1, keepdims=True),
    "split at": lambda x: np.split(x, [1, 1], axis=1)[2],
    "pad": lambda x: np.pad(x, ((1, 2), (0, 3)), "reflect"),
    "pad number": lambda x: np.pad(x, 1, constant_values=2),
    "tile": lambda x: np.tile(x, (2, 1, 2)),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "roll": lambda x: np.roll(x, 2, axis=0),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "tril": np.tril,
    "triu": lambda x: np.triu(x, 1),
    "diagonal": lambda x: np.diagonal(x, 1),
    "trace": np.trace,
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
    "prod": lambda x: np.prod(x, axis=0),
    "cumprod": np.cumprod,
    "outer": lambda x: np.outer(x, B),
    "inner": lambda x: np.inner(x, B),
    "tensordot": lambda x: np.tensordot(x, B, axes=1),
    "kron": lambda x: np.kron(x, B),
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "round": lambda x: np.round(x, 1),
    "nan_to_num": lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0),
    "sinc": np.sinc,
    "any": lambda x: np.any(x > 1.5, axis=0),
    "all": lambda x: np.all(x, axis=1),
    "count_nonzero": lambda x: np.count_nonzero(x > 1.0, 0),
    "argmax": np.argmax,
    "argmin": lambda x: np.argmin(x, axis=1),
    "argsort": np.argsort,
    "sort": lambda x: np.sort(x, axis=0),
    "median": lambda x: np.median(x, axis=1),
    "quantile": lambda x: np.quantile(x, 0.3, axis=0, keepdims=True),
    "searchsorted": lambda x: np.searchsorted(np.sort(x[0]), x, "right") * 1.0,
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[2, 0]] * 3), 1),
    "cumsum": np.cumsum,
    "cumsum 1": lambda x: np.cumsum(x, axis=1),
    "take": lambda x: np.take(x, np.array([7, 0, 8])),
    "take 1": lambda x: np.take(x, np.array([2, 0]), axis=1),
    "where": lambda x: np.where(x > 1.0, x, 0.0),
    "clip": lambda x: np.clip(x, 0.5, 1.5),
    "clip one": lambda x: np.clip(x, None, 1.5),
    "reshape": lambda x: np.reshape(x, (9, 1)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 3)),
    "flip": lambda x: np.flip(x, 0),
    "concatenate": lambda x: np.concatenate([x, B, x], axis=1),
    "stack": lambda x: np.stack([B, x]),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "einsum": lambda x: np.einsum("ij,kj->ki", x, B),
    "solve": lambda x: np.linalg.solve(x, B),
    "inv": np.linalg.inv,
    "eigvalsh": lambda x: np.linalg.eigvalsh(x + x.T),
    "svdvals": np.linalg.svdvals,
    "pinv": np.linalg.pinv,
    "matrix_rank": lambda x: np.linalg.matrix_rank(x) * 1.0,
    "det": np.linalg.det,
    "slogdet": lambda x: np.linalg.slogdet(x)[1],
    "matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "cholesky": lambda x: np.linalg.cholesky(x @ x.T + np.eye(3, dtype=x.dtype)),
    "zeros_like": lambda x: np.zeros_like(x) + x,
    "ones_like": lambda x: np.ones_like(x) + x,
    "full_like": lambda x: np.full_like(x, 3.0) + x,
    "shape": lambda x: x * np.shape(x)[0],
    "ndim": lambda x: x * np.ndim(x),
    "array + x": lambda x: B + x,
    "array - x": lambda x: B - x,
    "array / x": lambda x: B / x,
    "array ** x": lambda x: B**x,
    "array @ x": lambda x: B @ x,
    "array < x": lambda x: x > B,
    "scalar * x": lambda x: np.float64(2.0) * x,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str) -> None:
    np.testing.assert_allclose(apply(CALLS[name], A), CALLS[name](A), rtol=1e-9)


def test_every_function_of_the_table_is_tried() -> None:
    assert {function.__name__ for function in FUNCTIONS} - {"amax", "amin"} <= set(CALLS)


GOT = "expects arrays, got observed 'x' (model.py:1): "
ERRORS = {
    "np.percentile(x, 5)": f"np.percentile (model.py:2) {GOT}compose it of the functions of "
    "diagrad, or make the variable an output and use NumPy on what a run gives",
    "np.hstack([np.ones(2), x])": f"np.hstack (model.py:2) {GOT}use dg.concatenate",
    "np.add.reduce(x)": f"np.add.reduce (model.py:2) {GOT}use dg.sum",
    "np.add.accumulate(x)": f"np.add.accumulate (model.py:2) {GOT}use dg.cumsum",
    "np.subtract.accumulate(x)": f"np.subtract.accumulate (model.py:2) {GOT}compose it of the "
    "functions of diagrad, or make the variable an output and use NumPy on what a run gives",
    "np.maximum.at(np.ones(3), [0, 0], x)": f"np.maximum.at (model.py:2) {GOT}use dg.scatter_max",
    "np.unique(x)": f"np.unique (model.py:2) {GOT}use dg.sort, or dg.segment_sum for counts: what "
    "it gives has no known size",
    "np.put_along_axis(x, np.zeros((1, 3), int), 1.0, 0)": f"np.put_along_axis (model.py:2) {GOT}"
    "use dg.put_along_axis",
    "np.sum(x, initial=1)": "np.sum (model.py:2) expects the arguments x, axis, keepdims, dtype, "
    "where beside a variable, got 1 of them, initial=",
    "np.sin(x, where=True)": "np.sin (model.py:2) expects the arguments x beside a variable, got 1 "
    "of them, where=",
    "a = np.ones(3); a += x": "np.add (model.py:2) expects no array to write to, got out= or an "
    "operator such as += beside observed 'x' (model.py:1): use what add returns, as in a = a + x",
    "np.array([x, x])": "observed 'x' (model.py:1) has no value while the diagram is drawn: use "
    "the functions of diagrad on it, not NumPy's",
}


@pytest.mark.parametrize("source", ERRORS)
def test_what_diagrad_does_not_have(source: str) -> None:
    with pytest.raises(TypeError) as error:
        draw(f'x = dg.observed("x", ("B", 3))\n{source}')
    assert str(error.value) == ERRORS[source]


def test_a_gradient_passes() -> None:
    """d/dx of sum(sin(x)) is cos(x)."""
    found = apply(lambda x: dg.gradient(np.sum(np.sin(x)), x), A)
    np.testing.assert_allclose(found, np.cos(A), rtol=1e-12)

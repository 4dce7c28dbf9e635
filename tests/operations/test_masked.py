"""Reductions of the elements where a mask is true, and in a dtype that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import TARGETS
from ..frontend.source import draw

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3, 5))
M = RNG.integers(0, 2, (4, 3, 5)).astype(bool)
M[:, 1, 2] = False
X[0, 0, 0], M[0, 0, 0] = np.nan, False
AXES: tuple[Any, ...] = (None, 0, (0, -1))
KEPT = (False, True)
STARTS = {"max": -np.inf, "min": np.inf}
NAMES = {"variance": "var"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [X.shape, ("K", "L", "M")])
def test_only_elements_of_the_mask_count(shape: Any, target: Any) -> None:
    """NumPy's values; what is masked out has no gradient, be it NaN."""
    x, m = dg.observed("x", shape, "float64"), dg.observed("m", shape, "bool")
    outputs, wanted = {}, {}
    for word in ("sum", "mean", "prod", "max", "min", "variance", "std", "any", "all"):
        for axis in AXES:
            for kept in KEPT:
                name = f"{word} {axis} {kept}"
                if word == "prod" and not isinstance(axis, int) and "M" in shape:
                    continue
                y = getattr(dg, word)(x, axis, kept, where=m)
                options = {"initial": STARTS[word]} if word in STARTS else {}
                if axis == 0 and word in ("mean", "variance", "std"):
                    continue  # of nothing in some columns: below
                outputs[name] = y
                numpys = getattr(np, NAMES.get(word, word))
                wanted[name] = numpys(X, axis=axis, keepdims=kept, where=M, **options)
    outputs["row"] = dg.sum(x[1:], where=m[0, :1])
    wanted["row"] = np.sum(X[1:], where=M[0, :1])
    outputs["of nothing"] = dg.mean(x, 0, where=m)[1, 2]
    wanted["of nothing"] = np.nan
    outputs["corrected"] = dg.variance(x, (0, 2), correction=1, where=m)
    wanted["corrected"] = np.var(X, (0, 2), ddof=1, where=M)
    outputs["method"], wanted["method"] = x.max(where=m), np.max(X[M])
    slopes = {
        "sum": M * 1.0, "mean": M / M.sum(), "max": (np.max(X[M]) == X) * 1.0,
        "variance": np.where(M, 2 * (X - np.mean(X[M])) / M.sum(), 0),
    }  # fmt: skip
    for word, slope in slopes.items():
        outputs[f"slope {word}"] = dg.gradient(getattr(dg, word)(x, where=m), x)
        wanted[f"slope {word}"] = slope
    found = dg.Diagram("d", outputs).compile(target=target).run(x=X, m=M)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_in_the_dtype_that_is_asked_for(target: Any) -> None:
    """Numbers are converted before they are combined: int32 sums do not wrap in int64."""
    i, f = np.array([2**30, 2**30, 5, -7], np.int32), np.array([1e8, 1, -1e8, 0.5], np.float32)
    b, m = np.array([True, False, True, True]), np.array([True, True, True, False])
    given = {"i": i, "f": f, "b": b, "m": m}
    v = {name: dg.observed(name, a.shape, a.dtype) for name, a in given.items()}
    outputs: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    for name in given:
        for dtype in ("int64", "float64", "float32", "int32"):
            for word in ("sum", "prod", "cumsum", "cumprod"):
                if name == "f" and dtype != "float64":
                    continue
                outputs[f"{word} {name} {dtype}"] = getattr(dg, word)(v[name], dtype=dtype)
                with np.errstate(over="ignore"):
                    value = getattr(np, word)(given[name], dtype=dtype)
                wanted[f"{word} {name} {dtype}"] = value
    outputs["masked"] = dg.sum(v["i"], dtype="int64", where=v["m"])
    wanted["masked"] = np.sum(i, dtype="int64", where=m)
    outputs["int8"], wanted["int8"] = dg.sum(v["i"], dtype="int8"), np.sum(i, dtype="int8")
    outputs["count"], wanted["count"] = v["b"].cumsum(), np.cumsum(b)
    outputs["numpy"], wanted["numpy"] = np.sum(v["i"], dtype="int64"), np.sum(i, dtype="int64")
    found = dg.Diagram("d", outputs).compile(target=target).run(**given)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


START = 'x, m = dg.observed("x", (4, 3)), dg.observed("m", (4, 2), "bool")\n'
ERRORS = {
    "y = dg.sum(x, where=x)": "sum (model.py:2) expects a mask of bools for where=, not float32",
    "y = dg.mean(x, where=m)": "mean (model.py:2) expects shapes that broadcast",
    'y = dg.sum(x, dtype="int4")': "sum (model.py:2) expects a dtype out of",
    'y = dg.cumprod(x, dtype="bool")': "cumprod (model.py:2) expects numbers to multiply, not bool",
}


@pytest.mark.parametrize("source", ERRORS)
def test_what_is_refused(source: str) -> None:
    with pytest.raises(dg.DiagradError) as error:
        draw(f"{START}{source}\ny.shape")
    assert str(error.value).startswith(ERRORS[source])

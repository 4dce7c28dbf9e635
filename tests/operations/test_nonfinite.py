"""NaN and infinities go where NumPy lets them go."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .rows.operation import Array
from .rows.running import TARGETS, Application, Batch, Target, difference, explained, value_alone
from .rows.table import TABLE

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, 2.0, -1.0])
LINE = (len(SPECIAL) ** 2,)
ELEMENTWISE = [
    row
    for group in ("arithmetic", "divisions", "comparisons", "functions", "composed", "roundings")
    for row in TABLE[group]
    if "f" in row.kinds and row.domain(0) != "mask" and len(row.shapes[0]) < 3
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise(dtype: str, target: Target) -> None:
    first, second = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))

    def check(cases: list[Application]) -> list[str]:
        batch = Batch(cases, value_alone)
        arrays = {
            name: (second if name.startswith("x1") else first).astype(dtype)
            for name in batch.variables
        }
        values, wrong = batch.compile(target)(**arrays), []
        for number, case in enumerate(cases):
            operands = [arrays[name] for name in case.operands()]
            wanted = case.row.expected(dtype, operands)
            text = difference(values[f"y{number}"], wanted, 1e-6, 1e-6)
            if text:
                wrong.append(f"{case}: {text}")
        return wrong

    cases = [Application(row, dtype, (LINE,) * len(row.shapes[0])) for row in ELEMENTWISE]
    explained(cases, check)


def found(outputs: dict[str, Any], target: Target, **arrays: Array) -> dict[str, Array]:
    return dict(dg.Diagram("special", outputs).compile(target=target).run(**arrays))


@pytest.mark.parametrize("target", TARGETS)
def test_reductions(target: Target) -> None:
    rows = np.array(
        [
            [1, np.nan, 3, 2], [np.inf, 1, -np.inf, 2], [np.inf, 1, 2, 3], [-np.inf] * 4,
            [np.nan, np.inf, np.nan, 0], [1, -np.inf, 2, 3], [np.nan] * 4, [np.inf] * 4,
        ],
        np.float32,
    )  # fmt: skip
    for x in (rows, np.ascontiguousarray(rows.T), np.repeat(rows, 9, 1), np.repeat(rows, 9, 0)):
        v = dg.observed("x", x.shape)
        with np.errstate(all="ignore"):
            both = [
                (f"{name} {axis}", getattr(dg, name)(v, axis), getattr(np, name)(x, axis))
                for name in ("sum", "max", "min", "argmax", "argmin", "cumsum")
                for axis in (0, 1, None)
                if (name, axis) != ("cumsum", None)
            ]
        values = found({name: value for name, value, _ in both}, target, x=x)
        for name, _, wanted in both:
            np.testing.assert_array_equal(values[name], wanted, err_msg=f"{name} of {x.shape}")


@pytest.mark.parametrize("target", TARGETS)
def test_products_do_not_lose_nan(target: Target) -> None:
    x = np.array([[np.nan, 1], [np.inf, 0], [1, 2]], np.float32)
    y = np.array([[0, 1, np.inf], [0, 1, 2]], np.float32)
    a, b = dg.observed("a", x.shape), dg.observed("b", y.shape)
    zeros = dg.constant(np.zeros((2, 3), np.float32))
    values = found({"ab": a @ b, "none": a @ zeros, "scaled": a * 0.0}, target, a=x, b=y)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(values["ab"], x @ y)
        np.testing.assert_array_equal(values["none"], x @ np.zeros((2, 3), np.float32))
        np.testing.assert_array_equal(values["scaled"], x * np.float32(0))


@pytest.mark.parametrize("target", TARGETS)
def test_a_branch_not_taken_does_no_harm(target: Target) -> None:
    x = np.array([-1.0, 0.0, 4.0], np.float32)
    v = dg.observed("x", x.shape)
    safe = dg.where(v > 0, v, 1.0)
    y = dg.where(v > 0, dg.sqrt(safe), 0.0)
    values = found({"y": y, "slope": dg.gradient(dg.sum(y), v)}, target, x=x)
    np.testing.assert_array_equal(values["y"], [0, 0, 2])
    np.testing.assert_array_equal(values["slope"], [0, 0, 0.25])


@pytest.mark.parametrize("target", TARGETS)
def test_means_of_nothing(target: Target) -> None:
    v = dg.observed("x", ("B", 3))
    outputs = {"mean": dg.mean(v, 0), "sum": dg.sum(v), "max": dg.max(v, 0), "min": dg.min(v, 0)}
    values = found(outputs, target, x=np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(values["mean"], [np.nan] * 3)
    np.testing.assert_array_equal(values["sum"], 0)
    np.testing.assert_array_equal(values["max"], [-np.inf] * 3)
    np.testing.assert_array_equal(values["min"], [np.inf] * 3)


@pytest.mark.parametrize("target", TARGETS)
def test_integers_wrap(target: Target) -> None:
    top = np.array([2**31 - 1, -(2**31), 5], np.int32)
    v = dg.observed("x", top.shape, "int32")
    u = dg.observed("u", (2,), "uint32")
    least = np.array([0, 2**32 - 1], np.uint32)
    outputs = {"sum": v + v, "square": v * v, "negative": -v, "under": u - 1, "total": dg.sum(v)}
    values = found(outputs, target, x=top, u=least)
    assert values["sum"].tolist() == [-2, 0, 10]
    assert values["square"].tolist() == [1, 0, 25]
    assert values["negative"].tolist() == [-(2**31) + 1, -(2**31), -5]
    assert values["under"].tolist() == [2**32 - 1, 2**32 - 2]
    assert values["total"].tolist() == 4

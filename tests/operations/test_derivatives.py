"""First and second derivatives of every operation against central differences, in float64.

Along random directions v and u, for the cost c = <w, f(x)> with random weights w:

    slope = <gradient of c, v>        is the derivative of c along v
    curve = <gradient of slope, u>    is the derivative of slope along u
"""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .rows.running import TARGETS, Application, Batch, Target, Values, applications, explained
from .rows.table import TABLE

STEP = 1e-5
GROUPS = [group for group in TABLE if applications(TABLE[group], "float64", smooth=True)]


def random_like(name: str, variable: Any, salt: int) -> np.ndarray:
    """Normal numbers of a variable's shape, the same every time."""
    seed = [salt, *name.encode()]
    return np.asarray(np.random.default_rng(seed).normal(size=variable.shape))


def inner(variables: list[Any], arrays: list[np.ndarray]) -> Any:
    """The inner product of variables with arrays."""
    terms = [dg.sum(v * dg.constant(a)) for v, a in zip(variables, arrays, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def each(case: Application, operands: list[Any], value: Any) -> dict[str, Any]:
    """Cost, slope and curve of one application."""
    names = case.operands()
    floats = [(n, v) for n, v in zip(names, operands, strict=True) if v.type.is_float]
    cost = inner([value], [random_like(str(case), value, 0)])
    variables = [v for _, v in floats]
    along = [[random_like(n, v, salt) for n, v in floats] for salt in (1, 2)]
    slope = inner(dg.gradient(cost, variables), along[0])
    curve = inner(dg.gradient(slope, variables), along[1])
    return {"cost": cost, "slope": slope, "curve": curve}


def moved(batch: Batch, arrays: Values, salt: int, step: float) -> Values:
    """The operands, those of floats moved along their directions."""
    return {
        name: array + step * random_like(name, batch.variables[name], salt)
        if array.dtype.kind == "f"
        else array
        for name, array in arrays.items()
    }


def wrong_derivatives(batch: Batch, run: Any, names: dict[str, str]) -> list[str]:
    """A line for every slope and curve that is not the central difference."""
    arrays = batch.arrays()
    here, wrong = run(**arrays), []
    for salt, value, derivative in ((1, "cost", "slope"), (2, "slope", "curve")):
        after, before = (run(**moved(batch, arrays, salt, step)) for step in (STEP, -STEP))
        for number, case in names.items():
            got = here[derivative + number]
            wanted = (after[value + number] - before[value + number]) / (2 * STEP)
            if not np.isclose(got, wanted, rtol=1e-6, atol=1e-6):
                wrong.append(f"{case}: {derivative} {got:.9g}, by differences {wanted:.9g}")
    return wrong


@pytest.mark.parametrize("group", GROUPS)
def test_derivatives_are_differences(group: str) -> None:
    def check(cases: list[Application]) -> list[str]:
        batch = Batch(cases, each)
        names = {str(number): str(case) for number, case in enumerate(cases)}
        return wrong_derivatives(batch, batch.compile("reference"), names)

    explained(applications(TABLE[group], "float64", smooth=True), check)


@pytest.mark.parametrize("group", GROUPS)
def test_derivatives_on_the_cpu(group: str) -> None:
    """Of one application of each row, together: whole gradients are those of the reference."""

    def check(cases: list[Application]) -> list[str]:
        batch = Batch(cases, lambda case, operands, value: {"y": value})
        values = list(batch.outputs.values())
        cost = inner(
            values, [random_like(str(c), v, 0) for c, v in zip(cases, values, strict=True)]
        )
        floats = {n: v for n, v in batch.variables.items() if v.type.is_float}
        slopes = dg.gradient(cost, list(floats.values()))
        slope = inner(slopes, [random_like(n, v, 1) for n, v in floats.items()])
        curves = dg.gradient(slope, list(floats.values()))
        curve = inner(curves, [random_like(n, v, 2) for n, v in floats.items()])
        batch.outputs = {"cost": cost, "slope": slope, "curve": curve}
        for word, found in (("slope of ", slopes), ("curve of ", curves)):
            batch.outputs |= {word + n: v for n, v in zip(floats, found, strict=True)}
        run, reference = batch.compile("cpu"), batch.compile("reference")
        wrong = wrong_derivatives(batch, run, {"": f"all {len(cases)} together"})
        got, wanted = run(**batch.arrays()), reference(**batch.arrays())
        return wrong + [
            f"{name}: {got[name].ravel()[:4]}, expected {value.ravel()[:4]}"
            for name, value in wanted.items()
            if not np.allclose(got[name], value, rtol=1e-9, atol=1e-9)
        ]

    explained(applications(TABLE[group], "float64", smooth=True, few=True), check)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kinks(dtype: str, target: Target) -> None:
    """A number wins its ties, two variables share them; |x| and sign are level at 0."""
    x = dg.observed("x", (3,), dtype)
    y = dg.observed("y", (3,), dtype)
    outputs = {
        "number": dg.maximum(x, 0.0), "other": dg.minimum(0.0, x), "relu": dg.relu(x),
        "both": dg.maximum(x, y), "absolute": dg.absolute(x), "sign": dg.sign(x),
        "max": dg.max(x), "square": x**2.0, "power": x**2.5, "zeroth": x**0.0,
    }  # fmt: skip
    slopes = {name: dg.gradient(dg.sum(value), x) for name, value in outputs.items()}
    program = dg.Diagram("kinks", slopes).compile(target=target)
    values = program.run(x=np.zeros(3, dtype), y=np.array([-1, 0, 1], dtype))
    third = float(np.ones((), dtype) / 3)
    expected = {
        "number": [0, 0, 0], "other": [0, 0, 0], "relu": [0, 0, 0], "both": [1, 0.5, 0],
        "absolute": [0, 0, 0], "sign": [0, 0, 0], "max": [third] * 3, "square": [0, 0, 0],
        "power": [0, 0, 0], "zeroth": [0, 0, 0],
    }  # fmt: skip
    assert {name: value.tolist() for name, value in values.items()} == expected

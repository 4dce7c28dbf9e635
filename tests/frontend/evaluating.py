"""What the tests of functions, costs and layers share: small diagrams run, derivatives checked."""

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import diagrad as dg

Array = npt.NDArray[Any]
Target = Literal["reference", "cpu"]
TARGETS: tuple[Target, ...] = ("reference", "cpu")


def run(outputs: dict[str, Any], target: Target = "reference", **inputs: Array) -> dict[str, Array]:
    """The outputs of a diagram of its own."""
    return dict(dg.Diagram("test", outputs).compile(target=target).run(**inputs))


def apply(function: Callable[..., Any], *arrays: Array, target: Target = "reference") -> Array:
    """A function's value on arrays."""
    variables, inputs = observe(*arrays)
    return run({"y": function(*variables)}, target, **inputs)["y"]


def gradients(
    function: Callable[..., Any], *arrays: Array, target: Target = "reference"
) -> list[Array]:
    """The gradient of the sum of a function's elements, for each array."""
    variables, inputs = observe(*arrays)
    found = dg.gradient(dg.sum(function(*variables)), variables)
    values = run({f"g{i}": item for i, item in enumerate(found)}, target, **inputs)
    return list(values.values())


def observe(*arrays: Array) -> tuple[list[Any], dict[str, Array]]:
    """Observed variables x0, x1, ... for arrays, and the arrays by name."""
    variables = [dg.observed(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    return variables, {f"x{i}": a for i, a in enumerate(arrays)}


def check_derivatives(function: Callable[..., Any], *arrays: Array, width: float = 1e-5) -> None:
    """First and second derivatives against central differences in float64, along one direction."""
    rng = np.random.default_rng(7)
    arrays = tuple(np.asarray(a, np.float64) for a in arrays)
    along = [rng.normal(size=a.shape) for a in arrays]
    variables, inputs = observe(*arrays)
    y = function(*variables)
    cost = dg.sum(y * dg.constant(rng.normal(size=y.shape)))
    slope = _directional(cost, variables, along)
    curve = _directional(slope, variables, along)
    program = dg.Diagram("test", {"cost_": cost, "slope": slope, "curve": curve}).compile(
        target="reference"
    )

    def at(step: float) -> dict[str, Array]:
        moved = zip(inputs.items(), along, strict=True)
        result: dict[str, Array] = program.run(**{k: a + step * v for (k, a), v in moved})
        return result

    before, here, after = at(-width), at(0.0), at(width)
    for value, derivative in (("cost_", "slope"), ("slope", "curve")):
        difference = (after[value] - before[value]) / (2 * width)
        np.testing.assert_allclose(here[derivative], difference, rtol=1e-6, atol=1e-6)


def _directional(cost: Any, variables: list[Any], along: list[Array]) -> Any:
    terms = [
        dg.sum(g * dg.constant(v)) for g, v in zip(dg.gradient(cost, variables), along, strict=True)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def assert_close(actual: Any, wanted: Any, rtol: float = 1e-6, atol: float = 0.0) -> None:
    """Elementwise, NaN beside NaN and infinities of one sign included."""
    np.testing.assert_allclose(np.asarray(actual), np.asarray(wanted), rtol=rtol, atol=atol)


def text(error: BaseException) -> str:
    """An error's text with every place called m.py:1."""
    return re.sub(r"\w+\.py:\d+", "m.py:1", str(error))

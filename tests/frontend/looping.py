"""What the tests of loops share: nets with loops, and four ways to compute them that must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.binding import assign_sizes
from diagrad.compiler.graphs.loop_bodies import map_bodies
from diagrad.compiler.memory.tape import emit_tape
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.passes.lift_draws import lift_draws
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.pipeline import prepare
from diagrad.runtime.reference import ReferenceExecutor

from .evaluating import TARGETS, Target

Array = npt.NDArray[Any]
Inputs = dict[str, Any]
Net = Callable[[Inputs], dict[str, Any]]
"""From observed variables to outputs; the sum of squares of those is the cost."""

SIZES = [(steps, batch) for steps in (0, 1, 2, 7) for batch in (1, 3)]
"""Steps and samples."""
WIDTH, FEATURES = 3, 2

__all__ = [
    "SIZES", "TARGETS", "Target", "check", "derivatives", "given", "numbers", "unrolled_values",
]  # fmt: skip


def given(steps: int | str = "T") -> Inputs:
    """A sequence, an initial state, and weights, all observed, so that all can be moved."""
    shapes: dict[str, tuple[Any, ...]] = {
        "x": (steps, "B", FEATURES),
        "h": ("B", WIDTH),
        "w": (WIDTH, WIDTH),
        "u": (FEATURES, WIDTH),
    }
    return {name: dg.observed(name, shape, dg.float64) for name, shape in shapes.items()}


def numbers(steps: int, batch: int, seed: int = 0) -> dict[str, Array]:
    """Values for `given()`."""
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (steps, batch, FEATURES),
        "h": (batch, WIDTH),
        "w": (WIDTH, WIDTH),
        "u": (FEATURES, WIDTH),
    }
    return {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}


def total(outputs: Mapping[str, Any]) -> Any:
    """A cost that every output counts in."""
    parts = [dg.sum(dg.sin(y) + 0.5 * y * y) for y in outputs.values()]
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found


def derivatives(net: Net, orders: int, steps: int | str = "T") -> tuple[Inputs, dict[str, Any]]:
    """The outputs of a net, its cost, and derivatives of it along directions v_x, v_h, ...

    "slope 1" is the cost's derivative along the directions, "slope 2" that of "slope 1", and so on;
    "gradient 1 x" and so on are the gradients of which they are made.
    """
    variables = given(steps)
    outputs = net(variables)
    along = {
        name: dg.observed(f"v_{name}", item.shape, dg.float64) for name, item in variables.items()
    }
    found = dict(outputs)
    cost = found["slope 0"] = total(outputs)
    for order in range(1, orders + 1):
        slopes = dg.gradient(cost, list(variables.values()))
        cost = dg.constant(0.0, dg.float64)
        for (name, v), slope in zip(along.items(), slopes, strict=True):
            found[f"gradient {order} {name}"] = slope
            cost = cost + dg.sum(slope * v)
        found[f"slope {order}"] = cost
    return {**variables, **{f"v_{name}": v for name, v in along.items()}}, found


def check(
    net: Net,
    orders: int = 3,
    targets: tuple[Target, ...] = TARGETS,
    sizes: list[tuple[int, int]] = SIZES,
    differences: bool = True,
    others: Callable[[int, int], dict[str, Array]] | None = None,
) -> None:
    """A net with loops against its unrolled copies, and against finite differences.

    `others` gives the values of further observed variables for so many steps and samples.
    """
    _, found = derivatives(net, orders)
    diagram = dg.Diagram("net", found)
    programs = [diagram.compile(target=target) for target in targets]
    for steps, batch in sizes:
        here = numbers(steps, batch)
        along = numbers(steps, batch, seed=1)
        arrays = {**here, **{f"v_{name}": v for name, v in along.items()}}
        arrays |= others(steps, batch) if others is not None else {}
        arrays = {name: value for name, value in arrays.items() if name in diagram.observed}
        wanted = unrolled_values(diagram, arrays, {"T": steps, "B": batch})
        for program in programs:
            values = program.run(**arrays)
            for name, value in wanted.items():
                scale = 1e-9 * (1 + np.abs(value).max(initial=0))
                place = f"{name} for {steps} steps, {batch} samples on {program.target}"
                np.testing.assert_allclose(values[name], value, atol=scale, err_msg=place)
        if differences:
            _differ(programs[0], wanted, arrays, along, orders)


def _differ(
    program: dg.Program,
    here: Mapping[str, Array],
    arrays: dict[str, Array],
    along: dict[str, Array],
    orders: int,
    width: float = 2e-4,
) -> None:
    """Each slope against central differences of the one before, of the fourth order."""

    def at(step: float) -> dict[str, Array]:
        moved = {n: arrays[n] + step * v for n, v in along.items() if n in arrays}
        return program.run(**{**arrays, **moved})

    points = {step: at(step * width) for step in (-2, -1, 1, 2)}
    for order in range(1, orders + 1):
        far, near = (
            points[step][f"slope {order - 1}"] - points[-step][f"slope {order - 1}"]
            for step in (2, 1)
        )
        difference = (8 * near - far) / (12 * width)
        scale = 1e-6 * (1 + abs(float(here[f"slope {order - 1}"])))
        np.testing.assert_allclose(here[f"slope {order}"], difference, rtol=1e-6, atol=scale)


def unrolled(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """A lowered graph without loops, as the pipeline prepares it."""
    # A gradient in a loop's body is one step's: it must be taken before the steps are joined.
    graph = map_bodies(lift_draws(inline(graph)), differentiate)
    return prepare(unroll(assign_sizes(graph, sizes), "all"))


def unrolled_values(
    diagram: dg.Diagram,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    states: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """The outputs of a diagram whose loops are unrolled."""
    flat = unrolled(diagram.lower(dict(diagram.outputs)), sizes)
    executor = ReferenceExecutor(emit_tape(flat, sizes), dict(states or {}))
    observed = [n.attrs["name"] for n in flat.inputs if n.attrs["role"] == "observed"]
    values = executor([np.asarray(arrays[name]) for name in observed])
    return {name: np.array(v) for (name, _), v in zip(flat.outputs, values, strict=True)}

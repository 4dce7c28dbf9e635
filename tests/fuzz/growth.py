"""The table of what a random diagram is made of, and the diagram of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import diagrad as dg

from . import operations, sequences, structures
from .drawing import Array, Drawing, small
from .plan import Plan

GROWTH: dict[str, Callable[[Drawing], Any]] = {
    "unary": operations.unary,
    "binary": operations.binary,
    "reduction": operations.reduction,
    "row": operations.row,
    "product": operations.product,
    "einsum": operations.einsum,
    "view": operations.view,
    "move": operations.move,
    "windows": operations.windows,
    "convolution": operations.convolution,
    "pool": operations.pool,
    "gather": operations.gather,
    "integer": operations.integer,
    "share": operations.share,
    "solve": operations.linear_system,
    "factor": operations.factor,
    "triangular": operations.triangular_system,
    "log_product": operations.log_product,
    "mask": operations.mask,
    "noise": operations.noise,
    "order": sequences.order,
    "attention": sequences.attention,
    "gradient": structures.inner_gradient,
    "state": structures.state,
    "block": lambda d: structures.applied_block(d, GROWTH),
    "bind": lambda d: structures.bound_block(d, GROWTH),
    "loop": lambda d: structures.loop(d, GROWTH),
}
NAMES = tuple(GROWTH)


@dataclass
class Case:
    """A random diagram, and how to make inputs for it.

    Its outputs are some variables ("o0", ...), its cost, and the gradients of that, "g_NAME"; with
    second derivatives also the cost's derivative along a direction, "slope", and the gradients of
    the slope, "h_NAME".

    Attributes:
        seeded: the names of the inputs and parameters that gradients are taken by.
        directions: for each of them the input that gives the slope's direction.
    """

    plan: Plan
    diagram: dg.Diagram
    drawing: Drawing
    seeded: list[str]
    directions: dict[str, str] = field(default_factory=dict)

    def inputs(self, batch: int) -> dict[str, Array]:
        """Values for all observed variables at this size of the batch."""
        rng = np.random.default_rng((self.plan.seed, batch))
        return {name: value(batch, rng) for name, value in self.drawing.values.items()}


def build(plan: Plan) -> Case:
    """The diagram of a plan."""
    d = Drawing(plan)
    n, m = plan.extents
    shapes: list[tuple[Any, ...]] = [
        ("B", n), (n,), ("B", n, m), (m,), (1, m), (), ("T", "B", n), (n, m), (4, 3, n), (1, n),
    ]  # fmt: skip
    d.add(*(d.observed(shapes[i % len(shapes)]) for i in plan.inputs))
    inputs = list(d.pool)
    d.add(d.weight((n, m)), d.weight((m,)))
    for name, numbers in plan.operations:
        d.numbers = iter(numbers)
        made = GROWTH[name](d)
        d.numbers = iter(())
        d.add(*(made if isinstance(made, tuple) else (made,)))
    last = d.pool[-3:]
    cost = small(d.weights[1])
    for v in [*last, *inputs, *d.states]:
        cost = cost + small(v)
    outputs: dict[str, Any] = {f"o{i}": v for i, v in enumerate(last)}
    seeded = [*inputs[:1], *d.weights[:4]]
    names = [v.name for v in seeded]
    found = dg.gradient(cost, seeded)
    outputs |= {f"g_{name}": v for name, v in zip(names, found, strict=True)}
    directions: dict[str, str] = {}
    if plan.second:
        slope = dg.constant(np.zeros((), plan.dtype))
        for v, g in zip(seeded, found, strict=True):
            along = d.observed(v.shape)
            directions[v.name] = along.name
            slope = slope + dg.sum(along * g)
        outputs["slope"] = slope
        again = dg.gradient(slope, seeded)
        outputs |= {f"h_{name}": v for name, v in zip(names, again, strict=True)}
    diagram = dg.Diagram("random", outputs, cost)
    return Case(plan, diagram, d, names, directions)

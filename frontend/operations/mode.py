"""Whether a diagram is computed in a training step: what differs from inference asks for it."""

from __future__ import annotations

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..variables.applying import apply
from ..variables.kinds import Mode
from ..variables.variable import Variable


def training() -> Variable:
    """Whether this is a training step: a bool of shape (), true in `step` and false in `run`.

        noisy = dg.where(dg.training(), x + dg.random_normal(x.shape), x)

    It is a constant of what is compiled: of `dg.where(dg.training(), a, b)` a step computes a and
    a run b, and neither the other one.  What is a step's, is in training: `fit`'s steps, the
    profile of one, `dg.gradient_flow`, the pictures of gradients.  The costs that `fit` computes
    after an epoch are not.  `program.run("training", ...)` gives the outputs that the next step
    computes.
    """

    def rule(b: Builder, training: bool = False) -> Node:
        return b.constant(training, "bool")

    result: Variable = apply("training", rule, [], kind=Mode)
    return result

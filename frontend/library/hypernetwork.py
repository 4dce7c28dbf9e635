"""Hypernetworks: a network computes all parameters of another one."""

from __future__ import annotations

from typing import Any

from ..arguments import wrong
from ..drawing.binding import bind
from ..drawing.blocks import Block, parameters_of
from ..variables.variable import Variable


class Hypernetwork(Block):
    """G(x, w) whose whole parameter vector is w = H(x, u).

        main = dg.Chain(dg.Linear(64, 64), dg.relu, dg.Linear(64, 10))
        weights = dg.Chain(dg.Linear(16, 128), dg.relu, dg.Linear(128, main.parameter_count))
        net = dg.Hypernetwork(weights, main)
        y = net(x, context=z)

    H gives a vector of `G.parameter_count` elements: one set of parameters for the batch; or one
    for each sample, where its result has the shape (B, N).  See `dg.bind`.  Only the parameters of
    H are free.

    Schmidhuber, Learning to control fast-weight memories, 1992; Ha, Dai and Le, HyperNetworks,
    2017.

    Args:
        H: the block that computes the parameters.
        G: the block that they are the parameters of.
        name: as for every block.
    """

    def __init__(self, H: Block, G: Block, name: str | None = None) -> None:  # noqa: N803 (notation)
        for role, block in (("H", H), ("G", G)):
            if not isinstance(block, Block):
                raise wrong("Hypernetwork", f"a block as {role}", block)
        self.name = name
        self.H = H
        self.G = G

    def parameters(self) -> dict[str, Variable]:
        """Those of H."""
        return {f"H/{name}": item for name, item in parameters_of(self.H).items()}

    def forward(self, *inputs: Any, context: Any = None) -> Variable:
        """G of the inputs, with the parameters that H gives for the context, or for the inputs."""
        weights = self.H(*inputs) if context is None else self.H(context)
        result: Variable = bind(self.G, weights)(*inputs)
        return result

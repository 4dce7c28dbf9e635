"""JAX: the hypernetworks; the main net's weights are unravelled, for each sample under vmap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ...arrays import Arrays
from ...hypernets import HYPERNETS, MAIN, RATE
from ..common import Job
from .jobs import cross_entropy, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as one jitted step."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    def net(layers: Any, x: Any) -> Any:
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            x = jax.nn.relu(x) if i < len(layers) - 1 else x
        return x

    template = [(jnp.zeros((a, b)), jnp.zeros(b)) for a, b in pairwise(MAIN)]
    unravel = ravel_pytree(template)[1]

    def main(w: Any, x: Any) -> Any:
        return net(unravel(w), x)

    if HYPERNETS[name]:
        main = jax.vmap(main)

    def cost_of(u: Any, context: Any, x: Any, y: Any) -> Any:
        return cross_entropy(main(net(u, context), x), y)

    def update(u: Any, context: Any, x: Any, y: Any) -> Any:
        cost, slopes = jax.value_and_grad(cost_of)(u, context, x, y)
        return jax.tree.map(lambda p, g: p - np.float32(RATE) * g, u, slopes), cost

    u = [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(2)]
    return training(update, u, arrays["context"], arrays["x"], arrays["y"])

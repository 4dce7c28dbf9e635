"""JAX: what its jobs are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common import Job


def fed(value: Any) -> Any:
    """What a step is given: on a GPU the host's array, so that every step copies it there."""
    import jax

    return value if jax.default_backend() == "gpu" else jax.device_put(value)


def training(update: Any, state: Any, *inputs: Any) -> Job:
    """Steps of `update(state, *inputs)`, which gives the next state and the cost."""
    import jax

    run = jax.jit(update, donate_argnums=0)
    inputs = tuple(fed(i) for i in inputs)
    held = [jax.device_put(state), None]
    costs: list[float] = []

    def launch() -> Any:
        held[0], cost = run(held[0], *inputs)
        return cost

    def step() -> float:
        value = float(launch())
        if len(costs) < 5:
            costs.append(value)
        return value

    def many(count: int) -> None:
        for _ in range(count):
            cost = launch()
        jax.block_until_ready((held[0], cost))

    return Job(step, many, lambda: costs[:5])


def function(make: Any, inputs: list[Any]) -> Job:
    """Calls of `make(jax.numpy)`, jitted; the sums of absolute results must agree."""
    import jax
    import jax.numpy as jnp

    run = jax.jit(make(jnp))
    values = [jax.device_put(i) for i in inputs]
    held: list[Any] = []

    def step() -> None:
        result = run(*values)
        held[:] = list(result) if isinstance(result, tuple) else [result]
        jax.block_until_ready(held)

    def many(count: int) -> None:
        for _ in range(count):
            result = run(*values)
        jax.block_until_ready(result)

    return Job(step, many, lambda: [float(np.abs(np.asarray(v)).sum()) for v in held])


def cross_entropy(scores: Any, y: Any) -> Any:
    """The mean over rows of scores, `y` the right columns."""
    import jax.numpy as jnp
    from jax.nn import logsumexp

    return (logsumexp(scores, -1) - jnp.take_along_axis(scores, y[:, None], 1)[:, 0]).mean()

"""JAX: the forward score of a chain, as a scan."""

from __future__ import annotations

from typing import Any

from ...arrays import Arrays
from ...scoring import agreeing
from ..common import Job, repeated


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a jitted function."""
    import jax

    def score_of(x: Any, w: Any) -> Any:
        def one(alpha: Any, scores: Any) -> Any:
            along = alpha[:, :, None] + w
            return jax.nn.logsumexp(along, axis=1) + scores, None

        alpha, _ = jax.lax.scan(one, jax.numpy.zeros(x.shape[1:], x.dtype), x)
        return jax.nn.logsumexp(alpha, axis=1).sum()

    run = jax.jit(jax.value_and_grad(score_of, argnums=(0, 1)))
    values = [jax.device_put(arrays[key]) for key in "xw"]
    held: list[Any] = []

    def step() -> object:
        score, slopes = run(*values)
        held[:] = [score, *slopes]
        return jax.block_until_ready(held)

    return Job(step, repeated(step), lambda: agreeing(*held))

"""JAX: classifiers, elementwise work, optimizers and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Arrays
from ...workloads import DENSE
from ..common import Job
from .jobs import cross_entropy, function, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a jitted function."""
    if name.startswith("matmul"):
        return function(lambda jnp: jnp.matmul, [arrays["a"], arrays["b"]])
    if name in DENSE:
        net = DENSE[name]
        return _dense(arrays, net.sizes, net.activation)
    return {
        "pointwise": lambda: _pointwise(arrays),
        "optimizer": lambda: _optimizer(arrays),
        "softmax_ce": lambda: _softmax_ce(arrays),
    }[name]()


def _dense(arrays: Arrays, sizes: tuple[int, ...], activation: str) -> Job:
    import jax
    import jax.numpy as jnp

    count = len(sizes) - 1
    act = jax.nn.relu if activation == "relu" else jnp.tanh

    def cost_of(parameters: Any, x: Any, y: Any) -> Any:
        for i in range(count):
            x = x @ parameters[2 * i] + parameters[2 * i + 1]
            x = act(x) if i < count - 1 else x
        return cross_entropy(x, y)

    def update(parameters: Any, x: Any, y: Any) -> Any:
        cost, slopes = jax.value_and_grad(cost_of)(parameters, x, y)
        return [p - 0.01 * g for p, g in zip(parameters, slopes, strict=True)], cost

    state = [arrays[f"{k}{i}"] for i in range(count) for k in "wb"]
    return training(update, state, arrays["x"], arrays["y"])


def _pointwise(arrays: Arrays) -> Job:
    import jax

    def make(jnp: Any) -> Any:
        def cost_of(x: Any, a: Any, b: Any) -> Any:
            h = jax.nn.gelu(x * a + b, approximate=False)
            centred = h - h.mean(-1, keepdims=True)
            normal = centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
            return (normal * jax.nn.sigmoid(x)).mean()

        def run(x: Any, a: Any, b: Any) -> Any:
            cost, slopes = jax.value_and_grad(cost_of, (0, 1, 2))(x, a, b)
            return (cost, *slopes)

        return run

    return function(make, [arrays[k] for k in "xab"])


def _softmax_ce(arrays: Arrays) -> Job:
    import jax

    return function(
        lambda jnp: lambda z, y: jax.value_and_grad(cross_entropy)(z, y),
        [arrays["z"], arrays["y"]],
    )


def _optimizer(arrays: Arrays) -> Job:
    import jax
    import jax.numpy as jnp

    pairs = len(arrays) // 2
    slopes_given = [jax.device_put(arrays[f"g{i}"]) for i in range(pairs)]

    def cost_of(parameters: Any, given: Any) -> Any:
        return sum((p * g).sum() for p, g in zip(parameters, given, strict=True))

    def update(state: Any, given: Any) -> Any:
        parameters, means, squares, count = state
        cost, slopes = jax.value_and_grad(cost_of)(parameters, given)
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, slopes, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, slopes, strict=True)]
        first, second = 1 - 0.9**count, 1 - 0.999**count
        parameters = [
            p - 1e-3 * (m / first) / (jnp.sqrt(s / second) + 1e-8)
            for p, m, s in zip(parameters, means, squares, strict=True)
        ]
        return (parameters, means, squares, count), cost

    start = [arrays[f"p{i}"] for i in range(pairs)]
    zeros = [np.zeros_like(p) for p in start]
    more = [np.zeros_like(p) for p in start]
    return training(update, (start, zeros, more, np.float32(0)), slopes_given)

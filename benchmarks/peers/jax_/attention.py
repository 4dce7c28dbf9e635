"""JAX: the workloads of attention."""

from __future__ import annotations

from typing import Any

from ...arrays import Arrays
from ...attention import ENCODERS, EPSILON, RATE
from ..common import Job
from .jobs import cross_entropy, function, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as one jitted step."""
    if name == "attention_long":
        return _long(arrays)
    import jax

    count = ENCODERS[name].heads

    def update(state: Any, x: Any, y: Any) -> Any:
        cost, slopes = jax.value_and_grad(lambda s: cross_entropy(_scores(count, s, x), y))(state)
        return jax.tree.map(lambda p, slope: p - RATE * slope, state, slopes), cost

    state = {key: value for key, value in arrays.items() if key not in "xy"}
    return training(update, state, arrays["x"], arrays["y"])


def _scores(count: int, state: Any, x: Any) -> Any:
    import jax

    def layer(name: str, x: Any) -> Any:
        return x @ state[f"{name}/weight"] + state[f"{name}/bias"]

    def norm(name: str, x: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        centred = x - mean
        variance = (centred * centred).mean(-1, keepdims=True)
        normal = centred * jax.lax.rsqrt(variance + EPSILON)
        return normal * state[f"{name}/weight"] + state[f"{name}/bias"]

    def heads(x: Any) -> Any:
        return x.reshape(*x.shape[:2], count, -1)

    n = norm("norm1", x)
    q, k, v = (heads(layer(name, n)) for name in ("query", "key", "value"))
    found = jax.nn.dot_product_attention(q, k, v)
    x = x + layer("output", found.reshape(x.shape))
    inner = jax.nn.gelu(layer("first", norm("norm2", x)), approximate=False)
    x = x + layer("second", inner)
    return layer("head", norm("norm3", x).mean(1))


def _long(arrays: Arrays) -> Job:
    def make(jnp: Any) -> Any:
        import jax

        def attention(q: Any, k: Any, v: Any) -> Any:
            q, k, v = (jnp.swapaxes(x, 1, 2) for x in (q, k, v))
            return jnp.swapaxes(jax.nn.dot_product_attention(q, k, v, is_causal=True), 1, 2)

        def both(q: Any, k: Any, v: Any, g: Any) -> Any:
            y, back = jax.vjp(attention, q, k, v)
            return (y, *back(g))

        return both

    return function(make, [arrays[key] for key in "qkvg"])

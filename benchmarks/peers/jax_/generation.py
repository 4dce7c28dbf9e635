"""JAX: a text written with keys and values in place, all of it one jitted loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Arrays
from ...generation import EPSILON, FEATURES, HEADS, LAYERS, POSITIONS, PROMPT, STEPS
from ..common import Job, repeated
from .jobs import fed


def build(name: str, arrays: Arrays) -> Job:
    """The workload as one jitted function."""
    import jax
    import jax.numpy as jnp

    every = jnp.arange(POSITIONS)

    def write(p: Any, prompt: Any) -> Any:
        def norm(x: Any, name: str, layer: Any = "") -> Any:
            apart = x - x.mean(-1, keepdims=True)
            scaled = apart * jax.lax.rsqrt((apart**2).mean(-1, keepdims=True) + EPSILON)
            return scaled * p[f"{name}_g{layer}"] + p[f"{name}_b{layer}"]

        def linear(x: Any, name: str, layer: Any = "") -> Any:
            return x @ p[f"{name}_w{layer}"] + p[f"{name}_b{layer}"]

        def read(symbols: Any, place: Any, caches: Any) -> Any:
            """Symbols (T,), the first of which stands at a place -> the next one, and caches."""
            count = symbols.shape[0]
            x = p["symbols"][symbols] + jax.lax.dynamic_slice_in_dim(p["places"], place, count)
            seen = every <= (place + jnp.arange(count))[:, None]
            filled = []
            for layer, (keys, values) in enumerate(caches):
                joined = linear(norm(x, "first", layer), "in", layer)
                q, k, v = joined.reshape(count, 3, HEADS, -1).transpose(1, 2, 0, 3)
                keys = jax.lax.dynamic_update_slice_in_dim(keys, k, place, 1)
                values = jax.lax.dynamic_update_slice_in_dim(values, v, place, 1)
                filled.append((keys, values))
                scores = jnp.einsum("hqd,hkd->hqk", q, keys) * (FEATURES // HEADS) ** -0.5
                weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
                found = jnp.einsum("hqk,hkd->qhd", weights, values).reshape(count, FEATURES)
                x = x + linear(found, "out", layer)
                inner = jax.nn.gelu(linear(norm(x, "second", layer), "up", layer), False)
                x = x + linear(inner, "down", layer)
            return linear(norm(x[-1], "last"), "head").argmax().astype("int32"), filled

        empty = jnp.zeros((HEADS, POSITIONS, FEATURES // HEADS))
        first, caches = read(prompt, 0, [(empty, empty)] * LAYERS)

        def one(carry: Any, place: Any) -> Any:
            symbol, caches = read(carry[0][None], place, carry[1])
            return (symbol, caches), symbol

        places = jnp.arange(PROMPT, PROMPT + STEPS - 1)
        _, rest = jax.lax.scan(one, (first, caches), places)
        return jnp.concatenate([first[None], rest])

    run = jax.jit(write)
    weights = {k: jax.device_put(v) for k, v in arrays.items() if k != "prompt"}
    prompt = fed(arrays["prompt"])
    held: list[Any] = []

    def step() -> None:
        held[:] = [jax.block_until_ready(run(weights, prompt))]

    return Job(step, repeated(step), lambda: np.asarray(held[0]).astype(float).tolist())

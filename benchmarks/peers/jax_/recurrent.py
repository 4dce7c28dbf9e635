"""JAX: the recurrent workloads, as scans."""

from __future__ import annotations

from typing import Any

from ...arrays import Arrays
from ...recurrent import NETS, ODE_STEP, ODE_STEPS, RATE
from ..common import Job
from .jobs import cross_entropy, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as one jitted step."""
    import jax

    cost_of = _neural_ode() if name == "neural_ode" else _net(name)
    state = {key: value for key, value in arrays.items() if key not in "xy"}

    def update(state: Any, x: Any, y: Any) -> Any:
        cost, slopes = jax.value_and_grad(cost_of)(state, x, y)
        return {key: state[key] - RATE * slopes[key] for key in state}, cost

    return training(update, state, arrays["x"], arrays["y"])


def _net(name: str) -> Any:
    import jax
    import jax.numpy as jnp

    net = NETS[name]

    def elman(p: Any, carry: Any, x: Any) -> Any:
        (h,) = carry
        return (jnp.tanh(x + h @ p["u"]),)

    def gru(p: Any, carry: Any, x: Any) -> Any:
        (h,) = carry
        xr, xz, xn = jnp.split(x, 3, -1)
        hr, hz, hn = jnp.split(h @ p["u"], 3, -1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        return ((1 - z) * jnp.tanh(xn + r * (hn + p["c"])) + z * h,)

    def lstm(p: Any, carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x + h @ p["u"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    cell = {"elman": elman, "gru": gru, "lstm": lstm}[net.kind]

    def cost_of(p: Any, x: Any, y: Any) -> Any:
        zero = jnp.zeros((net.batch, net.hidden), jnp.float32)
        start = (zero, zero) if net.kind == "lstm" else (zero,)

        def one(carry: Any, x_t: Any) -> Any:
            carry = cell(p, carry, x_t)
            return carry, (carry[0] if net.every else None)

        last, outputs = jax.lax.scan(one, start, x @ p["w"] + p["b"])
        if net.every:
            scores = outputs @ p["v"] + p["a"]
            return cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))
        return cross_entropy(last[0] @ p["v"] + p["a"], y)

    return cost_of


def _neural_ode() -> Any:
    import jax
    import jax.numpy as jnp

    def cost_of(p: Any, x: Any, y: Any) -> Any:
        def one(z: Any, _: Any) -> Any:
            return z + ODE_STEP * (jnp.tanh(z @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"]), None

        z, _ = jax.lax.scan(one, x, None, length=ODE_STEPS)
        return ((z - y) ** 2).mean()

    return cost_of

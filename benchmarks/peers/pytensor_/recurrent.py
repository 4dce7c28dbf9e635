"""PyTensor: the recurrent workloads, as scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Arrays
from ...recurrent import NETS, ODE_STEP, ODE_STEPS, RATE
from ..common import Job
from .jobs import cross_entropy, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a PyTensor function."""
    import pytensor
    import pytensor.tensor as pt

    p = {key: pytensor.shared(value) for key, value in arrays.items() if key not in "xy"}
    if name == "neural_ode":
        x, y = pt.fmatrix("x"), pt.fmatrix("y")
        cost = _neural_ode(p, x, y)
    else:
        x = pt.ftensor3("x")
        y = pt.imatrix("y") if NETS[name].every else pt.ivector("y")
        cost = _net(name, p, x, y)
    slopes = pt.grad(cost, list(p.values()))
    rate = np.float32(RATE)
    updates = [(w, w - rate * g) for w, g in zip(p.values(), slopes, strict=True)]
    return training([x, y], [arrays["x"], arrays["y"]], cost, updates)


def _net(name: str, p: Any, x: Any, y: Any) -> Any:
    import pytensor
    import pytensor.tensor as pt

    net, size = NETS[name], NETS[name].hidden

    def parts(a: Any) -> list[Any]:
        return [a[:, k * size : (k + 1) * size] for k in range(net.gates)]

    def elman(x_t: Any, h: Any, u: Any) -> Any:
        return pt.tanh(x_t + h @ u)

    def gru(x_t: Any, h: Any, u: Any, c: Any) -> Any:
        (xr, xz, xn), (hr, hz, hn) = parts(x_t), parts(h @ u)
        r, z = pt.sigmoid(xr + hr), pt.sigmoid(xz + hz)
        return (np.float32(1) - z) * pt.tanh(xn + r * (hn + c)) + z * h

    def lstm(x_t: Any, h: Any, s: Any, u: Any) -> Any:
        i, f, g, o = parts(x_t + h @ u)
        s = pt.sigmoid(f) * s + pt.sigmoid(i) * pt.tanh(g)
        return [pt.sigmoid(o) * pt.tanh(s), s]

    start = pt.zeros((x.shape[1], size), dtype="float32")
    cell = {"elman": elman, "gru": gru, "lstm": lstm}[net.kind]
    found = pytensor.scan(
        cell,
        sequences=[x @ p["w"] + p["b"]],
        outputs_info=[start, start] if net.kind == "lstm" else [start],
        non_sequences=[p["u"], *([p["c"]] if net.kind == "gru" else [])],
        return_updates=False,
    )
    outputs = found[0] if net.kind == "lstm" else found
    if net.every:
        scores = outputs @ p["v"] + p["a"]
        return cross_entropy(scores.reshape((-1, scores.shape[-1])), y.flatten())
    return cross_entropy(outputs[-1] @ p["v"] + p["a"], y)


def _neural_ode(p: Any, x: Any, y: Any) -> Any:
    import pytensor
    import pytensor.tensor as pt

    def one(z: Any, w0: Any, b0: Any, w1: Any, b1: Any) -> Any:
        return z + ODE_STEP * (pt.tanh(z @ w0 + b0) @ w1 + b1)

    steps = pytensor.scan(
        one,
        outputs_info=[x],
        non_sequences=[p[key] for key in ("w0", "b0", "w1", "b1")],
        n_steps=ODE_STEPS,
        return_updates=False,
    )
    return ((steps[-1] - y) ** 2).mean()

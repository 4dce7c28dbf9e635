"""PyTorch: the recurrent workloads, eager with its fused nets, compiled from cells written out.

The compiler leaves the fused nets as they are; only a loop in Python gives it something to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...arrays import Arrays
from ...recurrent import NETS, ODE_STEP, ODE_STEPS, RATE, Recurrent
from ..common import Job, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; its forward function compiled or as it is."""
    if name == "neural_ode":
        parameters, forward = _neural_ode(arrays)
    else:
        parameters, forward = (_cells if compiled else _net)(NETS[name], arrays)
    if compiled:
        forward = torch.compile(forward)
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    y = y if y.is_floating_point() else y.long()

    batch = fed(x, y)

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(*batch())
        cost.backward()
        optimizer.step()
        return float(cost)

    return training(step)


def _cells(net: Recurrent, arrays: Arrays) -> tuple[list[Any], Any]:
    p = {k: torch.nn.Parameter(torch.tensor(a)) for k, a in arrays.items() if k not in "xy"}

    def cell(x: Any, h: Any, s: Any) -> tuple[Any, Any]:
        if net.kind == "elman":
            return torch.tanh(x + h @ p["u"]), s
        parts, more = x.chunk(net.gates, -1), (h @ p["u"]).chunk(net.gates, -1)
        if net.kind == "gru":
            r, z = (torch.sigmoid(parts[k] + more[k]) for k in (0, 1))
            return (1 - z) * torch.tanh(parts[2] + r * (more[2] + p["c"])) + z * h, s
        i, f, g, o = (a + b for a, b in zip(parts, more, strict=True))
        s = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(s), s

    def forward(x: Any, y: Any) -> Any:
        inputs = x @ p["w"] + p["b"]
        h = s = inputs.new_zeros(net.batch, net.hidden)
        outputs = []
        for x_t in inputs.unbind(0):
            h, s = cell(x_t, h, s)
            outputs.append(h)
        if net.every:
            scores = torch.stack(outputs) @ p["v"] + p["a"]
            return functional.cross_entropy(scores.flatten(0, 1), y.flatten())
        return functional.cross_entropy(h @ p["v"] + p["a"], y)

    return list(p.values()), forward


def _net(net: Recurrent, arrays: Arrays) -> tuple[list[Any], Any]:
    kinds = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    rnn = kinds[net.kind](net.inputs, net.hidden)
    # PyTorch has two biases for each gate; the second stays 0 where one would do.
    free = np.zeros_like(arrays["b"])
    free[-net.hidden :] = net.kind == "gru"
    second = free * np.tile(arrays.get("c", np.zeros(net.hidden, np.float32)), net.gates)
    weights = (arrays["w"].T, arrays["u"].T, arrays["b"], second)
    with torch.no_grad():
        for held, value in zip(rnn.parameters(), weights, strict=True):
            held.copy_(torch.tensor(value.copy()))
    mask = torch.tensor(free)
    rnn.bias_hh_l0.register_hook(lambda slope: slope * mask)
    v, a = (torch.nn.Parameter(torch.tensor(arrays[key])) for key in "va")

    def forward(x: Any, y: Any) -> Any:
        outputs, _ = rnn(x)
        if net.every:
            return functional.cross_entropy((outputs @ v + a).flatten(0, 1), y.flatten())
        return functional.cross_entropy(outputs[-1] @ v + a, y)

    return [*rnn.parameters(), v, a], forward


def _neural_ode(arrays: Arrays) -> tuple[list[Any], Any]:
    w0, b0, w1, b1 = (
        torch.nn.Parameter(torch.tensor(arrays[key])) for key in ("w0", "b0", "w1", "b1")
    )

    def forward(z: Any, y: Any) -> Any:
        for _ in range(ODE_STEPS):
            z = z + float(ODE_STEP) * (torch.tanh(z @ w0 + b0) @ w1 + b1)
        return ((z - y) ** 2).mean()

    return [w0, b0, w1, b1], forward

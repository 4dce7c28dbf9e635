"""PyTorch: the recurrent workloads, with its fused nets where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..arrays import Arrays
from ..recurrent import NETS, ODE_STEP, ODE_STEPS, RATE
from .common import Job, training


def build(name: str, arrays: Arrays, wrap: Any) -> Job:
    """The workload; `wrap` is what compiles its forward function, or leaves it."""
    parameters, forward = (_neural_ode if name == "neural_ode" else _net)(name, arrays)
    forward = wrap(forward)
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    y = y if y.is_floating_point() else y.long()

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(x, y)
        cost.backward()
        optimizer.step()
        return float(cost)

    return training(step)


def _net(name: str, arrays: Arrays) -> tuple[list[Any], Any]:
    net = NETS[name]
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


def _neural_ode(name: str, arrays: Arrays) -> tuple[list[Any], Any]:
    w0, b0, w1, b1 = (
        torch.nn.Parameter(torch.tensor(arrays[key])) for key in ("w0", "b0", "w1", "b1")
    )

    def forward(z: Any, y: Any) -> Any:
        for _ in range(ODE_STEPS):
            z = z + float(ODE_STEP) * (torch.tanh(z @ w0 + b0) @ w1 + b1)
        return ((z - y) ** 2).mean()

    return [w0, b0, w1, b1], forward

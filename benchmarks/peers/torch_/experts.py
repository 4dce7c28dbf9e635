"""PyTorch: the mixture of experts, eager and compiled; all experts in batched products."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ...arrays import Arrays
from ...experts import EXPERTS, RATE
from ..common import Job, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; its forward function compiled or as it is."""
    names = ("wg", "bg", "w0", "b0", "w1", "b1")
    parameters = {key: torch.tensor(arrays[key], requires_grad=True) for key in names}

    def forward(p: dict[str, Any], x: Any, y: Any) -> Any:
        share = torch.softmax(torch.addmm(p["bg"], x, p["wg"]), 1)
        every = x.expand(EXPERTS, *x.shape)
        hidden = torch.relu(torch.baddbmm(p["b0"].unsqueeze(1), every, p["w0"]))
        answers = torch.baddbmm(p["b1"].unsqueeze(1), hidden, p["w1"])
        return functional.cross_entropy(torch.einsum("be,ebo->bo", share, answers), y)

    if compiled:
        forward = torch.compile(forward)
    optimizer = torch.optim.SGD(parameters.values(), lr=RATE)
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"]).long()

    batch = fed(x, y)

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(parameters, *batch())
        cost.backward()
        optimizer.step()
        return float(cost.detach())

    return training(step)

"""PyTorch: the hypernetworks, eager and compiled; a set for each sample under torch.func.vmap."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ...arrays import Arrays
from ...hypernets import HYPER, HYPERNETS, PIECES, RATE
from ..common import Job, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; its forward function compiled or as it is."""
    hyper = torch.nn.Sequential(
        torch.nn.Linear(*HYPER[:2]), torch.nn.ReLU(), torch.nn.Linear(*HYPER[1:])
    )
    with torch.no_grad():
        for i, layer in enumerate((hyper[0], hyper[2])):
            layer.weight.copy_(torch.tensor(arrays[f"w{i}"].T.copy()))
            layer.bias.copy_(torch.tensor(arrays[f"b{i}"]))
    sizes = [torch.Size(shape).numel() for shape in PIECES]

    def main(w: Any, x: Any) -> Any:
        w0, b0, w1, b1 = (
            piece.view(shape) for piece, shape in zip(w.split(sizes), PIECES, strict=True)
        )
        return torch.relu(x @ w0 + b0) @ w1 + b1

    if HYPERNETS[name]:
        main = torch.func.vmap(main)

    def forward(context: Any, x: Any, y: Any) -> Any:
        return functional.cross_entropy(main(hyper(context), x), y)

    if compiled:
        forward = torch.compile(forward)
    optimizer = torch.optim.SGD(hyper.parameters(), lr=RATE)
    context, x = torch.tensor(arrays["context"]), torch.tensor(arrays["x"])
    y = torch.tensor(arrays["y"]).long()

    batch = fed(context, x, y)

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(*batch())
        cost.backward()
        optimizer.step()
        return float(cost)

    return training(step)

"""PyTorch: classifiers, elementwise work, optimizers and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...arrays import Arrays
from ...workloads import DENSE
from ..common import Job, repeated, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; `compiled` puts its forward function under torch.compile."""
    wrap: Callable[[Any], Any] = torch.compile if compiled else lambda function: function
    if name.startswith("matmul"):
        return _matmul(arrays, wrap)
    if name in DENSE:
        net = DENSE[name]
        return _dense(arrays, net.sizes, getattr(torch, net.activation), wrap)
    return {
        "pointwise": lambda: _pointwise(arrays, wrap),
        "optimizer": lambda: _optimizer(arrays, wrap),
        "softmax_ce": lambda: _softmax_ce(arrays, wrap),
    }[name]()


def _dense(arrays: Arrays, sizes: tuple[int, ...], activation: Any, wrap: Any) -> Job:
    count = len(sizes) - 1
    names = [f"{kind}{i}" for i in range(count) for kind in "wb"]
    parameters = [torch.nn.Parameter(torch.tensor(arrays[name])) for name in names]
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"]).long()
    optimizer = torch.optim.SGD(parameters, lr=0.01)

    @wrap
    def forward(x: Any, y: Any) -> Any:
        for i in range(count):
            x = torch.addmm(parameters[2 * i + 1], x, parameters[2 * i])
            x = activation(x) if i < count - 1 else x
        return functional.cross_entropy(x, y)

    batch = fed(x, y)

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(*batch())
        cost.backward()
        optimizer.step()
        return float(cost)

    return training(step)


def _pointwise(arrays: Arrays, wrap: Any) -> Job:
    a, b, x = (torch.tensor(arrays[k], requires_grad=True) for k in "abx")

    @wrap
    def forward(x: Any, a: Any, b: Any) -> Any:
        normal = functional.layer_norm(functional.gelu(x * a + b), (1024,))
        return (normal * torch.sigmoid(x)).mean()

    held: list[Any] = []

    def step() -> None:
        cost = forward(x, a, b)
        held[:] = [cost, *torch.autograd.grad(cost, [x, a, b])]

    return Job(step, repeated(step), lambda: [float(v.detach().abs().sum()) for v in held])


def _optimizer(arrays: Arrays, wrap: Any) -> Job:
    pairs = len(arrays) // 2
    parameters = [torch.nn.Parameter(torch.tensor(arrays[f"p{i}"])) for i in range(pairs)]
    slopes = [torch.tensor(arrays[f"g{i}"]) for i in range(pairs)]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    @wrap
    def forward() -> Any:
        cost = slopes[0].new_zeros(())
        for p, g in zip(parameters, slopes, strict=True):
            cost = cost + (p * g).sum()
        return cost

    def step() -> float:
        optimizer.zero_grad()
        cost = forward()
        cost.backward()
        optimizer.step()
        return float(cost)

    return training(step)


def _softmax_ce(arrays: Arrays, wrap: Any) -> Job:
    z, y = torch.tensor(arrays["z"], requires_grad=True), torch.tensor(arrays["y"]).long()
    forward = wrap(functional.cross_entropy)
    held: list[Any] = []

    def step() -> None:
        cost = forward(z, y)
        held[:] = [cost, *torch.autograd.grad(cost, [z])]

    return Job(step, repeated(step), lambda: [float(v.detach().abs().sum()) for v in held])


def _matmul(arrays: Arrays, wrap: Any) -> Job:
    a, b = torch.tensor(arrays["a"]), torch.tensor(arrays["b"])
    multiply = wrap(torch.matmul)
    held: list[Any] = []

    def step() -> None:
        held[:] = [multiply(a, b)]

    return Job(step, repeated(step), lambda: [float(np.abs(held[0].cpu().numpy()).sum())])

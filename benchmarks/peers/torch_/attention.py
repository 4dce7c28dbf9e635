"""PyTorch: the workloads of attention, eager and compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ...arrays import Arrays
from ...attention import ENCODERS, EPSILON, NORMS, RATE, Encoder
from ..common import Job, repeated, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; its forward function compiled or as it is."""
    if name == "attention_long":
        return _long(arrays, compiled)
    return _block(ENCODERS[name], arrays, compiled)


class _Block(nn.Module):
    """The encoder block and the head; the projections of queries, keys and values are one layer."""

    def __init__(self, held: Encoder, arrays: Arrays) -> None:
        super().__init__()
        self.heads = held.heads
        weights = {n: torch.tensor(arrays[f"{n}/weight"].T.copy()) for n in held.layers}
        biases = {n: torch.tensor(arrays[f"{n}/bias"]) for n in held.layers}
        parts = ("query", "key", "value")
        weights["projections"] = torch.cat([weights.pop(n) for n in parts])
        biases["projections"] = torch.cat([biases.pop(n) for n in parts])
        for n, weight in weights.items():
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            _fill(layer, weight, biases[n])
            self.add_module(n, layer)
        for n in NORMS:
            norm = nn.LayerNorm(held.width, eps=EPSILON)
            _fill(norm, torch.tensor(arrays[f"{n}/weight"]), torch.tensor(arrays[f"{n}/bias"]))
            self.add_module(n, norm)

    def forward(self, x: Any) -> Any:
        samples, steps, width = x.shape
        made = self.projections(self.norm1(x)).view(
            samples, steps, 3, self.heads, width // self.heads
        )
        q, k, v = made.permute(2, 0, 3, 1, 4).unbind()
        found = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.output(found.transpose(1, 2).reshape(x.shape))
        x = x + self.second(functional.gelu(self.first(self.norm2(x))))
        return self.head(self.norm3(x).mean(1))


def _fill(layer: Any, weight: Any, bias: Any) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def _block(held: Encoder, arrays: Arrays, compiled: bool) -> Job:
    net = _Block(held, arrays)
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"]).long()
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)

    def forward(x: Any, y: Any) -> Any:
        return functional.cross_entropy(net(x), y)

    if compiled:
        forward = torch.compile(forward)

    batch = fed(x, y)

    def step() -> float:
        optimizer.zero_grad()
        cost = forward(*batch())
        cost.backward()
        optimizer.step()
        return float(cost.detach())

    return training(step)


def _long(arrays: Arrays, compiled: bool) -> Job:
    q, k, v = (torch.tensor(arrays[key], requires_grad=True) for key in "qkv")
    g = torch.tensor(arrays["g"])

    def forward(q: Any, k: Any, v: Any) -> Any:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    if compiled:
        forward = torch.compile(forward)
    held: list[Any] = []

    def step() -> None:
        y = forward(q, k, v)
        held[:] = [y, *torch.autograd.grad(y, [q, k, v], g)]

    return Job(step, repeated(step), lambda: [float(x.detach().abs().sum()) for x in held])

"""PyTorch: the convolutional workloads, in its own layout and channels-last, eager and compiled.

What it compiles is channels-last, which is faster for all of these nets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ...arrays import Arrays
from ...convnets import EPSILON, MOMENTUM, PASSES, PLAIN, RESNETS, SINGLES, WHOLE, Block
from ..common import Job, repeated, training
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool, channels_last: bool) -> Job:
    """The workload; its forward function compiled or as it is."""
    form = torch.channels_last if channels_last or compiled else torch.contiguous_format
    if name in SINGLES:
        return _layer(name, arrays, form)
    net = _plain(name, arrays) if name in PLAIN else _resnet(name, arrays)
    net = net.to(memory_format=form)
    x = torch.tensor(arrays["x"]).contiguous(memory_format=form)
    if name in PLAIN and PLAIN[name].infer:
        return _infer(net.eval(), x, compiled)
    y = torch.tensor(arrays["y"]).long()
    optimizer = torch.optim.SGD(net.parameters(), lr=WHOLE[name].rate)

    def forward(x: Any, y: Any) -> Any:
        return functional.nll_loss(functional.log_softmax(net(x), -1), y)

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


def _infer(net: nn.Module, x: Any, compiled: bool) -> Job:
    def forward(x: Any) -> Any:
        return functional.log_softmax(net(x), -1)

    if compiled:
        forward = torch.compile(forward)
    batch = fed(x)
    held: list[Any] = []

    def step() -> None:
        with torch.inference_mode():
            held[:] = [forward(*batch()).cpu()]

    return Job(step, repeated(step), lambda: held[0].flatten().tolist())


def _fill(parameter: Any, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(value))


def _dense(inputs: int, outputs: int, weight: Any, bias: Any) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    _fill(layer.weight, weight.T.copy())
    _fill(layer.bias, bias)
    return layer


def _plain(name: str, arrays: Arrays) -> nn.Module:
    net = PLAIN[name]
    parts: list[nn.Module] = []
    for i, layer in enumerate(net.layers):
        conv = nn.Conv2d(layer.inputs, layer.outputs, layer.taps, padding=layer.padding)
        _fill(conv.weight, arrays[f"c{i}/weight"])
        _fill(conv.bias, arrays[f"c{i}/bias"])
        parts += [conv, nn.ReLU()] + [nn.MaxPool2d(2)] * layer.pool
    parts.append(nn.Flatten())
    for i, (inputs, outputs) in enumerate(pairwise(net.dense)):
        parts += [_dense(inputs, outputs, arrays[f"d{i}/weight"], arrays[f"d{i}/bias"]), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class _Residual(nn.Module):
    """A block of the residual net, its way around without parameters."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inputs, outputs, stride = block.inputs, block.outputs, block.stride
        self.block = block
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=MOMENTUM)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x: Any) -> Any:
        y = functional.relu(self.norm1(self.first(x)))
        y = self.norm2(self.second(y))
        stride, more = self.block.stride, self.block.outputs - self.block.inputs
        if stride > 1:
            x = functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, more))
        return functional.relu(x + y)


def _resnet(name: str, arrays: Arrays) -> nn.Module:
    net = RESNETS[name]
    first = net.first
    parts: list[nn.Module] = [
        nn.Conv2d(first.inputs, first.outputs, 3, 1, 1, bias=False),
        nn.BatchNorm2d(first.outputs, eps=EPSILON, momentum=MOMENTUM),
        nn.ReLU(),
        *(_Residual(block) for block in net.blocks),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        _dense(*arrays["d0/weight"].shape, arrays["d0/weight"], arrays["d0/bias"]),
    ]
    model = nn.Sequential(*parts)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for i, (conv, norm) in enumerate(zip(convolutions, norms, strict=True)):
        _fill(conv.weight, arrays[f"c{i}/weight"])
        _fill(norm.weight, arrays[f"n{i}/weight"])
        _fill(norm.bias, arrays[f"n{i}/bias"])
    return model.train()


def _layer(name: str, arrays: Arrays, form: Any) -> Job:
    layer, axes = SINGLES[name].layer, len(SINGLES[name].space)
    x, w, g = (torch.tensor(arrays[key]) for key in "xwg")
    if axes == 2:
        x, w, g = (value.contiguous(memory_format=form) for value in (x, w, g))
    elif form is torch.channels_last:
        # A signal as an image of height 1, since PyTorch has no such layout for signals.
        x, w, g = (value[:, :, None].contiguous(memory_format=form) for value in (x, w, g))
    flat = x.dim() - 2
    padding = [layer.padding] * axes if flat == axes else [0, layer.padding]
    strides, ones, zeros = [layer.stride] * flat, [1] * flat, [0] * flat
    held: dict[str, Any] = {}

    def forward() -> None:
        held["y"] = torch.convolution(
            x, w, None, strides, padding, ones, False, zeros, layer.groups
        )

    def back(wanted: list[bool]) -> Any:
        return torch.ops.aten.convolution_backward(
            g, x, w, None, strides, padding, ones, False, zeros, layer.groups, wanted
        )

    def data() -> None:
        held["x"] = back([True, False, False])[0]

    def weight() -> None:
        held["w"] = back([False, True, False])[1]

    passes = dict(zip(PASSES, (forward, data, weight), strict=True))

    def step() -> None:
        for one in passes.values():
            one()

    def result() -> list[float]:
        return [float(held[key].abs().sum()) for key in "yxw"]

    return Job(step, repeated(step), result, passes)

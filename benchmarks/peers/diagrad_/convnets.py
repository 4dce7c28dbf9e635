"""diagrad: the convolutional workloads; single layers get and give their arrays channels-last."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import diagrad as dg

from ...arrays import Arrays
from ...convnets import EPSILON, MOMENTUM, PASSES, PLAIN, RESNETS, SINGLES, WHOLE, Block, Layer
from ..common import Call, Job, repeated
from .jobs import compiled, inference, on_host, running, sums, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    if name in SINGLES:
        return _layer(name, arrays)
    x = dg.observed("x", ("B", *arrays["x"].shape[1:]))
    scores = (_plain if name in PLAIN else _resnet)(name)(x)
    if name in PLAIN and PLAIN[name].infer:
        return _infer(name, scores, arrays)
    y = dg.observed("y", ("B",), dtype=dg.int32)
    program = compiled(dg.Diagram(name, cost=dg.cross_entropy(scores, y)), dg.SGD(WHOLE[name].rate))
    _fill(program, arrays)
    inputs = {"x": arrays["x"], "y": arrays["y"]}
    return training(program, inputs)


def _infer(name: str, scores: Any, arrays: Arrays) -> Job:
    program = compiled(dg.Diagram(name, {"logs": dg.log_softmax(scores)}))
    _fill(program, arrays)
    return inference(program, {"x": arrays["x"]}, lambda held: held["logs"].ravel().tolist())


def _fill(program: Any, arrays: Arrays) -> None:
    """The parameters, by the last two parts of their paths: `net/c0/weight`."""
    for path in program.parameters:
        program.parameters[path] = arrays["/".join(path.split("/")[-2:])]


def _conv(layer: Layer, i: int, bias: bool) -> dg.Block:
    return dg.Conv2d(
        layer.inputs, layer.outputs, layer.taps, stride=layer.stride, padding=layer.padding,
        bias=bias, name=f"c{i}",
    )  # fmt: skip


def _plain(name: str) -> dg.Block:
    net = PLAIN[name]
    parts: list[Any] = []
    for i, layer in enumerate(net.layers):
        parts += [_conv(layer, i, True), dg.relu] + [dg.MaxPool2d(2)] * layer.pool
    parts.append(dg.Flatten())
    for i, (inputs, outputs) in enumerate(pairwise(net.dense)):
        parts += [dg.Linear(inputs, outputs, name=f"d{i}"), dg.relu]
    return dg.Chain(*parts[:-1], name="net")


def _resnet(name: str) -> dg.Block:
    net = RESNETS[name]

    def normal(i: int) -> list[dg.Block]:
        layer = net.layers[i]
        norm = dg.BatchNorm(layer.outputs, momentum=MOMENTUM, epsilon=EPSILON, name=f"n{i}")
        return [_conv(layer, i, False), norm]

    parts: list[Any] = [*normal(0), dg.relu]
    for k, block in enumerate(net.blocks):
        way = dg.Chain(*normal(2 * k + 1), dg.relu, *normal(2 * k + 2), name=f"way{k}")
        parts += [dg.Residual(way, _around(block), name=f"block{k}"), dg.relu]
    parts += [lambda x: dg.mean(x, (2, 3)), dg.Linear(net.layers[-1].outputs, 10, name="d0")]
    return dg.Chain(*parts, name="net")


def _around(block: Block) -> Any:
    """Option A: every other pixel, and channels of 0."""
    stride, more = block.stride, block.outputs - block.inputs
    if stride == 1:
        return None
    return lambda x: dg.pad(x[:, :, ::stride, ::stride], ((0, 0), (0, more), (0, 0), (0, 0)))


def _layer(name: str, arrays: Arrays) -> Job:
    single = SINGLES[name]
    layer, axes = single.layer, len(single.space)
    space = range(2, 2 + axes)
    last, first = (0, *space, 1), (0, 1 + axes, *range(1, 1 + axes))
    # A weight lies (taps, inputs, outputs).
    taps_first, as_drawn = (*space, 1, 0), (1 + axes, axes, *range(axes))
    values = {key: arrays[key].transpose(last).copy() for key in "xg"}
    values["w"] = arrays["w"].transpose(taps_first).copy()
    x, w, g = (dg.observed(key, values[key].shape) for key in "xwg")
    y = dg.correlate(
        dg.transpose(x, first), dg.transpose(w, as_drawn),
        stride=layer.stride, padding=layer.padding, groups=layer.groups,
    )  # fmt: skip
    to_x, to_w = dg.gradient(dg.sum(y * dg.transpose(g, first)), [x, w])
    held: dict[str, Any] = {}
    calls: list[Call] = []

    def run_of(key: str, value: Any) -> Any:
        program = compiled(dg.Diagram(name, {key: value}))
        inputs = {name: values[name] for name in ("xw" if key == "y" else "xwg")}
        calls.append(Call(program, "run", inputs, True))
        return running(program, inputs, held)

    runs = [run_of(*item) for item in (("y", dg.transpose(y, last)), ("x", to_x), ("w", to_w))]

    def step() -> None:
        for run in runs:
            run()

    def result() -> list[float]:
        found = on_host(held)
        return sums({key: found[key] for key in "yxw"})

    return Job(step, repeated(step), result, dict(zip(PASSES, runs, strict=True)), lambda: calls)

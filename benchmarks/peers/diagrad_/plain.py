"""diagrad: classifiers, elementwise work, optimizers and products."""

from __future__ import annotations

from itertools import pairwise

import diagrad as dg

from ...arrays import Arrays
from ...workloads import DENSE
from ..common import Job
from .jobs import compiled, operation, sums, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    if name.startswith("matmul"):
        return _matmul(arrays)
    if name in DENSE:
        net = DENSE[name]
        return _dense(arrays, net.sizes, getattr(dg, net.activation))
    return {
        "pointwise": lambda: _pointwise(arrays),
        "optimizer": lambda: _optimizer(arrays),
        "softmax_ce": lambda: _softmax_ce(arrays),
    }[name]()


def _dense(arrays: Arrays, sizes: tuple[int, ...], activation: object) -> Job:
    layers: list[object] = []
    for i, (rows, columns) in enumerate(pairwise(sizes)):
        layers += [dg.Linear(rows, columns, name=f"l{i}"), activation]
    net = dg.Chain(*layers[:-1], name="net")  # type: ignore[arg-type]  # blocks and functions
    x = dg.observed("x", ("B", sizes[0]))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    scores = net(x)
    diagram = dg.Diagram("dense", {"scores": scores}, dg.cross_entropy(scores, y))
    program = compiled(diagram, dg.SGD(0.01))
    for name in program.parameters:
        layer, kind = name.split("/")[-2:]
        program.parameters[name] = arrays[("w" if kind == "weight" else "b") + layer[1:]]
    inputs = {"x": arrays["x"], "y": arrays["y"]}
    return training(program, inputs)


def _pointwise(arrays: Arrays) -> Job:
    x = dg.observed("x", ("R", 1024))
    a = dg.parameter("a", (1024,), arrays["a"])
    b = dg.parameter("b", (1024,), arrays["b"])
    h = dg.gelu(x * a + b)
    centred = h - h.mean(-1, keepdims=True)
    normal = centred * dg.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    cost = dg.mean(normal * dg.sigmoid(x))
    gx, ga, gb = dg.gradient(cost, [x, a, b])
    program = compiled(dg.Diagram("pointwise", {"c": cost, "x": gx, "a": ga, "b": gb}))
    return operation(program, {"x": arrays["x"]}, sums)


def _optimizer(arrays: Arrays) -> Job:
    pairs = len(arrays) // 2
    parameters = [
        dg.parameter(f"p{i}", arrays[f"p{i}"].shape, arrays[f"p{i}"]) for i in range(pairs)
    ]
    terms = [dg.sum(p * dg.constant(arrays[f"g{i}"])) for i, p in enumerate(parameters)]
    cost = terms[0]
    for term in terms[1:]:
        cost = cost + term
    return training(compiled(dg.Diagram("optimizer", cost=cost), dg.Adam(1e-3)), {})


def _softmax_ce(arrays: Arrays) -> Job:
    z = dg.observed("z", ("B", 1000))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    cost = dg.cross_entropy(z, y)
    program = compiled(dg.Diagram("softmax_ce", {"c": cost, "g": dg.gradient(cost, z)}))
    return operation(program, arrays, sums)


def _matmul(arrays: Arrays) -> Job:
    a = dg.observed("a", arrays["a"].shape)
    b = dg.observed("b", arrays["b"].shape)
    program = compiled(dg.Diagram("matmul", {"c": a @ b}))
    return operation(program, arrays, sums)

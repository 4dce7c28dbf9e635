"""PyTensor with its Numba backend: classifiers, elementwise work, optimizers and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Arrays
from ...workloads import DENSE
from ..common import Job, repeated
from .jobs import compiled, cross_entropy, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a PyTensor function."""
    if name.startswith("matmul"):
        return _matmul(arrays)
    if name in DENSE:
        net = DENSE[name]
        return _dense(arrays, net.sizes, net.activation)
    return {
        "pointwise": lambda: _pointwise(arrays),
        "optimizer": lambda: _optimizer(arrays),
        "softmax_ce": lambda: _softmax_ce(arrays),
    }[name]()


def _values(inputs: Any, values: list[Any], outputs: Any) -> Job:
    function = compiled(inputs, outputs)
    held: list[Any] = []

    def step() -> None:
        held[:] = function(*values)

    return Job(step, repeated(step), lambda: [float(np.abs(v).sum()) for v in held])


def _dense(arrays: Arrays, sizes: tuple[int, ...], activation: str) -> Job:
    import pytensor
    import pytensor.tensor as pt

    count = len(sizes) - 1
    parameters = [pytensor.shared(arrays[f"{k}{i}"]) for i in range(count) for k in "wb"]
    x, y = pt.fmatrix("x"), pt.ivector("y")
    h = x
    for i in range(count):
        h = h @ parameters[2 * i] + parameters[2 * i + 1]
        if i < count - 1:
            h = pt.maximum(h, np.float32(0)) if activation == "relu" else pt.tanh(h)
    cost = cross_entropy(h, y)
    rate = np.float32(0.01)
    slopes = pt.grad(cost, parameters)
    updates = [(p, p - rate * g) for p, g in zip(parameters, slopes, strict=True)]
    return training([x, y], [arrays["x"], arrays["y"]], cost, updates)


def _pointwise(arrays: Arrays) -> Job:
    import pytensor.tensor as pt

    x, a, b = pt.fmatrix("x"), pt.fvector("a"), pt.fvector("b")
    z = x * a + b
    half, root = np.float32(0.5), np.float32(1 / np.sqrt(2))
    h = z * half * (1 + pt.erf(z * root))
    centred = h - h.mean(-1, keepdims=True)
    normal = centred / pt.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-5))
    cost = (normal * pt.sigmoid(x)).mean()
    return _values([x, a, b], [arrays[k] for k in "xab"], [cost, *pt.grad(cost, [x, a, b])])


def _softmax_ce(arrays: Arrays) -> Job:
    import pytensor.tensor as pt

    z, y = pt.fmatrix("z"), pt.ivector("y")
    cost = cross_entropy(z, y)
    return _values([z, y], [arrays["z"], arrays["y"]], [cost, pt.grad(cost, z)])


def _optimizer(arrays: Arrays) -> Job:
    import pytensor
    import pytensor.tensor as pt

    pairs = len(arrays) // 2
    parameters = [pytensor.shared(arrays[f"p{i}"]) for i in range(pairs)]
    given = [pytensor.shared(arrays[f"g{i}"]) for i in range(pairs)]
    cost = sum((p * g).sum() for p, g in zip(parameters, given, strict=True))
    count = pytensor.shared(np.float32(0))
    now = count + np.float32(1)
    first = 1 - np.float32(0.9) ** now
    second = 1 - np.float32(0.999) ** now
    updates = [(count, now)]
    for p, g in zip(parameters, pt.grad(cost, parameters), strict=True):
        mean, square = (pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2))
        m = np.float32(0.9) * mean + np.float32(0.1) * g
        s = np.float32(0.999) * square + np.float32(0.001) * g * g
        move = np.float32(1e-3) * (m / first) / (pt.sqrt(s / second) + np.float32(1e-8))
        updates += [(mean, m), (square, s), (p, p - move)]
    return training([], [], cost, updates)


def _matmul(arrays: Arrays) -> Job:
    import pytensor.tensor as pt

    a, b = pt.fmatrix("a"), pt.fmatrix("b")
    return _values([a, b], [arrays["a"], arrays["b"]], [a @ b])

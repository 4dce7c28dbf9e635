"""diagrad: the workloads of attention."""

from __future__ import annotations

import diagrad as dg

from ...arrays import Arrays
from ...attention import CLASSES, ENCODERS, EPSILON, RATE, Encoder
from ..common import Job
from .jobs import compiled, operation, sums, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    return _long(arrays) if name == "attention_long" else _block(ENCODERS[name], arrays)


def _block(held: Encoder, arrays: Arrays) -> Job:
    width = held.width
    norms = [dg.LayerNorm(width, epsilon=EPSILON, name=f"norm{number}") for number in (1, 2, 3)]
    attend = dg.Chain(norms[0], dg.MultiHeadAttention(width, held.heads, name="heads"))
    inner = dg.Chain(
        norms[1], dg.Linear(width, held.hidden, name="first"), dg.gelu,
        dg.Linear(held.hidden, width, name="second"),
    )  # fmt: skip
    net = dg.Chain(
        dg.Residual(attend), dg.Residual(inner), norms[2], lambda x: dg.mean(x, 1),
        dg.Linear(width, CLASSES, name="head"),
    )  # fmt: skip
    x = dg.observed("x", ("B", "T", width))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    cost = dg.cross_entropy(net(x), y)
    program = compiled(dg.Diagram("attention", cost=cost), dg.SGD(RATE))
    for path in program.parameters:
        program.parameters[path] = arrays["/".join(path.split("/")[-2:])]
    inputs = {"x": arrays["x"], "y": arrays["y"]}
    return training(program, inputs)


def _long(arrays: Arrays) -> Job:
    shape = ("B", "H", "T", arrays["q"].shape[-1])
    q, k, v, g = (dg.observed(key, shape) for key in "qkvg")
    y = dg.attention(q, k, v, causal=True)
    slopes = dg.gradient(dg.sum(y * g), [q, k, v])
    outputs = dict(zip(("y", "dq", "dk", "dv"), (y, *slopes), strict=True))
    program = compiled(dg.Diagram("attention_long", outputs))
    return operation(program, arrays, sums)

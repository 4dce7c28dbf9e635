"""The workloads of attention: sizes and data, the same for every peer.

An `Encoder` is a pre-norm encoder block and a head, trained on sequences of vectors.  x is (batch,
steps, width), and each part of the block is added to what it was given:

    x = x + output(attention(query(n), key(n), value(n))),   n = norm1(x)
    x = x + second(gelu(first(norm2(x))))
    scores = head(the mean over the steps of norm3(x))

Weights are (inputs, outputs); GELU is the exact one.  A step is forward, cross entropy, backward
and SGD with a rate of RATE.

`attention_long` is causal attention alone, of LONG, (samples, heads, steps, features of a head),
and the gradients of its queries, keys and values for given cotangents g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Arrays, seeded

RATE = 0.01
EPSILON = 1e-5
CLASSES = 10
NORMS = ("norm1", "norm2", "norm3")
LONG = (1, 4, 2048, 64)


@dataclass(frozen=True)
class Encoder:
    """An encoder block and a head: its sizes."""

    batch: int
    steps: int
    width: int
    heads: int
    hidden: int

    @property
    def text(self) -> str:
        """What a step is."""
        return (
            f"a pre-norm encoder block and a head, B = {self.batch}, T = {self.steps}, D = "
            f"{self.width}, {self.heads} heads, MLP {self.hidden}, GELU, cross entropy, SGD"
        )

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """The linear layers, their inputs and outputs."""
        wide = (self.width, self.width)
        return {
            "query": wide, "key": wide, "value": wide, "output": wide,
            "first": (self.width, self.hidden), "second": (self.hidden, self.width),
            "head": (self.width, CLASSES),
        }  # fmt: skip

    @property
    def flops(self) -> float:
        """Those of the products; x has no gradient, but what is between has."""
        rows = self.batch * self.steps
        counts = {name: self.batch if name == "head" else rows for name in self.layers}
        layers = [2.0 * counts[name] * a * b for name, (a, b) in self.layers.items()]
        pairs = 2 * 2.0 * rows * self.steps * self.width
        return 3 * (sum(layers) + pairs)

    def make(self) -> Arrays:
        """Parameters, `query/weight` and `query/bias`, and a batch."""
        rng = seeded()
        arrays: Arrays = {}
        for name, (inputs, outputs) in self.layers.items():
            bound = 1 / np.sqrt(inputs)
            for kind, shape in (("weight", (inputs, outputs)), ("bias", (outputs,))):
                arrays[f"{name}/{kind}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        for name in NORMS:
            arrays[f"{name}/weight"] = rng.uniform(0.5, 1.5, self.width).astype(np.float32)
            arrays[f"{name}/bias"] = rng.normal(0, 0.1, self.width).astype(np.float32)
        vectors = (self.batch, self.steps, self.width)
        arrays["x"] = rng.normal(size=vectors).astype(np.float32)
        arrays["y"] = rng.integers(0, CLASSES, self.batch).astype(np.int32)
        return arrays


ENCODERS = {
    "attention": Encoder(8, 128, 128, 4, 512),
    "attention_large": Encoder(8, 1024, 1024, 16, 4096),
}
ATTENTIONS = (*ENCODERS, "attention_long")


def make_long() -> Arrays:
    """Queries, keys, values and the cotangents of the result."""
    rng = seeded()
    return {name: rng.normal(size=LONG).astype(np.float32) for name in "qkvg"}


def long_flops() -> float:
    """Those of the products for the pairs that are seen: two forward, four backward.

    A way back that computes the weights again makes five.
    """
    samples, heads, steps, features = LONG
    return 6 * 2.0 * samples * heads * features * steps * (steps + 1) / 2

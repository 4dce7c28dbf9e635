"""The workloads of attention: sizes and data, the same for every peer.

`attention` trains a pre-norm encoder block and a head on sequences of vectors.  x is (BATCH, STEPS,
WIDTH), and each part of the block is added to what it was given:

    x = x + output(attention(query(n), key(n), value(n))),   n = norm1(x)
    x = x + second(gelu(first(norm2(x))))
    scores = head(the mean over the steps of norm3(x))

Weights are (inputs, outputs); GELU is the exact one.  A step is forward, cross entropy, backward
and SGD with a rate of RATE.

`attention_long` is causal attention alone, of LONG, (samples, heads, steps, features of a head),
and the gradients of its queries, keys and values for given cotangents g.
"""

from __future__ import annotations

import numpy as np

from .arrays import Arrays, seeded

BATCH, STEPS, WIDTH, HEADS, HIDDEN, CLASSES = 8, 128, 128, 4, 512, 10
RATE = 0.01
EPSILON = 1e-5
LAYERS = {
    "query": (WIDTH, WIDTH), "key": (WIDTH, WIDTH), "value": (WIDTH, WIDTH),
    "output": (WIDTH, WIDTH), "first": (WIDTH, HIDDEN), "second": (HIDDEN, WIDTH),
    "head": (WIDTH, CLASSES),
}  # fmt: skip
"""The linear layers, their inputs and outputs."""
NORMS = ("norm1", "norm2", "norm3")
LONG = (1, 4, 2048, 64)

ATTENTIONS = ("attention", "attention_long")


def make_attention() -> Arrays:
    """Parameters, `query/weight` and `query/bias`, and a batch."""
    rng = seeded()
    arrays: Arrays = {}
    for name, (inputs, outputs) in LAYERS.items():
        bound = 1 / np.sqrt(inputs)
        for kind, shape in (("weight", (inputs, outputs)), ("bias", (outputs,))):
            arrays[f"{name}/{kind}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
    for name in NORMS:
        arrays[f"{name}/weight"] = rng.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, WIDTH).astype(np.float32)
    arrays["x"] = rng.normal(size=(BATCH, STEPS, WIDTH)).astype(np.float32)
    arrays["y"] = rng.integers(0, CLASSES, BATCH).astype(np.int32)
    return arrays


def make_long() -> Arrays:
    """Queries, keys, values and the cotangents of the result."""
    rng = seeded()
    return {name: rng.normal(size=LONG).astype(np.float32) for name in "qkvg"}


def attention_flops() -> float:
    """Those of the products; x has no gradient, but what is between has."""
    rows = BATCH * STEPS
    layers = [2.0 * (BATCH if n == "head" else rows) * a * b for n, (a, b) in LAYERS.items()]
    pairs = 2 * 2.0 * rows * STEPS * WIDTH
    return 3 * (sum(layers) + pairs)


def long_flops() -> float:
    """Those of the products for the pairs that are seen: two forward, four backward.

    A way back that computes the weights again makes five.
    """
    samples, heads, steps, features = LONG
    return 6 * 2.0 * samples * heads * features * steps * (steps + 1) / 2

"""The workloads: their data, the same for every peer, and what one step of each is.

A workload is a function of nothing that gives the arrays of a step by name, float32 unless they
are labels.  Parameters come first and are updated by a step where the workload trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from .arrays import Arrays, seeded
from .attention import ENCODERS, LONG, long_flops, make_long
from .convnets import CONVNETS
from .experts import make_moe, moe_flops
from .functions import FUNCTIONS
from .generation import GENERATE_FLOPS, STEPS, make_generate
from .hypernets import HYPERNETS, hypernet_flops, make_hypernet
from .recurrent import NETS, ODE_FLOPS, make_ode
from .scoring import VITERBI_FLOPS, make_viterbi

MATMUL_SIZES = (
    (16, 16, 16), (32, 32, 32), (64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512),
    (1024, 1024, 1024), (2048, 2048, 2048), (128, 784, 512), (8, 512, 512), (2048, 64, 2048),
)  # fmt: skip
"""Rows, depth and columns of the products of `matmul`, square and skinny."""


@dataclass(frozen=True)
class Workload:
    """A name, what one step is, its arrays, and the bytes and operations it cannot do without."""

    name: str
    text: str
    make: Callable[[], Arrays]
    flops: float
    traffic: float
    large: bool = False
    """Whether it is for a GPU: minutes on a processor."""


@dataclass(frozen=True)
class Dense:
    """A net of linear layers: their inputs and the last one's outputs."""

    sizes: tuple[int, ...]
    batch: int
    activation: str


DENSE = {
    "mlp": Dense((784, 512, 512, 10), 128, "relu"),
    "mlp_small": Dense((16, 32, 10), 8, "tanh"),
    "mlp_large": Dense((4096, 4096, 4096, 10), 4096, "relu"),
}
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}


def _dense(net: Dense) -> Arrays:
    sizes, batch = net.sizes, net.batch
    rng = seeded()
    arrays: Arrays = {}
    for i, (rows, columns) in enumerate(pairwise(sizes)):
        bound = 1 / np.sqrt(rows)
        arrays[f"w{i}"] = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)
        arrays[f"b{i}"] = np.zeros(columns, np.float32)
    arrays["x"] = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    arrays["y"] = rng.integers(0, sizes[-1], batch).astype(np.int32)
    return arrays


def _dense_flops(net: Dense) -> float:
    products = [2.0 * net.batch * a * b for a, b in pairwise(net.sizes)]
    return 3 * sum(products) - products[0]  # no gradient of the input


def _pointwise() -> Arrays:
    rng = seeded()
    return {
        "a": rng.uniform(0.5, 1.5, 1024).astype(np.float32),
        "b": rng.normal(0, 0.1, 1024).astype(np.float32),
        "x": rng.normal(size=(4096, 1024)).astype(np.float32),
    }


def optimizer_shapes() -> list[tuple[int, ...]]:
    """The 200 parameters of `optimizer`: forty layers of five sizes."""
    return [(512, 128), (128,), (64, 64), (33, 17), (1000,)] * 40


def _optimizer() -> Arrays:
    rng = seeded()
    arrays: Arrays = {}
    for i, shape in enumerate(optimizer_shapes()):
        arrays[f"p{i}"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"g{i}"] = rng.normal(size=shape).astype(np.float32)
    return arrays


def _softmax_ce() -> Arrays:
    rng = seeded()
    return {
        "z": rng.normal(size=(8192, 1000)).astype(np.float32),
        "y": rng.integers(0, 1000, 8192).astype(np.int32),
    }


def _matmul(rows: int, depth: int, columns: int) -> Callable[[], Arrays]:
    def make() -> Arrays:
        rng = seeded()
        return {
            "a": rng.normal(size=(rows, depth)).astype(np.float32),
            "b": rng.normal(size=(depth, columns)).astype(np.float32),
        }

    return make


LARGE = (
    "mlp_large", "lstm_large", "attention_large", "conv_layers_3x3_64_56", "conv_layers_3x3_128_56",
)  # fmt: skip
"""Those that keep a GPU busy, and are for it alone."""

_ELEMENTS = sum(int(np.prod(shape)) for shape in optimizer_shapes())

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        *(
            Workload(
                name,
                f"{'-'.join(map(str, net.sizes))}, {ACTIVATIONS[net.activation]}, cross entropy, "
                f"batch {net.batch}, SGD",
                partial(_dense, net),
                _dense_flops(net),
                0,
                name in LARGE,
            )
            for name, net in DENSE.items()
        ),
        Workload(
            "pointwise",
            "mean(layernorm(gelu(x * a + b)) * sigmoid(x)), x 4096x1024, gradients to x, a, b",
            _pointwise,
            0,
            2 * 4 * 4096 * 1024,
        ),
        Workload(
            "optimizer",
            "Adam over 200 parameters of mixed sizes, cost sum(p * g)",
            _optimizer,
            0,
            28 * _ELEMENTS,
        ),
        Workload(
            "softmax_ce",
            "cross entropy of 8192x1000 scores and its gradient",
            _softmax_ce,
            0,
            2 * 4 * 8192 * 1000,
        ),
        *(
            Workload(
                name,
                f"{net.kind}, T = {net.steps}, batch {net.batch}, {net.inputs}-{net.hidden}, cross "
                f"entropy {'at every step' if net.every else 'of the last state'}, SGD",
                net.make,
                net.flops,
                0,
                name in LARGE,
            )
            for name, net in NETS.items()
        ),
        Workload(
            "neural_ode",
            "Euler, 100 steps, batch 32, field 32-64-32 (tanh), squared error of the end, SGD",
            make_ode,
            ODE_FLOPS,
            0,
        ),
        Workload(
            "viterbi",
            "the forward score of a chain of 50 states, T = 500, batch 8, and its gradients by "
            "scores and weights",
            make_viterbi,
            VITERBI_FLOPS,
            0,
        ),
        *(
            Workload(
                name,
                f"a net 64-64-10, ReLU, batch 64, its 4,810 weights from a net 16-128-4810, one "
                f"set for {'each sample' if each else 'the batch'}, cross entropy, SGD",
                partial(make_hypernet, each),
                hypernet_flops(each),
                0,
            )
            for name, each in HYPERNETS.items()
        ),
        Workload(
            "generate",
            f"{STEPS} symbols after a prompt of 16, one text, by a Transformer of 2 layers of 128, "
            "4 heads, keys and values kept",
            make_generate,
            GENERATE_FLOPS,
            0,
        ),
        Workload(
            "moe",
            "a mixture of 4 experts 64-128-10, ReLU, batch 256, cross entropy, SGD",
            make_moe,
            moe_flops(),
            0,
        ),
        *(
            Workload(name, net.text, net.make, net.flops, 0, name in LARGE)
            for name, net in CONVNETS.items()
        ),
        *(
            Workload(name, net.text, net.make, net.flops, 0, name in LARGE)
            for name, net in ENCODERS.items()
        ),
        Workload(
            "attention_long",
            f"causal attention {LONG} of samples, heads, steps and features, and its gradients",
            make_long,
            long_flops(),
            0,
        ),
        *(Workload(name, one.text, one.make, 0, 0) for name, one in FUNCTIONS.items()),
        *(
            Workload(
                f"matmul_{m}x{k}x{n}",
                f"the product of {m}x{k} and {k}x{n}",
                _matmul(m, k, n),
                2.0 * m * k * n,
                0,
            )
            for m, k, n in MATMUL_SIZES
        ),
    )
}

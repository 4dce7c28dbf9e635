"""The hypernetworks: sizes and data, the same for every peer.

The main net, 64-64-10 with ReLU, has no weights of its own: the hypernetwork, 16-128-4810 with
ReLU, makes all of them from a context, layer by layer, the weight (inputs, outputs) and then the
bias.  There is one context for the batch, or one for each sample.  A step is forward, cross
entropy, backward and SGD with a rate of RATE on the hypernetwork's parameters.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .arrays import Arrays, seeded

RATE = 0.01
BATCH = 64
MAIN = (64, 64, 10)
PIECES = tuple(shape for a, b in pairwise(MAIN) for shape in ((a, b), (b,)))
"""The shapes of the main net's parameters, in their order."""
WEIGHTS = sum(int(np.prod(shape)) for shape in PIECES)
HYPER = (16, 128, WEIGHTS)

HYPERNETS = {"hypernet": False, "hypernet_per_sample": True}
"""Whether each sample has weights of its own."""


def make_hypernet(per_sample: bool) -> Arrays:
    """The hypernetwork's parameters, the batch, and what the weights are made from."""
    rng = seeded()
    arrays: Arrays = {}
    for i, (rows, columns) in enumerate(pairwise(HYPER)):
        # The main net's weights shall begin with a variance of about 1 / 64.
        bound = np.sqrt((6, 3 / 64)[i] / rows)
        arrays[f"w{i}"] = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)
        arrays[f"b{i}"] = np.zeros(columns, np.float32)
    context = (BATCH, HYPER[0]) if per_sample else (HYPER[0],)
    arrays["context"] = rng.normal(size=context).astype(np.float32)
    arrays["x"] = rng.normal(size=(BATCH, MAIN[0])).astype(np.float32)
    arrays["y"] = rng.integers(0, MAIN[-1], BATCH).astype(np.int32)
    return arrays


def hypernet_flops(per_sample: bool) -> float:
    """Those of the products; neither the batch nor the context has a gradient."""

    def net(sizes: tuple[int, ...], rows: int) -> list[float]:
        return [2.0 * rows * a * b for a, b in pairwise(sizes)]

    main, hyper = net(MAIN, BATCH), net(HYPER, BATCH if per_sample else 1)
    return 3 * sum(main + hyper) - main[0] - hyper[0]

"""PyTensor: the hypernetworks; a set for each sample as products with a batch axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Arrays
from ...hypernets import HYPERNETS, PIECES, RATE
from ..common import Job
from .jobs import cross_entropy, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a PyTensor function."""
    import pytensor
    import pytensor.tensor as pt

    u = [pytensor.shared(arrays[f"{kind}{i}"]) for i in range(2) for kind in "wb"]
    each = HYPERNETS[name]
    context = pt.fmatrix("context") if each else pt.fvector("context")
    x, y = pt.fmatrix("x"), pt.ivector("y")
    zero = np.float32(0)

    def net(x: Any, w0: Any, b0: Any, w1: Any, b1: Any) -> Any:
        return pt.maximum(x @ w0 + b0, zero) @ w1 + b1

    w = net(context, *u)
    pieces, begin = [], 0
    for shape in PIECES:
        end = begin + int(np.prod(shape))
        piece = w[..., begin:end]
        # For each sample a matrix, and a bias that a row of products is added to.
        wanted = (-1, *shape) if len(shape) == 2 else (-1, 1, *shape)
        pieces.append(piece.reshape(wanted if each else shape))
        begin = end
    scores = net(x[:, None, :], *pieces)[:, 0, :] if each else net(x, *pieces)
    cost = cross_entropy(scores, y)
    rate = np.float32(RATE)
    updates = [(p, p - rate * g) for p, g in zip(u, pt.grad(cost, u), strict=True)]
    return training([context, x, y], [arrays[k] for k in ("context", "x", "y")], cost, updates)

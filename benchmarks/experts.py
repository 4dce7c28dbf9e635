"""The mixture of experts: sizes and data, the same for every peer.

All four experts are nets 64-128-10 with ReLU, and a linear gate says how much of each expert's
answer is in the result.  A step is forward, cross entropy, backward and SGD with a rate of RATE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import Arrays, seeded

RATE = 0.1
BATCH = 256
EXPERTS = 4
SIZES = (64, 128, 10)


def make_moe() -> Arrays:
    """The gate's parameters, those of all experts with an axis of experts in front, the batch."""
    rng = seeded()
    inputs, hidden, outputs = SIZES

    def uniform(rows: int, *shape: int) -> npt.NDArray[Any]:
        return rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(rows))

    return {
        "wg": uniform(inputs, inputs, EXPERTS),
        "bg": np.zeros(EXPERTS, np.float32),
        "w0": uniform(inputs, EXPERTS, inputs, hidden),
        "b0": np.zeros((EXPERTS, hidden), np.float32),
        "w1": uniform(hidden, EXPERTS, hidden, outputs),
        "b1": np.zeros((EXPERTS, outputs), np.float32),
        "x": rng.normal(size=(BATCH, inputs)).astype(np.float32),
        "y": rng.integers(0, outputs, BATCH).astype(np.int32),
    }


def moe_flops() -> float:
    """Those of the products; the batch has no gradient."""
    inputs, hidden, outputs = SIZES
    first = [2.0 * BATCH * inputs * EXPERTS * hidden, 2.0 * BATCH * inputs * EXPERTS]
    others = [2.0 * BATCH * EXPERTS * hidden * outputs, 2.0 * BATCH * EXPERTS * outputs]
    return 2 * sum(first) + 3 * sum(others)

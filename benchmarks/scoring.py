"""The workload of scoring sequences: a chain of states, and its forward score with gradients."""

from __future__ import annotations

import numpy as np

from .arrays import Arrays, seeded

STEPS, STATES, BATCH = 500, 50, 8

VITERBI_FLOPS = 6.0 * STEPS * BATCH * STATES * STATES
"""Three sums of products: of a step, and of its gradients by the states and by the weights."""


def make_viterbi() -> Arrays:
    """Scores (steps, batch, states), and the weight `w[i, j]` of going from state i to state j.

    Logarithms of probabilities, and of the states' probabilities over their prior ones: the score
    stays near 0, and every system keeps its digits.
    """
    rng = seeded()
    w, x = rng.normal(size=(STATES, STATES)), rng.normal(size=(STEPS, BATCH, STATES))
    w -= np.log(np.exp(w).sum(1, keepdims=True))
    x -= np.log(np.exp(x).mean(2, keepdims=True))
    return {"w": w.astype(np.float32), "x": x.astype(np.float32)}


def agreeing(score: object, *slopes: object) -> list[float]:
    """What the peers must agree on: the score, and the squares of each of its gradients.

    Not their absolute sums: those of probabilities are the numbers of steps and samples.
    """
    return [float(np.asarray(score)), *(float(np.square(np.asarray(s)).sum()) for s in slopes)]

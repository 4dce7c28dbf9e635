"""Whole programs with kernels for one lane and for those of a warp, against the reference.

Steps of training, so that the way back is among the kernels, at sizes around those of a vector.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.runtime.program import CPU, CUDA, Target

from ...lanes import OnLanes

TARGETS = [Target("cpu", 1), CPU, Target("cpu", CUDA.lanes)]
SIZES = [(1, 3), (33, 5)]
"""Samples and steps of each of the two calls."""

Inputs = Callable[[int, int], dict[str, Any]]
Case = tuple[dict[str, Any], Any, Inputs]
RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def recurrent(layer: Callable[..., Any]) -> Case:
    """A recurrent layer with lengths, and a cost of its states."""
    x, lengths = dg.observed("x", ("T", "B", 4)), dg.observed("lengths", ("B",), dg.int32)
    y = dg.observed("y", ("T", "B", 6))
    h, _ = layer(4, 6)(x, lengths=lengths)

    def inputs(batch: int, steps: int) -> dict[str, Any]:
        return {
            "x": normal(steps, batch, 4), "y": normal(steps, batch, 6),
            "lengths": RNG.integers(1, steps + 1, batch).astype(np.int32),
        }  # fmt: skip

    return {"h": h}, dg.mean((h - y) ** 2), inputs


def attention() -> Case:
    """A layer of a transformer, causal."""
    x, y = (dg.observed(name, ("B", "T", 8)) for name in "xy")
    layer = dg.TransformerEncoder(8, heads=2, layers=1, hidden=16, causal=True)
    z = layer(x)
    return {"z": z}, dg.mean((z - y) ** 2), lambda batch, steps: {
        "x": normal(batch, 30 * steps, 8), "y": normal(batch, 30 * steps, 8),
    }  # fmt: skip


def convolutions() -> Case:
    """Convolutions, a pool and a normalisation of the batch, and a classifier."""
    x, y = dg.observed("x", ("B", 3, 12, 12)), dg.observed("y", ("B",), dg.int32)
    net = dg.Chain(
        dg.Conv2d(3, 6, 3, padding=1), dg.BatchNorm(6), dg.relu, dg.MaxPool2d(2),
        dg.Conv2d(6, 8, 3, stride=2), dg.relu, dg.flatten, dg.Linear(32, 5),
    )  # fmt: skip
    scores = net(x)
    return {"s": scores}, dg.cross_entropy(scores, y), lambda batch, _: {
        "x": normal(batch + 1, 3, 12, 12), "y": RNG.integers(0, 5, batch + 1).astype(np.int32),
    }  # fmt: skip


def experts() -> Case:
    """A mixture of which one expert a sample is asked."""
    x, y = dg.observed("x", ("B", 2)), dg.observed("y", ("B", 3))
    mixture = dg.MixtureOfExperts([dg.Linear(2, 3) for _ in range(4)], dg.Linear(2, 4), 2)
    z = mixture(x)
    return {"z": z}, dg.mean((z - y) ** 2), lambda batch, _: {
        "x": normal(batch, 2), "y": normal(batch, 3),
    }  # fmt: skip


def tables() -> Case:
    """Rows of a table, whose gradient is added up at their places, and sorted values."""
    words, y = dg.observed("words", ("B", "T"), dg.int32), dg.observed("y", ("B", 5))
    found = dg.Embedding(40, 5)(words)
    z = dg.sum(dg.sort(found, axis=1) * dg.sigmoid(found), axis=1)
    return {"z": z}, dg.mean((z - y) ** 2), lambda batch, steps: {
        "words": RNG.integers(0, 40, (batch, 20 * steps)).astype(np.int32), "y": normal(batch, 5),
    }  # fmt: skip


def equations() -> Case:
    """Linear systems, and products of sums in logarithms."""
    a, y = dg.observed("a", ("B", "T", "T")), dg.observed("y", ("B", "T", 3))
    w = dg.parameter("w", (3, 3))
    right = dg.logmatmulexp(y, w)
    z = dg.solve(a, right)
    return {"z": z}, dg.mean(z**2), lambda batch, steps: {
        "a": normal(batch, 7 * steps, 7 * steps) + 30 * np.eye(7 * steps, dtype=np.float32),
        "y": normal(batch, 7 * steps, 3),
    }  # fmt: skip


def factors() -> Case:
    """Factors with orthonormal columns, and values in order."""
    a, y = dg.observed("a", ("B", "T", "T")), dg.observed("y", ("B", "T", 3))
    w = dg.parameter("w", (3, 3))
    q, r = dg.qr(y @ w)
    z = dg.concatenate([q @ r, dg.svdvals(a)[..., None], dg.eigh(a)[0][..., None]], -1)
    return {"z": z}, dg.mean(z**2), lambda batch, steps: {
        "a": normal(batch, 7 * steps, 7 * steps), "y": normal(batch, 7 * steps, 3),
    }  # fmt: skip


CASES: dict[str, Callable[[], Case]] = {
    "rnn": lambda: recurrent(dg.RNN),
    "lstm": lambda: recurrent(dg.LSTM),
    "attention": attention,
    "convolutions": convolutions,
    "experts": experts,
    "tables": tables,
    "equations": equations,
    "factors": factors,
}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_reference(name: str) -> None:
    outputs, cost, inputs = CASES[name]()
    reference = dg.Diagram(name, outputs, cost=cost).compile(
        dg.SGD(0.05, momentum=0.9), target="reference", seed=1
    )
    calls = [inputs(*sizes) for sizes in SIZES]
    execution = reference.execution("step", calls[0])
    runs = [OnLanes(execution, target) for target in TARGETS]
    for run, target in zip(runs, TARGETS, strict=True):
        assert {kernel.lanes for kernel in run.template.kernels} == {target.lanes}
    for call in calls:
        expected = reference.step(**call)
        for run in runs:
            (found,) = run(call).values()
            np.testing.assert_allclose(found, expected, rtol=2e-5)
            for state, array in reference.states.items():
                np.testing.assert_allclose(
                    run.states[state], array, rtol=2e-4, atol=2e-5, err_msg=state
                )

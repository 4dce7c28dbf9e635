"""PyTensor: what its jobs are made of."""

from __future__ import annotations

from typing import Any

from ..common import Job
from ..common import training as steps


def compiled(inputs: Any, outputs: Any, updates: Any = None) -> Any:
    """Its function, which trusts the types of what it is given."""
    import pytensor

    function = pytensor.function(inputs, outputs, updates=updates, mode="NUMBA")
    function.trust_input = True
    return function


def training(inputs: Any, values: list[Any], cost: Any, updates: Any) -> Job:
    """Steps that make the updates; each gives its cost."""
    function = compiled(inputs, cost, updates)
    return steps(lambda: float(function(*values)))


def cross_entropy(scores: Any, y: Any) -> Any:
    """The mean over rows of scores, `y` the right columns."""
    import pytensor.tensor as pt

    rows = pt.arange(scores.shape[0])
    return -pt.special.log_softmax(scores, axis=-1)[rows, y].mean()

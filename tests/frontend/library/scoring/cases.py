"""What the tests of scoring share: random machines, and all of their paths, written out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg

Array = npt.NDArray[Any]
Arc = tuple[int, int, int, float]


@dataclass
class Case:
    """A machine as plain numbers."""

    states: int
    labels: int
    arcs: list[Arc]
    start: dict[int, float]
    final: dict[int, float]

    def machine(self, weights: Any = True, dtype: Any = "float64", name: str = "m") -> Any:
        return dg.wfsm(
            self.states, self.arcs, self.start, self.final, self.labels, weights, dtype, name
        )

    def paths(
        self, scores: Array, weights: Array | None = None
    ) -> list[tuple[float, list[int], list[int]]]:
        """Score, labels and states of every path through scores of shape (T, labels)."""
        extra = np.zeros(len(self.arcs)) if weights is None else weights
        found = []
        for first in self.start:
            for chosen in itertools.product(range(len(self.arcs)), repeat=len(scores)):
                states, labels, total = [first], [], self.start[first]
                for t, e in enumerate(chosen):
                    source, target, label, weight = self.arcs[e]
                    if source != states[-1]:
                        break
                    states.append(target)
                    labels.append(label)
                    total += weight + extra[e] + scores[t, label]
                else:
                    if states[-1] in self.final:
                        found.append((total + self.final[states[-1]], labels, states))
        return found


def log_sum(values: Any) -> float:
    return float(np.logaddexp.reduce(np.asarray(values), initial=-np.inf))


TIED = Case(
    2,
    2,
    [(0, 1, 0, 0.0), (1, 0, 1, 0.3), (0, 1, 1, -0.4), (1, 1, 0, 0.1)],
    {0: 0.2},
    {1: 0.5, 0: 0.0},
)
"""Several arcs between two states, of other labels."""
COMPLETE = Case(
    3, 3, [(i, j, j, 0.3 * i - 0.2 * j * i) for i in range(3) for j in range(3)],
    {0: 0.1, 1: -0.4, 2: 0.0}, {0: 0.0, 1: 0.3, 2: -0.2},
)  # fmt: skip
"""A chain: every state after every state, and its label is the state."""
BEGUN = Case(
    3, 2, [(i, j, j - 1, 0.3 * i - 0.2 * j) for i in range(3) for j in (1, 2)], {0: 0.0},
    {1: 0.0, 2: 0.0},
)  # fmt: skip
"""A chain behind a state in which it begins."""
ABSENT = Case(
    3, 3, [(0, 0, 0, -np.inf), (0, 1, 1, 0.5), (1, 2, 2, 0.1), (2, 0, 0, -np.inf), (1, 1, 1, 0.0)],
    {0: 0.0}, {2: 0.0},
)  # fmt: skip
"""Arcs that are as good as absent, and states that some steps cannot reach."""
ALONE = Case(1, 1, [(0, 0, 0, 0.25)], {0: 0.0}, {0: 0.0})
NONE = Case(2, 1, [], {0: 1.0}, {0: 0.5})
"""No arcs: paths of no step alone."""
CASES = {
    "tied": TIED, "complete": COMPLETE, "begun": BEGUN, "absent": ABSENT, "alone": ALONE,
    "none": NONE,
}  # fmt: skip

"""All states of a small machine, and what is exactly true of it: NumPy, written out."""

import itertools
from typing import Any

import numpy as np


def states(units: int, low: int) -> Any:
    """Every state, (2 ** units, units)."""
    return np.array([*itertools.product((float(low), 1.0), repeat=units)])


def pair_energy(y: Any, weight: Any, bias: Any) -> Any:
    """Pair after pair."""
    energy = np.zeros(len(y))
    for i, j in itertools.combinations(range(len(weight)), 2):
        energy -= weight[i, j] * y[:, i] * y[:, j]
    return energy - y @ bias


def probabilities(energy: Any) -> Any:
    weights = np.exp(energy.min() - energy)
    return weights / weights.sum()


def symmetric(units: int, rng: Any, scale: float = 0.5) -> Any:
    upper = np.triu(rng.normal(size=(units, units)), 1) * scale
    return upper + upper.T


def moments(y: Any, probability: Any = None) -> tuple[Any, Any]:
    """Means, and means of products of different units; of samples, or of all states."""
    if probability is None:
        probability = np.full(len(y), 1 / len(y))
    products = (y * probability[:, None]).T @ y
    np.fill_diagonal(products, 0)
    return probability @ y, products

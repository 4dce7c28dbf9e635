"""What all workloads share: arrays by name, and where their numbers come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


def seeded() -> np.random.Generator:
    """The generator of every workload's data."""
    return np.random.default_rng(20261120)

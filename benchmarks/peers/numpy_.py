"""NumPy, for the matrix products and single functions alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Arrays
from ..functions import FUNCTIONS, placed
from .common import Job, repeated

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sort": np.sort,
    "topk": lambda x: np.sort(np.partition(x, -8, -1)[..., -8:])[..., ::-1],
    "median": lambda x: np.median(x, -1),
    "cumprod": lambda x: np.cumprod(x, -1),
    "take_along_axis": lambda x, i: np.take_along_axis(x, i, -1),
    "cholesky": np.linalg.cholesky,
}


def build(name: str, arrays: Arrays) -> Job:
    """A matrix product or a function; LookupError for another workload."""
    if name in FUNCTIONS:
        return _job(_FUNCTIONS[FUNCTIONS[name].kind], arrays, placed)
    if not name.startswith("matmul"):
        raise LookupError(name)
    return _job(np.matmul, arrays, lambda value: [float(np.abs(value).sum())])


def _job(function: Any, arrays: Arrays, result: Callable[[Any], list[float]]) -> Job:
    held: list[np.ndarray] = []

    def step() -> None:
        held[:] = [function(*arrays.values())]

    return Job(step, repeated(step), lambda: result(held[0]))


def set_threads(threads: int) -> None:
    """Too late for OpenBLAS, which has started with NumPy: `run` sets its variable before."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)

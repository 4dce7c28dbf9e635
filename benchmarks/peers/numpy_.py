"""NumPy, for the matrix products alone."""

from __future__ import annotations

import os

import numpy as np

from ..workloads import Arrays
from .common import Job, repeated


def build(name: str, arrays: Arrays) -> Job:
    """A matrix product; LookupError for another workload."""
    if not name.startswith("matmul"):
        raise LookupError(name)
    held: list[np.ndarray] = []

    def step() -> None:
        held[:] = [arrays["a"] @ arrays["b"]]

    return Job(step, repeated(step), lambda: [float(np.abs(held[0]).sum())])


def set_threads(threads: int) -> None:
    """Too late for OpenBLAS, which has started with NumPy: `run` sets its variable before."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)

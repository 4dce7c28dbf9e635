"""PyTensor with its Numba backend: one compiled function a step, shared variables updated."""

from __future__ import annotations

import os
from importlib import import_module

from ...arrays import Arrays
from ..common import Job, kind_of


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a PyTensor function."""
    job: Job = import_module(f".{kind_of(name)}", __package__).build(name, arrays)
    return job


def set_threads(threads: int) -> None:
    """Use this many threads in NumPy's products."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    os.environ["NUMBA_NUM_THREADS"] = str(threads)

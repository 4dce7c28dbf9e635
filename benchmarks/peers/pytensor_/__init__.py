"""PyTensor with its Numba backend: one compiled function a step, shared variables updated."""

from __future__ import annotations

import os

from ...arrays import Arrays
from ...hypernets import HYPERNETS
from ...recurrent import NETS
from ..common import Job
from . import hypernets, plain, recurrent


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a PyTensor function."""
    if name in NETS or name == "neural_ode":
        return recurrent.build(name, arrays)
    if name in HYPERNETS:
        return hypernets.build(name, arrays)
    return plain.build(name, arrays)


def set_threads(threads: int) -> None:
    """Use this many threads in NumPy's products."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    os.environ["NUMBA_NUM_THREADS"] = str(threads)

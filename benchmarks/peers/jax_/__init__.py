"""JAX: one jitted function a step, parameters donated."""

from __future__ import annotations

import os
from importlib import import_module

from ...arrays import Arrays
from ..common import Job, kind_of


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a jitted function."""
    job: Job = import_module(f".{kind_of(name)}", __package__).build(name, arrays)
    return job


def set_target(target: str) -> None:
    """Compute on the GPU, in float32 proper, for it would have TF32; set before JAX starts."""
    os.environ["JAX_PLATFORMS"] = target
    os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"


def set_threads(threads: int) -> None:
    """Use this many threads: the processors that the process may use, set before JAX starts."""
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"

"""diagrad."""

from __future__ import annotations

import os
from importlib import import_module

from ...arrays import Arrays
from ..common import Job, kind_of
from . import jobs


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    job: Job = import_module(f".{kind_of(name)}", __package__).build(name, arrays)
    return job


def set_target(target: str) -> None:
    """Compile for this; called before anything is built."""
    jobs.set_target(target)


def set_threads(threads: int) -> None:
    """Use this many threads; called before anything is built."""
    os.environ["DIAGRAD_THREADS"] = str(threads)

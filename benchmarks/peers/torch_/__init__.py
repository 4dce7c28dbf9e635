"""PyTorch, eager and compiled; convolutions in its own layout and channels-last."""

from __future__ import annotations

from importlib import import_module

import torch

from ...arrays import Arrays
from ..common import Job, kind_of, waited
from .feeding import device, set_device


def build(name: str, arrays: Arrays, compiled: bool = False, channels_last: bool = False) -> Job:
    """The workload; `compiled` puts its forward function under torch.compile."""
    kind = kind_of(name)
    options = {"channels_last": channels_last} if kind == "convnets" else {}
    module = import_module(f".{kind}", __package__)
    with torch.device(device()):
        job: Job = module.build(name, arrays, compiled, **options)
    return waited(job, torch.cuda.synchronize) if device() == "cuda" else job


def set_target(target: str) -> None:
    """Compute on the GPU; called before anything is built."""
    set_device(target)


def set_threads(threads: int) -> None:
    """Use this many threads."""
    torch.set_num_threads(threads)

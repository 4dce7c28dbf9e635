"""PyTorch, eager and compiled; convolutions in its own layout and channels-last."""

from __future__ import annotations

import torch

from ...arrays import Arrays
from ...attention import ATTENTIONS
from ...convnets import CONVNETS
from ...hypernets import HYPERNETS
from ...recurrent import NETS
from ..common import Job
from . import attention, convnets, experts, generation, hypernets, plain, recurrent, scoring


def build(name: str, arrays: Arrays, compiled: bool = False, channels_last: bool = False) -> Job:
    """The workload; `compiled` puts its forward function under torch.compile."""
    if name in NETS or name == "neural_ode":
        return recurrent.build(name, arrays, compiled)
    if name == "viterbi":
        return scoring.build(arrays, compiled)
    if name in HYPERNETS:
        return hypernets.build(name, arrays, compiled)
    if name in CONVNETS:
        return convnets.build(name, arrays, compiled, channels_last)
    if name in ATTENTIONS:
        return attention.build(name, arrays, compiled)
    if name == "moe":
        return experts.build(name, arrays, compiled)
    if name == "generate":
        return generation.build(arrays, compiled)
    return plain.build(name, arrays, compiled)


def set_threads(threads: int) -> None:
    """Use this many threads."""
    torch.set_num_threads(threads)

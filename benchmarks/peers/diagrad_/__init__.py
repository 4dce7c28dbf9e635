"""diagrad."""

from __future__ import annotations

import os

from ...arrays import Arrays
from ...attention import ATTENTIONS
from ...convnets import CONVNETS
from ...hypernets import HYPERNETS
from ...recurrent import NETS
from ..common import Job
from . import attention, convnets, experts, generation, hypernets, plain, recurrent, scoring


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    if name in NETS or name == "neural_ode":
        return recurrent.build(name, arrays)
    if name == "viterbi":
        return scoring.build(arrays)
    if name in HYPERNETS:
        return hypernets.build(name, arrays)
    if name in CONVNETS:
        return convnets.build(name, arrays)
    if name in ATTENTIONS:
        return attention.build(name, arrays)
    if name == "moe":
        return experts.build(name, arrays)
    if name == "generate":
        return generation.build(arrays)
    return plain.build(name, arrays)


def set_threads(threads: int) -> None:
    """Use this many threads; called before anything is built."""
    os.environ["DIAGRAD_THREADS"] = str(threads)

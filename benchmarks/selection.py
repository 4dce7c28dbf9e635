"""Which workloads and which peers a command line means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .attention import ATTENTIONS
from .convnets import CONVNETS, SINGLES
from .functions import FUNCTIONS
from .recurrent import NETS
from .workloads import WORKLOADS

PEERS = ("diagrad", "torch", "torch.channels_last", "torch.compile", "jax", "pytensor", "numpy")

PRODUCT_PEERS = ("diagrad", "numpy", "torch")
CONVNET_PEERS = ("diagrad", "torch", "torch.channels_last", "torch.compile", "jax")
ATTENTION_PEERS = ("diagrad", "torch", "torch.compile", "jax")
FUNCTION_PEERS = ("diagrad", "numpy", "torch")
LAYER_PEERS = {
    "diagrad": "diagrad", "torch": "torch", "torch.channels_last": "channels-last", "jax": "jax",
}  # fmt: skip
"""Of a convolution alone, and what its table calls them; a compiler leaves such a call as it is."""

WRITES_OUT = ("torch.compile", "pytensor")
"""Peers that compile for minutes where a net has many steps."""


ON_CUDA = ("diagrad", "torch", "torch.channels_last", "torch.compile", "jax")
"""Peers that have a GPU to compute on."""


def workloads_for(target: str) -> list[str]:
    """All that are measured there: large ones only on a GPU."""
    return [name for name, one in WORKLOADS.items() if target == "cuda" or not one.large]


def workloads_named(words: Sequence[str], target: str = "cpu") -> list[str]:
    """Workloads by name; the first part of a name means all that have it, as `matmul` does.

    A large one is meant on the processor only by its whole name.

    Raises:
        LookupError: No workload has that name or that part.
    """
    found: list[str] = []
    for word in words:
        every = workloads_for(target)
        some = [word] if word in WORKLOADS else [w for w in every if w.startswith(f"{word}_")]
        if not some:
            raise LookupError(f"no workload is named {word!r}; there are {', '.join(WORKLOADS)}")
        found += [name for name in some if name not in found]
    return found


def peers_for(workload: str, peers: Sequence[str], target: str = "cpu") -> list[str]:
    """Those of the peers that run a workload on the target, in the order given."""
    if workload.startswith("matmul"):
        able: Collection[str] = ATTENTION_PEERS if target == "cuda" else PRODUCT_PEERS
    elif workload in SINGLES:
        able = LAYER_PEERS
    elif workload in FUNCTIONS:
        able = FUNCTION_PEERS
    elif workload in CONVNETS:
        able = CONVNET_PEERS
    elif workload in ATTENTIONS or workload == "generate":
        able = ATTENTION_PEERS
    else:
        able = [peer for peer in PEERS if peer not in ("numpy", "torch.channels_last")]
        if workload in NETS and NETS[workload].long:
            able = [peer for peer in able if peer not in WRITES_OUT]
        elif workload in ("viterbi", "moe"):
            able = [peer for peer in able if peer != "pytensor"]
    return [peer for peer in peers if peer in able and (target == "cpu" or peer in ON_CUDA)]

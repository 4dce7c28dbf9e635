"""PyTorch: where it computes, and how it gets there what the host has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_device = "cpu"


def set_device(device: str) -> None:
    """Compute there from now on, in float32 proper: convolutions would have TF32."""
    global _device
    _device = device
    torch.backends.cudnn.allow_tf32 = False


def device() -> str:
    """Where tensors are made that name no device."""
    return _device


def fed(*tensors: Any) -> Callable[[], tuple[Any, ...]]:
    """A function that gives a step its batch, on a GPU a copy of what the host holds, pinned."""
    if _device == "cpu":
        return lambda: tensors
    held = [tensor.cpu().pin_memory() for tensor in tensors]
    return lambda: tuple(tensor.to(_device, non_blocking=True) for tensor in held)

"""Weights of attention as PyTorch lays them out: queries, keys and values one below the other."""

from __future__ import annotations

from ..layers import Linear
from ..torch_names import Stored


def side_by_side(*layers: Linear) -> Stored:
    """The weights of linear layers as one of more outputs."""
    return Stored(tuple(item.weight for item in layers), outputs_last=True)


def biases(name: str, *layers: Linear) -> dict[str, Stored]:
    """Their biases, if they have some."""
    held = tuple(item.bias for item in layers if item.bias is not None)
    return {name: Stored(held)} if held else {}

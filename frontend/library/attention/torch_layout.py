"""Weights as PyTorch lays them out: blocks say under which name each is stored, and how.

PyTorch has (outputs, inputs) where we have (inputs, outputs), and in its attention the weights of
queries, keys and values in one array, one below the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...drawing.blocks import Block
from ...location import user_location
from ...variables.variable import Variable
from ..init import Array
from ..layers import Linear
from ..normalisation import LayerNorm
from ..torch_names import Trained, arrays_of, held_array, store


@dataclass(frozen=True, eq=False)
class Stored:
    """Parameters that PyTorch has under one name, one below the other: as ours or transposed."""

    variables: tuple[Variable, ...]
    transposed: bool = False

    @property
    def rows(self) -> list[int]:
        """How many rows each has in PyTorch's array."""
        return [item.type.extents[-1 if self.transposed else 0] for item in self.variables]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of PyTorch's array."""
        extents = self.variables[0].type.extents
        return (sum(self.rows), *(extents[:-1] if self.transposed else extents[1:]))


def linear(prefix: str, layer: Linear) -> dict[str, Stored]:
    """What PyTorch stores of a linear layer."""
    return {f"{prefix}weight": side_by_side(layer)} | biases(f"{prefix}bias", layer)


def side_by_side(*layers: Linear) -> Stored:
    """The weights of linear layers as one of more outputs."""
    return Stored(tuple(item.weight for item in layers), transposed=True)


def biases(name: str, *layers: Linear) -> dict[str, Stored]:
    """Their biases, if they have some."""
    held = tuple(item.bias for item in layers if item.bias is not None)
    return {name: Stored(held)} if held else {}


def norm(prefix: str, layer: LayerNorm) -> dict[str, Stored]:
    """What it stores of a norm."""
    held = {"weight": layer.weight, "bias": layer.bias}
    return {f"{prefix}{key}": Stored((item,)) for key, item in held.items() if item is not None}


def under(prefix: str, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """What is stored of a part, by the names of the whole."""
    return {f"{prefix}{key}": item for key, item in stored.items()}


class TorchNamed(Block):
    """A block whose weights PyTorch has too, in one module."""

    def _torch(self) -> dict[str, Stored]:
        """What is stored under each of PyTorch's names, in its order."""
        raise NotImplementedError

    def load_torch(self, program: Trained, weights: Mapping[str, Any], prefix: str = "") -> None:
        """Put PyTorch's weights into the parameters that a program holds for this block.

        Args:
            program: compiled from a diagram in which the block is.
            weights: arrays or tensors by PyTorch's names, as `state_dict()` gives.
            prefix: of those names that are meant, such as "encoder."; others are left alone.

        Raises:
            InputError: a name that is missing or unknown, another shape, or a program in which
                the block is not; nothing has changed then.
        """
        subject = f"load_torch of {self._describe()} ({user_location()})"
        held = self._torch()
        given = arrays_of(subject, weights, prefix, {key: item.shape for key, item in held.items()})
        pairs: list[tuple[Variable, Array]] = []
        for key, item in held.items():
            parts = np.split(given[key], np.cumsum(item.rows)[:-1])
            for variable, part in zip(item.variables, parts, strict=True):
                pairs.append((variable, part.T if item.transposed else part))
        store(subject, program, pairs)

    def torch_weights(self, program: Trained) -> dict[str, Array]:
        """The parameters that a program holds for this block, by PyTorch's names, as copies.

        Raises:
            InputError: a program in which the block is not.
        """
        subject = f"torch_weights of {self._describe()} ({user_location()})"
        found: dict[str, Array] = {}
        for key, item in self._torch().items():
            parts = [held_array(subject, program, variable) for variable in item.variables]
            found[key] = np.concatenate([part.T if item.transposed else part for part in parts])
        return found

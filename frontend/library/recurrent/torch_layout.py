"""Weights of recurrent blocks as PyTorch lays them out, in and out of a program's parameters.

PyTorch has (gates * hidden, inputs) where we have (inputs, gates * hidden), with the gates in the
same order, and two biases where one would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...location import user_location
from ...variables.variable import Variable
from ..init import Array
from ..torch_names import Trained, arrays_of, held_name, store
from .cells import Cell, GRUCell

Cells = Sequence[tuple[str, Cell]]


def load_torch(
    block: str, cells: Cells, program: Trained, weights: Mapping[str, Any], prefix: str
) -> None:
    """Put PyTorch's weights into a program's parameters; nothing has changed where it raises.

    Args:
        block: the block's description, for messages.
        cells: by name (`l0`, `l0_reverse`), in PyTorch's order.
        program: holds the parameters.
        weights: arrays or tensors by PyTorch's names.
        prefix: of the names that are meant.
    """
    subject = f"load_torch of {block} ({user_location()})"
    expected = {key: shape for cell in cells for key, shape in _shapes(subject, *cell).items()}
    given = arrays_of(subject, weights, prefix, expected)
    pairs: list[tuple[Variable, Array]] = []

    for way, cell in cells:
        pairs.append((cell.weight, given[f"weight_ih_{way}"].T))
        pairs.append((cell.recurrent, given[f"weight_hh_{way}"].T))
        if cell.bias is None:
            continue
        first, second = given[f"bias_ih_{way}"], np.array(given[f"bias_hh_{way}"])
        if isinstance(cell, GRUCell) and cell.recurrent_bias is not None:
            pairs.append((cell.recurrent_bias, second[2 * cell.hidden :].copy()))
            second[2 * cell.hidden :] = 0
        pairs.append((cell.bias, first + second))
    store(subject, program, pairs)


def torch_weights(block: str, cells: Cells, program: Trained) -> dict[str, Array]:
    """The parameters that a program holds for these cells, by PyTorch's names, as copies."""
    subject = f"torch_weights of {block} ({user_location()})"
    found: dict[str, Array] = {}

    def array_of(variable: Variable) -> Array:
        return program.parameters[held_name(subject, program, variable)]

    for way, cell in cells:
        _shapes(subject, way, cell)
        found[f"weight_ih_{way}"] = np.ascontiguousarray(array_of(cell.weight).T)
        found[f"weight_hh_{way}"] = np.ascontiguousarray(array_of(cell.recurrent).T)
        if cell.bias is None:
            continue
        found[f"bias_ih_{way}"] = array_of(cell.bias).copy()
        found[f"bias_hh_{way}"] = second = np.zeros_like(array_of(cell.bias))
        if isinstance(cell, GRUCell) and cell.recurrent_bias is not None:
            second[2 * cell.hidden :] = array_of(cell.recurrent_bias)
    return found


def _shapes(subject: str, way: str, cell: Cell) -> dict[str, tuple[int, ...]]:
    """PyTorch's names and shapes of the weights of one cell."""
    if isinstance(cell, GRUCell) and not (cell.reset_after and cell.update == "old"):
        raise ValueError(
            f'{subject} expects reset_after=True and update="old", PyTorch\'s formulas, got '
            f'reset_after={cell.reset_after} and update="{cell.update}"'
        )
    rows = cell.gates * cell.hidden
    shapes: dict[str, tuple[int, ...]] = {
        f"weight_ih_{way}": (rows, cell.inputs),
        f"weight_hh_{way}": (rows, cell.hidden),
    }
    if cell.bias is not None:
        shapes |= {f"bias_ih_{way}": (rows,), f"bias_hh_{way}": (rows,)}
    return shapes

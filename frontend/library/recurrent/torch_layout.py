"""Weights of recurrent blocks as PyTorch lays them out, in and out of a program's parameters.

PyTorch has (gates * hidden, inputs) where we have (inputs, gates * hidden), with the gates in the
same order, and two biases where one would do.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import numpy as np

from ...drawing.drawing import Drawing
from ...errors import InputError
from ...location import user_location
from ...variables.dependencies import resolve_ties
from ...variables.variable import Variable, shape_text, source_text
from ..init import Array
from .cells import Cell, GRUCell

Cells = Sequence[tuple[str, Cell]]


class Trained(Protocol):
    """A program, as far as its weights matter: programs are made in a later room."""

    @property
    def diagram(self) -> Drawing:
        """What it was compiled from."""

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The arrays of the free parameters, by path."""


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
    given = {
        key.removeprefix(prefix): _array(value)
        for key, value in weights.items()
        if key.startswith(prefix)
    }
    expected = {key: shape for cell in cells for key, shape in _shapes(subject, *cell).items()}
    missing = [prefix + key for key in expected if key not in given]
    unknown = [prefix + key for key in given if key not in expected]
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"does not know {', '.join(unknown)}"] if unknown else []
        raise InputError(
            f"{subject} {' and '.join(parts)}: it expects {', '.join(prefix + k for k in expected)}"
        )
    for key, shape in expected.items():
        found = given[key]
        if found.shape != shape or not np.can_cast(found.dtype, np.float32, "same_kind"):
            raise InputError(
                f"{subject} expects floats of shape {shape_text(shape)} for {prefix}{key}, got "
                f"{found.dtype} {shape_text(found.shape)}"
            )
    values: dict[str, Array] = {}

    def put(variable: Variable, value: Array) -> None:
        name = _held(subject, program, variable)
        if not np.array_equal(values.setdefault(name, value), value, equal_nan=True):
            raise InputError(
                f"{subject} expects one value of '{name}', which several cells share, got two"
            )

    for way, cell in cells:
        put(cell.weight, given[f"weight_ih_{way}"].T)
        put(cell.recurrent, given[f"weight_hh_{way}"].T)
        if cell.bias is None:
            continue
        first, second = given[f"bias_ih_{way}"], np.array(given[f"bias_hh_{way}"])
        if isinstance(cell, GRUCell) and cell.recurrent_bias is not None:
            put(cell.recurrent_bias, second[2 * cell.hidden :].copy())
            second[2 * cell.hidden :] = 0
        put(cell.bias, first + second)
    for name, value in values.items():
        program.parameters[name] = value


def torch_weights(block: str, cells: Cells, program: Trained) -> dict[str, Array]:
    """The parameters that a program holds for these cells, by PyTorch's names, as copies."""
    subject = f"torch_weights of {block} ({user_location()})"
    found: dict[str, Array] = {}

    def array_of(variable: Variable) -> Array:
        return program.parameters[_held(subject, program, variable)]

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


def _held(subject: str, program: Trained, variable: Variable) -> str:
    """The name under which a program holds a parameter, its own or one that it is tied to."""
    variable = resolve_ties(variable)
    if variable.kind != "parameter":
        raise InputError(
            f"{subject} expects weights that are parameters, got one of {source_text(variable)}: "
            "load into the parameters that it depends on"
        )
    name = program.diagram.names.get(variable)
    if name is None:
        raise InputError(
            f"{subject} expects a program of a diagram in which the block is, got one of "
            f"'{program.diagram.name}' ({program.diagram.where})"
        )
    return name


def _array(value: Any) -> Array:
    """An array of an array or of a PyTorch tensor."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)

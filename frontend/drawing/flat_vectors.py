"""Several parameters as one flat vector, and what stands for parameters of a block.

The parameters have an order, that of `Block.parameters()`; each is row-major in the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim
from ..errors import DiagramError, ShapeError
from ..location import user_location
from ..operations.structure import concatenate, reshape
from ..variables.applying import apply
from ..variables.kinds import FlatParts
from ..variables.numbers import refuse_masked
from ..variables.variable import Variable, shape_text


@dataclass(frozen=True, eq=False)
class Source:
    """A variable that holds parameters of a block, with a leading axis of samples or without.

    Attributes:
        variable: one parameter, or several as a flat vector.
        parameters: which it holds, by name.
        flat: whether they are a vector.
        samples: the leading extent, where every sample has its own.
    """

    variable: Variable
    parameters: Mapping[str, Variable]
    flat: bool
    samples: Dim | None

    def values(self, port: Variable) -> dict[Variable, Variable]:
        """What stands for each parameter, made of the variable's port inside of the block."""
        if not self.flat:
            return dict.fromkeys(self.parameters.values(), port)
        parameters = list(self.parameters.values())
        return dict(zip(parameters, split_flat(port, parameters), strict=True))


def element_count(variables: Mapping[str, Variable]) -> int:
    """The number of elements of variables of fixed shape."""
    return sum(prod(item.type.extents) for item in variables.values())


def split_flat(vector: Variable, parameters: Sequence[Variable]) -> list[Variable]:
    """The parts of vectors along the last axis that stand for parameters, and have their names."""
    shapes = [item.type.extents for item in parameters]

    def rule(b: Builder, node: Node) -> tuple[Node, ...]:
        *lead, _ = node.shape
        parts = []
        for shape, end in zip(shapes, _ends(shapes), strict=True):
            start = (*[0] * len(lead), end - prod(shape))
            part = b.slice(node, start=start, stop=(*lead, end), step=(1,) * len(start))
            parts.append(b.reshape(part, shape=(*lead, *shape)))
        return tuple(parts)

    found: Any = apply("cut", rule, [vector], len(shapes), FlatParts, as_stored=True)
    pieces = [found] if len(shapes) == 1 else list(found)
    for piece, parameter in zip(pieces, parameters, strict=True):
        piece.name = parameter.name
    return pieces


def flatten(
    block: str, free: Mapping[str, Variable], values: Mapping[str, Any] | None = None
) -> Any:
    """Parameters of a block, or values by their names, as one vector: `Block.flatten`."""
    if values is None:
        values = free
    _expect_names(block, free, values)
    parts = [values[name] for name in free]
    if any(isinstance(item, Variable) for item in parts):
        return concatenate([reshape(item, -1) for item in parts])
    for name, item in free.items():
        subject = f"flatten of {block} ({user_location()})"
        refuse_masked(f"{subject} expects numbers for '{name}'", values[name])
        if np.shape(values[name]) != item.shape:
            raise ShapeError(
                f"{subject} expects shape {shape_text(item.shape)} for '{name}', got "
                f"{shape_text(np.shape(values[name]))}"
            )
    return np.concatenate([np.reshape(item, -1) for item in parts])


def unflatten(block: str, free: Mapping[str, Variable], vector: Any) -> dict[str, Any]:
    """The parts of vectors by the names of a block's parameters: `Block.unflatten`."""
    shapes = [item.type.extents for item in free.values()]
    total = element_count(free)
    if not isinstance(vector, Variable):
        subject = f"unflatten of {block} ({user_location()})"
        refuse_masked(f"{subject} expects numbers", vector)
        vector = np.asarray(vector)
    if vector.ndim == 0 or vector.shape[-1] != total:
        raise ShapeError(
            f"unflatten of {block} ({user_location()}) expects {total} elements along "
            f"the last axis, got shape {shape_text(vector.shape)}: its parameters are "
            f"{shapes_text(free)}"
        )
    if isinstance(vector, Variable):
        return dict(zip(free, split_flat(vector, list(free.values())), strict=True))
    parts = np.split(vector, _ends(shapes)[:-1], axis=-1)
    lead = vector.shape[:-1]
    return {
        name: part.reshape(*lead, *shape)
        for name, part, shape in zip(free, parts, shapes, strict=True)
    }


def _expect_names(block: str, free: Mapping[str, Variable], values: Mapping[str, Any]) -> None:
    wrong = [name for name in free if name not in values] + [n for n in values if n not in free]
    if wrong or not free:
        raise DiagramError(
            f"flatten of {block} ({user_location()}) expects values for "
            f"{', '.join(free) or 'parameters, of which it has none'}, got {', '.join(values)}"
        )


def shapes_text(free: Mapping[str, Variable]) -> str:
    """Parameters with their shapes, for messages: "weight (8, 4), bias (4,)"."""
    return ", ".join(f"{name} {shape_text(item.shape)}" for name, item in free.items())


def _ends(shapes: list[tuple[int, ...]]) -> list[int]:
    return list(accumulate(prod(shape) for shape in shapes))

"""Weights by PyTorch's names, in and out of a program's parameters: what blocks share for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Protocol

import numpy as np

from ..drawing.drawing import Drawing
from ..errors import InputError
from ..variables.dependencies import resolve_ties
from ..variables.variable import Variable, shape_text, source_text
from .init import Array


class Trained(Protocol):
    """A program, as far as its weights matter: programs are made in a later room."""

    @property
    def diagram(self) -> Drawing:
        """What it was compiled from."""

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The arrays of the free parameters, by path."""

    @property
    def states(self) -> MutableMapping[str, Array]:
        """Those, and the arrays of states."""


def arrays_of(
    subject: str, weights: Mapping[str, Any], prefix: str, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Arrays of these names and shapes out of PyTorch's, without the prefix.

    InputError for a name that is missing or unknown, for another shape, and for what is no float.
    """
    given = {
        key.removeprefix(prefix): _array(value)
        for key, value in weights.items()
        if key.startswith(prefix)
    }
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
    return given


def store(subject: str, program: Trained, pairs: Iterable[tuple[Variable, Array]]) -> None:
    """Put arrays into the parameters of a program; nothing has changed where it raises."""
    values: dict[str, Array] = {}
    for variable, value in pairs:
        name = held_name(subject, program, variable)
        if not np.array_equal(values.setdefault(name, value), value, equal_nan=True):
            raise InputError(
                f"{subject} expects one value of '{name}', which several cells share, got two"
            )
    for name, value in values.items():
        held = program.parameters if name in program.parameters else program.states
        held[name] = value


def held_array(subject: str, program: Trained, variable: Variable) -> Array:
    """The array that a program holds for a parameter or a state."""
    name = held_name(subject, program, variable)
    return (program.parameters if name in program.parameters else program.states)[name]


def held_name(subject: str, program: Trained, variable: Variable) -> str:
    """The name under which a program holds a parameter, its own or one that it is tied to.

    Or a state.
    """
    variable = resolve_ties(variable)
    if variable.kind not in ("parameter", "state"):
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

"""A program's arrays by name, to be read and to be written: its parameters, and all its states.

Assigning writes into the array, where the program reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...runtime.mutex import Mutex
from ..arguments import shown
from ..errors import InputError
from ..variables.numbers import is_masked
from ..variables.variable import shape_text

Array = npt.NDArray[Any]


class States(MutableMapping[str, Array]):
    """All arrays that a program goes on with, by name: what `save` writes.

    The free parameters by their paths, the diagram's states by theirs, the optimizer's arrays
    (`optimizer/...`), and the program's own `step` and `random_key`.
    """

    def __init__(self, workspace: Mutex, make: Callable[[Array], Array]) -> None:
        self._workspace = workspace
        self._make = make
        self._arrays: dict[str, Array] = {}

    def add(self, name: str, array: Array) -> None:
        """Hold one more array, with the values of one that nobody else has."""
        self._arrays[name] = self._make(array)

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            raise KeyError(f"no state '{name}'; there are {', '.join(self._arrays)}")
        return self._arrays[name]

    def __setitem__(self, name: str, value: Any) -> None:
        _write(f"state '{name}'", self[name], value, self._workspace)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a program's states cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return _listed("States", self)


class Parameters(MutableMapping[str, Array]):
    """The free parameters by path: views of the program's own arrays, which can be assigned."""

    def __init__(self, states: Mapping[str, Array], names: Sequence[str], workspace: Mutex) -> None:
        self._states = states
        self._workspace = workspace
        self._names = tuple(names)

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(f"no parameter '{name}'; there are {', '.join(self._names)}")
        return self._states[name]

    def __setitem__(self, name: str, value: Any) -> None:
        _write(f"parameter '{name}'", self[name], value, self._workspace)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a program's parameters cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return _listed("Parameters", self)


def _write(subject: str, target: Array, value: Any, workspace: Mutex) -> None:
    """Copy a value into an array; InputError, said of `subject`, if it does not fit."""
    expected = f"{subject} expects {target.dtype} {shape_text(target.shape)}"
    if is_masked(value):
        raise InputError(f"{expected}, got a masked array: fill it first, with .filled(...)")
    try:
        array = np.asarray(value)
    except Exception as error:  # Whatever the value's own conversion says.
        raise InputError(f"{expected}, got {shown(value)}: {error}") from error
    if array.shape != target.shape or not np.can_cast(array.dtype, target.dtype, "same_kind"):
        raise InputError(f"{expected}, got {array.dtype} {shape_text(array.shape)}")
    workspace.hold(lambda: np.copyto(target, array, casting="same_kind"))


def _listed(title: str, arrays: Mapping[str, Array]) -> str:
    rows = [f"{name}: {item.dtype} {shape_text(item.shape)}" for name, item in arrays.items()]
    return f"{title}(\n  " + "\n  ".join(rows) + "\n)"

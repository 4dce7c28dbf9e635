"""A program's parameters by path: a dict whose arrays can be read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.mutex import Mutex
from .arguments import shown
from .errors import InputError
from .inputs import is_masked
from .variable import shape_text

Array = npt.NDArray[Any]


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
        target = self[name]
        if is_masked(value):
            raise InputError(
                f"parameter '{name}' expects {target.dtype} {shape_text(target.shape)}, got a "
                "masked array: fill it first, with .filled(...)"
            )
        try:
            array = np.asarray(value)
        except Exception as error:  # Whatever the value's own conversion says.
            raise InputError(
                f"parameter '{name}' expects {target.dtype} {shape_text(target.shape)}, got "
                f"{shown(value)}: {error}"
            ) from error
        if array.shape != target.shape or not np.can_cast(array.dtype, target.dtype, "same_kind"):
            raise InputError(
                f"parameter '{name}' expects {target.dtype} {shape_text(target.shape)}, got "
                f"{array.dtype} {shape_text(array.shape)}"
            )
        self._workspace.hold(lambda: np.copyto(target, array, casting="same_kind"))

    def __delitem__(self, name: str) -> None:
        raise TypeError("a program's parameters cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        rows = [f"{n}: {self[n].dtype} {shape_text(self[n].shape)}" for n in self]
        return "Parameters(\n  " + "\n  ".join(rows) + "\n)"

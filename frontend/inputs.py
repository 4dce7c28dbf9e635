"""What a program's call is given: checked, explained where it is wrong, and its sizes bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiler.sizes import Size, evaluate, names
from .errors import InputError
from .variable import Variable, shape_text

Array = npt.NDArray[Any]


class Expected:
    """One input that a program expects: an observed variable, in the program's precision."""

    def __init__(self, name: str, variable: Variable, dtype: str) -> None:
        self.name = name
        self.variable = variable
        self.dtype = np.dtype(dtype)
        self.shape = variable.shape

    def text(self) -> str:
        """The input for messages: "input 'x' (model.py:3) expects float32 (B, 784)"."""
        return (
            f"input '{self.name}' ({self.variable.where}) expects {self.dtype} "
            f"{shape_text(self.shape)}"
        )

    def check(self, value: Any) -> Array:
        """The value as a contiguous native array; InputError for another dtype or shape.

        Arrays must have the dtype; Python numbers and lists are converted.  Strided arrays are
        copied, read-only ones are read where they lie.
        """
        if isinstance(value, Variable):
            raise InputError(f"{self.text()}, got the variable {value!r}: give it an array")
        if not isinstance(value, (np.ndarray, np.generic)):
            try:
                value = np.asarray(value, dtype=self.dtype)
            except (TypeError, ValueError) as error:
                raise InputError(f"{self.text()}, got {type(value).__name__}: {error}") from None
        if value.dtype.newbyteorder("=") != self.dtype:
            raise InputError(
                f"{self.text()}, got {value.dtype} {shape_text(value.shape)}: convert it with "
                f"{self.name}.astype(np.{self.dtype}), nothing is converted silently"
            )
        self._check_shape(value.shape)
        return np.require(value, self.dtype, "CA").reshape(value.shape)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != len(self.shape):
            raise InputError(
                f"{self.text()}, got {shape_text(shape)}: {len(shape)} axes, not {len(self.shape)}"
            )
        for axis, (wanted, got) in enumerate(zip(self.shape, shape, strict=True)):
            if isinstance(wanted, int) and wanted != got:
                raise InputError(
                    f"{self.text()}, got {shape_text(shape)}: axis {axis} has {got} elements, "
                    f"not {wanted}"
                )


def check_names(what: str, expected: Sequence[Expected], given: Mapping[str, Any]) -> None:
    """InputError unless the names given are the names expected."""
    wanted = [item.name for item in expected]
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"got unexpected {', '.join(extra)}"] if extra else []
        raise InputError(
            f"{what} expects inputs {', '.join(wanted) or '(none)'}; {'; '.join(parts)}"
        )


def bind_sizes(what: str, expected: Sequence[Expected], arrays: Sequence[Array]) -> dict[str, int]:
    """The value of every named size; InputError where two inputs disagree."""
    values: dict[str, int] = {}
    sources: dict[str, str] = {}
    for item, array in zip(expected, arrays, strict=True):
        for extent, got in zip(item.shape, array.shape, strict=True):
            name = _single_name(extent)
            if name is None:
                continue
            if values.setdefault(name, got) != got:
                raise InputError(
                    f"{what}: size {name} is {values[name]} in input '{sources[name]}' and {got} "
                    f"in input '{item.name}'"
                )
            sources.setdefault(name, item.name)
    for item, array in zip(expected, arrays, strict=True):
        for axis, (extent, got) in enumerate(zip(item.shape, array.shape, strict=True)):
            if isinstance(extent, Size) and names(extent) <= values.keys():
                wanted = evaluate(extent, values)
                if wanted != got:
                    raise InputError(
                        f"{item.text()}, got {shape_text(array.shape)}: axis {axis} has {got} "
                        f"elements, not {extent} = {wanted}"
                    )
    return values


def _single_name(extent: int | Size) -> str | None:
    if isinstance(extent, int):
        return None
    found = names(extent)
    return next(iter(found)) if len(found) == 1 and str(extent) in found else None

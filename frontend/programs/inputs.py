"""What a program's call is given: checked, explained where it is wrong, and its sizes bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import kind_of
from ...compiler.sizes import Size, evaluate, names
from ..errors import InputError
from ..variables.numbers import is_masked
from ..variables.variable import Variable, shape_text, source_text

Array = npt.NDArray[Any]
_KINDS = "biuf"
"""NumPy's kinds of numbers; what Python's numbers may become stands to the right."""


class Expected:
    """One input that a program expects: an observed variable, in the program's precision."""

    def __init__(self, name: str, variable: Variable, dtype: str) -> None:
        self.name = name
        self.variable = variable
        self.dtype = np.dtype(dtype)
        self.shape = variable.shape
        self._known = [(axis, n) for axis, n in enumerate(self.shape) if isinstance(n, int)]

    def text(self) -> str:
        """The input for messages: "input 'x' (model.py:3) expects float32 (B, 784)"."""
        return (
            f"input '{self.name}' ({self.variable.where}) expects {self.dtype} "
            f"{shape_text(self.shape)}"
        )

    def check(self, value: Any) -> Array:
        """The value as a contiguous, aligned, native array; InputError for another dtype or shape.

        Arrays, and what NumPy reads as one (a PyTorch tensor), must have the dtype. Python numbers
        and lists of them are converted: integers to floats too, but floats to integers never.
        Strided, unaligned and big-endian arrays are copied, read-only ones read where they lie.
        """
        usual = type(value) is np.ndarray and value.dtype is self.dtype
        array = value if usual else self._as_array(value)
        self._check_shape(array.shape)
        if usual and array.flags.c_contiguous and array.flags.aligned:
            return array
        return np.require(array, self.dtype, ["C", "A"]).reshape(array.shape)

    def check_samples(self, value: Any, axis: int) -> Array:
        """The value as an array that holds any number of samples along an axis.

        As `check`, except that an array stays as it lies: of what holds all samples, batches are
        taken.
        """
        array = self._as_array(value)
        self._check_shape(array.shape, axis)
        return array

    def check_placed(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """InputError unless an array that stays where it lies has the dtype and the shape."""
        self._check_dtype(dtype, shape)
        self._check_shape(shape)

    def _as_array(self, value: Any) -> Array:
        if isinstance(value, Variable):
            raise InputError(f"{self.text()}, got {source_text(value)}: give it an array")
        if is_masked(value):
            raise InputError(
                f"{self.text()}, got a masked array: fill it first, with {self.name}.filled(...)"
            )
        try:
            array = self._read(value)
        except Exception as error:  # Whatever the value's own conversion says.
            raise InputError(f"{self.text()}, got {_kind(value)}: {error}") from error
        if kind_of(array.dtype) not in _KINDS:
            got = array.dtype if isinstance(value, np.ndarray) else _kind(value)
            raise InputError(f"{self.text()}, got {got}: give it numbers")
        if isinstance(value, (list, tuple, bool, int, float)) and not isinstance(value, np.generic):
            return self._converted(array, _kind(value))
        self._check_dtype(array.dtype.newbyteorder("="), array.shape)
        return array

    def _read(self, value: Any) -> Array:
        """What NumPy reads of a value; by DLPack, what it does not: another library's bfloat16."""
        try:
            return np.asarray(value)
        except TypeError:
            if self.dtype.name != "bfloat16" or not hasattr(value, "__dlpack__"):
                raise
            from ...runtime.cuda.dlpack import host_array

            return host_array(value)

    def _check_dtype(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype != self.dtype:
            raise InputError(
                f"{self.text()}, got {dtype} {shape_text(shape)}: convert it with "
                f"{self.name}.astype({self._numpys_name()}), nothing is converted silently"
            )

    def _numpys_name(self) -> str:
        return f"{'ml_dtypes' if self.dtype.name == 'bfloat16' else 'np'}.{self.dtype}"

    def _converted(self, array: Array, kind: str) -> Array:
        """Numbers of Python in the dtype, which must hold them."""
        if array.size and _KINDS.index(array.dtype.kind) > _KINDS.index(kind_of(self.dtype)):
            raise InputError(
                f"{self.text()}, got {kind} of {array.dtype.name.rstrip('0123456789')}s"
            )
        with np.errstate(over="ignore"):  # a float that is too large is infinite
            converted = array.astype(self.dtype)
        if self.dtype.kind in "iu" and (converted != array).any():
            value = array[converted != array][0]
            raise InputError(
                f"{self.text()}, got {kind} with {value}, which {self.dtype} cannot hold"
            )
        return converted

    def _check_shape(self, shape: tuple[int, ...], free: int | None = None) -> None:
        """InputError for a shape that does not fit; the extent of the axis `free` may be any."""
        wanted, got = len(self.shape), len(shape)
        if wanted != got:
            more = f": {self.name}[np.newaxis] adds one in front" if wanted == got + 1 else ""
            raise InputError(
                f"{self.text()}, got {shape_text(shape)} with {got} "
                f"{'axis' if got == 1 else 'axes'}, not {wanted}{more}"
            )
        for axis, extent in self._known:
            if shape[axis] != extent and axis != free:
                raise InputError(
                    f"{self.text()}, got {shape_text(shape)}: axis {axis} has {shape[axis]} "
                    f"elements, not {extent}"
                )


def outside(what: str, item: Expected, low: int, high: int, array: Array, place: int) -> InputError:
    """The error about an element (by its place in row-major order) outside of [low, high)."""
    index = tuple(int(i) for i in np.unravel_index(place, array.shape))
    return InputError(
        f"{what}: input '{item.name}' ({item.variable.where}) expects values in [{low}, {high}), "
        f"got {array[index]} at index {index}: nothing was changed"
    )


def _kind(value: Any) -> str:
    """What is said about a value that is no array."""
    return "None" if value is None else type(value).__name__


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
                    f"in input '{item.name}', expected one size"
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

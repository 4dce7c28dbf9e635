"""Numbers of Python and NumPy as arrays of a dtype, which must hold them.

A float may be rounded, and one that is too large for float32 is infinite, as in NumPy.  An integer
never wraps around, and a fraction never loses what follows the point.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import computed, kind_of, to_float
from ..errors import DtypeError

Array = npt.NDArray[Any]


def is_masked(value: Any) -> bool:
    """Whether it is a masked array of NumPy, or a list with one.

    What lies under its mask is not meant to be read.
    """
    masks = sys.modules.get("numpy.ma")  # Not loaded: 10 ms, and nobody has such an array.
    if masks is None:
        return False
    return _holds(value, masks.MaskedArray)


def _holds(value: Any, kind: type[Any]) -> bool:
    """Whether a value is of a class, or an item in a list, at any depth, is."""
    waiting, seen = [value], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, kind):
            return True
        if isinstance(item, (list, tuple)) and id(item) not in seen:  # It may hold itself.
            seen.add(id(item))
            waiting += item
    return False


def refuse_masked(expected: str, value: Any) -> None:
    """TypeError, "EXPECTED, got a masked array", for one: who drops the mask must say so."""
    if is_masked(value):
        raise TypeError(f"{expected}, got a masked array: fill it first, with .filled(...)")


def number_array(subject: str, value: Any) -> Array:
    """Numbers as an array: Python's integers that int64 cannot hold stay objects.

    Raises:
        TypeError: something that is no number.
    """
    refuse_masked(f"{subject} expects numbers", value)
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise TypeError(f"{subject} expects numbers, got {type(value).__name__}: {error}") from None
    large = array.dtype == object and all(isinstance(item, int) for item in array.flat)
    if kind_of(array.dtype) not in "biufc" and not large:
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        raise TypeError(f"{subject} expects numbers, got {shown}")
    return array


def default_dtype(array: Array) -> str:
    """The dtype of numbers of Python where nobody has stated one.

    float32 for floats, int32 for integers, or int64 where one of them does not fit.
    """
    if array.dtype.kind == "f":
        return "float32"
    if array.dtype.kind in "iuO":
        limits = np.iinfo(np.int32)
        fits = not array.size or (array.min() >= limits.min and array.max() <= limits.max)
        return "int32" if fits else "int64"
    return array.dtype.name


def in_dtype(subject: str, array: Array, dtype: str, what: str = "numbers") -> Array:
    """The numbers in a dtype, as a new array; DtypeError, said of `subject`, where that cannot be.

    "PLACE expects WHAT that DTYPE holds, got NUMBER: OTHER holds it".
    """
    wanted = np.dtype(dtype)
    if array.dtype.kind == "c":
        raise DtypeError(f"{subject} expects real {what}, got {array.dtype.name}")
    wrong = _beyond(array, wanted)
    if wrong.any():
        number = array[wrong].flat[0]
        number = number.item() if isinstance(number, np.generic) else number
        raise DtypeError(
            f"{subject} expects {what} that {dtype} holds, got {number}: {holder(number)} holds it"
        )
    if array.dtype != object and kind_of(wanted) == "f":
        return np.array(to_float(array, wanted), order="C")
    with np.errstate(over="ignore"):
        return np.array(array, dtype=wanted, order="C")


def holder(number: float) -> str:
    """A dtype that holds a number."""
    whole = number == number and abs(number) != float("inf") and number == int(number)
    return "int64" if whole and -(2**63) <= number < 2**63 else "float64"


def _beyond(array: Array, wanted: np.dtype[Any]) -> Any:
    """Which numbers a dtype cannot hold, or False for none of them."""
    if array.dtype == wanted or array.dtype.kind == "b":
        return np.False_
    if wanted.kind == "b":
        return np.asarray((array != 0) & (array != 1))
    if kind_of(wanted) == "f" and array.dtype != object:
        return np.False_  # rounded, or infinite
    if kind_of(wanted) == "f":
        large = np.vectorize(lambda item: abs(item) >= 2**1023, otypes=[bool])
        return np.asarray(large(array))
    info = np.iinfo(wanted)
    if kind_of(array.dtype) == "f":
        array = array.astype(computed(array.dtype.name))
        whole = np.trunc(array) == array
        inside = (array >= float(info.min)) & (array < 2.0 ** (info.bits - (info.min < 0)))
        return np.asarray(~(whole & inside))
    return np.asarray((array < info.min) | (array > info.max)).astype(bool)

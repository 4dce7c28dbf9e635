"""Constants: numbers and arrays that never change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.graph import Type
from ..location import user_location
from .numbers import default_dtype, in_dtype, number_array
from .variable import Variable, dtype_name, source_text


def constant(value: Any, dtype: Any = None, name: str | None = None) -> Variable:
    """A constant: an array or number that never changes.

    Python's numbers, and lists of them, are float32, int32, or int64 where one does not fit into
    int32, unless what they meet has another dtype: beside float64 they are float64, as they were
    written (`weak.py`).  So they are in a program that is compiled with dtype="float64".  NumPy's
    arrays and numbers keep their dtype.

    Args:
        value: numbers.
        dtype: one that holds them; states it for good.
        name: for pictures and messages.

    Raises:
        DtypeError: a number that the dtype cannot hold: integers do not wrap around.
        TypeError: something that is no number.
    """
    subject = f"constant ({user_location()})"
    if isinstance(value, Variable):
        raise TypeError(f"{subject} expects numbers, got {source_text(value)}")
    array = number_array(subject, value)
    plain = not isinstance(value, (np.ndarray, np.generic))
    natural = default_dtype(array) if plain else array.dtype
    fixed = in_dtype(subject, array, dtype_name(natural if dtype is None else dtype, subject))
    fixed.flags.writeable = False
    variable = Variable("constant", Type(fixed.dtype.name, fixed.shape), name, value=fixed)
    if plain and fixed.dtype == np.float32 and array.dtype == np.float64:
        rounded = np.isfinite(array) & (fixed != array)
        variable.exact = array if rounded.any() else None
    if plain and dtype is None:
        whole = array.ndim == 0 and array.dtype.kind == "f" and float(array).is_integer()
        variable.weak = {"f": "fi" if whole else "f", "b": ""}.get(array.dtype.kind, "fi")
        variable.restate = lambda other: constant(value, other, name)
    return variable

"""Whether an array is what a buffer says: what executors ask of inputs and states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .program import Buffer

Array = npt.NDArray[Any]


def fits(buffer: Buffer, array: Any) -> bool:
    """Whether it is an array of NumPy of the buffer's dtype and shape, contiguous and aligned."""
    if not isinstance(array, np.ndarray):
        return False
    fine = array.shape == buffer.shape and array.dtype == np.dtype(buffer.dtype)
    return fine and array.flags.c_contiguous and array.flags.aligned


def misfit(what: str, buffer: Buffer, array: Any) -> ValueError:
    """The error for an array of `what`, "input" or "state", that does not fit."""
    return ValueError(
        f"{what} {buffer.name!r} needs a contiguous {buffer.dtype} array of shape {buffer.shape}, "
        f"got {array.dtype} of shape {array.shape}"
    )


def state_of(buffer: Buffer, states: Mapping[str, Array]) -> Array:
    """The array of a state buffer.

    Raises:
        ValueError: there is none, or it does not fit.
    """
    array = states.get(buffer.name)
    if array is None:
        raise ValueError(f"no array for the state {buffer.name!r}")
    if not fits(buffer, array):
        raise misfit("state", buffer, array)
    return array

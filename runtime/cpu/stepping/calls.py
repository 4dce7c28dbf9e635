"""What a call from Python is made of: the words and rows that the native `entry` reads.

A `Call` is a table for one program: which arrays it takes, which it makes, where the driver and
its job lie.  Nothing here runs anything; `entry` says what it does with the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...program import Buffer
from .objects import PYTHON_CALLS, addresses, callable_at

Array = npt.NDArray[Any]

WORDS = (
    "run", "header", "addresses", "mutex", "releases",
    "inputs", "input_rows", "states", "starts", "ends",
    "outputs", "output_rows", "kept", "scalar", "scalar_bytes",
    "array_type", "none", "turn",
    *PYTHON_CALLS, "PyArray_NewFromDescr",
)  # fmt: skip
"""Words of a call: addresses, counts and flags.

`mutex` is the address of the record of a `NativeMutex`, which a call holds.  With `releases` the
interpreter's lock is let go during the run.  `starts` and `ends` are the addresses
of the states that are updated, in order: an input must not lie in one.  `scalar` is the address of
the only result where that is to be a float, of `scalar_bytes`.  `turn` counts the calls.
"""

ROW = 8
"""Words of a row, of inputs and of outputs alike."""

NAME, OF_TYPE, AXES, EXTENTS, BYTES, MADE, PLACE = range(7)
"""Words of a row: a str, a dtype, a number of axes, the address of their extents, and bytes.

Outputs also have the array of the present call, and the address of a scalar to copy, or 0.
"""

KEEP = 2
"""Results of each output that are kept, since a caller often holds one until it has the next."""


class Ranges:
    """The stretches of memory that a program updates, sorted by address."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        found = sorted((array.ctypes.data, array.nbytes) for array in arrays)
        self.starts = np.array([start for start, _ in found], np.int64)
        self.ends = np.array([start + nbytes for start, nbytes in found], np.int64)

    def meet(self, array: Array) -> bool:
        """Whether the array shares a byte with one of them."""
        start = array.ctypes.data
        last = int(np.searchsorted(self.starts, start + array.nbytes))
        return last > 0 and bool(self.ends[last - 1] > start)


class Call:
    """A program as a function of Python: a dict of arrays to a dict of new ones, or to a float.

    Args:
        address: of the native `entry`.
        inputs: buffers in the order in which the driver numbers them.
        outputs: the same; they follow the inputs.
        scalars: the fixed memory of outputs of shape (), by their place.
        words: the other words of the call, by name.
        ranges: what the program updates.
        alive: all that the call needs and does not hold itself.
        scalar: give the only output, a float of shape (), as a number.
    """

    def __init__(
        self,
        address: int,
        inputs: Sequence[Buffer],
        outputs: Sequence[Buffer],
        scalars: Mapping[int, Array],
        words: Mapping[str, int],
        ranges: Ranges,
        alive: tuple[Any, ...],
        scalar: bool = False,
    ) -> None:
        self._alive: list[Any] = [ranges, *alive]
        self.kept = np.full(KEEP * len(outputs), None, object)
        moving = np.zeros(len(inputs) + len(outputs), np.int64)
        rows = [self._rows(inputs, {}), self._rows(outputs, scalars)]
        held = {
            "addresses": moving.ctypes.data,
            "inputs": len(inputs),
            "input_rows": rows[0].ctypes.data,
            "states": len(ranges.starts),
            "starts": ranges.starts.ctypes.data,
            "ends": ranges.ends.ctypes.data,
            "outputs": len(outputs),
            "output_rows": rows[1].ctypes.data,
            "kept": self.kept.ctypes.data,
            "array_type": id(np.ndarray),
            "none": id(None),
            **dict(zip((*PYTHON_CALLS, "PyArray_NewFromDescr"), addresses(), strict=True)),
            **words,
        }
        if scalar:
            held |= {"scalar": scalars[0].ctypes.data, "scalar_bytes": scalars[0].nbytes}
        table = np.array([held.get(name, 0) for name in WORDS], np.int64)
        self._alive += [self.kept, moving, *rows]
        self.function: Callable[[Mapping[str, Array]], Any] = callable_at(
            address, "entry", (table, self._alive)
        )

    def _rows(self, buffers: Sequence[Buffer], scalars: Mapping[int, Array]) -> Array:
        rows = np.zeros((len(buffers), ROW), np.int64)
        for place, (row, buffer) in enumerate(zip(rows, buffers, strict=True)):
            dtype = np.dtype(buffer.dtype)
            extents = np.array(buffer.shape, np.int64)
            self._alive += [buffer.name, dtype, extents]
            row[NAME], row[OF_TYPE] = id(buffer.name), id(dtype)
            row[AXES], row[EXTENTS] = len(buffer.shape), extents.ctypes.data
            row[BYTES] = buffer.nbytes
            if place in scalars:
                row[PLACE] = scalars[place].ctypes.data
        return rows

    def forget(self) -> None:
        """Keep no results any more, so that their memory is free once nobody uses it."""
        self.kept.fill(None)

"""Samples to train on: checked together, shuffled, and handed out as contiguous mini-batches.

Nothing here knows what a program does with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .variable import shape_text

Array = npt.NDArray[Any]
Axis = int | Mapping[str, int]


class Samples:
    """Arrays by input name whose samples belong together.

    Args:
        what: what they are called in messages.
        data: an array for each input.
        axis: the axis that counts samples, for all inputs or by name (0 where a name is absent).

    Raises:
        InputError: no inputs or samples, something that is no array, or different lengths.
    """

    def __init__(self, what: str, data: Mapping[str, Array], axis: Axis = 0) -> None:
        if not data:
            raise InputError(f"{what} expects an array for at least one input, got none")
        self.data = dict(data)
        self.axes = {name: _axis(what, name, array, axis) for name, array in self.data.items()}
        lengths: dict[str, int] = {
            name: array.shape[self.axes[name]] for name, array in self.data.items()
        }
        first, self.count = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != self.count:
                raise InputError(
                    f"{what} expects as many samples in every input, got {self.count} in "
                    f"'{first}' (axis {self.axes[first]} of {shape_text(data[first].shape)}) and "
                    f"{length} in '{name}' (axis {self.axes[name]} of "
                    f"{shape_text(data[name].shape)}): say with axis where samples are not in front"
                )
        if self.count == 0:
            raise InputError(f"{what} expects at least one sample, got none in '{first}'")
        self._buffers: dict[int, dict[str, Array]] = {}

    def split(self, fraction: float, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """All but a random `fraction` of the samples, and those."""
        held = round(fraction * self.count)
        if not 0 < held < self.count:
            raise InputError(
                f"validation={fraction} of {self.count} samples leaves {self.count - held} to "
                f"train on and {held} to validate with: expected at least one of each"
            )
        order = rng.permutation(self.count)
        kept, chosen = np.sort(order[held:]), np.sort(order[:held])
        return self._take("training data", kept), self._take("validation data", chosen)

    def _take(self, what: str, rows: npt.NDArray[np.int64]) -> Samples:
        taken = {name: np.take(array, rows, self.axes[name]) for name, array in self.data.items()}
        return Samples(what, taken, self.axes)

    def batches(
        self, size: int, order: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[int, dict[str, Array]]]:
        """Each batch's number of samples, and its arrays; the last may have fewer.

        In the order of the samples, or in the one given.  The arrays of a batch are overwritten
        by the next one of its size.
        """
        for start in range(0, self.count, size):
            if order is None:
                yield min(size, self.count - start), self._slice(start, start + size)
            else:
                rows = order[start : start + size]
                yield len(rows), self._gather(rows)

    def _slice(self, start: int, stop: int) -> dict[str, Array]:
        if start == 0 and stop >= self.count:
            return self.data
        return {
            name: array[(slice(None),) * self.axes[name] + (slice(start, stop),)]
            for name, array in self.data.items()
        }

    def _gather(self, rows: npt.NDArray[np.int64]) -> dict[str, Array]:
        buffers = self._buffers.get(len(rows))
        if buffers is None:
            buffers = {name: self._buffer(name, len(rows)) for name in self.data}
            self._buffers[len(rows)] = buffers
        for name, array in self.data.items():
            # With mode="clip" NumPy writes where it is told; otherwise it goes through a copy.
            np.take(array, rows, self.axes[name], out=buffers[name], mode="clip")
        return buffers

    def _buffer(self, name: str, count: int) -> Array:
        shape = list(self.data[name].shape)
        shape[self.axes[name]] = count
        return np.empty(shape, self.data[name].dtype)


def _axis(what: str, name: str, array: Any, axis: Axis) -> int:
    """The sample axis of one input, counted from the front."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"{what} expects an array for '{name}', got {type(array).__name__}")
    chosen = axis if isinstance(axis, int) else axis.get(name, 0)
    if not -array.ndim <= chosen < array.ndim:
        raise InputError(
            f"{what} expects samples along axis {chosen} of '{name}', got shape "
            f"{shape_text(array.shape)}"
        )
    return chosen % array.ndim

"""Samples to train on: checked together, shuffled, and handed out as contiguous mini-batches.

All that can be checked before the first step is checked here: the next ones change something.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....compiler.sizes import evaluate, names
from ...arguments import wrong
from ...errors import InputError
from ...programs.inputs import Expected, check_names, outside
from ...variables.variable import shape_text

if TYPE_CHECKING:
    from ...programs.execution import Execution

Array = npt.NDArray[Any]
Axis = int | Mapping[str, int]


class Samples:
    """Arrays by input name whose samples belong together.

    Args:
        what: what they are called in messages.
        expected: the inputs of a step.
        data: a value for each of them, as `step` takes it but for the number of samples: by name,
            or in a tuple in the order of the inputs.
        axis: the axis that counts samples, for all inputs or by name (0 where a name is absent).

    Raises:
        InputError: another set of inputs, no samples, different numbers of them, or what `step`
            would refuse.
        TypeError: data or an axis of another type.
    """

    def __init__(
        self, what: str, expected: Sequence[Expected], data: Mapping[str, Any], axis: Axis = 0
    ) -> None:
        self.what = what
        self.expected = expected
        self.axes = axes_of(what, expected, axis)
        self.count, self.data = counted_inputs(what, expected, data, self.axes)
        self._buffers: dict[int, dict[str, Array]] = {}

    @property
    def counted(self) -> set[str]:
        """The names of the sizes that count samples."""
        return counting_sizes(self.expected, self.axes)

    def check_batches(self, what: str, size: int, execution: Execution) -> None:
        """InputError for a batch of this size, or a smaller last one, that would be refused.

        Args:
            what: "fit".
            size: samples in a batch.
            execution: what the batches are for.
        """
        for item in self.expected:
            extent = item.shape[self.axes[item.name]]
            if isinstance(extent, int) and (size != extent or self.count % extent):
                raise InputError(
                    f"{self.what} expects batches of {extent} samples, which input '{item.name}' "
                    f"({item.variable.where}) has, got {self.count} samples in batches of {size}: "
                    f'draw it with a named size such as "B", or give a multiple of {extent} '
                    f"samples and batch_size={extent}"
                )
        ranges = {item.name: item for item in execution.interface.ranges}
        for length in dict.fromkeys([size, self.count % size or size]):
            batch = self._slice(0, length)
            sizes = execution.sizes_of(what, [batch[item.name] for item in execution.expected])
        for item in execution.expected:
            check = ranges.get(item.name)
            if check is None or names(check.high) & self.counted:
                continue  # A range that depends on the batch is the step's to look at.
            low, high = evaluate(check.low, sizes), evaluate(check.high, sizes)
            array = self.data[item.name]
            beyond = (array < low) | (array >= high)
            if beyond.any():
                raise outside(self.what, item, low, high, array, int(beyond.argmax()))

    def split(self, fraction: float, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """All but a random `fraction` of the samples, and those."""
        held = round(fraction * self.count)
        if not 0 < held < self.count:
            raise InputError(
                f"{self.what} expects a validation that leaves samples for both, got {fraction} of "
                f"{self.count} samples: {self.count - held} to train on and {held} to validate with"
            )
        order = rng.permutation(self.count)
        kept, chosen = np.sort(order[held:]), np.sort(order[:held])
        return self._take(self.what, kept), self._take(f"validation of {self.what}", chosen)

    def _take(self, what: str, rows: npt.NDArray[np.int64]) -> Samples:
        taken = {name: np.take(array, rows, self.axes[name]) for name, array in self.data.items()}
        return Samples(what, self.expected, taken, self.axes)

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


def counted_inputs(
    what: str, expected: Sequence[Expected], data: Any, axes: Mapping[str, int]
) -> tuple[int, dict[str, Array]]:
    """How many samples there are, and the arrays by name; errors as for `Samples`."""
    if isinstance(data, (tuple, list)):
        if len(data) != len(expected):
            listed = ", ".join(item.name for item in expected)
            raise InputError(
                f"{what} expects {len(expected)} arrays in the order {listed or '(none)'}, got "
                f"{len(data)}: give a dict to say which is which"
            )
        data = {item.name: value for item, value in zip(expected, data, strict=True)}
    if not isinstance(data, Mapping):
        listed = ", ".join(f"{item.name!r}: ..." for item in expected)
        raise wrong(
            what,
            f"a dict of arrays by the names of the inputs, {{{listed}}}, or a tuple of them in "
            "this order",
            data,
        )
    check_names(what, expected, data)
    if not expected:
        raise InputError(f"{what} expects a step that has inputs, got one without")
    arrays = {item.name: item.check_samples(data[item.name], axes[item.name]) for item in expected}

    def shown(name: str) -> str:
        return f"'{name}' (axis {axes[name]} of {shape_text(arrays[name].shape)})"

    first, count = expected[0].name, arrays[expected[0].name].shape[axes[expected[0].name]]
    for name, array in arrays.items():
        length = array.shape[axes[name]]
        if length != count:
            raise InputError(
                f"{what} expects as many samples in every input, got {count} in {shown(first)} and "
                f"{length} in {shown(name)}: say with axis where samples are not in front"
            )
    if count == 0:
        raise InputError(f"{what} expects at least one sample, got none in '{first}'")
    return int(count), arrays


def counting_sizes(expected: Sequence[Expected], axes: Mapping[str, int]) -> set[str]:
    """The names of the sizes that count samples."""
    extents = (item.shape[axes[item.name]] for item in expected)
    return {name for extent in extents for name in names(extent)}


def axes_of(what: str, expected: Sequence[Expected], axis: Axis) -> dict[str, int]:
    """The sample axis of each input, counted from the front."""
    given = axis if isinstance(axis, Mapping) else {item.name: axis for item in expected}
    known = [item.name for item in expected]
    for name in given:
        if name not in known:
            raise InputError(f"{what} expects an axis for inputs out of {', '.join(known)}, got "
                             f"{name!r}")  # fmt: skip
    return {item.name: _axis(what, item, given.get(item.name, 0)) for item in expected}


def _axis(what: str, item: Expected, axis: Any) -> int:
    try:
        if isinstance(axis, (bool, np.bool_)):
            raise TypeError
        chosen = operator.index(axis)
    except TypeError:
        raise wrong(what, "axis to be an integer, or a dict of them by input", axis) from None
    rank = len(item.shape)
    if not -rank <= chosen < rank:
        raise InputError(
            f"{what} expects samples along axis {chosen} of '{item.name}' "
            f"({item.variable.where}), got shape {shape_text(item.shape)}"
        )
    return chosen % rank

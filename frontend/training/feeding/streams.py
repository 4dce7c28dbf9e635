"""Batches that come one after another: from a list, a loader, a generator or a function."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...arguments import integer, shown, wrong
from ...errors import InputError
from ...programs.inputs import Expected
from ...variables.variable import Variable
from .batches import Array, Axis, axes_of, counted_inputs, counting_sizes
from .prefetching import Prefetch

AGAIN = (
    "give a list of batches, or a function that is given the epoch's number and makes the batches"
)


def comes_in_batches(data: Any) -> bool:
    """Whether data are batches, and not the arrays of all samples."""
    if isinstance(data, (Mapping, tuple, str, bytes, type, Variable)) or hasattr(data, "__array__"):
        return False
    return callable(data) or isinstance(data, Iterable)


class Stream:
    """Batches for epochs, each a dict or a tuple of arrays.

    Args:
        what: what they are called in messages.
        expected: the inputs of a step.
        data: an iterable, which is begun anew in each epoch; an iterator, which is read on; or a
            function of the epoch's number, 1 at first, that gives an iterable.
        axis: as for `Samples`.
        steps: how many batches an epoch has, or None for all that there are.
        epochs: how many epochs there will be.
        ahead: how many batches a thread makes ready; 0 for no thread, which a list never needs.

    Raises:
        InputError: an iterator for several epochs, and no number of steps.
        TypeError, ValueError: an argument of another type, or out of its range.
    """

    count: int | None = None

    def __init__(
        self,
        what: str,
        expected: Sequence[Expected],
        data: Any,
        axis: Axis = 0,
        steps: int | None = None,
        epochs: int = 1,
        ahead: int = 2,
    ) -> None:
        self.what = what
        self.expected = expected
        self.axes = axes_of(what, expected, axis)
        self.data = data
        self.wanted = None if steps is None else integer(what, "steps_per_epoch", steps, 1)
        ahead = integer(what, "prefetch", ahead, 0)
        self.ahead = 0 if isinstance(data, list) else ahead
        self.once = isinstance(data, Iterator)
        if self.once and epochs > 1 and steps is None:
            raise InputError(
                f"{what} expects batches for {epochs} epochs, got {shown(data)}, which gives them "
                f"once: {AGAIN}, or say steps_per_epoch"
            )
        self._left = None if self.wanted is None else self.wanted * epochs
        self._reading: Iterator[Any] | None = None

    @property
    def counted(self) -> set[str]:
        """The names of the sizes that count samples."""
        return counting_sizes(self.expected, self.axes)

    @property
    def steps(self) -> int | None:
        """How many batches an epoch has, as far as it is known."""
        if self.wanted is not None or not hasattr(self.data, "__len__"):
            return self.wanted
        return len(self.data)

    def batches(self, epoch: int) -> Iterator[tuple[int, dict[str, Array]]]:
        """Each batch's number of samples, and its arrays.

        Raises:
            InputError: batches that end before the epoch does; one that does not fit.
            Exception: whatever making them raises.
        """
        made = 0
        reading = self._begin(epoch)
        try:
            for batch in reading:
                made += 1
                yield self._checked(batch, f"batch {made} of epoch {epoch} of {self.what}")
                if made == self.wanted:
                    return
        finally:
            if not self.once:
                _close(reading)
        if self.wanted is not None or made == 0:
            raise InputError(
                f"{self.what} expects {self.wanted or 'at least one'} batch"
                f"{'' if self.wanted in (None, 1) else 'es'} in an epoch, got {made} in epoch "
                f"{epoch} before {shown(self.data)} ended; the steps before are made. "
                f"{'Lower steps_per_epoch, or g' if self.wanted else 'G'}{AGAIN[1:]}"
            )

    def close(self) -> None:
        """Let the thread end, if there is one."""
        if self._reading is not None:
            _close(self._reading)

    def _begin(self, epoch: int) -> Iterator[Any]:
        if self.once:
            if self._reading is None:  # No batch is taken that will not be wanted.
                self._reading = self._ahead_of(itertools.islice(self.data, self._left), False)
            return self._reading
        made = self.data(epoch) if callable(self.data) else self.data
        if isinstance(made, (Mapping, tuple, str)) or not isinstance(made, Iterable):
            raise wrong(self.what, "data to be a function that gives batches", made)
        return self._ahead_of(iter(made), isinstance(made, Iterator) or made is self.data)

    def _ahead_of(self, source: Iterator[Any], owned: bool) -> Iterator[Any]:
        return Prefetch(source, self.ahead, owned) if self.ahead else source

    def _checked(self, batch: Any, what: str) -> tuple[int, dict[str, Array]]:
        if not isinstance(batch, (Mapping, tuple, list)):
            listed = ", ".join(item.name for item in self.expected)
            raise wrong(
                what,
                f"a dict of arrays, or a tuple of them in the order {listed}",
                batch,
                remedy="arrays of all samples stand in a dict or a tuple",
            )
        return counted_inputs(what, self.expected, batch, self.axes)


def _close(reading: Iterator[Any]) -> None:
    if hasattr(reading, "close"):
        reading.close()

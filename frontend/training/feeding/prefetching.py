"""Batches that a thread gets ready while the program trains on those before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

PATIENCE = 1.0
"""Seconds that the end of training waits for a batch that is being made."""


class Prefetch(Iterator[Any]):
    """The items of an iterator, which a thread asks for before they are wanted.

    What the iterator raises comes out here, after the items before, with its own traceback.  Arrays
    are copied: the iterator may write its next batch into them.

    Args:
        source: an iterator, which nobody else may ask meanwhile.
        ahead: how many items wait at most.
        owned: whether to close the iterator, where it is a generator, when this is closed.
    """

    def __init__(self, source: Iterator[Any], ahead: int, owned: bool) -> None:
        self._source = source
        self._owned = owned
        self._items: queue.Queue[tuple[BaseException | None, Any]] = queue.Queue(ahead)
        self._over = threading.Event()
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="diagrad prefetch", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        error: BaseException = StopIteration()
        try:
            for item in self._source:
                if self._over.is_set():
                    break
                self._items.put((None, _copied(item)))
                if self._over.is_set():
                    break
            if self._owned and hasattr(self._source, "close"):
                self._source.close()
        except BaseException as found:  # It is raised where the items are taken.
            error = found
        self._items.put((error, None))

    def __next__(self) -> Any:
        if self._ended is not None:
            raise StopIteration
        error, item = self._items.get()
        if error is None:
            return item
        self._ended = error
        raise error

    def close(self) -> None:
        """Let the thread end: it makes no further item."""
        self._over.set()
        self._drain()
        self._thread.join(PATIENCE)
        self._drain()
        self._ended = self._ended or StopIteration()

    def _drain(self) -> None:
        """Make room, so that nothing waits for it."""
        try:
            while True:
                self._items.get_nowait()
        except queue.Empty:
            pass


def _copied(batch: Any) -> Any:
    """A batch on arrays of its own; what is no batch is told of later."""
    if isinstance(batch, Mapping):
        return {name: _copy_of(value) for name, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple([_copy_of(value) for value in batch])
    return batch


def _copy_of(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "__array__"):
        try:
            return np.array(value)
        except Exception:  # Whatever its conversion says, `step` tells it of the value itself.
            return value
    return value

"""Memory that the device sees, for as long as somebody holds it.

The arrays of a program's states are NumPy's, over managed memory: the host reads and writes them
like any other array, and a step finds them on the device.  Between two calls no step is at work, so
that neither side sees a half of one.  Arrays of shape (), such as the count of the steps, are in
the host's own memory, which the device reaches into: they are read more often than moved.

What all calls on the same states share, whatever their sizes, is a workspace: one arena, scratch,
and the mutex of those who use them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..mutex import Mutex
from .device import Device, ForkedError, Kind

Array = npt.NDArray[Any]
T = TypeVar("T")

SLACK = 4
"""The arena gets a quarter more than it needs when it grows, so that growing sizes do not each move
it; and is made smaller once it is so many times as large as what is bound needs."""

SMALL = 1 << 20
"""Bytes up to which memory is kept, however little of it is needed."""


class Memory:
    """Bytes of one kind, given back with this.

    Attributes:
        address: of the first.
        nbytes: how many.
    """

    def __init__(self, device: Device, kind: Kind, nbytes: int) -> None:
        if device.process != os.getpid():
            raise ForkedError
        self.nbytes = nbytes
        self.address = device.allocate(kind, max(1, nbytes))
        weakref.finalize(self, _free, device, kind, self.address).atexit = False

    def array(self, shape: tuple[int, ...], dtype: npt.DTypeLike, offset: int = 0) -> Array:
        """An array over bytes that the host sees; it holds the memory."""
        dtype = np.dtype(dtype)
        made = np.asarray(_Placed(self, self.address + offset, shape, dtype))
        return made if made.dtype == dtype else made.view(dtype)  # bfloat16, which has no typestr


class _Placed:
    """What NumPy takes for an array at an address."""

    def __init__(
        self, memory: Memory, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.memory = memory
        self.__array_interface__ = {
            "shape": shape, "typestr": dtype.str, "data": (address, False), "version": 3,
        }  # fmt: skip


def _free(device: Device, kind: Kind, address: int) -> None:
    if device.process == os.getpid():  # What a child has inherited is its parent's.
        device.free(kind, address)


def state_array(device: Device, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An array for a state of programs on a device; its elements are not set."""
    if shape == ():
        return Memory(device, "pinned", np.dtype(dtype).itemsize).array((), dtype)
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return Memory(device, "managed", size).array(shape, dtype)


class Job(Protocol):
    """What is bound to some sizes, as far as its workspace must know it.

    Attributes:
        arena: bytes of temporaries.
        scratch: bytes for workers of kernels.
    """

    arena: int
    scratch: int


class Workspace(Mutex):
    """The memory that all calls on the same states share, and the mutex of those calls.

    Attributes:
        device: that they run on.
        arena: for temporaries.
        scratch: for workers whose memory does not fit their multiprocessor's.
    """

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device
        self._jobs: weakref.WeakSet[Job] = weakref.WeakSet()
        self.arena = self.scratch = Memory(device, "device", 0)
        self._waits = False

    def hold(self, function: Callable[[], T]) -> T:
        """The function's result, computed while no other thread holds this.

        Raises:
            ForkedError: this is a child of the process that the device belongs to.
        """
        if self.device.process != os.getpid():
            raise ForkedError
        return super().hold(function)

    def admit(self, job: Job) -> None:
        """Let a job use this memory: from now on there is enough for it."""

        def fit() -> None:
            self.settle()
            self._jobs.add(job)
            self.arena = self._fitting(self.arena, max(item.arena for item in self._jobs))
            self.scratch = self._fitting(self.scratch, max(item.scratch for item in self._jobs))

        self.hold(fit)

    def _fitting(self, now: Memory, needed: int) -> Memory:
        """Memory of so many bytes: that which is there, if it is neither too small nor too large.

        Jobs find out at their next call that it has moved.
        """
        if needed <= now.nbytes <= max(SMALL, SLACK * needed):
            return now
        return Memory(self.device, "device", needed + (needed // SLACK if now.nbytes else 0))

    def asked(self, ask: Callable[[], None]) -> None:
        """Ask the device for something, and wait until it is done.

        Whoever is interrupted on the way leaves it to the next call to wait: see `settle`.
        """
        self._waits = True
        try:
            ask()
        finally:
            self.settle()

    def settle(self) -> None:
        """Wait for what an interrupted call has asked for: it reads and writes what all share."""
        if self._waits:
            self.device.synchronize()
            self._waits = False

    @property
    def arena_bytes(self) -> int:
        """Of the temporaries of all sizes."""
        return self.arena.nbytes

    @property
    def scratch_bytes(self) -> int:
        """Of the workers of all kernels."""
        return self.scratch.nbytes

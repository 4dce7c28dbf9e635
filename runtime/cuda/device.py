"""What programs ask of a device: memory, kernels, graphs of copies and launches.

`driver.py` has the real one; the tests have one that is simulated on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..tracing import Limits
from .code import Code
from .processor import Processor

Array = npt.NDArray[Any]

Kind = Literal["device", "pinned", "managed"]
"""Memory that the device alone sees; the host's, which the device sees too; and memory that goes to
whichever of the two reads it."""


class DeviceError(RuntimeError):
    """The driver refuses something: what was asked of it, and its own name and words for why.

    Attributes:
        name: of the driver, as "CUDA_ERROR_OUT_OF_MEMORY".
    """

    def __init__(self, asked: str, name: str, text: str) -> None:
        super().__init__(f"the CUDA driver refuses to {asked}: {name}: {text}")
        self.name = name


class ForkedError(RuntimeError):
    """A device is used in a child of the process that it belongs to."""

    def __init__(self) -> None:
        super().__init__(
            "a CUDA device belongs to the process that began to use it, and a forked child cannot: "
            'start children anew, with multiprocessing.set_start_method("spawn"), or compile the '
            "program in the child and not before"
        )


@dataclass(frozen=True, slots=True)
class Copy:
    """A node of a graph: bytes from one address to another, wherever the two are.

    Attributes:
        target: where to.
        source: where from.
        nbytes: how many.
        after: the numbers of the nodes that it waits for, all before it.
    """

    target: int
    source: int
    nbytes: int
    after: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A node of a graph: a launch of a kernel or of a walk.

    Attributes:
        function: of loaded code.
        grid: blocks.
        threads: of a block.
        shared: bytes of shared memory of a block.
        arguments: of the entry: the words, lo, hi, the guards, how many they are, scratch, and
            bytes of each worker; or of a walk: the table, which of its runs, where it finds them,
            nothing, scratch, and nothing.
        after: as for a copy.
    """

    function: Any
    grid: int
    threads: int
    shared: int
    arguments: tuple[int, int, int, int, int, int, int]
    after: Sequence[int] = ()


Node = Copy | Call


@dataclass(frozen=True, slots=True)
class Loaded:
    """Code on the device, and how it came there.

    Attributes:
        function: what a `Call` takes.
        name: of the code.
        origin: "compiled" or "cache".
        reason: why that.
        milliseconds: that it took.
    """

    function: Any
    name: str
    origin: str
    reason: str
    milliseconds: float


class Device(Protocol):
    """A device that programs run on; what is asked of it is done in the order of asking.

    Several threads may use it.  Every method but those that only look raises a DeviceError where
    the driver refuses.

    Attributes:
        number: as the driver counts.
        name: as the driver has it.
        process: the number of the process that it belongs to.
        processor: what launch plans must know of it.
        stream: the handle of the stream that programs run on.
    """

    number: int
    name: str
    process: int
    processor: Processor
    stream: int

    def allocate(self, kind: Kind, nbytes: int) -> int:
        """The address of so many bytes, not 0, a multiple of 256; what is in them is not known."""

    def free(self, kind: Kind, address: int) -> None:
        """Give memory back."""

    def keep_here(self, address: int, nbytes: int) -> None:
        """Let managed memory be on the device's side, until the host reads it."""

    def number_of(self, address: int) -> int:
        """The number of the device that sees the memory at an address; DeviceError if none does."""

    def load(self, codes: Sequence[Code]) -> list[Loaded]:
        """Code, ready to be launched."""

    def routines(self, names: Sequence[str]) -> Mapping[str, int]:
        """What stands for each native routine in the words of a row: its address, or 0."""

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Ask for a copy between addresses of either side, of which the host's are pinned."""

    def copy_to_host(self, target: Array, address: int) -> None:
        """Fill a contiguous array of the host; complete when it returns."""

    def graph(self, nodes: Sequence[Node]) -> Any:
        """Nodes that are launched together; it lives as long as it is held."""

    def launch(self, graph: Any) -> None:
        """Ask for all nodes of a graph."""

    def synchronize(self) -> None:
        """Wait until all that was asked is done."""

    def wait_for(self, stream: int) -> None:
        """Let what has been asked of another stream be done before what is asked from now on."""

    def limits(self) -> Limits:
        """What it can do at most, by its own numbers."""

    def measure(self, nodes: Sequence[Node]) -> npt.NDArray[np.float64]:
        """Run nodes one after another; for each the milliseconds between its beginning and end."""

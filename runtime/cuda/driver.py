"""The machine's own device, by the driver that `cuda-bindings` calls.

Every answer of the driver is looked at.  The context is the device's primary one, which other
libraries of the process use too: it is retained once, and made the current one of whichever thread
asks for something.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..tracing import Limits
from .code import Code
from .device import Call, Copy, DeviceError, Kind, Loaded, Node
from .processor import Processor, Rates

Array = npt.NDArray[Any]

MOST_SHARED = 200 << 10
"""Bytes of shared memory that a plan lets a block ask for, where the device has so many."""

OWN_SHARED = 16 << 10
"""Bytes left to what kernels have of it without asking, and to the driver."""

USUAL_SHARED = 48 << 10
"""Bytes of it that a kernel may ask for without being allowed to."""

ENTRY = b"entry"
"""The function of every cubin."""

_ARGUMENTS = (ctypes.c_int64,) * 7
"""Of that function."""


_UNITS = {(7, 5): (64, 2), (8, 0): (64, 32), (9, 0): (128, 64), (10, 0): (128, 64)}
_USUAL_UNITS = 128, 2


def units_of(major: int, minor: int) -> tuple[int, int]:
    """Multiply-adds that a multiprocessor begins in a cycle, in float32 and in float64.

    By compute capability: NVIDIA, CUDA C++ Programming Guide, throughput of native arithmetic.
    """
    return _UNITS.get((major, minor), _USUAL_UNITS)


class Built(Protocol):
    """Machine code, and how it came here: see `Loaded`.

    Attributes:
        code: a cubin.
    """

    name: str
    code: bytes
    origin: str
    reason: str
    milliseconds: float


Build = Callable[[Sequence[Code], str], Sequence[Any]]
"""What gives `Built` for code, as `Device.load` takes it, and an architecture."""


class DriverDevice:
    """The first device that the driver shows.

    Args:
        driver: `cuda.bindings.driver`.
        build: what gives cubins.

    Attributes:
        number: as the driver counts.
        name: as the driver has it.
        process: the number of the process that it belongs to.
        architecture: as "sm_90".
        processor: what launch plans must know of it.
        stream: the handle of the stream that programs run on.
        context: the device's primary one.
    """

    def __init__(self, driver: Any, build: Build) -> None:
        self._driver, self._build = driver, build
        self.process = os.getpid()
        self.number = 0
        self.ask("start", driver.cuInit, 0)
        self._handle = self.ask("find a device", driver.cuDeviceGet, self.number)
        name = self.ask("tell its name", driver.cuDeviceGetName, 256, self._handle)
        self.name = name.split(b"\0")[0].decode(errors="replace").strip()
        major, minor, count, shared = (
            self._attribute(word)
            for word in (
                "COMPUTE_CAPABILITY_MAJOR", "COMPUTE_CAPABILITY_MINOR", "MULTIPROCESSOR_COUNT",
                "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN",
            )
        )  # fmt: skip
        self.architecture = f"sm_{major}{minor}"
        clock, bytes_per_s, singles, doubles = self._rates()
        rates = Rates.stated(clock, bytes_per_s, singles, doubles)
        self.processor = Processor(count, min(MOST_SHARED, shared - OWN_SHARED), rates)
        self.context = self.ask("make a context", driver.cuDevicePrimaryCtxRetain, self._handle)
        with self._current():
            # One that does not wait for the default stream, which other libraries use.
            flags = driver.CUstream_flags.CU_STREAM_NON_BLOCKING
            self._stream = self.ask("make a stream", driver.cuStreamCreate, flags)
        self.stream = int(self._stream)
        self._functions: weakref.WeakValueDictionary[bytes, _Function]
        self._functions = weakref.WeakValueDictionary()

    def __str__(self) -> str:
        return f"{self.name} ({self.architecture})"

    def allocate(self, kind: Kind, nbytes: int) -> int:
        """As `device.Device`: memory of a kind."""
        d, asked = self._driver, f"allocate {nbytes:,} bytes of {kind} memory"
        with self._current():
            if kind == "device":
                return int(self.ask(asked, d.cuMemAlloc, nbytes))
            if kind == "managed":
                # The driver gives more of it than the device has, and moves pages for ever then.
                free = self.ask("tell how much memory is free", d.cuMemGetInfo)
                if nbytes > free:
                    text = f"of the device's memory {free:,} bytes are free"
                    raise DeviceError(asked, "CUDA_ERROR_OUT_OF_MEMORY", text)
                flags = d.CUmemAttach_flags.CU_MEM_ATTACH_GLOBAL
                return int(self.ask(asked, d.cuMemAllocManaged, nbytes, flags))
            # Since addresses are of one space, the device knows it under the same one.
            both = d.CU_MEMHOSTALLOC_PORTABLE | d.CU_MEMHOSTALLOC_DEVICEMAP
            return int(self.ask(asked, d.cuMemHostAlloc, nbytes, both))

    def free(self, kind: Kind, address: int) -> None:
        """As `device.Device`: give memory back."""
        release = self._driver.cuMemFreeHost if kind == "pinned" else self._driver.cuMemFree
        with self._current():
            self.ask(f"free {kind} memory", release, address)

    def keep_here(self, address: int, nbytes: int) -> None:
        """As `device.Device`: managed memory moves here, where the device can have it so."""
        if not self._attribute("CONCURRENT_MANAGED_ACCESS"):
            return
        d = self._driver
        here = d.CUmemLocation()
        here.type = d.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
        here.id = self.number
        advice = d.CUmem_advise.CU_MEM_ADVISE_SET_PREFERRED_LOCATION
        with self._current():
            asked = f"keep {nbytes:,} bytes on the device"
            self.ask(asked, d.cuMemAdvise, address, nbytes, advice, here)
            self.ask(asked, d.cuMemPrefetchAsync, address, nbytes, here, 0, self._stream)

    def number_of(self, address: int) -> int:
        """As `device.Device`: whose memory is at an address."""
        d = self._driver
        which = d.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
        with self._current():
            return int(self.ask("tell whose memory it is", d.cuPointerGetAttribute, which, address))

    def load(self, codes: Sequence[Code]) -> list[Loaded]:
        """As `device.Device`: cubins of the cache, or built now, on the device."""
        found = self._build(codes, self.architecture)
        with self._current():
            return [
                Loaded(self._function(x), x.name, x.origin, x.reason, x.milliseconds) for x in found
            ]

    def _function(self, built: Built) -> _Function:
        """What is there already of the same code, or one that is loaded now."""
        function = self._functions.get(built.code)
        if function is None:
            function = self._functions[built.code] = _Function(self, built)
        return function

    def routines(self, names: Sequence[str]) -> Mapping[str, int]:
        """As `device.Device`: routines are linked into kernels by their names."""
        return dict.fromkeys(names, 0)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """As `device.Device`: ask for a copy."""
        with self._current():
            copy = self._driver.cuMemcpyAsync
            self.ask(f"copy {nbytes:,} bytes", copy, target, source, nbytes, self._stream)

    def copy_to_host(self, target: Array, address: int) -> None:
        """As `device.Device`: fill an array of the host."""
        with self._current():
            asked = f"copy {target.nbytes:,} bytes to the host"
            place = target.ctypes.data
            self.ask(asked, self._driver.cuMemcpyDtoH, place, address, target.nbytes)

    def graph(self, nodes: Sequence[Node]) -> Any:
        """As `device.Device`: nodes that are launched together."""
        with self._current():
            return _Graph(self, nodes)

    def launch(self, graph: Any) -> None:
        """As `device.Device`: ask for all nodes of a graph."""
        with self._current():
            self.ask("launch a graph", self._driver.cuGraphLaunch, graph.handle, self._stream)

    def synchronize(self) -> None:
        """As `device.Device`: wait for all that was asked."""
        with self._current():
            asked = "do what it was asked for"
            self.ask(asked, self._driver.cuStreamSynchronize, self._stream)

    def wait_for(self, stream: int) -> None:
        """As `device.Device`: wait for another stream; 1 and 2 stand for the default ones."""
        with self._event() as event, self._current():
            d = self._driver
            self.ask("mark a stream", d.cuEventRecord, event, d.CUstream(stream))
            self.ask("wait for a stream", d.cuStreamWaitEvent, self._stream, event, 0)

    def limits(self) -> Limits:
        """As `device.Device`: nominal rates, by the attributes that the driver tells."""
        clock, bytes_per_s, singles, doubles = self._rates()
        cycles = clock * self._attribute("MULTIPROCESSOR_COUNT")
        flops = {"float32": 2 * singles * cycles, "float64": 2 * doubles * cycles}
        return Limits(self.name, 1, bytes_per_s, flops, self._attribute("L2_CACHE_SIZE"))

    def _rates(self) -> tuple[float, float, int, int]:
        """Cycles a second, the memory's bytes a second, and what `units_of` says."""
        clock, memory, bits, major, minor = (
            self._attribute(word)
            for word in (
                "CLOCK_RATE", "MEMORY_CLOCK_RATE", "GLOBAL_MEMORY_BUS_WIDTH",
                "COMPUTE_CAPABILITY_MAJOR", "COMPUTE_CAPABILITY_MINOR",
            )
        )  # fmt: skip
        # Rates are in kHz; memory moves bits at both edges of its clock.
        return 1e3 * clock, 1e3 * memory * 2 * bits / 8, *units_of(major, minor)

    def measure(self, nodes: Sequence[Node]) -> npt.NDArray[np.float64]:
        """As `device.Device`: each node by itself, between two events."""
        d, times = self._driver, np.zeros(len(nodes))
        with self._event(timed=True) as begin, self._event(timed=True) as end, self._current():
            for number, node in enumerate(nodes):
                self.ask("record an event", d.cuEventRecord, begin, self._stream)
                self._run(node)
                self.ask("record an event", d.cuEventRecord, end, self._stream)
                self.ask("do what it was asked for", d.cuEventSynchronize, end)
                times[number] = self.ask("tell a time", d.cuEventElapsedTime, begin, end)
        return times

    def _run(self, node: Node) -> None:
        """Ask for one node by itself."""
        d = self._driver
        if isinstance(node, Copy):
            asked = f"copy {node.nbytes:,} bytes"
            self.ask(asked, d.cuMemcpyAsync, node.target, node.source, node.nbytes, self._stream)
            return
        self.allow(node)
        given = node.arguments, _ARGUMENTS
        asked = f"launch kernel {node.function.name!r}"
        self.ask(
            asked, d.cuLaunchKernel, node.function.handle, node.grid, 1, 1, node.threads, 1, 1,
            node.shared, self._stream, given, 0,
        )  # fmt: skip

    def allow(self, node: Call) -> None:
        """Let a kernel have as much shared memory as a launch asks for."""
        function = node.function
        if node.shared <= function.allowed:
            return
        which = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        asked = f"give kernel {function.name!r} {node.shared:,} bytes of shared memory"
        self.ask(asked, self._driver.cuFuncSetAttribute, function.handle, which, node.shared)
        function.allowed = node.shared

    def _attribute(self, word: str) -> int:
        which = getattr(self._driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{word}")
        return int(
            self.ask("tell what it is", self._driver.cuDeviceGetAttribute, which, self._handle)
        )

    @contextmanager
    def _current(self) -> Iterator[None]:
        """The context is the thread's in here, and what was before it afterwards."""
        d = self._driver
        self.ask("use its context", d.cuCtxPushCurrent, self.context)
        try:
            yield
        finally:
            self.ask("leave its context", d.cuCtxPopCurrent)

    @contextmanager
    def _event(self, timed: bool = False) -> Iterator[Any]:
        d = self._driver
        kind = d.CUevent_flags
        flags = kind.CU_EVENT_DEFAULT if timed else kind.CU_EVENT_DISABLE_TIMING
        with self._current():
            event = self.ask("make an event", d.cuEventCreate, flags)
        try:
            yield event
        finally:
            with self._current():
                self.ask("end an event", d.cuEventDestroy, event)

    def ask(self, asked: str, function: Callable[..., tuple[Any, ...]], *given: Any) -> Any:
        """The value that the driver answers with, if any; DeviceError where it refuses."""
        code, *values = function(*given)
        if code:
            names = self._driver.cuGetErrorName, self._driver.cuGetErrorString
            name, text = (tell(code)[1] or b"unknown" for tell in names)
            raise DeviceError(asked, name.decode(), text.decode())
        return values[0] if values else None

    def keep(self, owner: Any, asked: str, release: Any, handle: Any) -> None:
        """Give back a handle with its owner, but not what a forked child has inherited."""

        def give_back() -> None:
            if os.getpid() == self.process:
                with self._current():
                    self.ask(asked, release, handle)

        weakref.finalize(owner, give_back).atexit = False


class _Function:
    """The entry of a cubin, which is unloaded with this.

    Attributes:
        name: of the kernel.
        handle: the driver's.
        allowed: bytes of shared memory that it may ask for.
    """

    def __init__(self, device: DriverDevice, built: Built) -> None:
        d, code = device._driver, ctypes.create_string_buffer(built.code, len(built.code))
        asked = f"load kernel {built.name!r} for {device.architecture}"
        module = device.ask(asked, d.cuModuleLoadData, ctypes.addressof(code))
        device.keep(self, f"unload kernel {built.name!r}", d.cuModuleUnload, module)
        self.name = built.name
        self.handle = device.ask(asked, d.cuModuleGetFunction, module, ENTRY)
        self.allowed = USUAL_SHARED


class _Graph:
    """A graph of the driver, made ready; it goes with this.

    Attributes:
        handle: the driver's.
    """

    def __init__(self, device: DriverDevice, nodes: Sequence[Node]) -> None:
        d = device._driver
        graph = device.ask("make a graph", d.cuGraphCreate, 0)
        try:
            made: list[Any] = []
            for node in nodes:
                after = [made[number] for number in node.after]
                add = _add_copy if isinstance(node, Copy) else _add_call
                made.append(add(device, graph, after, node))
            asked = f"make a graph of {len(nodes)} nodes ready"
            self.handle = device.ask(asked, d.cuGraphInstantiate, graph, 0)
        finally:
            device.ask("end a graph", d.cuGraphDestroy, graph)
        device.keep(self, "end a graph", d.cuGraphExecDestroy, self.handle)
        self._functions = [node.function for node in nodes if isinstance(node, Call)]


def _add_copy(device: DriverDevice, graph: Any, after: list[Any], node: Any) -> Any:
    """A node that copies a line of bytes; whose they are, their addresses say."""
    d = device._driver
    given = d.CUDA_MEMCPY3D()
    given.srcMemoryType = given.dstMemoryType = d.CUmemorytype.CU_MEMORYTYPE_UNIFIED
    given.srcDevice, given.dstDevice = node.source, node.target
    given.WidthInBytes, given.Height, given.Depth = node.nbytes, 1, 1
    given.srcPitch = given.dstPitch = node.nbytes
    given.srcHeight = given.dstHeight = 1
    asked = f"add a copy of {node.nbytes:,} bytes to a graph"
    context = device.context
    return device.ask(asked, d.cuGraphAddMemcpyNode, graph, after, len(after), given, context)


def _add_call(device: DriverDevice, graph: Any, after: list[Any], node: Any) -> Any:
    """A node that launches a kernel; the driver copies its arguments."""
    d = device._driver
    device.allow(node)
    given = d.CUDA_KERNEL_NODE_PARAMS()
    given.func = node.function.handle
    given.gridDimX, given.gridDimY, given.gridDimZ = node.grid, 1, 1
    given.blockDimX, given.blockDimY, given.blockDimZ = node.threads, 1, 1
    given.sharedMemBytes = node.shared
    given.kernelParams = node.arguments, _ARGUMENTS
    asked = f"add kernel {node.function.name!r} to a graph"
    return device.ask(asked, d.cuGraphAddKernelNode, graph, after, len(after), given)

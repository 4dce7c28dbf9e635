"""What the device of the machine asks of the driver, without one: a stand-in notes every call.

Where `cuda-bindings` is installed, its structures and names are the real ones.
"""

import ctypes
import gc
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.code import Code
from diagrad.runtime.cuda.device import Call, Copy, DeviceError, Kind, Node
from diagrad.runtime.cuda.driver import ENTRY, USUAL_SHARED, DriverDevice
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Memory, Workspace, state_array
from diagrad.runtime.cuda.processor import Rates
from diagrad.runtime.program import Kernel

from .programs import bound, execution

HANDLES = {
    "cuDevicePrimaryCtxRetain": 11, "cuStreamCreate": 12, "cuModuleLoadData": 13,
    "cuModuleGetFunction": 14, "cuGraphCreate": 15, "cuGraphInstantiate": 16, "cuEventCreate": 17,
    "cuDeviceGet": 0, "cuCtxPopCurrent": 11, "cuPointerGetAttribute": 0, "cuEventElapsedTime": 1.5,
    "cuMemGetInfo": 1 << 30,
}  # fmt: skip
TYPES = {
    "cuDeviceGet": "CUdevice", "cuDevicePrimaryCtxRetain": "CUcontext",
    "cuStreamCreate": "CUstream",
    "cuModuleLoadData": "CUmodule", "cuModuleGetFunction": "CUfunction", "cuGraphCreate": "CUgraph",
    "cuGraphInstantiate": "CUgraphExec", "cuEventCreate": "CUevent", "cuMemAlloc": "CUdeviceptr",
    "cuMemAllocManaged": "CUdeviceptr", "cuGraphAddMemcpyNode": "CUgraphNode",
    "cuGraphAddKernelNode": "CUgraphNode",
}  # fmt: skip
"""What the bindings answer with."""
ATTRIBUTES = {
    "COMPUTE_CAPABILITY_MAJOR": 9, "COMPUTE_CAPABILITY_MINOR": 0, "MULTIPROCESSOR_COUNT": 132,
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 232448, "CONCURRENT_MANAGED_ACCESS": 1,
    "CLOCK_RATE": 1980000, "MEMORY_CLOCK_RATE": 2619000, "GLOBAL_MEMORY_BUS_WIDTH": 5120,
}  # fmt: skip


class Word(str):
    """A word of an enumeration, as the stand-in has it."""

    __slots__ = ()


def plain(value: Any) -> Any:
    """A handle as a number, and a list of them as numbers."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if type(value).__name__ in TYPES.values() else value


class Words:
    def __getattr__(self, name: str) -> Any:
        return Word(name)


class StandIn:
    """`cuda.bindings.driver`, with memory of the host for what is asked for.

    Attributes:
        calls: each function's name, and what it was given.
        fails: the answer of a function, if it is not 0.
    """

    def __init__(self, real: Any = None) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.fails: dict[str, int] = {}
        self._real = real
        self._memory: dict[int, Any] = {}
        self._nodes = 100
        self._absent = real is not None and _is_absent(real)

    def __getattr__(self, name: str) -> Any:
        real: Any = self._real and getattr(self._real, name)  # it must be there
        if name.startswith("CU"):
            if real is not None:
                return real
            if name.startswith("CU_"):
                return 1
            if name in ("CUDA_MEMCPY3D", "CUDA_KERNEL_NODE_PARAMS", "CUmemLocation"):
                return SimpleNamespace
            return (lambda x: x) if name == "CUstream" else Words()

        def function(*given: Any) -> tuple[Any, ...]:
            self.calls.append((name, tuple(map(plain, given))))
            if self._absent:  # it looks at what it is given, and then for the library
                with pytest.raises(RuntimeError):
                    real(*given)
            code = self.fails.get(name, 0)
            if code:
                return code, None
            error, *values = self._answer(name, tuple(map(plain, given)))
            if self._real is not None and name in TYPES:
                values = [getattr(self._real, TYPES[name])(value) for value in values]
            return error, *values

        return function

    def _answer(self, name: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if name == "cuDeviceGetName":
            return 0, b"NVIDIA H100\0\0"
        if name in ("cuGetErrorName", "cuGetErrorString"):
            return 0, b"CUDA_ERROR_OUT_OF_MEMORY" if name.endswith("Name") else b"out of memory"
        if name == "cuDeviceGetAttribute":
            word = str(getattr(given[0], "name", given[0])).removeprefix("CU_DEVICE_ATTRIBUTE_")
            return 0, ATTRIBUTES[word]
        if name in ("cuMemAlloc", "cuMemAllocManaged", "cuMemHostAlloc"):
            room = np.zeros(given[0] + 256, np.uint8)
            address = -(-room.ctypes.data // 256) * 256
            self._memory[address] = room
            return 0, address
        if name in ("cuMemFree", "cuMemFreeHost"):
            del self._memory[given[0]]
            return (0,)
        if name.startswith("cuGraphAdd"):
            self._nodes += 1
            return 0, self._nodes
        return (0, HANDLES[name]) if name in HANDLES else (0,)

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """What each call of a function was given."""
        return [given for each, given in self.calls if each == name]

    @property
    def held(self) -> int:
        return len(self._memory)


def _is_absent(real: Any) -> bool:
    """Whether the driver's library is not on this machine."""
    try:
        real.cuInit(0)
    except RuntimeError:
        return True
    return False


def build(codes: Sequence[Code], architecture: str) -> list[Any]:
    assert architecture == "sm_90"
    return [
        SimpleNamespace(
            name=code.name, code=repr([(k.source, near) for k, near in code.kernels]).encode(),
            origin="compiled", reason="new", milliseconds=2.0,
        )
        for code in codes
    ]  # fmt: skip


@pytest.fixture(params=["stand-in", "bindings"])
def driver(request: pytest.FixtureRequest) -> StandIn:
    if request.param == "stand-in":
        return StandIn()
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    return StandIn(pytest.importorskip("cuda.bindings.driver"))


def test_what_a_device_is(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    assert str(device) == "NVIDIA H100 (sm_90)"
    assert (device.number, device.stream) == (0, 12)
    assert (device.processor.multiprocessors, device.processor.shared) == (132, 200 << 10)
    stated = replace(device.processor.rates, bytes_per_s=Rates().bytes_per_s)
    assert stated == Rates()  # an H100's
    assert device.processor.rates.bytes_per_s == pytest.approx(Rates().bytes_per_s, rel=1e-3)


def test_no_more_managed_memory_is_asked_for_than_there_is(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    with pytest.raises(DeviceError, match="of the device's memory 1,073,741,824 bytes are free"):
        device.allocate("managed", (1 << 30) + 1)
    assert "cuMemAllocManaged" not in [name for name, _ in driver.calls]


@pytest.mark.parametrize("name", [
    "cuInit", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain",
    "cuCtxPushCurrent", "cuStreamCreate",
])  # fmt: skip
def test_every_answer_is_looked_at_when_it_begins(name: str) -> None:
    driver = StandIn()
    driver.fails[name] = 2
    with pytest.raises(DeviceError, match="CUDA_ERROR_OUT_OF_MEMORY: out of memory"):
        DriverDevice(driver, build)


def graph_of(device: DriverDevice) -> Any:
    (one,) = device.load([Code(((Kernel("one", "text", 32), True),))])
    nodes: list[Node] = [
        Copy(4096, 8192, 300),
        Call(one.function, 7, 128, 100_000, (1, 2, 3, 4, 5, 6, 7), (0,)),
        Call(one.function, 7, 128, 60_000, (1, 2, 3, 4, 5, 6, 7), (0, 1)),
    ]
    return nodes, device.graph(nodes)


CALLS: dict[str, Callable[[DriverDevice], object]] = {
    "cuMemAlloc": lambda d: d.allocate("device", 5),
    "cuMemAllocManaged": lambda d: d.allocate("managed", 5),
    "cuMemGetInfo": lambda d: d.allocate("managed", 5),
    "cuMemHostAlloc": lambda d: d.allocate("pinned", 5),
    "cuMemAdvise": lambda d: d.keep_here(4096, 5),
    "cuMemPrefetchAsync": lambda d: d.keep_here(4096, 5),
    "cuPointerGetAttribute": lambda d: d.number_of(4096),
    "cuModuleLoadData": graph_of,
    "cuModuleGetFunction": graph_of,
    "cuMemcpyAsync": lambda d: d.copy(1, 2, 3),
    "cuMemcpyDtoH": lambda d: d.copy_to_host(np.zeros(3), 4096),
    "cuGraphCreate": graph_of,
    "cuGraphAddMemcpyNode": graph_of,
    "cuGraphAddKernelNode": graph_of,
    "cuFuncSetAttribute": graph_of,
    "cuGraphInstantiate": graph_of,
    "cuGraphDestroy": graph_of,
    "cuGraphLaunch": lambda d: d.launch(graph_of(d)[1]),
    "cuStreamSynchronize": lambda d: d.synchronize(),
    "cuEventCreate": lambda d: d.wait_for(5),
    "cuEventRecord": lambda d: d.wait_for(5),
    "cuStreamWaitEvent": lambda d: d.wait_for(5),
    "cuEventDestroy": lambda d: d.wait_for(5),
    "cuLaunchKernel": lambda d: d.measure(graph_of(d)[0]),
    "cuEventSynchronize": lambda d: d.measure(graph_of(d)[0]),
    "cuEventElapsedTime": lambda d: d.measure(graph_of(d)[0]),
    "cuCtxPopCurrent": lambda d: d.synchronize(),
}
"""Each function of the driver that a device asks, and something that asks it."""


@pytest.mark.parametrize("name", CALLS)
def test_every_answer_is_looked_at(name: str) -> None:
    driver = StandIn()
    device = DriverDevice(driver, build)
    CALLS[name](device)
    driver.fails[name] = 2
    with pytest.raises(DeviceError, match=r"the CUDA driver refuses to .*OUT_OF_MEMORY") as caught:
        CALLS[name](device)
    assert caught.value.name == "CUDA_ERROR_OUT_OF_MEMORY"
    driver.fails.clear()


def test_contexts_are_left_again(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    for ask in CALLS.values():
        ask(device)
    with pytest.raises(DeviceError):
        driver.fails["cuMemAlloc"] = 2
        device.allocate("device", 5)
    driver.fails.clear()
    gc.collect()
    assert len(driver.named("cuCtxPushCurrent")) == len(driver.named("cuCtxPopCurrent"))
    assert set(driver.named("cuCtxPushCurrent")) == {(11,)}


def test_a_graph_has_the_nodes_with_their_edges(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    _, graph = graph_of(device)
    assert int(graph.handle) == 16
    ((of, after, count, copy, context),) = driver.named("cuGraphAddMemcpyNode")
    assert (of, after, count, context) == (15, [], 0, 11)
    assert (int(copy.srcDevice), int(copy.dstDevice)) == (8192, 4096)
    assert (copy.WidthInBytes, copy.Height, copy.Depth) == (300, 1, 1)
    assert (copy.srcPitch, copy.srcHeight, copy.dstPitch, copy.dstHeight) == (300, 1, 300, 1)
    first, second = driver.named("cuGraphAddKernelNode")
    assert (first[1], first[2], second[1], second[2]) == ([101], 1, [101, 102], 2)
    given = first[3]
    assert (given.gridDimX, given.gridDimY, given.gridDimZ) == (7, 1, 1)
    assert (given.blockDimX, given.blockDimY, given.blockDimZ) == (128, 1, 1)
    assert (int(given.func), given.sharedMemBytes) == (14, 100_000)
    assert arguments(given.kernelParams) == [1, 2, 3, 4, 5, 6, 7]
    # Once for each kernel that asks for more than what is usual, for what it asks for at most.
    assert [call[0::2] for call in driver.named("cuFuncSetAttribute")] == [(14, 100_000)]
    assert USUAL_SHARED < 60_000
    assert driver.named("cuGraphDestroy") == [(15,)]
    del graph
    gc.collect()
    assert driver.named("cuGraphExecDestroy") == [(16,)]


def arguments(given: Any) -> list[int]:
    """What a kernel is launched with: values and types, or the address of addresses."""
    if isinstance(given, tuple):
        values, types = given
        assert types == (ctypes.c_int64,) * len(values)
        return list(values)
    addresses = (ctypes.c_void_p * 7).from_address(int(given))
    return [ctypes.c_int64.from_address(int(a or 0)).value for a in addresses]


def test_kernels_of_the_same_code_are_loaded_once(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    kernels = [Kernel("one", "text", 32), Kernel("two", "text", 32), Kernel("three", "more", 32)]
    found = device.load(
        [Code(((kernel, True),)) for kernel in kernels] + [Code(((kernels[0], False),))]
    )
    assert found[0].function is found[1].function
    assert len({id(item.function) for item in found}) == 3
    assert [item.name for item in found] == ["one", "two", "three", "one"]
    assert len(driver.named("cuModuleLoadData")) == 3
    assert driver.named("cuModuleGetFunction") == [(13, ENTRY)] * 3
    del found
    gc.collect()
    assert driver.named("cuModuleUnload") == [(13,)] * 3


def test_memory_is_given_back(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    kinds: tuple[Kind, ...] = ("device", "pinned", "managed")
    held = [Memory(device, kind, 100) for kind in kinds]
    assert driver.held == 3
    del held
    gc.collect()
    assert driver.held == 0
    assert len(driver.named("cuMemFreeHost")) == 1 and len(driver.named("cuMemFree")) == 2


def test_a_child_gives_nothing_back() -> None:
    driver = StandIn()
    device = DriverDevice(driver, build)
    memory, (nodes, graph) = Memory(device, "device", 5), graph_of(device)
    device.process += 1
    before = len(driver.calls)
    del memory, nodes, graph
    gc.collect()
    assert len(driver.calls) == before


def test_times_are_those_between_events(driver: StandIn) -> None:
    device = DriverDevice(driver, build)
    nodes, _ = graph_of(device)
    np.testing.assert_array_equal(device.measure(nodes), [1.5, 1.5, 1.5])
    first = driver.named("cuLaunchKernel")[0]
    assert first[:9] == (14, 7, 1, 1, 128, 1, 1, 100_000, 12)
    assert arguments(first[9]) == [1, 2, 3, 4, 5, 6, 7]
    assert driver.named("cuMemcpyAsync") == [(4096, 8192, 300, 12)]


def test_a_program_is_bound_and_launched(driver: StandIn) -> None:
    """All that an executor asks has an answer; what kernels compute is another matter."""
    device = DriverDevice(driver, build)
    program, states = bound("mlp", {"B": 2}), {}
    for buffer in program.buffers:
        if buffer.role == "state":
            states[buffer.name] = state_array(device, buffer.shape, buffer.dtype)
            states[buffer.name][...] = 0
    one = Executor(program, states, Workspace(device))
    shapes = [b for b in program.buffers if b.role == "input"]
    for _ in range(2):
        # No check is written here, and memory is 0, which is not HOLDS.
        answer = one.native({b.name: np.zeros(b.shape, b.dtype) for b in shapes})
        assert answer is None
    assert len(driver.named("cuGraphInstantiate")) == 1
    assert driver.named("cuGraphLaunch") == [(16, 12)] * 2
    assert len(driver.named("cuGraphAddKernelNode")) == len(one.plan.launches)
    assert execution("mlp").states.keys() == states.keys()
    # Weights move to the device once; counts stay where both sides reach them.
    moved = [array.ctypes.data for array in states.values() if array.shape]
    assert [call[0] for call in driver.named("cuMemPrefetchAsync")] == moved

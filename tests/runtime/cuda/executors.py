"""Executors on a simulated device, for tests of their calls and of what they hold."""

from typing import Any

from diagrad.runtime.cuda.arrays import DeviceArray
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Memory, Workspace

from .programs import bound, execution
from .running import on_device
from .simulated import SimulatedDevice

Array = Any


def executor(
    name: str = "mlp", sizes: dict[str, int] | None = None, device: Any = None, **options: Any
) -> Executor:
    found = device or SimulatedDevice()
    program = bound(name, sizes or {"B": 2})
    states = on_device(found, execution(name).states)
    return Executor(program, states, Workspace(found), **options)


def values(one: Executor) -> list[bytes]:
    """The states, as bytes."""
    return [array.tobytes() for array in one._states.values()]


def there(device: SimulatedDevice, array: Array) -> DeviceArray:
    """A copy of an array on a device."""
    memory = Memory(device, "device", array.nbytes)
    staged = Memory(device, "pinned", array.nbytes)
    staged.array(array.shape, array.dtype)[...] = array
    device.copy(memory.address, staged.address, array.nbytes)
    device.synchronize()
    return DeviceArray(device, memory.address, array.shape, array.dtype, memory)

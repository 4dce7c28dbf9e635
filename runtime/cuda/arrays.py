"""Arrays in a device's memory: what a run leaves there, and what other libraries hand over."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from .dlpack import CUDA, MANAGED, Described, capsule_of, described

Array = npt.NDArray[Any]


class Device(Protocol):
    """What an array must know of the device that it lies on.

    Attributes:
        number: of the device, as the driver counts.
        stream: the handle of the stream that programs run on.
    """

    number: int
    stream: int

    def number_of(self, address: int) -> int:
        """The number of the device whose memory an address is of."""

    def copy_to_host(self, target: Array, address: int) -> None:
        """Fill a contiguous array of the host from a device's memory."""

    def wait_for(self, stream: int) -> None:
        """Let what has been asked of another stream be done before what is asked from now on."""


class DeviceArray:
    """An array in the memory of a CUDA device, row-major and contiguous.

    `program.run(..., device=True)` gives them.  Programs of target "cuda" take them as inputs, and
    other libraries read them where they lie, by `__cuda_array_interface__` (version 3) or DLPack:
    `torch.as_tensor(array, device="cuda")`, `cupy.asarray(array)`, `jax.dlpack.from_dlpack(array)`.
    What computes it is complete.

    Attributes:
        address: of its first byte, on the device.
        shape: the extents.
        dtype: NumPy's.
        device: that it lies on.
    """

    __slots__ = ("__weakref__", "_owner", "address", "device", "dtype", "shape")

    def __init__(
        self, device: Device, address: int, shape: tuple[int, ...], dtype: npt.DTypeLike, owner: Any
    ) -> None:
        self.device = device
        self.address = address
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._owner = owner

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.dtype.itemsize

    def numpy(self) -> Array:
        """A copy in the host's memory."""
        made = np.empty(self.shape, self.dtype)
        if made.size:
            self.device.copy_to_host(made, self.address)
        return made

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("an array on a device cannot be read without a copy")
        found = self.numpy()
        return found if dtype is None else found.astype(dtype, copy=False)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.dtype.kind == "V":  # the interface has no bfloat16, DLPack has
            raise AttributeError("__cuda_array_interface__")
        return self._interface()

    def _interface(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
            "stream": None,  # nothing is to be waited for
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device.number

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        return capsule_of(np.asarray(_Placed(self)), self.device.number)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array of shape () has no length")
        return self.shape[0]

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an array on a device cannot be pickled: array.numpy() is a copy that can")

    def __repr__(self) -> str:
        return f"<DeviceArray {self.dtype} {self.shape} on device {self.device.number}>"


class _Placed:
    """What NumPy takes for an array at an address of the device; nobody may read it."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array
        self.__array_interface__ = array._interface()


def lies_on_device(value: Any) -> bool:
    """Whether a value is an array in the memory of a CUDA device, by what it says itself."""
    if type(value) is np.ndarray:
        return False
    if getattr(value, "__cuda_array_interface__", None) is not None:
        return True
    # Not of a value whose library is not there: a list, a number.
    ask = getattr(value, "__dlpack_device__", None)
    return ask is not None and int(ask()[0]) in (CUDA, MANAGED)


def device_array(value: Any, device: Device) -> DeviceArray:
    """An array of any library on a device, as it lies; it keeps the value.

    What its library has asked of its own stream is waited for, as the interface says.

    Raises:
        ValueError: it lies on another device, or not row-major and contiguous.
    """
    if isinstance(value, DeviceArray):
        found, number = value, value.device.number
    else:
        read = _by_interface if hasattr(value, "__cuda_array_interface__") else _by_dlpack
        what, number, owner = read(value, device)
        if not _contiguous(what):
            raise ValueError("not contiguous: give it a contiguous copy")
        found = DeviceArray(device, what.address, what.shape, what.dtype, owner)
    if number != device.number:
        raise ValueError(f"on device {number}, not on device {device.number}: copy it there")
    return found


def _by_interface(value: Any, device: Device) -> tuple[Described, int, Any]:
    """What `__cuda_array_interface__` says, the number of the device, and what to keep."""
    told = value.__cuda_array_interface__
    strides = told.get("strides")
    address = int(told["data"][0] or 0)
    what = Described(
        address, tuple(told["shape"]), told["typestr"], None if strides is None else tuple(strides)
    )
    stream = told.get("stream")
    if stream is not None:
        device.wait_for(int(stream))
    return what, device.number_of(address) if address else device.number, value


def _by_dlpack(value: Any, device: Device) -> tuple[Described, int, Any]:
    """The same of a capsule, which owns the memory as long as nobody consumes it."""
    capsule = value.__dlpack__(stream=device.stream)
    return described(capsule), int(value.__dlpack_device__()[1]), capsule


def _contiguous(what: Described) -> bool:
    """Whether elements lie one after another, row-major."""
    if what.strides is None or 0 in what.shape:
        return True
    step = np.dtype(what.dtype).itemsize
    for extent, stride in zip(reversed(what.shape), reversed(what.strides), strict=True):
        if extent != 1 and stride != step:
            return False
        step *= extent
    return True

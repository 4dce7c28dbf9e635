"""Arrays on a device: what they tell other libraries, and how those of other libraries are read.

The device is pretended: its memory is the host's, so that what is read can be compared.
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from diagrad.runtime.cuda.arrays import DeviceArray, device_array, lies_on_device
from diagrad.runtime.cuda.dlpack import CUDA, described, host_array

Array = npt.NDArray[Any]
DTYPES = (
    "float32", "float64", "int32", "int64", "uint32", "bool", "int8", "uint8", "int16", "uint16",
    "float16",
)  # fmt: skip


class Pretended:
    """A device whose memory is the host's."""

    number, stream = 0, 77

    def __init__(self) -> None:
        self.waited: list[int] = []
        self.others: dict[int, int] = {}

    def number_of(self, address: int) -> int:
        return self.others.get(address, self.number)

    def copy_to_host(self, target: Array, address: int) -> None:
        ctypes.memmove(target.ctypes.data, address, target.nbytes)

    def wait_for(self, stream: int) -> None:
        self.waited.append(stream)


class Interface:
    """An array of a library that has `__cuda_array_interface__`."""

    def __init__(self, array: Array, **more: Any) -> None:
        self.array = array
        self.__cuda_array_interface__ = {
            "shape": array.shape, "typestr": array.dtype.str, "version": 3,
            "data": (array.ctypes.data, False),
            "strides": None if array.flags.c_contiguous else array.strides, **more,
        }  # fmt: skip


class Capsules:
    """An array of a library that has DLPack alone."""

    def __init__(self, array: Array, kind: int = CUDA, number: int = 0) -> None:
        self.array, self.place = array, (kind, number)
        self.streams: list[Any] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        self.streams.append(stream)
        return self.array.__dlpack__()


def numbers(dtype: str = "float32", *shape: int) -> Array:
    return np.arange(np.prod(shape or (3, 4))).reshape(shape or (3, 4)).astype(dtype)


def on_device(array: Array, device: Pretended | None = None) -> DeviceArray:
    return DeviceArray(device or Pretended(), array.ctypes.data, array.shape, array.dtype, array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("library", [Interface, Capsules])
def test_an_array_of_another_library_is_read_where_it_lies(library: Any, dtype: str) -> None:
    array = numbers(dtype)
    value = library(array)
    assert lies_on_device(value)
    found = device_array(value, Pretended())
    assert found.address == array.ctypes.data
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(found.numpy(), array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (1,), ()])
def test_what_an_array_tells_others(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype)
    ours = on_device(array)
    assert ours.__dlpack_device__() == (CUDA, 0) and lies_on_device(ours)
    told = described(ours.__dlpack__(stream=1))
    assert told.address == array.ctypes.data or not array.size
    assert (told.shape, np.dtype(told.dtype)) == (shape, array.dtype)
    again = device_array(Interface(array, **ours.__cuda_array_interface__), Pretended())
    assert (again.address, again.shape, again.dtype) == (ours.address, shape, array.dtype)
    assert (ours.size, ours.nbytes, ours.ndim) == (array.size, array.nbytes, array.ndim)


def test_bfloat16_is_told_by_dlpack_alone() -> None:
    """NumPy has no name for it, and neither has the interface of arrays."""
    array = np.arange(12.0).reshape(3, 4).astype(ml_dtypes.bfloat16)
    ours = on_device(array)
    assert not hasattr(ours, "__cuda_array_interface__") and lies_on_device(ours)
    told = described(ours.__dlpack__(stream=1))
    assert (told.address, told.shape, told.dtype) == (array.ctypes.data, (3, 4), "bfloat16")
    found = device_array(ours, Pretended())
    assert found.dtype == array.dtype and (found.numpy() == array).all()


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (1,), ()])
def test_bfloat16_of_pytorch_is_read_where_it_lies(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.ones(shape, dtype=torch.bfloat16)
    found = host_array(tensor)
    assert (found.shape, found.dtype.name) == (shape, "bfloat16") and (found == 1).all()
    turned = torch.arange(12.0).reshape(3, 4).to(torch.bfloat16).T[1:, ::2]
    found = host_array(turned)
    assert found.ctypes.data == turned.data_ptr()
    np.testing.assert_array_equal(found.astype(np.float32), turned.float().numpy())
    del turned, tensor
    gc.collect()
    assert found.astype(np.float32).tolist() == [[1, 9], [2, 10], [3, 11]]


def test_what_an_array_is_to_numpy() -> None:
    array = numbers()
    ours = on_device(array)
    np.testing.assert_array_equal(np.asarray(ours), array)
    assert np.asarray(ours).ctypes.data != array.ctypes.data
    assert np.asarray(ours, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="cannot be read without a copy"):
        np.asarray(ours, copy=False)
    assert len(ours) == 3 and repr(ours) == "<DeviceArray float32 (3, 4) on device 0>"
    with pytest.raises(TypeError, match=r"array\.numpy\(\) is a copy that can"):
        __import__("pickle").dumps(ours)
    with pytest.raises(TypeError, match=r"shape \(\) has no length"):
        len(on_device(np.zeros(())))


def test_streams_of_others_are_waited_for() -> None:
    device = Pretended()
    device_array(Interface(numbers()), device)
    device_array(Interface(numbers(), stream=None), device)
    assert device.waited == []
    device_array(Interface(numbers(), stream=5), device)
    assert device.waited == [5]
    value = Capsules(numbers())
    device_array(value, device)
    assert value.streams == [77]


@pytest.mark.parametrize("library", [Interface, Capsules])
def test_the_memory_stays_as_long_as_it_is_used(library: Any) -> None:
    class Held(np.ndarray[Any, Any]):
        """An array that can be watched."""

    array = numbers().view(Held)
    watched = weakref.ref(array)
    found = device_array(library(array), Pretended())
    del array
    gc.collect()
    assert watched() is not None
    del found
    gc.collect()
    assert watched() is None


def consume(capsule: Any) -> Any:
    """Take a tensor over as a library does; what it calls when it has done with it."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    place = pointer(capsule, b"dltensor")
    rename = ctypes.pythonapi.PyCapsule_SetName
    rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
    rename(capsule, USED)
    deleter = ctypes.c_void_p.from_address(place + 48 + 8).value  # behind the tensor, a context
    assert deleter is not None
    return lambda: ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(place)


USED = b"used_dltensor"


@pytest.mark.parametrize("consumed", [True, False])
def test_a_capsule_keeps_its_array_and_lets_it_go(consumed: bool) -> None:
    array = numbers()
    ours = on_device(array)
    watched = weakref.ref(ours)
    capsule = ours.__dlpack__()
    del ours
    gc.collect()
    assert watched() is not None
    release = consume(capsule) if consumed else None
    del capsule
    gc.collect()
    if release is not None:
        assert watched() is not None
        release()
        gc.collect()
    assert watched() is None


def test_what_does_not_fit() -> None:
    device = Pretended()
    turned = numbers().T
    for value in (Interface(turned), Capsules(turned)):
        with pytest.raises(ValueError, match=r"not contiguous: give it a contiguous copy"):
            device_array(value, device)
    fine = numbers("float32", 1, 4)[:, ::1].T  # of one column
    assert device_array(Interface(fine, strides=(4, 16)), device).shape == (4, 1)
    elsewhere = numbers()
    device.others[elsewhere.ctypes.data] = 3
    for value in (Interface(elsewhere), Capsules(elsewhere, number=3)):
        with pytest.raises(ValueError, match="on device 3, not on device 0: copy it there"):
            device_array(value, device)
    with pytest.raises(ValueError, match="no capsule with the name dltensor"):
        described(object())


def test_arrays_of_the_host_are_none() -> None:
    class Torch:
        """A tensor of the processor, whose library says so by this error."""

        @property
        def __cuda_array_interface__(self) -> Any:
            raise AttributeError("Can't get __cuda_array_interface__ on non-CUDA tensor")

    for value in (numbers(), Capsules(numbers(), kind=1), Torch(), 1.0, [1, 2], None):
        assert not lies_on_device(value)

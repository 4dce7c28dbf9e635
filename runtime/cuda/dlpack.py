"""Arrays of other libraries by DLPack (dmlc.github.io/dlpack, version 0.8): no element is copied.

A producer gives a capsule named "dltensor", which owns the memory until a consumer renames it.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HOST, CUDA, MANAGED = 1, 2, 13
"""The kinds of devices (DLDeviceType): the host, and those whose memory a CUDA device reads."""

_KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}
"""NumPy's letters of DLPack's kinds of numbers (DLDataTypeCode)."""

_BFLOAT = 4
"""The kind of bfloat16, which NumPy knows once ml_dtypes is imported."""

_NAME = b"dltensor"


class _Tensor(ctypes.Structure):
    """`DLTensor`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Described(NamedTuple):
    """Where an array lies and what it is; `strides` are in bytes, None for a contiguous one."""

    address: int
    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...] | None


def described(capsule: Any) -> Described:
    """What a capsule holds, which must stay alive as long as the memory is used.

    Raises:
        ValueError: it is no capsule of DLPack that nobody has consumed.
    """
    if not _is_valid(id(capsule), _NAME):
        raise ValueError("__dlpack__ gave no capsule with the name dltensor")
    tensor = _tensor(capsule)
    size = tensor.bits * tensor.lanes // 8
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(size * n for n in tensor.strides[: tensor.ndim]) if tensor.strides else None
    kind = _KINDS.get(tensor.code, "V") if tensor.lanes == 1 else "V"
    bfloat = (tensor.code, tensor.bits, tensor.lanes) == (_BFLOAT, 16, 1)
    dtype = "bfloat16" if bfloat else f"{kind}{size}"
    return Described((tensor.data or 0) + tensor.byte_offset, shape, dtype, strides)


def host_array(value: Any) -> npt.NDArray[Any]:
    """An array of another library in the host's memory, as it lies, of a dtype that NumPy knows.

    Raises:
        ValueError, TypeError: it lies elsewhere, or is no array of such a dtype.
    """
    if value.__dlpack_device__()[0] != HOST:
        raise ValueError("an array on a device")
    capsule = value.__dlpack__()
    what, size = described(capsule), 0
    if what.shape and 0 not in what.shape:
        size = sum((n - 1) * s for n, s in zip(what.shape, _steps(what), strict=True))
    item = np.dtype(what.dtype).itemsize
    held: Any = (ctypes.c_char * (size + item)).from_address(what.address)
    held.owner = capsule  # The memory is there as long as this is.
    return np.ndarray(what.shape, what.dtype, held, strides=what.strides)


def _steps(what: Described) -> tuple[int, ...]:
    """The bytes from one element to the next along each axis."""
    if what.strides is not None:
        return what.strides
    steps = [np.dtype(what.dtype).itemsize]
    for extent in what.shape[:0:-1]:
        steps.insert(0, steps[0] * extent)
    return tuple(steps)


def capsule_of(array: npt.NDArray[Any], device: int) -> Any:
    """A capsule of an array whose address is of a device's memory, which nobody has read.

    NumPy makes it, and keeps the array until its consumer has done; only the device is another.
    """
    bfloat = array.dtype.kind == "V"  # NumPy's kind of what it does not know itself
    capsule = (array.view(np.uint16) if bfloat else array).__dlpack__()
    tensor = _tensor(capsule)
    tensor.device_type, tensor.device_id = CUDA, device
    tensor.code = _BFLOAT if bfloat else tensor.code
    return capsule


def _tensor(capsule: Any) -> _Tensor:
    """The tensor of a capsule, as it lies: the first member of `DLManagedTensor`."""
    return _Tensor.from_address(_pointer(id(capsule), _NAME))


_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

"""Arrays of other libraries by DLPack (dmlc.github.io/dlpack, version 0.8): no element is copied.

A producer gives a capsule named "dltensor", which owns the memory until a consumer renames it.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy.typing as npt

CUDA, MANAGED = 2, 13
"""The kinds of devices (DLDeviceType) whose memory a CUDA device reads; others are the host's."""

_KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}
"""NumPy's letters of DLPack's kinds of numbers (DLDataTypeCode)."""

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
    return Described((tensor.data or 0) + tensor.byte_offset, shape, f"{kind}{size}", strides)


def capsule_of(array: npt.NDArray[Any], device: int) -> Any:
    """A capsule of an array whose address is of a device's memory, which nobody has read.

    NumPy makes it, and keeps the array until its consumer has done; only the device is another.
    """
    capsule = array.__dlpack__()
    tensor = _tensor(capsule)
    tensor.device_type, tensor.device_id = CUDA, device
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

"""CPython's and NumPy's objects as native code meets them: their layout, and the calls it needs.

The layout is that of the public headers (`object.h`, `ndarraytypes.h`), which extensions have
compiled in.  `readable` compares it with real objects before anything relies on it.  An interpreter
without its global lock, or with other objects, is served by the executor's Python instead.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

HEAD = object.__basicsize__
"""Bytes of an object's head, which ends with the reference count and the type, a word each."""

COUNT, TYPE = HEAD - 16, HEAD - 8
DATA, RANK, SHAPE, DESCR, FLAGS, WEAK = (HEAD + field for field in (0, 8, 16, 40, 48, 56))
"""Fields of an array (`PyArrayObject_fields`)."""

PYTHON_CALLS = (
    "PyDict_GetItem", "PyDict_Size", "PyDict_New", "PyDict_SetItem", "PyFloat_FromDouble",
    "PyThread_get_thread_ident", "PyEval_SaveThread", "PyEval_RestoreThread",
    "Py_IncRef", "Py_DecRef",
)  # fmt: skip
"""Functions of Python's stable interface, in the order of `addresses`."""

_NEW_ARRAY = 94
"""`PyArray_NewFromDescr` in NumPy's table of functions (`__multiarray_api.h`)."""

_ONE_ARGUMENT = 0x0008
"""METH_O: a method of its object and one argument."""


class _Method(ctypes.Structure):
    """A `PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    )


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _half(address: int) -> int:
    return ctypes.c_int32.from_address(address).value


@cache
def readable() -> bool:
    """Whether objects lie in memory as the constants of this module say."""
    if sys.implementation.name != "cpython" or sys.byteorder != "little" or HEAD < 16:
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    probe = np.zeros((2, 3), np.float32)
    place = id(probe)
    # The type first: it says that the head is as expected.
    found = _word(place + TYPE) == id(np.ndarray) and _word(place + DATA) == probe.ctypes.data
    found = found and _half(place + RANK) == 2
    if not found or _word(place + DESCR) != id(probe.dtype):
        return False
    shape, count = _word(place + SHAPE), _half(place + COUNT)
    if (_word(shape), _word(shape + 8)) != (2, 3) or _half(place + FLAGS) != probe.flags.num:
        return False
    more = [probe]
    counts = _half(place + COUNT) == count + len(more)
    unseen = _word(place + WEAK) == 0
    seen = weakref.ref(probe)
    return counts and unseen and seen() is probe and _word(place + WEAK) != 0


def call_address(name: str) -> int:
    """Of a function of Python's interface."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


@cache
def addresses() -> tuple[int, ...]:
    """Of `PYTHON_CALLS` and of `PyArray_NewFromDescr`."""
    module: Any = importlib.import_module("numpy._core._multiarray_umath")
    read = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    table = read(("PyCapsule_GetPointer", ctypes.pythonapi))(module._ARRAY_API, None)
    return (*map(call_address, PYTHON_CALLS), _word(table + 8 * _NEW_ARRAY))


@cache
def _method(address: int, name: str) -> _Method:
    # For good: Python keeps pointers to it.
    return _Method(name.encode(), address, _ONE_ARGUMENT, None)


@cache
def _maker() -> Any:
    kinds = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(("PyCFunction_NewEx", ctypes.pythonapi))


def callable_at(address: int, name: str, owner: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Native code as a function of Python with one argument; it holds its `owner`.

    The code is `PyObject *(PyObject *owner, PyObject *argument)` and is called with the
    interpreter's lock.  Such a call takes 30 ns, where one through ctypes takes 500.
    """
    method = ctypes.addressof(_method(address, name))
    function: Callable[[Any], Any] = _maker()(method, owner, None)
    return function

"""Arrays by name in a safetensors file: written whole or not at all, and read; no program needed.

Nothing is unpickled.
"""

from __future__ import annotations

import json  # Here, since a signal may interrupt a load: no import then.
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import kind_of
from ..arguments import path as path_of
from ..arguments import shown, wrong
from ..errors import CheckpointError, InputError
from ..files import refuse_folder, write_atomically
from ..location import user_location
from ..variables.bfloat16 import register_bfloat16
from ..variables.numbers import is_masked

Array = npt.NDArray[Any]
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32",
    "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""The dtypes of safetensors by the names that its files have for them."""

LAYOUT = "1"
"""The version of what stands in a program's file; to be raised when a name or meaning changes."""


def save_state(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays by name to a safetensors file, which is whole or not there.

    An interrupted call leaves an older file as it was.  What a program has, `program.save` writes;
    this is for all else, and for some of it: `{**program.parameters}`, `torch_weights(...)`.

    Args:
        path: the file; one that is there is replaced, and keeps its mode.
        arrays: arrays, or tensors of PyTorch, of bools, integers or floats.

    Raises:
        TypeError: no mapping, or a name that is no text.
        InputError: what is no array of such a dtype.
        OSError: the file cannot be written.
    """
    path = path_of("save_state", "path", path)
    if not isinstance(arrays, Mapping):
        raise wrong("save_state", "arrays by name", arrays)
    found: dict[str, Array] = {}
    for name, value in arrays.items():
        if not isinstance(name, str):
            raise wrong("save_state", "names that are texts", name)
        found[name] = _array(name, value)
    write_atomically(path, file_of(found, {"format": "diagrad"}))


def load_state(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a safetensors file by name: of `save_state`, of a program, or of others.

    Raises:
        CheckpointError: the file is damaged, or has arrays of a dtype that NumPy does not have.
        DtypeError: it has arrays of bfloat16, and the package ml_dtypes is not installed.
        OSError: the file cannot be read.
    """
    return read(path_of("load_state", "path", path), "load_state")[0]


def file_of(arrays: Mapping[str, Array], notes: Mapping[str, str]) -> bytes:
    """What stands in a safetensors file of these arrays."""
    from safetensors.numpy import save as serialize

    return serialize({k: np.asarray(v, order="C") for k, v in arrays.items()}, dict(notes))


def read(path: str, subject: str = "load") -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the metadata of a file; CheckpointError and OSError as for `load_state`.

    CheckpointError too for a file of a program, of another layout.
    """
    import safetensors

    deserialize: Any = safetensors.deserialize
    refuse_folder("read", path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{subject} ({user_location()}) cannot read {path}: no such file")
    with open(path, "rb") as file:
        data = file.read()
    name = os.path.basename(path)
    try:
        found = {key: _elements(item, name) for key, item in deserialize(data)}
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"'{name}' is no complete safetensors file: {error}; save it again, or take an older "
            "one"
        ) from error
    except KeyError as error:
        _check_layout(data, subject, name)
        raise CheckpointError(
            f"'{name}' holds an array of dtype {error.args[0]}, which no program has"
        ) from error
    return found, _check_layout(data, subject, name)


def _elements(item: Mapping[str, Any], name: str) -> Array:
    """An array of a file; KeyError for one of a dtype that NumPy does not have."""
    dtype = DTYPES[item["dtype"]]
    if dtype == "bfloat16":
        register_bfloat16(f"'{name}'")
    return np.frombuffer(item["data"], np.dtype(dtype)).reshape(item["shape"])


def _array(name: str, value: Any) -> Array:
    expected = f"save_state ({user_location()}) expects an array of numbers for '{name}'"
    if is_masked(value):
        raise InputError(f"{expected}, got a masked array: fill it first, with .filled(...)")
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:  # Whatever the value's own conversion says.
        raise InputError(f"{expected}, got {shown(value)}: {error}") from error
    if kind_of(array.dtype) not in "biuf" or array.dtype.itemsize > 8:
        raise InputError(f"{expected}, got {shown(value)} of dtype {array.dtype}")
    return array


def _check_layout(data: bytes, subject: str, name: str) -> dict[str, str]:
    """The metadata; CheckpointError for a file of `save` of another layout, others state none."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    notes: dict[str, str] = header.get("__metadata__", {})
    if notes.get("layout", LAYOUT) != LAYOUT:
        raise CheckpointError(
            f"{subject} of '{name}' expects a checkpoint of layout {LAYOUT}, got layout "
            f"{notes['layout']}: load it with the version of diagrad that wrote it, "
            f"{notes.get('version', 'unknown')}"
        )
    return notes

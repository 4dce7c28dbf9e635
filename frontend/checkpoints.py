"""Checkpoints: every array of a program in one safetensors file, written and read as a whole.

A file is complete or it is not there; a program takes all of a file or none of it.  Nothing is
unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import CheckpointError
from .files import write_atomically
from .optimizers import RATE
from .sharing import tied_names
from .variable import shape_text

if TYPE_CHECKING:
    from .program import Program

Array = npt.NDArray[Any]
LAYOUT = "1"
"""The version of what stands in the file; to be raised when a name or meaning changes."""


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write parameters, optimizer states and the step count to a safetensors file.

    An interrupted save leaves an older file as it was.  Beside the arrays, the file's metadata
    names the diagram, the dtype of its parameters, and versions.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save as serialize

    arrays = {name: np.asarray(array, order="C") for name, array in program.states.items()}
    dtypes = dict.fromkeys(array.dtype.name for array in program.parameters.values())
    notes = {
        "format": "diagrad",
        "layout": LAYOUT,
        "version": _version(),
        "diagram": program.diagram.name,
        "dtype": " ".join(dtypes),
    }
    data = program.workspace.hold(lambda: serialize(arrays, notes))
    write_atomically(path, data)


def load(program: Program, path: str | os.PathLike[str], parameters_only: bool = False) -> None:
    """Read what `save` wrote into the program's arrays, which stay where they are.

    Args:
        program: of the same diagram and optimizer, whose names, shapes and dtypes must be those of
            the file.
        path: a safetensors file.
        parameters_only: take the parameters alone; the states of the diagram and of the optimizer,
            step count and random key stay as they are, and the file's are not read.

    Raises:
        CheckpointError: the file is damaged, or does not fit; the text lists all that is missing,
            unexpected or different, and nothing has changed.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    shown = os.path.basename(path)
    found = _arrays(data, shown)
    wanted: Mapping[str, Array] = program.states
    if parameters_only:
        wanted = program.parameters
        found = _parameters(found, program)
    if RATE in wanted and RATE not in found:  # a file from before there was one
        found = {**found, RATE: np.full_like(wanted[RATE], np.nan)}
    complaints = _complaints(wanted, found, tied_names(program.diagram))
    if complaints:
        remedy = ""
        parameters = _parameters(found, program)
        if not parameters_only and not _complaints(program.parameters, parameters, {}):
            remedy = "\nThe parameters fit: load them alone with parameters_only=True"
        raise CheckpointError(
            f"'{shown}' does not fit program '{program.diagram.name}':\n"
            + "\n".join(f"  {line}" for line in complaints)
            + remedy
        )

    def put() -> None:
        for name, array in wanted.items():
            np.copyto(array, found[name])

    program.workspace.hold(put)


def _arrays(data: bytes, shown: str) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialize

    try:
        return dict(deserialize(data))
    except SafetensorError as error:
        raise CheckpointError(
            f"'{shown}' is no complete safetensors file: {error}; save it again, or take an older "
            "one"
        ) from error
    except KeyError as error:
        raise CheckpointError(
            f"'{shown}' holds an array of dtype {error.args[0]}, which no program has"
        ) from error


def _complaints(
    wanted: Mapping[str, Array], found: Mapping[str, Array], tied: Mapping[str, str]
) -> list[str]:
    """What differs between the arrays of a program and those of a file, a line for each."""
    missing = [f"missing: {_text(name, wanted[name])}" for name in wanted if name not in found]
    extra = [
        f"unexpected: {_text(name, found[name])}"
        + (f", but {name} is tied to {tied[name]}" if name in tied else "")
        for name in found
        if name not in wanted
    ]
    different = [
        f"different: expected {_text(name, array)}, got {_text('', found[name])}"
        for name, array in wanted.items()
        if name in found and (array.shape, array.dtype) != (found[name].shape, found[name].dtype)
    ]
    return [*missing, *sorted(extra), *different]


def _text(name: str, array: Array) -> str:
    return f"{name} {array.dtype} {shape_text(array.shape)}".strip()


def _parameters(found: Mapping[str, Array], program: Program) -> dict[str, Array]:
    """A file's arrays without those that stand for a program's other states."""
    others = {"step", "random_key", *program.diagram.states}
    return {
        name: array
        for name, array in found.items()
        if name in program.parameters or (name not in others and not name.startswith("optimizer/"))
    }


def _version() -> str:
    from importlib import metadata  # 13 ms, for a save only.

    try:
        return metadata.version("diagrad")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"

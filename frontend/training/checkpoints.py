"""Checkpoints: every array of a program in one safetensors file.

A file is complete or it is not there; a program takes all that it has from a file, or nothing.
What else is in the file, such as an optimizer's arrays, is left there, and said.  Nothing is
unpickled.
"""

from __future__ import annotations

import json  # Here, since a signal may interrupt a load: no import then.
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import flag
from ..arguments import path as path_of
from ..drawing.sharing import tied_names
from ..errors import CheckpointError, DiagramWarning
from ..files import refuse_folder, write_atomically
from ..location import warn_user
from ..variables.variable import shape_text
from .optimizers import RATE

if TYPE_CHECKING:
    from ..programs.running import Running

Array = npt.NDArray[Any]
LAYOUT = "1"
"""The version of what stands in the file; to be raised when a name or meaning changes."""
TRAINING = "fit:"
"""What begins the names of arrays that `fit` goes on with, and no name of a program."""


@dataclass(frozen=True)
class Loaded:
    """What `load` did, by the names of arrays.

    Attributes:
        file: the file's name.
        taken: what the program has from the file.
        left: what is in the file and was not taken.
        kept: what the program has beside, as it was.
    """

    file: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    kept: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"Loaded {len(self.taken)} arrays from '{self.file}'"]
        lines += [f"  left in the file: {name}" for name in self.left]
        lines += [f"  kept as it was: {name}" for name in self.kept]
        return "\n".join(lines)


def save(
    program: Running,
    path: str | os.PathLike[str],
    more: Mapping[str, Array] = {},
    remarks: Mapping[str, str] = {},
) -> None:
    """Write a program's arrays to a safetensors file.

    An interrupted save leaves an older file as it was.  Beside the arrays, the file's metadata
    names the diagram, the dtype of its parameters, and versions.

    Args:
        program: whose arrays are saved.
        path: the file.
        more: arrays of a training, whose names begin with TRAINING.
        remarks: more of metadata, by name.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save as serialize

    path = path_of("save", "path", path)
    arrays = {name: np.asarray(array, order="C") for name, array in program.states.items()}
    dtypes = dict.fromkeys(array.dtype.name for array in program.parameters.values())
    notes = {
        "format": "diagrad",
        "layout": LAYOUT,
        "version": _version(),
        "diagram": program.diagram.name,
        "dtype": " ".join(dtypes),
        **remarks,
    }
    arrays |= {name: np.asarray(array, order="C") for name, array in more.items()}
    data = program.workspace.hold(lambda: serialize(arrays, notes))
    write_atomically(path, data)


def load(
    program: Running,
    path: str | os.PathLike[str],
    parameters_only: bool = False,
    optimizer: bool = True,
) -> Loaded:
    """Read what a program has from a file of `save`, into its arrays, which stay where they are.

    Args:
        program: whose parameters and states the file has, of the same shapes and dtypes.
        path: a safetensors file.
        parameters_only: take the parameters alone; all other arrays stay as they are.
        optimizer: whether to take what belongs to the training: the optimizer's arrays, the count
            of steps and the random key.

    Raises:
        CheckpointError: the file is damaged or of another layout, lacks what the program has, has
            it in another shape or dtype, or has what is tied in the program; the text lists all
            of that, and nothing has changed.
        OSError: the file cannot be read.
    """
    path = path_of("load", "path", path)
    parameters_only = flag("load", "parameters_only", parameters_only)
    optimizer = flag("load", "optimizer", optimizer)
    shown = os.path.basename(path)
    found, _ = read(path)
    wanted = _wanted(program, parameters_only, optimizer)
    if RATE in wanted and RATE not in found:  # a file from before there was one
        found = {**found, RATE: np.full_like(wanted[RATE], np.nan)}
    if "random_key" not in found:  # a file of a program that draws nothing
        wanted.pop("random_key", None)
    if "step" not in found and program.optimizer is None:  # one of a program that makes no steps
        wanted.pop("step", None)
    complaints = _complaints(wanted, found, program)
    if complaints:
        raise CheckpointError(
            f"'{shown}' does not fit program '{program.diagram.name}':\n"
            + "\n".join(f"  {line}" for line in complaints)
            + ("" if parameters_only or not optimizer else _remedy(program, found))
        )

    def put() -> None:
        for name, array in wanted.items():
            np.copyto(array, found[name])

    program.workspace.hold(put)
    passed = [name for name in program.diagram.states if parameters_only and name in found]
    if passed:
        warn_user(
            f"load of '{shown}' with parameters_only=True leaves the states {', '.join(passed)} of "
            f"program '{program.diagram.name}' as they were: load without it, or with "
            "optimizer=False, to take them",
            DiagramWarning,
        )
    return Loaded(
        shown,
        tuple(wanted),
        tuple(sorted(found.keys() - wanted.keys())),
        tuple(name for name in program.states if name not in wanted),
    )


def read(path: str) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the metadata of a file; CheckpointError and OSError as for `load`."""
    refuse_folder("read", path)
    with open(path, "rb") as file:
        data = file.read()
    return _arrays(data, os.path.basename(path)), _notes(data)


def _wanted(program: Running, parameters_only: bool, optimizer: bool) -> dict[str, Array]:
    """The arrays of a program that a file is read for."""
    if parameters_only:
        return dict(program.parameters)
    return {n: a for n, a in program.states.items() if optimizer or not _of_training(n)}


def _of_training(name: str) -> bool:
    """Whether an array belongs to a training and not to a diagram."""
    return name in ("step", "random_key") or name.startswith("optimizer/")


def _remedy(program: Running, found: Mapping[str, Array]) -> str:
    """How a file can be loaded that does not fit as a whole."""
    if program.diagram.states and not _complaints(_wanted(program, False, False), found, program):
        return "\nThe parameters and the diagram's states fit: load them with optimizer=False"
    if not _complaints(program.parameters, found, program):
        return "\nThe parameters fit: load them alone with parameters_only=True"
    return ""


def _arrays(data: bytes, shown: str) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialize

    try:
        found = dict(deserialize(data))
    except SafetensorError as error:
        raise CheckpointError(
            f"'{shown}' is no complete safetensors file: {error}; save it again, or take an older "
            "one"
        ) from error
    except KeyError as error:
        _check_layout(data, shown)
        raise CheckpointError(
            f"'{shown}' holds an array of dtype {error.args[0]}, which no program has"
        ) from error
    _check_layout(data, shown)
    return found


def _check_layout(data: bytes, shown: str) -> None:
    """CheckpointError for a file of `save` of another layout; others' files state none."""
    notes = _notes(data)
    if notes.get("layout", LAYOUT) != LAYOUT:
        raise CheckpointError(
            f"load of '{shown}' expects a checkpoint of layout {LAYOUT}, got layout "
            f"{notes['layout']}: load it with the version of diagrad that wrote it, "
            f"{notes.get('version', 'unknown')}"
        )


def _notes(data: bytes) -> dict[str, str]:
    """The metadata of a file that is whole."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    notes: dict[str, str] = header.get("__metadata__", {})
    return notes


def _complaints(
    wanted: Mapping[str, Array], found: Mapping[str, Array], program: Running
) -> list[str]:
    """Why the arrays of a file are not those that are wanted, a line for each; none if they are."""
    diagram = program.diagram
    tied = tied_names(diagram.variables, diagram.names, diagram.roots)
    missing = [f"missing: {_text(name, wanted[name])}" for name in wanted if name not in found]
    different = [
        f"different: expected {_text(name, array)}, got {_text('', found[name])}"
        for name, array in wanted.items()
        if name in found and (array.shape, array.dtype) != (found[name].shape, found[name].dtype)
    ]
    extra = {name for name in found if name not in wanted and not name.startswith(TRAINING)}
    if not missing and not different:
        extra &= tied.keys()
    else:
        whole = any(_of_training(name) for name in wanted)
        extra = {n for n in extra if whole or not _of_training(n)} - program.states.keys()
    unexpected = [
        f"unexpected: {_text(name, found[name])}"
        + (f", but {name} is tied to {tied[name]}" if name in tied else "")
        for name in sorted(extra)
    ]
    return [*missing, *unexpected, *different]


def _text(name: str, array: Array) -> str:
    return f"{name} {array.dtype} {shape_text(array.shape)}".strip()


def _version() -> str:
    from importlib import metadata  # 13 ms, for a save only.

    try:
        return metadata.version("diagrad")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"

"""Checkpoints: every array of a program in one safetensors file.

A file is complete or it is not there; a program takes all that it has from a file, or nothing.
What else is in the file, such as an optimizer's arrays, is left there, and said.  `load` takes from
files, `copy` from another program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import flag, wrong
from ..arguments import path as path_of
from ..drawing.sharing import tied_names
from ..errors import CheckpointError, DiagramWarning, InputError
from ..files import write_atomically
from ..location import user_location, warn_user
from ..programs.patterns import matching
from ..variables.variable import shape_text
from .optimizers import RATE
from .state_files import LAYOUT, file_of, read

if TYPE_CHECKING:
    from ..programs.running import Running

Array = npt.NDArray[Any]
Only = str | Iterable[str] | None
"""A path or a pattern of paths, or several; None for all there are."""
TRAINING = "fit:"
"""What begins the names of arrays that `fit` goes on with, and no name of a program."""


@dataclass(frozen=True)
class Loaded:
    """What `load` or `copy_to` did, by the names of arrays.

    Attributes:
        file: the file's name, or that of the diagram whose program was copied from.
        taken: what the program has from the file.
        left: what is in the file and was not taken.
        kept: what the program has beside, as it was.
        different: those of them that are in the file too, of another shape or dtype.
    """

    file: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    kept: tuple[str, ...]
    different: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"Loaded {len(self.taken)} arrays from '{self.file}'"]
        lines += [f"  left there: {name}" for name in self.left]
        lines += [
            f"  kept as it was: {name}{', which is different there' * (name in self.different)}"
            for name in self.kept
        ]
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
    path = path_of("save", "path", path)
    dtypes = dict.fromkeys(array.dtype.name for array in program.parameters.values())
    notes = {
        "format": "diagrad",
        "layout": LAYOUT,
        "version": _version(),
        "diagram": program.diagram.name,
        "dtype": " ".join(dtypes),
        **remarks,
    }
    data = program.workspace.hold(lambda: file_of({**program.states, **more}, notes))
    write_atomically(path, data)


def load(
    program: Running,
    path: str | os.PathLike[str],
    parameters_only: bool = False,
    optimizer: bool = True,
    only: Only = None,
    strict: bool = True,
) -> Loaded:
    """Read what a program has from a file of `save`, into its arrays, which stay where they are.

    Args:
        program: whose parameters and states the file has, of the same shapes and dtypes.
        path: a safetensors file.
        parameters_only: take the parameters alone; all other arrays stay as they are.
        optimizer: whether to take what belongs to the training: the optimizer's arrays, the count
            of steps and the random key.
        only: the paths or patterns of the parameters and states to take, and of nothing else.
        strict: whether what the file lacks or has in another shape or dtype is an error; otherwise
            the program keeps what it has of it.

    Raises:
        CheckpointError: the file is damaged or of another layout, lacks what the program has, has
            it in another shape or dtype, or has what is tied in the program; the text lists all
            of that, and nothing has changed.  Without `strict`, that nothing of the file fits.
        InputError: something in `only` that the program does not have.
        OSError: the file cannot be read.
    """
    path = path_of("load", "path", path)
    parameters_only = flag("load", "parameters_only", parameters_only)
    optimizer = flag("load", "optimizer", optimizer)
    strict = flag("load", "strict", strict)
    name = os.path.basename(path)
    found, _ = read(path)
    patterns = _patterns("load", only)
    wanted = _wanted(program, parameters_only, optimizer and only is None)
    wanted = _chosen(f"load of '{name}'", program, wanted, patterns)
    if RATE in wanted and RATE not in found:  # a file from before there was one
        found = {**found, RATE: np.full_like(wanted[RATE], np.nan)}
    if "random_key" not in found:  # a file of a program that draws nothing
        wanted.pop("random_key", None)
    if "step" not in found and program.optimizer is None:  # one of a program that makes no steps
        wanted.pop("step", None)
    simple = parameters_only or not optimizer or only is not None
    loaded = _take(program, name, wanted, found, patterns, strict, simple)
    passed = [name for name in program.diagram.states if parameters_only and name in found]
    if passed:
        warn_user(
            f"load of '{name}' with parameters_only=True leaves the states {', '.join(passed)} of "
            f"program '{program.diagram.name}' as they were: load without it, or with "
            "optimizer=False, to take them",
            DiagramWarning,
        )
    return loaded


def copy(program: Running, other: Any, only: Only, strict: bool) -> Loaded:
    """Write the parameters and the diagram's states of a program into another one's, by name.

    CheckpointError and InputError as for `load`; TypeError where the other one is no program.
    """
    subject = f"copy_to of '{program.diagram.name}'"
    if not isinstance(other, type(program)):
        raise wrong(subject, "a program to copy to", other)
    strict = flag(subject, "strict", strict)
    patterns = _patterns(subject, only)
    wanted = _chosen(subject, other, _wanted(other, False, False), patterns)
    held = _wanted(program, False, False)
    copies = program.workspace.hold(lambda: {name: array.copy() for name, array in held.items()})
    found = {
        name: array.astype(wanted[name].dtype)
        if name in wanted and np.can_cast(array.dtype, wanted[name].dtype, "same_kind")
        else array
        for name, array in copies.items()
    }
    return _take(other, program.diagram.name, wanted, found, patterns, strict, True)


def _take(
    program: Running,
    source: str,
    wanted: Mapping[str, Array],
    found: Mapping[str, Array],
    patterns: Sequence[str] | None,
    strict: bool,
    simple: bool,
) -> Loaded:
    """Write what was found into the arrays of a program, all that is wanted or what fits of it."""
    fitting = {
        name: array
        for name, array in wanted.items()
        if name in found and (array.shape, array.dtype) == (found[name].shape, found[name].dtype)
    }
    if patterns is None:
        meant = found
    else:
        meant = {name: found[name] for item in patterns for name in matching(item, found)}
    complaints = _complaints(wanted, meant, program) if strict or not fitting else []
    if complaints:
        raise CheckpointError(
            f"'{source}' does not fit program '{program.diagram.name}':\n"
            + "\n".join(f"  {line}" for line in complaints)
            + ("" if simple else _remedy(program, found))
        )

    def put() -> None:
        for name, array in fitting.items():
            np.copyto(array, found[name])

    program.workspace.hold(put)
    kept = tuple(name for name in program.states if name not in fitting)
    return Loaded(
        source,
        tuple(fitting),
        tuple(sorted(found.keys() - fitting.keys())),
        kept,
        tuple(name for name in kept if name in wanted and name in found),
    )


def _patterns(subject: str, only: Any) -> list[str] | None:
    """What `only` has, as a list; TypeError where it is something else."""
    if only is None:
        return None
    expected = "only to be a path or a pattern of paths, or several"
    if not isinstance(only, Iterable):
        raise wrong(subject, expected, only)
    patterns = [only] if isinstance(only, str) else list(only)
    if not patterns or not all(isinstance(item, str) for item in patterns):
        raise wrong(subject, expected, only)
    return patterns


def _chosen(
    subject: str,
    program: Running,
    wanted: Mapping[str, Array],
    patterns: Sequence[str] | None,
) -> dict[str, Array]:
    """Those arrays that some patterns mean; InputError for one that means nothing."""
    if patterns is None:
        return dict(wanted)
    chosen: set[str] = set()
    for pattern in patterns:
        names = matching(pattern, wanted)
        if not names:
            raise InputError(
                f"{subject} ({user_location()}) expects only= to name arrays of program "
                f"'{program.diagram.name}', got '{pattern}': it has {', '.join(wanted)}"
            )
        chosen.update(names)
    return {name: array for name, array in wanted.items() if name in chosen}


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

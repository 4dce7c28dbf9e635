"""Saving while training, and going on from what was saved, to the bit."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arguments import flag, integer, one_of, text
from ...arguments import path as path_of
from ...errors import CheckpointError
from ...programs.running import Running
from ..checkpoints import TRAINING, load, save
from ..history import Epoch, History
from ..state_files import read
from .callback import Callback, TrainingState, overrides
from .monitoring import Mode, expect_monitor, monitored

_RECORD = "training"
"""What the record of a training is called in a file's metadata."""


@dataclass(eq=False)
class Checkpoint(Callback):
    """Save the program while it trains, as `program.save` does, and at the end.

    The file also has what `fit(resume=True)` goes on with: the history, and what callbacks know.

    Args:
        path: the file; "{epoch}" in it stands for the epoch's number.
        every: how many epochs lie between two saves.
        best: save only after an epoch that is better than all before it: the file holds the best
            one, and at the end nothing more is saved.
        monitor: what is compared then: "cost", or the name of a metric of `fit`; of the validation
            data, and without any of the epoch's steps.
        mode: whether the best is the least, "min", or the greatest, "max", as of an accuracy.

    Raises:
        TypeError, ValueError: no path; `every` is no integer of 1 or more; another mode.
    """

    path: str | os.PathLike[str]
    every: int = 1
    best: bool = False
    monitor: str = "cost"
    mode: Mode = "min"
    _least: float = field(default=math.inf, init=False, repr=False)
    _first: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        self.path = path_of("Checkpoint", "path", self.path)
        self.every = integer("Checkpoint", "every", self.every, 1)
        self.best = flag("Checkpoint", "best", self.best)
        self.monitor = text("Checkpoint", "monitor", self.monitor, "'cost' or the name of a metric")
        self.mode = one_of("Checkpoint", "mode", self.mode, ("min", "max"))

    def check_folder(self) -> None:
        """FileNotFoundError unless there is a folder to save in."""
        folder = os.path.dirname(os.path.realpath(self.path))
        if "{epoch}" not in folder and not os.path.isdir(folder):
            raise FileNotFoundError(f"fit cannot save {self.path}: there is no folder {folder}")

    def on_train_begin(self, state: TrainingState) -> None:
        """Note where training begins, and what was best before."""
        self._first = len(state.history)
        self._least = math.inf
        if self.best:
            expect_monitor("Checkpoint", state, self.monitor)
            for epoch in state.history.epochs:
                self._improves(epoch)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Save where it is time."""
        if self._improves(state.history.epochs[-1]):
            self._save(state)

    def on_train_end(self, state: TrainingState) -> None:
        """Save what the program holds now, unless that was done after the last epoch."""
        if state.error is None and len(state.history) > self._first and not self.best:
            self._save(state)

    def _improves(self, epoch: Epoch) -> bool:
        """Whether an epoch is to be saved; of the best one it is noted."""
        if epoch.number % self.every:
            return False
        if not self.best:
            return True
        found = monitored(epoch, self.monitor) * (1.0 if self.mode == "min" else -1.0)
        if not found < self._least:
            return False
        self._least = found
        return True

    def file_of(self, epoch: int) -> str:
        """The file of an epoch."""
        return os.fspath(self.path).replace("{epoch}", str(epoch))

    def latest(self) -> str | None:
        """The file of the last epoch that was saved, or None."""
        whole = os.fspath(self.path)
        if "{epoch}" not in whole:
            return whole if os.path.exists(whole) else None
        folder, name = os.path.split(whole)
        if "{epoch}" in folder:
            raise CheckpointError(
                f"fit cannot resume from {whole}: expected {{epoch}} in the name of the file, not "
                "in that of its folder"
            )
        pattern = re.compile(re.escape(name).replace(re.escape("{epoch}"), "([0-9]+)"))
        found = [
            (int(match[1]), item)
            for item in os.listdir(folder or ".")
            if (match := pattern.fullmatch(item)) is not None
        ]
        return os.path.join(folder, max(found)[1]) if found else None

    def _save(self, state: TrainingState) -> None:
        arrays, known = {}, []
        for place, callback in enumerate(_knowing(state.callbacks)):
            plain = {}
            for name, value in callback.state_dict().items():
                if isinstance(value, np.ndarray):
                    arrays[f"{TRAINING}{place}/{name}"] = value
                else:
                    plain[name] = value
            known.append({"type": type(callback).__name__, "values": plain})
        record = {
            "history": state.history.state_dict(),
            "settings": state.settings,
            "callbacks": known,
        }
        save(state.program, self.file_of(state.epoch), arrays, {_RECORD: json.dumps(record)})


class Resumed:
    """A training that was saved, found to be the one that is to go on.

    Args:
        file: of a `Checkpoint`.
        state: of the training that begins.

    Raises:
        CheckpointError: a file that `fit` did not write, or of a training with other settings,
            samples or callbacks.
    """

    def __init__(self, file: str, state: TrainingState) -> None:
        self.file = file
        shown = os.path.basename(file)
        self._arrays, notes = read(file)
        if _RECORD not in notes:
            raise CheckpointError(
                f"fit cannot resume from '{shown}': expected a file that fit's checkpoint wrote, "
                "got one of program.save: load it with program.load, and train with resume=False"
            )
        record = json.loads(notes[_RECORD])
        self.history = History.from_state_dict(record["history"])
        self._callbacks = record["callbacks"]
        names = [type(callback).__name__ for callback in _knowing(state.callbacks)]
        given = {**state.settings, "callbacks": names}
        before = {**record["settings"], "callbacks": [item["type"] for item in self._callbacks]}
        lines = [
            f"  {name}: expected {before.get(name)!r}, got {given.get(name)!r}"
            for name in dict.fromkeys([*before, *given])
            if before.get(name) != given.get(name)
        ]
        if lines:
            raise CheckpointError(
                f"fit cannot resume from '{shown}', which is of another training; give it what "
                "that had, or begin anew with resume=False and another file:\n" + "\n".join(lines)
            )

    def load_program(self, program: Running) -> None:
        """Put the arrays of the file into the program."""
        load(program, self.file)

    def load_callbacks(self, callbacks: list[Callback]) -> None:
        """Let callbacks know what they knew."""
        for place, (callback, known) in enumerate(
            zip(_knowing(callbacks), self._callbacks, strict=True)
        ):
            mark = f"{TRAINING}{place}/"
            arrays: Mapping[str, Any] = {
                name.removeprefix(mark): array
                for name, array in self._arrays.items()
                if name.startswith(mark)
            }
            if known["values"] or arrays:
                callback.load_state_dict({**known["values"], **arrays})


def _knowing(callbacks: list[Callback]) -> list[Callback]:
    """Those that know something from epoch to epoch."""
    return [callback for callback in callbacks if overrides(callback, "state_dict")]

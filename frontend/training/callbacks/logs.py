"""Logs of training that others read: a table in a file of CSV, and TensorBoard's events."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arguments import path as path_of
from ..history import VALIDATION
from ..optimizers import RATE
from ..rates import rate_of
from .callback import Callback, TrainingState


def rates_of(state: TrainingState) -> dict[str, float]:
    """The learning rate of the next step, of groups each one's; nothing where there is none."""
    if RATE not in state.program.states:
        return {}
    rates = np.array(rate_of(state.program))
    if rates.ndim == 0:
        return {"learning_rate": float(rates)}
    return {f"learning_rate/{group}": float(rate) for group, rate in enumerate(rates)}


@dataclass(eq=False)
class CSVLogger(Callback):
    """Write a row for every epoch into a file of comma-separated values.

    The columns are the epoch's number, the learning rate of its first step (of groups one for
    each), the cost, the metrics, those of the validation data, and the seconds.  A row is in the
    file when its epoch is over.  A training that is resumed keeps the rows of the epochs that it
    goes on from; any other begins the file anew.

    Args:
        path: the file.

    Raises:
        TypeError: no path.
        OSError: when training begins: the file cannot be written.
    """

    path: str | os.PathLike[str]
    _header: list[str] = field(default_factory=list, init=False, repr=False)
    _rates: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.path = path_of("CSVLogger", "path", self.path)

    def on_train_begin(self, state: TrainingState) -> None:
        """Begin the file, or take the rows of the epochs before."""
        kept = self._rows(len(state.history))
        self._header = kept[0] if kept else []
        self._write(kept, "w")

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Note the learning rate."""
        self._rates = rates_of(state)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write a row."""
        epoch = state.history.epochs[-1]
        row = {"epoch": epoch.number, **self._rates, **epoch.numbers(), "seconds": epoch.seconds}
        first = [] if self._header else [list(row)]
        self._header = self._header or list(row)
        self._write([*first, [row.get(name, "") for name in self._header]], "a")

    def _write(self, rows: Iterable[Sequence[Any]], mode: str) -> None:
        import csv  # Not for `import diagrad`.

        with open(self.path, mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)

    def _rows(self, epochs: int) -> list[list[str]]:
        """The header and the whole rows of the first epochs, of the file that is there."""
        import csv

        if not epochs or not os.path.exists(self.path):
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        numbers = {str(number) for number in range(1, epochs + 1)}
        return [header, *(r for r in rows if len(r) == len(header) and r[0] in numbers)]


@dataclass(eq=False)
class TensorBoard(Callback):
    """Write the numbers of every epoch for TensorBoard, with tensorboardX.

    The folders `train` and `validation` in the one given have the cost and the metrics under the
    same names, so that TensorBoard draws both in one plot; `train` also has the learning rate of
    the epoch's first step.  Epochs that a resumed training makes again replace what was there.

        pip install 'diagrad[tensorboard]' tensorboard
        tensorboard --logdir runs

    Args:
        folder: where the files are written; it is made if there is none.

    Raises:
        TypeError: no path.
        ImportError: when training begins: tensorboardX is not installed.
    """

    folder: str | os.PathLike[str]
    _writers: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _rates: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = path_of("TensorBoard", "folder", self.folder)

    def on_train_begin(self, state: TrainingState) -> None:
        """Look for tensorboardX."""
        self._writers = {}
        self._first = len(state.history) + 1
        try:
            import tensorboardX  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "dg.TensorBoard writes with tensorboardX, which is not installed: pip install "
                "'diagrad[tensorboard]'"
            ) from error

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Note the learning rate."""
        self._rates = rates_of(state)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write the epoch's numbers."""
        epoch = state.history.epochs[-1]
        for name, value in {**epoch.numbers(), **self._rates}.items():
            run = "validation" if name.startswith(VALIDATION) else "train"
            self._writer(run).add_scalar(name.removeprefix(VALIDATION), value, epoch.number)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, state: TrainingState) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, run: str) -> Any:
        from tensorboardX import SummaryWriter

        if run not in self._writers:
            folder = os.path.join(self.folder, run)
            purged = self._first if self._first > 1 else None
            self._writers[run] = SummaryWriter(folder, purge_step=purged)
        return self._writers[run]

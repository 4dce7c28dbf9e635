"""Logs of training: rows of CSV, and TensorBoard's events."""

import csv
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .test_training import fit, points, regression


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def options(program: dg.Program) -> dict[str, Any]:
    metric = {"a, b": dg.mean(program.diagram.observed["x"])}
    return {"metrics": metric, "validation": points(4, 1), "seed": 2}


def test_a_row_for_every_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    program = regression()
    seen = []

    class Halve(dg.Callback):
        def on_epoch_end(self, state: dg.TrainingState) -> None:
            seen.append(len(rows(path)))
            state.program.learning_rate /= 2

    log = dg.CSVLogger(path)
    history = fit(program, points(9), 3, 4, callbacks=[log, Halve()], **options(program))
    found = rows(path)
    assert seen == [1, 2, 3], "a row is there when its epoch is over"
    assert list(found[0]) == [
        "epoch", "learning_rate", "cost", "a, b", "validation_cost", "validation_a, b", "seconds"
    ]  # fmt: skip
    for name in ("cost", "a, b", "validation_cost", "validation_a, b"):
        assert [float(row[name]) for row in found] == history[name]
    assert [float(row["learning_rate"]) for row in found] == [0.01, 0.005, 0.0025]
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    fit(program, points(9), 1, callbacks=[log])
    assert len(rows(path)) == 1 and "a, b" not in rows(path)[0]


def test_the_rates_of_groups(tmp_path: Path) -> None:
    x, w = dg.observed("x", ("B",)), dg.parameter("w", (), init=1.0)
    groups = dg.ParameterGroups(dg.SGD(0.25, parameters=w), dg.SGD(0.5))
    cost = dg.mean(w * x + dg.parameter("v", (), init=1.0))
    program = dg.Diagram("d", cost=cost).compile(groups, target="reference")
    fit(program, {"x": [1.0]}, 1, callbacks=[dg.CSVLogger(tmp_path / "log.csv")])
    (row,) = rows(tmp_path / "log.csv")
    assert (row["learning_rate/0"], row["learning_rate/1"]) == ("0.25", "0.5")


def test_a_resumed_training_keeps_the_rows_that_it_goes_on_from(tmp_path: Path) -> None:
    path, keep = tmp_path / "log.csv", dg.Checkpoint(tmp_path / "a.safetensors", every=2)

    class Killed(dg.Callback):
        def on_train_batch_begin(self, state: dg.TrainingState) -> None:
            if state.epoch == 4:
                raise KeyboardInterrupt

    log = dg.CSVLogger(path)
    with pytest.raises(KeyboardInterrupt):
        fit(regression(), points(9), 5, 4, callbacks=[log, Killed()], checkpoint=keep)
    assert [row["epoch"] for row in rows(path)] == ["1", "2", "3"]
    before = rows(path)
    with open(path, "a") as file:
        file.write("4,0.0")  # a row that was cut off
    history = fit(regression(), points(9), 5, 4, callbacks=[log], checkpoint=keep, resume=True)
    found = rows(path)
    assert [row["epoch"] for row in found] == list("12345") and found[:2] == before[:2]
    assert [float(row["cost"]) for row in found] == history.cost


def test_what_no_file_can_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fit(regression(), points(4), 1, callbacks=[dg.CSVLogger(tmp_path / "no" / "log.csv")])
    with pytest.raises(
        TypeError, match=r"CSVLogger \(.*\) expects path to be the path of a file, got 3"
    ):
        dg.CSVLogger(3)  # type: ignore[arg-type]


def test_without_tensorboardx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError) as error:
        fit(regression(), points(4), 1, callbacks=[dg.TensorBoard("runs")])
    assert str(error.value) == (
        "dg.TensorBoard writes with tensorboardX, which is not installed: pip install "
        "'diagrad[tensorboard]'"
    )


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of all files of a folder by tag, in the order in which they were written."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):  # TFRecord: length, its checksum, an event, its checksum
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_reads_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    program = regression()
    board = dg.TensorBoard(tmp_path)
    history = fit(program, points(9), 3, 4, callbacks=[board], **options(program))
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    assert [step for step, _ in train["cost"]] == [1, 2, 3]
    for found, prefix in ((train, ""), (validation, "validation_")):
        values = [value for _, value in found["cost"]]
        np.testing.assert_allclose(values, history[f"{prefix}cost"], rtol=1e-6)
        assert any(tag.startswith("a") for tag in found)
    np.testing.assert_allclose([rate for _, rate in train["learning_rate"]], 0.01)
    assert "learning_rate" not in validation

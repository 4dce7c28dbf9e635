"""`fit(resume=True)`: a training that was killed ends as if it had not been, to the bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .test_training import Sequence, fit, points, regression

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import os, signal, sys
import numpy as np
import diagrad as dg

rng = np.random.default_rng(0)
data = {"x": rng.normal(size=(30, 3)).astype(np.float32), "y": rng.integers(0, 2, 30)}
x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",), dg.int64)
net = dg.Chain(dg.Linear(3, 4), dg.BatchNorm(4), dg.relu, dg.Dropout(0.5), dg.Linear(4, 2))
scores = net(x)
diagram = dg.Diagram("net", {"scores": scores}, cost=dg.cross_entropy(scores, y))
schedule = dg.schedules.cosine(0.05, 40) if WITH_SCHEDULE else 0.05
program = diagram.compile(dg.Adam(schedule, clip=dg.clip_norm(1.0)), target="reference")


class Kill(dg.Callback):
    def on_train_batch_end(self, state):
        if (state.epoch, state.batch) == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)


callbacks = [Kill(), dg.EarlyStopping(20, restore=WITH_SCHEDULE)]
if not WITH_SCHEDULE:
    callbacks.insert(0, dg.ReduceLROnPlateau(0.5, patience=0, threshold=0.05))
history = dg.fit(
    program, data, EPOCHS, 8, validation=0.2, progress=False, resume=True, seed=3,
    metrics={"accuracy": dg.metrics.accuracy(scores, y)}, callbacks=callbacks,
    augment={"x": lambda x, rng: x + rng.normal(0, 0.1, x.shape).astype(x.dtype)},
    checkpoint=dg.Checkpoint("run.safetensors", every=EVERY),
)
"""


def script(**settings: Any) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in settings.items()) + SCRIPT


def numbers(history: dg.History) -> list[dict[str, float]]:
    return [epoch.numbers() for epoch in history.epochs]


def here(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(script(**settings), found)
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_after_kill_9_in_the_sixth_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"EPOCHS": 10, "EVERY": 1, "WITH_SCHEDULE": False}
    whole = here(tmp_path / "whole", monkeypatch, KILLED=None, **settings)
    killed = tmp_path / "killed"
    killed.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", script(KILLED=(6, 2), **settings)], cwd=killed, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL, run.stderr
    resumed = here(killed, monkeypatch, KILLED=None, **settings)
    assert numbers(resumed["history"]) == numbers(whole["history"])
    assert len(whole["history"]) == 10 and whole["program"].learning_rate < 0.05
    for name, array in whole["program"].states.items():
        np.testing.assert_array_equal(resumed["program"].states[name], array, name)


@pytest.mark.parametrize("every", [1, 2])
def test_five_epochs_and_five_more(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the best epoch was restored in between, which the next five do not begin with."""
    settings = {"EVERY": every, "WITH_SCHEDULE": True, "KILLED": None}
    whole = here(tmp_path / "whole", monkeypatch, EPOCHS=10, **settings)
    half = here(tmp_path / "parts", monkeypatch, EPOCHS=5, **settings)
    assert half["history"].best != 5, "nothing was restored"
    parts = here(tmp_path / "parts", monkeypatch, EPOCHS=10, **settings)
    assert numbers(parts["history"]) == numbers(whole["history"])
    for name, array in whole["program"].states.items():
        np.testing.assert_array_equal(parts["program"].states[name], array, name)
    done = here(tmp_path / "parts", monkeypatch, EPOCHS=10, **settings)
    assert repr(done["history"]) == repr(parts["history"]), "no epoch is left"
    np.testing.assert_array_equal(done["program"].states["step"], parts["program"].states["step"])


def test_the_latest_of_several_files(tmp_path: Path) -> None:
    data, keep = points(9), dg.Checkpoint(tmp_path / "e{epoch}.safetensors")
    whole = regression()
    fit(whole, data, 12, 4)
    fit(regression(), data, 11, 4, checkpoint=keep)
    program = regression()
    history = fit(program, data, 12, 4, checkpoint=keep, resume=True)
    assert len(history) == 12 and len(os.listdir(tmp_path)) == 12
    assert program.parameters["w"] == whole.parameters["w"]


def test_a_training_that_a_rule_ended_stays_ended(tmp_path: Path) -> None:
    keep, rule = dg.Checkpoint(tmp_path / "a.safetensors"), dg.EarlyStopping(2)
    for _ in range(2):
        program = Sequence(2.0, 1.0, 3.0, 3.0, 0.0)
        history = fit(program, {"x": [1.0]}, 9, checkpoint=keep, early_stopping=rule, resume=True)
        assert history.stopped == "no improvement since epoch 2" and len(history) == 4
        assert program.states["count"] == 2


def test_the_file_of_the_best_epoch(tmp_path: Path) -> None:
    path, costs = tmp_path / "best.safetensors", (3.0, 1.0, 2.0, 0.5, 4.0)
    keep = dg.Checkpoint(path, best=True)
    given: dict[str, Any] = {"checkpoint": keep, "validation": {"x": [1.0]}}
    for epochs, best in ((3, 2), (5, 4)):
        program = Sequence(*costs)
        fit(program, {"x": [1.0]}, epochs, **given)
        assert program.states["count"] == epochs, "nothing is put back"
        program.load(path)
        assert program.states["count"] == best
    again = fit(Sequence(*costs), {"x": [1.0]}, 5, resume=True, **given)
    assert again.validation_cost == pytest.approx(costs)  # the fifth epoch is made again
    program.load(path)
    assert program.states["count"] == 4
    greatest = dg.Checkpoint(path, best=True, mode="max")
    fit(Sequence(*costs), {"x": [1.0]}, 5, checkpoint=greatest, validation={"x": [1.0]})
    program.load(path)
    assert program.states["count"] == 5
    with pytest.raises(
        dg.InputError, match="Checkpoint expects monitor to be cost, got 'accuracy'"
    ):
        unknown = dg.Checkpoint(path, best=True, monitor="accuracy")
        fit(Sequence(*costs), {"x": [1.0]}, 5, checkpoint=unknown)


def test_another_training_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    keep = dg.Checkpoint(path)
    fit(regression(), points(9), 2, 4, checkpoint=keep)
    before = path.read_bytes()
    program = regression().diagram.compile(dg.Adam(0.1), target="reference")
    with pytest.raises(dg.CheckpointError) as error:
        fit(
            program, points(8), 4, 3, checkpoint=keep, resume=True, seed=1,
            early_stopping=dg.EarlyStopping(2),
        )  # fmt: skip
    assert str(error.value).splitlines() == [
        "fit cannot resume from 'run.safetensors', which is of another training; give it what that "
        "had, or begin anew with resume=False and another file:",
        "  optimizer: expected 'SGD(learning_rate=0.01, momentum=0.0, nesterov=False, "
        "weight_decay=0.0)', got 'Adam(learning_rate=0.1, betas=(0.9, 0.999), epsilon=1e-08, "
        "weight_decay=0.0)'",
        "  samples: expected 9, got 8",
        "  batch_size: expected 4, got 3",
        "  seed: expected 0, got 1",
        "  callbacks: expected [], got ['EarlyStopping']",
    ]
    assert path.read_bytes() == before and program.states["step"] == 0
    program.save(path)
    with pytest.raises(
        dg.CheckpointError, match="expected a file that fit's checkpoint wrote, got"
    ):
        fit(program, points(8), 4, checkpoint=keep, resume=True)
    path.write_bytes(before[:-9])
    with pytest.raises(dg.CheckpointError, match="is no complete safetensors file"):
        fit(program, points(8), 4, checkpoint=keep, resume=True)


def test_what_cannot_be_resumed() -> None:
    with pytest.raises(
        dg.InputError, match=r"expects one checkpoint=dg.Checkpoint\(path\) for resum"
    ):
        fit(regression(), points(4), 1, resume=True)
    batches = ({"x": np.ones(2), "y": np.ones(2)} for _ in range(3))
    with pytest.raises(
        dg.InputError, match="expects data that can be begun anew in each epoch, for"
    ):
        fit(regression(), batches, 1, resume=True, checkpoint=dg.Checkpoint("a.safetensors"))


def test_a_file_of_training_loads_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    program = regression()
    fit(
        program, points(9), 3, 4, checkpoint=dg.Checkpoint(path), early_stopping=dg.EarlyStopping(9)
    )
    other = regression()
    loaded = other.load(path)
    assert other.parameters["w"] == program.parameters["w"]
    assert loaded.left and all(name.startswith("fit:0/kept/") for name in loaded.left)

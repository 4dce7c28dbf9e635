"""Checkpoints: what they hold, that they are whole, and that a program takes all or nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import diagrad as dg

from .evaluating import TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]


def draw(width: int = 4, dtype: str = "float32") -> Any:
    x = dg.observed("x", ("B", 3), dtype)
    net = dg.Chain(
        dg.Linear(3, width, dtype=dtype), dg.relu, dg.Linear(width, 1, dtype=dtype), name="net"
    )
    return dg.Diagram("model", {"y": net(x)}, cost=dg.mean(net(x) ** 2))


def program(
    seed: int = 0, optimizer: Any = None, target: Target = "reference", **options: Any
) -> Any:
    optimizer = optimizer or dg.Adam(0.1)
    return draw(**options).compile(optimizer=optimizer, target=target, seed=seed)


def states(program: Any) -> dict[str, Any]:
    return {name: array.copy() for name, array in program.states.items()}


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name])


X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_training_goes_on_where_it_was_saved(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    first = program(target=target)
    for _ in range(3):
        first.step(x=X)
    first.save(path)
    saved = states(first)
    costs = [first.step(x=X) for _ in range(3)]
    second = program(seed=1, target=target)
    kept = second.parameters["net/0/weight"]
    second.load(path)
    assert_same(states(second), saved)
    assert kept is second.parameters["net/0/weight"]
    assert [second.step(x=X) for _ in range(3)] == costs
    assert_same(states(first), states(second))


def test_what_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = program()
    saved.save(path)
    found = load_file(path)
    assert_same(found, states(saved))
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    notes = header["__metadata__"]
    assert notes.pop("version")
    assert notes == {"format": "diagrad", "layout": "1", "diagram": "model", "dtype": "float32"}


def test_saving_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = program()
    for _ in range(2):
        saved.step(x=X)
        saved.save(path)
    assert load_file(path)["step"] == 2
    assert os.listdir(tmp_path) == [path.name]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_link_keeps_pointing_to_the_file(tmp_path: Path) -> None:
    target, link = tmp_path / "model.safetensors", tmp_path / "latest.safetensors"
    program().save(target)
    link.symlink_to(target)
    saved = program()
    saved.step(x=X)
    saved.save(link)
    assert link.is_symlink() and load_file(target)["step"] == 1


def test_parameters_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = program()
    saved.step(x=X)
    saved.save(path)
    taken = program(seed=1, optimizer=dg.SGD(0.1, momentum=0.9))
    taken.load(path, parameters_only=True)
    assert_same(dict(taken.parameters), dict(saved.parameters))
    assert taken.states["step"] == 0
    assert not taken.states["optimizer/net/0/weight/momentum"].any()


def test_parameters_alone_of_a_file_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    taken = program()
    given = {name: np.full_like(array, 0.5) for name, array in taken.parameters.items()}
    save_file(given, path)
    taken.load(path, parameters_only=True)
    assert_same(dict(taken.parameters), given)


def test_another_optimizers_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    program(optimizer=dg.SGD(0.1, momentum=0.9)).save(path)
    taken = program(seed=1, optimizer=dg.RMSprop())
    before = states(taken)
    with pytest.raises(dg.CheckpointError) as error:
        taken.load(path)
    assert str(error.value) == (
        "'model.safetensors' does not fit program 'model':\n"
        "  missing: optimizer/net/0/weight/square float32 (3, 4)\n"
        "  missing: optimizer/net/0/bias/square float32 (4,)\n"
        "  missing: optimizer/net/2/weight/square float32 (4, 1)\n"
        "  missing: optimizer/net/2/bias/square float32 (1,)\n"
        "  unexpected: optimizer/net/0/bias/momentum float32 (4,)\n"
        "  unexpected: optimizer/net/0/weight/momentum float32 (3, 4)\n"
        "  unexpected: optimizer/net/2/bias/momentum float32 (1,)\n"
        "  unexpected: optimizer/net/2/weight/momentum float32 (4, 1)\n"
        "The parameters fit: load them alone with parameters_only=True"
    )
    assert_same(states(taken), before)


def test_all_that_does_not_fit_is_listed_and_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = states(program(optimizer=dg.SGD(0.1)))
    saved["net/2/bias"] = saved["net/2/bias"].astype(np.float64)
    saved["net/0/bias"] = np.ones(5, np.float32)
    saved["extra"] = np.ones((), np.int32)
    del saved["net/0/weight"]
    save_file(saved, path)
    taken = program(seed=1, optimizer=dg.SGD(0.1))
    before = states(taken)
    for options in ({}, {"parameters_only": True}):
        with pytest.raises(dg.CheckpointError) as error:
            taken.load(path, **options)
        assert str(error.value) == (
            "'model.safetensors' does not fit program 'model':\n"
            "  missing: net/0/weight float32 (3, 4)\n"
            "  unexpected: extra int32 ()\n"
            "  different: expected net/0/bias float32 (4,), got float32 (5,)\n"
            "  different: expected net/2/bias float32 (1,), got float64 (1,)"
        )
    assert_same(states(taken), before)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "header too small"),
        (lambda data: data[:100], "invalid header length"),
        (lambda data: data[:-1], "incomplete metadata, file not fully covered"),
        (lambda data: data + b"\0", "incomplete metadata, file not fully covered"),
        (lambda data: b"\xff" * 64, "header too large"),
    ],
)
def test_a_damaged_file(damage: Any, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    taken = program()
    taken.save(path)
    path.write_bytes(damage(path.read_bytes()))
    before = states(taken)
    with pytest.raises(dg.CheckpointError) as error:
        taken.load(path)
    assert str(error.value) == (
        f"'model.safetensors' is no complete safetensors file: Error while deserializing: {reason}"
        "; save it again, or take an older one"
    )
    assert_same(states(taken), before)


def test_a_dtype_that_numpy_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(dg.CheckpointError) as error:
        program().load(path)
    assert str(error.value) == (
        "'model.safetensors' holds an array of dtype BF16, which no program has"
    )


def test_a_file_or_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        program().load(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError) as error:
        program().save(tmp_path / "none" / "model.safetensors")
    assert str(error.value) == (
        f"cannot write model.safetensors: there is no folder {tmp_path.resolve() / 'none'}"
    )


@pytest.mark.parametrize("unnamed", [True, False])
def test_an_interrupted_save_leaves_the_old_file_alone(
    unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    saved = program()
    saved.save(path)
    old = path.read_bytes()
    saved.step(x=X)
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    for function in ("fsync", "replace"):

        def interrupt(*arguments: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, function, interrupt)
            with pytest.raises(KeyboardInterrupt):
                saved.save(path)
        assert path.read_bytes() == old
        assert os.listdir(tmp_path) == [path.name]
    saved.save(path)
    assert path.read_bytes() != old
    assert os.listdir(tmp_path) == [path.name]


KILLED = """
import os, signal, sys
from diagrad.frontend.files import write_atomically
def die(handle):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = die
write_atomically(sys.argv[1], b"new" * 100_000)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_save_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = program()
    saved.save(path)
    run = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert run.returncode == -signal.SIGKILL
    taken = program(seed=1)
    taken.load(path)
    assert_same(states(taken), states(saved))
    if hasattr(os, "O_TMPFILE"):
        assert os.listdir(tmp_path) == [path.name]

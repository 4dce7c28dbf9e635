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

from ..evaluating import TARGETS, Target

ROOT = Path(__file__).resolve().parents[3]


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
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(dg.CheckpointError) as error:
        program().load(path)
    assert str(error.value) == (
        "'model.safetensors' holds an array of dtype F8_E4M3, which no program has"
    )


def test_a_file_or_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        program().load(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError) as error:
        program().save(tmp_path / "none" / "model.safetensors")
    assert str(error.value) == (
        f"cannot write model.safetensors: there is no folder {tmp_path.resolve() / 'none'}"
    )


def test_only_plain_files_are_replaced(tmp_path: Path) -> None:
    """As the superuser, a file would else be put in the place of a device such as /dev/null."""
    folder, pipe = tmp_path / "folder", tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    trained = program()
    for use, doing in ((trained.save, "write"), (trained.load, "read")):
        with pytest.raises(IsADirectoryError) as error:
            use(folder)
        text = f"cannot {doing} folder: it is a folder, give the path of a file"
        assert str(error.value) == text
    with pytest.raises(OSError, match="cannot write pipe: it is no plain file"):
        trained.save(pipe)
    assert pipe.is_fifo() and sorted(tmp_path.iterdir()) == [folder, pipe]


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


def with_state(optimizer: Any = None, drawing: bool = False) -> Any:
    """A running mean: of a program that trains, or of one that only uses it."""
    x, w = dg.observed("x", ("B",)), dg.parameter("w", (), init=1.0)
    mu = dg.state("mu", ())
    dg.update(mu, 0.9 * mu + 0.1 * dg.mean(x))
    test = w * (x - mu)
    if drawing:
        test = test + dg.random_uniform(())
    if optimizer is None:
        return dg.Diagram("query", {"test": test}).compile(target="reference")
    cost = dg.mean((w * x) ** 2)
    return dg.Diagram("model", {"test": test}, cost).compile(optimizer, target="reference")


ONES = np.ones(4, np.float32)


def test_a_program_without_an_optimizer_takes_parameters_and_states(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained = with_state(dg.Adam(0.1))
    for _ in range(5):
        trained.step(x=ONES)
    trained.save(path)
    query = with_state()
    held = query.states["mu"]
    found = query.load(path)
    np.testing.assert_allclose(query.states["mu"], 1 - 0.9**5, rtol=1e-6)
    assert query.states["mu"] is held and query.parameters["w"] == trained.parameters["w"]
    np.testing.assert_array_equal(query.run(x=ONES)["test"], trained.run(x=ONES)["test"])
    # It could go on with the updates, and so it has their count.
    assert found.taken == ("w", "mu", "step") and found.kept == () and query.states["step"] == 5
    assert found.left == ("optimizer/learning_rate", "optimizer/w/mean", "optimizer/w/square")
    assert repr(found) == (
        "Loaded 3 arrays from 'model.safetensors'\n"
        "  left there: optimizer/learning_rate\n"
        "  left there: optimizer/w/mean\n"
        "  left there: optimizer/w/square"
    )


def test_what_parameters_alone_leaves_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained = with_state(dg.SGD(0.1))
    trained.step(x=ONES)
    trained.save(path)
    with pytest.warns(dg.DiagramWarning) as warned:
        found = with_state().load(path, parameters_only=True)
    assert [str(item.message) for item in warned] == [
        "load of 'model.safetensors' with parameters_only=True leaves the states mu of program "
        "'query' as they were: load without it, or with optimizer=False, to take them"
    ]
    assert Path(warned[0].filename) == Path(__file__)
    assert (found.taken, found.kept) == (("w",), ("mu", "step"))
    assert found.left == ("mu", "optimizer/learning_rate", "step")


def test_another_optimizer_takes_parameters_and_states(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved = with_state(dg.SGD(0.1))
    for _ in range(3):
        saved.step(x=ONES)
    saved.save(path)
    taken = with_state(dg.Adam(0.1))
    before = states(taken)
    with pytest.raises(dg.CheckpointError) as error:
        taken.load(path)
    assert str(error.value) == (
        "'model.safetensors' does not fit program 'model':\n"
        "  missing: optimizer/w/mean float32 ()\n"
        "  missing: optimizer/w/square float32 ()\n"
        "The parameters and the diagram's states fit: load them with optimizer=False"
    )
    assert_same(states(taken), before)
    found = taken.load(path, optimizer=False)
    assert found.taken == ("w", "mu") and "step" in found.kept
    assert taken.states["mu"] == saved.states["mu"] and taken.states["step"] == 0


def test_a_file_without_a_state_of_the_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    query = with_state()
    save_file({"w": np.array(3, np.float32)}, path)
    with pytest.raises(dg.CheckpointError) as error:
        query.load(path)
    assert str(error.value) == (
        "'model.safetensors' does not fit program 'query':\n"
        "  missing: mu float32 ()\n"
        "The parameters fit: load them alone with parameters_only=True"
    )
    kept = query.load(path, parameters_only=True).kept
    assert kept == ("mu", "step") and query.parameters["w"] == 3


def test_a_program_that_draws_takes_a_file_of_one_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with_state().save(path)
    taken = with_state(drawing=True)
    key = int(taken.states["random_key"])
    assert taken.load(path).kept == ("random_key",) and taken.states["random_key"] == key


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    taken = program()
    before = states(taken)
    save_file(states(program(seed=1)), path, {"layout": "99", "version": "9.1"})
    for options in ({}, {"parameters_only": True}, {"optimizer": False}):
        with pytest.raises(dg.CheckpointError) as error:
            taken.load(path, **options)
        assert str(error.value) == (
            "load of 'model.safetensors' expects a checkpoint of layout 1, got layout 99: load it "
            "with the version of diagrad that wrote it, 9.1"
        )
    assert_same(states(taken), before)
    save_file(states(program(seed=1)), path, {"format": "pt"})  # of another program, by its names
    taken.load(path)
    assert_same(states(taken), states(program(seed=1)))


@pytest.mark.skipif(os.name != "posix", reason="no modes on this system")
@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_file_keeps_its_mode(
    mode: int, unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    saved = program()
    saved.save(path)
    path.chmod(mode)
    seen = []

    def look(handle: int) -> None:
        seen.append(os.fstat(handle).st_mode & 0o777)

    monkeypatch.setattr(os, "fsync", look)
    saved.step(x=X)
    saved.save(path)
    assert path.stat().st_mode & 0o777 == mode and load_file(path)["step"] == 1
    assert seen == [mode]  # before the name is there

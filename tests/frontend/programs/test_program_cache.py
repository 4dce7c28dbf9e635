"""Programs from the cache: the same bits without a pass, found by what they are made of alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler import pipeline
from diagrad.compiler.options import Options
from diagrad.compiler.pipeline import compile_kernels
from diagrad.frontend.program import Program
from diagrad.frontend.programs import program_cache
from diagrad.runtime.building.cache import Cache, use_cache
from diagrad.runtime.program import CPU, CUDA, Target

from ...compiler.memory.round_trip import read_again

ROOT = Path(__file__).resolve().parents[3]
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache for this test alone."""
    use_cache(Cache(tmp_path / "kernels"))
    yield tmp_path / "kernels"
    use_cache(None)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.program"))


def from_cache(program: Program) -> list[bool]:
    return [e.cached is not None and e.cached.found is not None for e in program.executions()]


def classifier(rate: Any = 0.1, width: int = 5, name: str = "x", **options: Any) -> Program:
    x, y = dg.observed(name, ("B", 3)), dg.observed("y", ("B",), dtype=dg.int32)
    table = dg.constant(np.arange(12, dtype=np.float32).reshape(3, 4))
    net = dg.Chain(dg.Linear(3, width), dg.tanh, dg.Linear(width, 4), name="net")
    scores = net(x) + x @ table * 0.01
    optimizer = rate if isinstance(rate, dg.Optimizer) else dg.SGD(rate)
    return dg.Diagram("c", {"s": scores}, dg.cross_entropy(scores, y)).compile(optimizer, **options)


def recurrent(cell: Any, **options: Any) -> Program:
    x, y = dg.observed("x", ("T", "B", 3)), dg.observed("y", ("B",), dtype=dg.int32)
    states, _ = cell(3, 4, name="rnn", **options)(x)
    scores = dg.Linear(4, 4, name="head")(states[-1])
    return dg.Diagram("r", {"s": scores}, dg.cross_entropy(scores, y)).compile(dg.Adam(0.01))


def noisy() -> Program:
    x = dg.observed("x", ("B", 3))
    w = dg.parameter("w", (3,), np.array([1.0, -2.0, 0.5], np.float32))
    noise = dg.random_uniform(x.shape) + dg.random_normal(x.shape)
    shifted = dg.cumsum(dg.concatenate([x * w, noise], 1)[:, 1:4], 1)
    return dg.Diagram("n", {"s": shifted}, dg.mean(shifted * shifted)).compile(dg.RMSprop(0.01))


MODELS: dict[str, Callable[[], Program]] = {
    "classifier": classifier,
    "float64": lambda: classifier(dg.Adam(0.01), dtype="float64"),
    "lstm": lambda: recurrent(dg.LSTM),
    "gru, both ways": lambda: recurrent(dg.GRU, reverse=True),
    "noisy": noisy,
}


def inputs(name: str, batch: int) -> dict[str, Any]:
    """What the models take."""
    rng = np.random.default_rng(batch)
    dtype = "float64" if name == "float64" else "float32"
    shape = (6, batch, 3) if name in ("lstm", "gru, both ways") else (batch, 3)
    found = {"x": rng.normal(size=shape).astype(dtype)}
    return found if name == "noisy" else {**found, "y": rng.integers(0, 4, batch).astype("i4")}


def course(program: Program, name: str) -> list[bytes]:
    """The bits of costs, outputs and parameters over a few steps at several sizes."""
    made = []
    for batch in (1, 5, 16, 5):
        given = inputs(name, batch)
        made.append(np.float64(program.step(**given)).tobytes())
        made += [value.tobytes() for value in program.run(**given).values()]
        strided = {k: np.repeat(v, 2, axis=0)[::2] for k, v in given.items()}
        made += [value.tobytes() for value in program.run(**strided).values()]
    return made + [array.tobytes() for array in program.states.values()]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits_without_a_pass(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = MODELS[name]()
    wanted = course(fresh, name)
    assert from_cache(fresh) == [False, False]
    assert len(entries(folder)) == 2

    def never(*_: Any) -> None:
        raise AssertionError("a pass ran")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "prepare", never)
        patch.setattr(pipeline, "compile_kernels", never)
        again = MODELS[name]()
        assert course(again, name) == wanted
        assert from_cache(again) == [True, True]
        assert again.kernels == fresh.kernels
        assert again.timings.seconds.keys() == {"plan_memory"}
    for one, other in zip(fresh.executions(), again.executions(), strict=True):
        assert one.interface == other.interface
        read_again(one.interface, one.template())
        assert str(one.graph) == str(other.graph)  # made when it is asked for


def test_what_a_user_is_told_is_the_same(folder: Path) -> None:
    def told() -> list[str]:
        program = classifier()
        said = []
        for wrong in (
            {"x": np.ones((2, 3), "f"), "y": np.array([1, 7], "i4")},
            {"x": np.ones((0, 3), "f"), "y": np.zeros(0, "i4")},
            {"x": np.ones((2, 4), "f"), "y": np.zeros(2, "i4")},
        ):
            with pytest.raises(dg.DiagradError) as error:
                program.step(**wrong)
            said.append(str(error.value))
        program.step(x=np.ones((2, 3), "f"), y=np.zeros(2, "i4"))
        return said

    before = told()
    assert len(entries(folder)) == 1
    assert told() == before
    assert "expects values in [0, 4), got 7 at index (1,)" in before[0]
    assert "the batch is empty" in before[1]


CHANGES: dict[str, dict[str, Any]] = {
    "rate": {"rate": 0.2},
    "optimizer": {"rate": dg.SGD(0.1, momentum=0.9)},
    "constant of the optimizer": {"rate": dg.Adam(0.1, betas=(0.8, 0.999))},
    "width": {"width": 6},
    "name of an input": {"name": "z"},
    "precision": {"dtype": "float64"},
}


def test_another_program_is_another_entry(folder: Path) -> None:
    classifier()._step.template()  # type: ignore[union-attr]
    classifier(dg.Adam(0.1))._step.template()  # type: ignore[union-attr]
    for number, (what, change) in enumerate(CHANGES.items()):
        program = classifier(**change)
        assert from_cache(program) == [False], what
        program.executions()[0].template()
        assert len(entries(folder)) == number + 3
    again = [classifier(**change) for change in CHANGES.values()]
    assert all(from_cache(program) == [True] for program in again)


def test_seeds_threads_and_states_are_no_part_of_it(folder: Path) -> None:
    classifier().executions()[0].template()
    assert from_cache(classifier(seed=3, threads=2)) == [True]
    assert from_cache(classifier(target="reference")) == [False]


def test_a_template_is_of_one_target(folder: Path) -> None:
    execution = classifier().executions()[0]
    execution.template()
    found = {}
    for target in (CPU, CUDA, Target("cpu", 1)):
        place = program_cache.look_up(execution.lowered, Options(), target)
        if place.found is None:
            place.keep(execution.interface, compile_kernels(execution.graph, target=target))
            place = program_cache.look_up(execution.lowered, Options(), target)
        assert place.found is not None
        found[target] = place.found[1]
    assert [template.target for template in found.values()] == list(found)
    for target, template in found.items():
        assert {kernel.lanes for kernel in template.kernels} == {target.lanes}
    assert len(entries(folder)) == 3


def test_another_compiler_finds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier().executions()[0].template()
    monkeypatch.setattr(program_cache, "_compiler", lambda: b"of another source")
    assert from_cache(classifier()) == [False]


def test_every_source_of_the_compiler_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compiler/pipeline.py", "compiler/scheduling/fuse.py", *program_cache._SHARED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(program_cache, "_ROOT", tmp_path)
    found = {program_cache._compiler.__wrapped__()}
    for path in sorted(tmp_path.rglob("*.py")):
        path.write_text("two")
        found.add(program_cache._compiler.__wrapped__())
    assert len(found) == 7
    monkeypatch.setattr(np, "__version__", "0")
    found.add(program_cache._compiler.__wrapped__())
    assert len(found) == 8


def test_without_source_nothing_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_cache, "_ROOT", tmp_path)
    monkeypatch.setattr(program_cache, "_compiler", program_cache._compiler.__wrapped__)
    program = classifier()
    program.step(**inputs("classifier", 4))
    assert from_cache(program) == [False] and entries(folder) == []
    assert "table of a step: compiled (the compiler's own source cannot be read: " in (
        program.explain()
    )


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "not JSON", "older"])
def test_a_damaged_entry_is_made_anew(folder: Path, damage: str) -> None:
    wanted = course(classifier(), "classifier")
    whole = {path: path.read_bytes() for path in entries(folder)}
    for path, data in whole.items():
        key, other = bytes.fromhex(path.stem), bytes(32)
        if damage == "foreign":
            Cache(folder).put(other, data[80:], "program")
            os.replace(folder / f"{other.hex()}.program", path)
        elif damage == "not JSON":
            Cache(folder).put(key, (5).to_bytes(8, "little") + b"{'a':1", "program")
        elif damage == "older":
            Cache(folder).put(key, (2).to_bytes(8, "little") + b"{}", "program")
        else:
            flipped = data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]
            path.write_bytes({"cut": data[:-50], "flipped": flipped, "empty": b""}[damage])
    program = classifier()
    said = {
        "cut": "is truncated", "empty": "is truncated", "flipped": "is damaged",
        "foreign": "belongs to another program", "not JSON": "cannot be read: JSONDecodeError(",
        "older": "cannot be read: KeyError(",
    }[damage]  # fmt: skip
    assert f"the entry in the cache {said}" in program.explain()
    assert course(program, "classifier") == wanted
    assert {path: path.read_bytes() for path in entries(folder)} == whole


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    use_cache(Cache(tmp_path / "file" / "kernels"))
    try:
        program = classifier()
        program.step(**inputs("classifier", 4))
        assert "table of a step: compiled (" in program.explain()
        assert "kept in memory only: " in program.explain()
    finally:
        use_cache(None)


def test_a_large_program_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_cache, "MOST_BYTES", 1 << 10)
    program = classifier()
    program.step(**inputs("classifier", 4))
    assert entries(folder) == []
    assert "not kept: 0 MiB, at most 0 are" in program.explain()


SCRIPT = """
import numpy as np, sys
import diagrad as dg
x = dg.observed("x", ("B", 3))
w = dg.parameter("w", (3,), np.array([1.0, -2.0, 0.5], np.float32))
cost = dg.mean(dg.tanh(x * w))
program = dg.Diagram("m", cost=cost).compile(dg.Adam(0.1))
given = np.arange(12, dtype=np.float32).reshape(4, 3)
print([program.step(x=given).hex() for _ in range(3)], program.parameters["w"].tobytes().hex())
cached = program.executions()[0].cached
print("found" if cached.found else "made", "diagrad.compiler.pipeline" in sys.modules)
"""


def started(folder: Path, script: Path) -> "subprocess.Popen[str]":
    """A process that runs the script with its cache in a folder."""
    environment = {**os.environ, "DIAGRAD_CACHE": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_processes_share_programs(tmp_path: Path) -> None:
    script, folder = tmp_path / "model.py", tmp_path / "kernels"
    script.write_text(SCRIPT)
    told = []
    for count in (2, 1):  # two at once with an empty cache, then one
        children = [started(folder, script) for _ in range(count)]
        told += [child.communicate(timeout=120)[0].splitlines() for child in children]
        assert all(child.returncode == 0 for child in children)
    assert len({lines[0] for lines in told}) == 1
    assert told[2][1] == "found False"  # the passes are not even imported
    assert len(entries(folder)) == 1 and not list(folder.glob("*.tmp"))
    folder.chmod(0o500)
    try:
        lines = started(folder, script).communicate(timeout=120)[0].splitlines()
    finally:
        folder.chmod(0o700)
    assert lines == told[2]

"""`program.explain`: what was compiled, what was cached, the passes and the memory."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.reports.summary import byte_text
from diagrad.runtime.building.cache import Cache, use_cache
from diagrad.runtime.cpu.building import natives

from .test_profiling import X, Y, classifier


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty cache for this test; the engine's own pieces are linked before."""
    classifier().compile().run(x=X)
    use_cache(Cache(tmp_path / "kernels", limit=1 << 20))
    yield tmp_path / "kernels"
    use_cache(None)


def test_before_the_first_call() -> None:
    lines = classifier().compile(dg.SGD(0.1)).explain().splitlines()
    assert lines[:2] == [
        "program 'classifier' on target cpu",
        "native code: nothing yet; the first call makes it, when the sizes are known",
    ]
    assert lines[2].startswith("table of a step: ") and " ms to look" in lines[2]
    assert lines[3].startswith("passes, ") and len(lines) == 4


def test_what_was_compiled(folder: Path) -> None:
    x = dg.observed("x", ("B", 3))
    # Numbers are words of a row, but the order of operations is the kernel's own.
    y = dg.tanh(x * x + x) * dg.sin(x) - dg.exp(-x)
    program = dg.Diagram("odd", {"y": y}).compile()
    program.run(x=X[:, :3].copy())
    text = program.explain()
    (kernel,) = program.kernels
    assert re.search(r"^native code, [23] pieces: ", text, re.MULTILINE)
    assert re.search(rf"^  compiled  {kernel} +\d+\.\d ms  not in the cache$", text, re.MULTILINE)
    held = {path.suffix: path.stat().st_size for path in folder.iterdir()}
    assert held.keys() == {".kernel", ".program"}
    size = byte_text(sum(held.values()))
    assert f"\ncache: {folder}, 2 files, {size} of at most 1.0 MiB " in text
    told = r"^table of a run: compiled \(not in the cache; \d+\.\d ms to look\)$"
    assert re.search(told, text, re.MULTILINE)
    assert "passes, " in text and ", plan_memory " in text
    assert "run bound to x (37, 3): 1 rows of 1 kernels on 1 thread" in text
    assert "\n  memory: 888 B in all (inputs 444 B, outputs 444 B)\n" in text
    assert re.search(rf"^  {kernel} +once  for diagram$", text, re.MULTILINE)
    again = dg.Diagram("odd", {"y": y}).compile()
    again.run(x=X[:, :3].copy())
    assert re.search(
        rf"^  linked in this process before: {kernel}, ", again.explain(), re.MULTILINE
    )
    told = rf"^table of a run: from the cache, where its graph was found in {folder}; \d+\.\d ms "
    assert re.search(told, again.explain(), re.MULTILINE)


def test_a_damaged_entry_is_explained(folder: Path) -> None:
    from diagrad.runtime.cpu.building import build
    from diagrad.runtime.cpu.stepping import driver

    request = natives.Request("driver", driver.text() + "\n; of a test\n", driver.build_driver)
    folder.mkdir()
    (folder / f"{natives.key_of(request).hex()}.kernel").write_bytes(b"damaged")
    before = build.compilations
    (native,) = natives.obtain([request])
    assert build.compilations == before + 1
    assert (native.origin, native.reason) == ("compiled", "the entry in the cache is truncated")


def test_sizes_and_threads() -> None:
    program = classifier(width=2048).compile(dg.SGD(0.1), threads=2)
    program.step(x=X, y=Y)
    program.step(x=X[:5], y=Y[:5])
    program.run(x=X[:1])
    text = program.explain()
    lines = text.splitlines()
    assert re.search(
        r"^step bound to x \(37, 24\), y \(37,\): \d+ rows of \d+ kernels on 2", text, re.M
    )
    assert sum(line.startswith("step bound to ") for line in lines) == 2
    assert sum(line.startswith("run bound to ") for line in lines) == 1
    assert sum(line.startswith("  memory: ") for line in lines) == 3
    for name in program.kernels:
        assert name in text


def test_kernels_of_a_loop_run_at_every_step() -> None:
    x = dg.observed("x", ("T", 3))
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(3,))
    after = dg.tanh(z @ dg.parameter("w", (3, 3)) + t.each(x))
    t.close(z, after)
    program = dg.Diagram("loop", {"last": t.last(after)}).compile()
    program.run(x=X[:11, :3].copy())
    text = program.explain()
    assert re.search(r"^  k\d+_contract_add_tanh\w* +11 times  for diagram$", text, re.MULTILINE)


def test_the_reference_target() -> None:
    program = classifier().compile(target="reference")
    program.run(x=X)
    text = program.explain()
    assert text.startswith("program 'classifier' on target reference\npasses, ")
    assert re.search(r"^run bound to x \(37, 24\): \d+ NumPy functions$", text, re.MULTILINE)


def test_the_memory_that_all_sizes_share() -> None:
    """One arena, for the largest; a program that was not called has none."""
    x = dg.observed("x", ("B", 4))
    program = dg.Diagram("shared", {"y": dg.softmax(dg.tanh(x) @ dg.tanh(x).T)}).compile(threads=1)
    assert "all sizes share" not in program.explain()
    for size in (100, 50):
        program.run(x=np.zeros((size, 4), np.float32))
    last = program.explain().splitlines()[-1]
    (run,) = program.executions()
    most = max(executor.program.arena_bytes for executor in run.executors().values())
    assert last.startswith(f"memory that all sizes share: temporaries {byte_text(most)}, kernels'")

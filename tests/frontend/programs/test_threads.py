"""One program called from several threads: with other sizes, beside loads, saves and assignments.

Every step adds 1 to each parameter, whatever the inputs, so that the sums are integers and exact.
"""

import itertools
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.runtime.cpu import executor

from ..evaluating import TARGETS, Array, Target

WIDTH = 40_000
"""Parameters: enough that the interpreter's lock is let go during a step."""


@pytest.fixture(autouse=True)
def quick_switches() -> Iterator[None]:
    """Threads of Python take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def counting(target: Target = "cpu", width: int = WIDTH, threads: int | None = 1) -> dg.Program:
    """A program whose step adds 1 to all of w, and whose run shows w beside a sum of x."""
    x, w = dg.observed("x", ("B", 8)), dg.parameter("w", (width,), 0.0)
    cost = -dg.sum(w) + 0.0 * dg.sum(x)
    return dg.Diagram("counting", {"w": w * 1.0, "x": dg.sum(x)}, cost=cost).compile(
        dg.SGD(1.0), target=target, threads=threads
    )


def together(*works: Callable[[], object]) -> None:
    """Run functions at once, begun at one moment; the first of their errors is raised."""
    start = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def repeat(count: int, function: Callable[..., object], **inputs: Any) -> Callable[[], None]:
    def work() -> None:
        for _ in range(count):
            function(**inputs)

    return work


def batch(size: int) -> Array:
    return np.zeros((size, 8), np.float32)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bound", [False, True])
def test_no_update_is_lost(target: Target, bound: bool) -> None:
    program, sizes = counting(target), (3, 4, 5, 0, 1)
    for size in sizes if bound else ():
        program.step(x=batch(size))
    count = 200 if target == "cpu" else 30
    together(*(repeat(count, program.step, x=batch(size)) for size in sizes))
    made = len(sizes) * (count + bound)
    assert int(program.states["step"]) == made
    assert (program.parameters["w"] == made).all()


@pytest.mark.parametrize("release", [0, 1 << 62])
@pytest.mark.parametrize("seed", range(3))
def test_any_schedule(seed: int, release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps at any sizes, on the program and on copies that share its arrays; runs beside them."""
    monkeypatch.setattr(executor, "RELEASE_WORK", release)
    draw = random.Random(seed)
    program = counting(width=draw.choice([1, 17, 5000]), threads=draw.choice([1, 2]))
    twin = program.__copy__()
    made = itertools.count()

    def work(seed: float) -> None:
        own = random.Random(seed)
        for _ in range(60):
            chosen = program if own.random() < 0.5 else twin
            x = np.ones((own.randrange(12), 8), np.float32)
            if own.random() < 0.6:
                chosen.step(x=x)
                next(made)
            else:
                found = chosen.run(x=x)
                assert (found["w"] == found["w"][0]).all(), "a run saw half of a step"
                assert found["x"] == x.size

    together(*(lambda part=part: work(100 * seed + part) for part in range(4)))
    assert (program.parameters["w"] == next(made)).all()
    assert twin.states is program.states


@pytest.mark.parametrize("target", TARGETS)
def test_loads_saves_and_assignments_are_whole(target: Target, tmp_path: Path) -> None:
    program = counting(target)
    program.save(tmp_path / "zeros")
    count = 60 if target == "cpu" else 15

    def whole(values: Array) -> None:
        assert (values == values[0]).all()

    def save() -> None:
        program.save(tmp_path / "now")
        other = counting(target)
        other.load(tmp_path / "now")
        whole(other.parameters["w"])

    together(
        repeat(10 * count, program.step, x=batch(2)),
        repeat(count, lambda: whole(program.run(x=batch(3))["w"])),
        repeat(count, lambda: program.load(tmp_path / "zeros")),
        repeat(count, lambda: program.parameters.update(w=np.full(WIDTH, 9, np.float32))),
        repeat(count // 5, save),
        repeat(count // 5, lambda: whole(program.on_copies().parameters["w"])),
    )
    whole(program.parameters["w"])


def test_many_sizes_from_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binding, evicting and calling, all at once."""
    monkeypatch.setattr("diagrad.frontend.programs.execution.KEPT", 5)
    program = dg.Diagram("many", {"y": dg.observed("x", ("B", 3)) * 2.0}).compile(threads=1)

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(150):
            x = np.full((draw.randrange(1, 40), 3), draw.random(), np.float32)
            np.testing.assert_array_equal(program.run(x=x)["y"], x * 2)

    together(*(lambda seed=seed: work(seed) for seed in range(4)))
    (run,) = program.executions()
    assert len(run.executors()) <= 5


def test_a_thread_that_steps_lets_others_in() -> None:
    """Who makes one step after another leaves no gap by itself."""
    program = counting(width=400_000)
    program.step(x=batch(1)), program.run(x=batch(1))
    over = threading.Event()
    runs = 0

    def steps() -> None:
        while not over.is_set():
            program.step(x=batch(1))

    def look() -> None:
        nonlocal runs
        try:
            for _ in range(20):
                program.run(x=batch(1))
                runs += 1
        finally:
            over.set()

    sys.setswitchinterval(1.0)
    together(steps, look)
    assert runs == 20


def test_programs_that_share_nothing_run_at_once() -> None:
    """While one is held, another goes on: were there one lock for all, this would not end."""
    one, two = counting(), counting()
    copied = one.on_copies()
    one.workspace.hold(lambda: [p.step(x=batch(2)) for p in (two, copied)])
    assert int(two.states["step"]) == int(copied.states["step"]) == 1


def test_profile_beside_steps() -> None:
    """It works on copies, made between two steps."""
    program = counting()
    together(
        repeat(100, program.step, x=batch(2)),
        lambda: program.profile("step", 3, x=batch(3)),
    )
    assert (program.parameters["w"] == 100).all()

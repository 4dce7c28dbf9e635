"""Steps shared by threads: the same bits for any number of them, and no process that hangs."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.memory import plan_memory
from diagrad.compiler.memory.waits import plan_waits
from diagrad.runtime.building.cache import cache_in_use
from diagrad.runtime.cpu import Executor, executor
from diagrad.runtime.cpu.stepping import team
from diagrad.runtime.outcomes import HOLDS, CheckFailedError
from diagrad.runtime.program import (
    CPU,
    Address,
    BoundProgram,
    Buffer,
    Instruction,
    Kernel,
    Turns,
)

from .tables import MIX, WORK, random_table, run_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("seed", range(12))
def test_random_tables_give_the_same_bits(seed: int) -> None:
    program = random_table(seed)
    wanted = run_table(program, 1)
    for threads in (1, 2, 3, 5):
        assert run_table(program, threads) == wanted, threads


def classifier() -> tuple[dg.Diagram, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y = dg.observed("x", ("B", 200)), dg.observed("y", ("B",), dtype=dg.int32)
    net = dg.Chain(dg.Linear(200, 300), dg.relu, dg.Linear(300, 10), name="net")
    cost = dg.cross_entropy(net(x), y)
    inputs = {
        "x": rng.normal(size=(250, 200)).astype(np.float32),
        "y": rng.integers(0, 10, 250).astype(np.int32),
    }
    return dg.Diagram("classifier", cost=cost), inputs


def normed() -> tuple[dg.Diagram, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = dg.observed("x", ("B", 130))
    a = dg.parameter("a", (130,), init=dg.init.normal(1.0))
    centred = x * a - dg.mean(x * a, axis=-1, keepdims=True)
    spread = dg.sqrt(dg.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    cost = dg.mean(dg.tanh(centred / spread) * dg.sigmoid(x))
    return dg.Diagram("normed", cost=cost), {"x": rng.normal(size=(700, 130)).astype(np.float32)}


def local() -> tuple[dg.Diagram, dict[str, Any]]:
    x = dg.observed("x", ("B", 2, 12, 11))
    first = dg.LocallyConnected2d(2, 3, (12, 11), 3, stride=2, padding=1)
    second = dg.LocallyConnected2d(3, 2, first.out_size, (5, 3), stride=(1, 2))
    net = dg.Chain(first, dg.tanh, second, name="net")
    images = np.random.default_rng(0).normal(size=(90, 2, 12, 11)).astype(np.float32)
    return dg.Diagram("local", cost=dg.mean(net(x) ** 2)), {"x": images}


@pytest.mark.parametrize("make", [classifier, normed, local])
def test_training_gives_the_same_bits(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_memory, "CHUNK_WORK", 2000)
    monkeypatch.setattr(executor, "SHARE_WORK", 2000)
    diagram, inputs = make()
    found = []
    for threads in (1, 2, 3, 2, 1):
        program = diagram.compile(dg.SGD(0.1), threads=threads)
        costs = [program.step(**inputs) for _ in range(5)]
        found.append((costs, {k: v.tobytes() for k, v in program.states.items()}))
        (bound,) = program._step._bound.values()
        assert bound.threads == threads
    assert all(item == found[0] for item in found)


def test_small_programs_use_one_thread() -> None:
    small = random_table(0, rows=1)
    (row,) = small.instructions
    quick = Instruction(row.kernel, row.words, row.extent, row.reads, row.writes, chunk=1, work=99)
    program = BoundProgram("small", small.kernels, (quick,), small.buffers, small.arena_bytes)
    assert Executor(program, {"w": np.zeros(999, np.float32)}, 8).threads == 1
    # Nor is there anything to share where every row is one chunk.
    whole = Instruction(row.kernel, row.words, row.extent, row.reads, row.writes, work=10**9)
    program = BoundProgram("whole", small.kernels, (whole,), small.buffers, small.arena_bytes)
    assert Executor(program, {"w": np.zeros(999, np.float32)}, 8).threads == 1


def test_a_loop_of_whole_rows_uses_one_thread() -> None:
    """However much is shared before the loop, if that is little beside what the loop does."""
    small = random_table(0, rows=1)
    (row,) = small.instructions
    shared = Instruction(row.kernel, row.words, 8, row.reads, row.writes, chunk=1, work=10**7)
    whole = Instruction(row.kernel, row.words, 1, row.reads, row.writes, work=10**5)
    for steps, threads in ((700, 2), (701, 1)):
        program = BoundProgram(
            "loop", small.kernels, (shared, whole), small.buffers, small.arena_bytes,
            (Turns(1, 2, steps),),
        )  # fmt: skip
        assert executor.useful_threads(program, 2) == threads


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIAGRAD_THREADS", "5")
    assert team.default_threads() == 5
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("DIAGRAD_THREADS", wrong)
        with pytest.raises(ValueError, match="DIAGRAD_THREADS expects a number from 1 on"):
            team.default_threads()
    monkeypatch.delenv("DIAGRAD_THREADS")
    assert 1 <= team.default_threads() <= (os.cpu_count() or 1)
    with pytest.raises(ValueError, match="threads expects a number from 1 on, got 0"):
        Executor(random_table(0), {}, 0)
    with pytest.raises(dg.InputError, match="expects a number of threads from 1 on, got 0"):
        classifier()[0].compile(threads=0)


FIRST = """def kernel(args, lo, hi):
    store_first(i64_at(args[0]), 0, load_splat(i64_at(args[1]), 0))
"""


def test_a_failed_check_stops_all_threads() -> None:
    n = 4000
    words = (Address(2), Address(3), Address(3), n, 3)
    made = [
        Instruction(1, (Address(5), Address(0)), 1, (0,), (5,), check=5, work=WORK),
        Instruction(1, (Address(6), Address(1)), 1, (1,), (6,), check=6, work=WORK),
        Instruction(0, (Address(2), Address(2), Address(4), n, 3), 250, (2,), (4,), work=WORK),
        Instruction(0, words, 250, (2, 3), (3,), chunk=1, work=WORK),
    ]
    buffers = (
        Buffer("a", "input", "int64", ()),
        Buffer("b", "input", "int64", ()),
        Buffer("x", "input", "float32", (n,)),
        Buffer("w", "state", "float32", (n,)),
        Buffer("t", "temporary", "float32", (n,), 0),
        Buffer("c", "temporary", "int64", (), 4 * n),
        Buffer("d", "temporary", "int64", (), 4 * n + 64),
    )
    waits = plan_waits(made, buffers)
    assert waits == [0, 0, 0, 2]
    table = tuple(
        Instruction(
            i.kernel, i.words, i.extent, i.reads, i.writes, check=i.check, chunk=i.chunk,
            wait=wait, work=WORK,
        )
        for i, wait in zip(made, waits, strict=True)
    )  # fmt: skip
    kernels = (Kernel("mix", MIX, CPU.lanes), Kernel("first", FIRST, CPU.lanes))
    program = BoundProgram("checks", kernels, table, buffers, 4 * n + 128)
    w = np.ones(n, np.float32)
    run = Executor(program, {"w": w}, 3)
    assert run.threads == 3
    good, bad, x = np.array(HOLDS), np.array(7), np.zeros(n, np.float32)
    for _ in range(200):
        for a, b, check in ((bad, good, 0), (good, bad, 1), (bad, bad, 0)):
            with pytest.raises(CheckFailedError) as caught:
                run([a, b, x])
            assert (caught.value.check, caught.value.index) == (check, 7)
    assert (w == 1).all()
    run([good, good, x])
    assert (w != 1).all()


def test_two_programs_in_two_threads() -> None:
    wanted = {seed: run_table(random_table(seed), 1, 30) for seed in (4, 5)}
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(20):
            if run_table(random_table(seed), 3, 30) != wanted[seed]:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["fork", "pinned", "collect", "leave", "idle"])
def test_in_a_process_of_its_own(name: str) -> None:
    if name in ("fork", "pinned") and not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs fork and sched_setaffinity")
    run_table(random_table(0), 2)  # So that the kernel is in the cache.
    folder = cache_in_use().folder
    environment = {**os.environ, "DIAGRAD_CACHE": str(folder)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.runtime.cpu.scripts", name],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("nbytes", [0, 1, 64, 2**22 - 1, 2**22, 2**22 + 5])
def test_memory_begins_with_a_line_or_a_large_page(nbytes: int) -> None:
    memory = team.aligned(nbytes)
    edge = team.HUGE_PAGE if nbytes >= 2**22 else team.LINE
    assert memory.nbytes == nbytes and not memory.any()
    assert nbytes == 0 or memory.ctypes.data % edge == 0

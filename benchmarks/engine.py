"""Figures of the engine itself: what it costs beside the arithmetic.

    python -m benchmarks.engine        prints them as one line of JSON

Dispatch, fixed cost and import are the least of many repeats, since whatever else the machine does
only adds to them; the others are medians.  What needs a second core is None where there is none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.runtime.cpu import Executor
from diagrad.runtime.cpu.trace import TracingExecutor
from diagrad.runtime.program import CPU, Address, BoundProgram, Buffer, Instruction, Kernel

ROOT = Path(__file__).resolve().parent.parent
Figures = dict[str, float | bool | None]

_WORK = """def kernel(args, lo, hi):
    place = i64_at(args[0])
    for i in range(lo, hi):
        v = load_splat(place, i * 8)
        for turn in range(args[1]):
            v = v * i64(3) + i64(1)
        store_first(place, i * 8, v)
"""
"""A kernel that for each index of its share multiplies one number so many times."""

_TURNS = 2000
"""About 3 us: long enough that a helper takes its share, short enough that waiting shows."""

_IMPORT = """
import sys, time
start = time.perf_counter()
import diagrad
print(time.perf_counter() - start, int("numba" in sys.modules))
"""
_SPIN = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
print("spinning", flush=True)
while True:
    pass
"""


def least(function: Callable[[], object], repeats: int, inner: int = 1, groups: int = 1) -> float:
    """Seconds of one call, the least over the repeats of a loop of `inner` calls.

    Groups of repeats stand 50 ms apart, so that one busy moment of the machine does not meet all.
    """
    function()
    times = []
    for group in range(groups):
        if group:
            time.sleep(0.05)
            function()
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(inner):
                function()
            times.append((time.perf_counter() - start) / inner)
    return min(times)


def _rows(count: int, threads: int, turns: int) -> BoundProgram:
    """Rows that wait for each other, each with a share of `turns` for every thread."""
    chunk = 1 if threads > 1 else 0
    row = Instruction(0, (Address(0), turns), threads, (), (0,), chunk=chunk, work=10**7)
    # A cache line for each thread.
    buffers = (Buffer("t", "temporary", "int64", (threads, 8), 0),)
    return BoundProgram(
        "rows", (Kernel("work", _WORK, CPU.lanes),), (row,) * count, buffers, 64 * threads
    )


def _dispatch() -> float:
    """Seconds that one more trivial row adds to a program on one thread."""
    few, many = (Executor(_rows(count, 1, 0), {}, 1) for count in (100, 1100))
    times = [least(lambda: run([]), 100, groups=3) for run in (few, many)]  # noqa: B023 (called here)
    return (times[1] - times[0]) / 1000


def _barrier() -> float | None:
    """From the end of a row's last share to when both threads are in the next row: the median.

    None where a second thread hardly ever had a core.
    """
    executor = TracingExecutor(_rows(70, 2, _TURNS), {}, 2)
    gaps: list[float] = []
    for _ in range(20):
        time.sleep(0.05)
        for trace in executor.trace([], 20):
            order = np.lexsort((trace.chunks, trace.rows))
            begins, ends, who = (
                column[order].reshape(-1, 2) for column in (trace.begins, trace.ends, trace.threads)
            )
            both = who[:, 0] != who[:, 1]
            gap = begins[1:].max(axis=1) - ends[:-1].max(axis=1)
            gaps += gap[both[1:] & both[:-1]].tolist()
    return 1e-9 * median(gaps) if len(gaps) > 1000 else None


def _tiny_step() -> float:
    x = dg.observed("x", ("B",))
    w = dg.parameter("w", (), init=1.0)
    program = dg.Diagram("tiny", cost=dg.sum(w * x)).compile(dg.SGD(0.0))
    value = np.ones(1, np.float32)
    return least(lambda: program.step(x=value), 200, 200)


def _classifier(threads: int) -> tuple[Any, Any]:
    """The workload `mlp` as a program, and a function that makes inputs for a batch."""
    x, y = dg.observed("x", ("B", 784)), dg.observed("y", ("B",), dtype=dg.int32)
    layers = (dg.Linear(784, 512), dg.relu, dg.Linear(512, 512), dg.relu, dg.Linear(512, 10))
    cost = dg.cross_entropy(dg.Chain(*layers, name="net")(x), y)
    program = dg.Diagram("mlp", cost=cost).compile(dg.SGD(1e-3), threads=threads)
    rng = np.random.default_rng(0)

    def batch(count: int) -> dict[str, Any]:
        images = rng.normal(size=(count, 784)).astype(np.float32)
        return {"x": images, "y": rng.integers(0, 10, count).astype(np.int32)}

    return program, batch


def _new_batch(threads: int) -> float:
    """The first step with a batch size less an ordinary one, the median over several sizes."""
    program, batch = _classifier(threads)
    program.step(**batch(128))
    extra = []
    for size in (127, 96, 64, 33, 200):
        inputs = batch(size)
        start = time.perf_counter()
        program.step(**inputs)
        first = time.perf_counter() - start
        extra.append(first - least(lambda: program.step(**inputs), 3))  # noqa: B023 (called here)
    return median(extra)


def _contention() -> float | None:
    """A step on two threads over one on one thread, while another process holds a core."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    programs = [_classifier(threads) for threads in (1, 2)]
    inputs = programs[0][1](128)
    for program, _ in programs:
        program.step(**inputs)
    spinning = subprocess.Popen(
        [sys.executable, "-c", _SPIN, str(cores[1])], stdout=subprocess.PIPE
    )
    try:
        assert spinning.stdout is not None
        spinning.stdout.readline()
        times: list[list[float]] = [[], []]
        for _ in range(100):
            for (program, _), held in zip(programs, times, strict=True):
                start = time.perf_counter()
                program.step(**inputs)
                held.append(time.perf_counter() - start)
    finally:
        spinning.kill()
        spinning.wait()
    return median(times[1]) / median(times[0])


def _import() -> tuple[float, bool]:
    """Seconds of `import diagrad` from files as a wheel installs them; whether that took Numba."""
    with tempfile.TemporaryDirectory() as folder:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "diagrad", Path(folder) / "diagrad", ignore=ignore)
        environment = {**os.environ, "PYTHONPATH": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = []
        for _ in range(9):
            done = subprocess.run(
                [sys.executable, "-c", _IMPORT],
                cwd=folder, env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            seconds, numba = done.stdout.split()
            found.append((float(seconds), numba == "1"))
    return min(seconds for seconds, _ in found[1:]), any(numba for _, numba in found)


def measure() -> Figures:
    """Every figure by name, in the unit that the name ends with."""
    seconds, numba = _import()
    several = (os.cpu_count() or 1) > 1
    barrier = _barrier() if several else None
    return {
        "import_s": seconds,
        "import_of_numba": numba,
        "dispatch_ns": 1e9 * _dispatch(),
        "barrier_us": None if barrier is None else 1e6 * barrier,
        "fixed_us": 1e6 * _tiny_step(),
        "new_batch_ms": 1e3 * _new_batch(2 if several else 1),
        "contention": _contention(),
    }


def engine_figures() -> Figures | None:
    """The figures, from a process of their own; None, with the reason printed, if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        print(f"the engine's figures failed: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    found: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))

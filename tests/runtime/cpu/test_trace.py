"""Tracing a program: the same bits, every share once, and times that add up."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from diagrad.runtime.cpu import stopwatch
from diagrad.runtime.cpu.limits import machine_limits
from diagrad.runtime.cpu.trace import TracingExecutor
from diagrad.runtime.program import BoundProgram, Turns
from diagrad.runtime.tracing import Trace

from .tables import random_table, run_table

ROOT = Path(__file__).resolve().parents[3]


def made(*shares: tuple[int, int, float, float]) -> Trace:
    """A trace of (row, thread, begin, end)."""
    rows, threads, begins, ends = (np.array(column) for column in zip(*shares, strict=True))
    return Trace(rows, np.zeros_like(rows), threads, begins, ends, 100)


def test_what_runs_at_once_is_charged_its_part() -> None:
    # Row 0 alone for 4, both rows for 2, row 1 alone for 3, nothing for 1, row 0 again for 5.
    trace = made((0, 0, 0.0, 6.0), (1, 1, 4.0, 9.0), (0, 0, 10.0, 15.0))
    np.testing.assert_allclose(trace.times(3), [4 + 1 + 5, 1 + 3, 0])
    np.testing.assert_allclose(trace.busy(3), [11, 5, 0])
    assert trace.span == 15
    # Two threads in one row and one in another: two thirds and one third.
    trace = made((0, 0, 0.0, 6.0), (0, 1, 0.0, 6.0), (1, 2, 0.0, 6.0))
    np.testing.assert_allclose(trace.times(2), [4, 2])
    # What begins where another ends overlaps nothing, and what takes no time is charged none.
    trace = made((0, 0, 0.0, 3.0), (1, 0, 3.0, 3.0), (2, 0, 3.0, 7.0))
    np.testing.assert_allclose(trace.times(3), [3, 0, 4])


def test_nothing_happened() -> None:
    empty = np.zeros(0)
    trace = Trace(empty.astype(int), empty.astype(int), empty.astype(int), empty, empty, 5)
    assert trace.span == 0 and not trace.times(2).any() and not trace.busy(2).any()


def tracer(program: BoundProgram, threads: int) -> tuple[TracingExecutor, np.ndarray, np.ndarray]:
    n = program.buffers[0].shape[0]
    x, w = np.linspace(-1, 1, n, dtype=np.float32), np.ones(n, np.float32)
    return TracingExecutor(program, {"w": w}, threads), x, w


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_share_once_and_in_order(seed: int, threads: int) -> None:
    program = random_table(seed)
    executor, x, w = tracer(program, threads)
    traces = executor.trace([x], 3)
    assert w.tobytes() == run_table(program, 1)[-1]
    count = len(program.instructions)
    if executor.threads == 1:
        wanted = [(row, 0) for row in range(count)]
    else:
        wanted = [(r, c) for r, item in enumerate(program.instructions) for c in range(item.chunks)]
    for trace in traces:
        pairs = list(zip(trace.rows.tolist(), trace.chunks.tolist(), strict=True))
        assert sorted(pairs) == wanted
        assert set(trace.threads.tolist()) <= set(range(executor.threads))
        assert trace.begins.min() == 0 and (trace.ends >= trace.begins).all()
        assert (np.diff(trace.begins) >= 0).all()
        for thread in range(executor.threads):
            own = trace.threads == thread
            assert (trace.begins[own][1:] >= trace.ends[own][:-1]).all()
        assert trace.times(count).sum() <= trace.span * (1 + 1e-9)
        assert trace.busy(count).sum() <= threads * trace.span * (1 + 1e-9)
        assert trace.span <= trace.wall * 1.01 + 1000
        ended = np.array([trace.ends[trace.rows == row].max() for row in range(count)])
        for row, item in enumerate(program.instructions):
            if item.wait:
                begin = trace.begins[trace.rows == row].min()
                # The clocks of two cores may differ by a few nanoseconds.
                assert begin >= ended[: item.wait].max() - 200


@pytest.mark.parametrize("threads", [1, 2])
def test_the_turns_of_a_loop(threads: int) -> None:
    """What runs several times is traced every time, under one number."""
    straight = random_table(1, rows=4)
    cut = [replace(item, wait=None) for item in straight.instructions]
    program = replace(straight, instructions=tuple(cut), turns=(Turns(1, 3, 5),))
    executor, x, _ = tracer(program, threads)
    (trace,) = executor.trace([x], 1)
    shares = [item.chunks if executor.threads > 1 else 1 for item in cut]
    wanted = [n * s for n, s in zip(program.times, shares, strict=True)]
    assert program.times == [1, 5, 5, 1]
    assert np.bincount(trace.rows, minlength=4).tolist() == wanted


def test_rows_without_elements() -> None:
    program = random_table(0, rows=3, n=0)
    executor, x, _ = tracer(program, 1)
    (trace,) = executor.trace([x], 1)
    assert trace.rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "triple", "instruction"),
    [
        ("x86", "x86_64-unknown-linux-gnu", "rdtsc"),
        ("aarch64", "aarch64-unknown-linux-gnu", "cntvct_el0"),
        ("aarch64", "arm64-apple-darwin", "cntvct_el0"),
    ],
)
def test_the_clock_of_each_processor(kind: str, triple: str, instruction: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        machine = llvm.Target.from_triple(triple).create_target_machine()
    except RuntimeError as error:
        pytest.skip(f"this LLVM has no target {triple}: {error}")
    module = llvm.parse_assembly(stopwatch.timed_text(kind).replace("SYMBOL", "timed"))
    module.triple = triple
    assert instruction in machine.emit_assembly(module).lower()


def test_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "_ticks", lambda: lambda: 7)
    with pytest.raises(RuntimeError, match=r"cannot measure kernels on this processor .*does not"):
        stopwatch.Calibration().nanoseconds_per_tick()


def test_limits() -> None:
    one = machine_limits(1)
    assert one is machine_limits(1) and one.threads == 1
    assert 1e8 < one.bytes_per_s < 1e13
    assert 1e8 < one.flops_per_s["float64"] < 1e13
    assert 1e8 < one.flops_per_s["float32"] < 1e13


NEVER_NUMBA = """
import sys
import numpy as np
import diagrad as dg
x = dg.observed("x", ("B", 4))
d = dg.Diagram("light", cost=dg.mean(dg.Linear(4, 3, name="net")(x) ** 2))
program = d.compile(dg.SGD(0.1), threads=2)
print(len(program.profile("step", 2, x=np.ones((5, 4), np.float32)).rows) > 0)
if "{check}": print("numba" in sys.modules)
"""


def test_measuring_needs_no_numba() -> None:
    for check, wanted in (("", "True\n"), ("yes", "True\nFalse\n")):
        run = subprocess.run(
            [sys.executable, "-c", NEVER_NUMBA.replace("{check}", check)],
            cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode, run.stdout, run.stderr) == (0, wanted, "")

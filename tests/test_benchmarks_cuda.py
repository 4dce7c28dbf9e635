"""The benchmarks of a GPU: floors from launch plans, its limits, its report, and a machine without.

Plans are data, so floors are what they are on any machine; nothing here is a time.
"""

import importlib
import math
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from benchmarks import run
from benchmarks.floors import H100, Floor, Gpu, busiest, floor_of, floors_text
from benchmarks.limits import gpu_limits
from benchmarks.peers.common import Job, repeated, waited
from benchmarks.report import CUDA_TARGETS, report_text
from benchmarks.workloads import LARGE, WORKLOADS
from diagrad.runtime.cuda.plan import plan_launches
from diagrad.runtime.cuda.processor import Processor, Rates
from diagrad.runtime.cuda.using import use_device
from diagrad.runtime.program import BoundProgram, Instruction, Kernel, Turns

from .runtime.cuda.simulated import SimulatedDevice
from .test_benchmarks import result

diagrad_ = importlib.import_module("benchmarks.peers.diagrad_")
RATES = Rates(
    node_s=1.0, run_s=0.5, bytes_per_s=10.0, own_bytes_per_s=10.0, warp_ops_per_s=1.0,
    team_ops_per_s=125.0, double=1.0,
)  # fmt: skip
SLOW = Gpu("slow", RATES, flops_per_s=100.0, bus_bytes_per_s=5.0)


@pytest.fixture(autouse=True)
def target_of_peers() -> Any:
    """What a test has programs compiled for is for that test alone."""
    yield
    diagrad_.set_target("cpu")


def test_a_floor_is_the_chain_and_the_nearer_limit_and_the_copies() -> None:
    one = Floor(
        "x", 3, 9, 4, 2, moved=30, copied=10, operations=200, busiest=4.0, apart=(6, 4.0), often=()
    )  # fmt: skip
    assert list(one.parts(SLOW).values()) == [2.0, 3.0, 0.0, 2.0]
    assert one.seconds(SLOW) == 7.0
    (line,) = (line for line in floors_text([one], SLOW).splitlines() if line.startswith("| `x`"))
    assert line.startswith("| `x` | 3 | 9 | 4 | 2 |")
    assert line.endswith("| 2e+06 | 3e+06 | 0 | 2e+06 | 7e+06 | 1.1e+07 | memory or arithmetic |")
    alone = replace(one, busiest=9.0)
    assert alone.parts(SLOW)["few workers"] == 4.0 and alone.seconds(SLOW) == 11.0


def test_the_busiest_worker() -> None:
    """Two launches one after the other: a warp that has two indices of three, then a team."""
    rows = [Instruction(0, (), 3, (), (), work=30), Instruction(0, (), 2, (), (), work=40)]
    warps = SimpleNamespace(row=0, workers=2, team=False, after=range(0))
    teams = SimpleNamespace(row=1, workers=2, team=True, after=range(1))
    warps.runs, teams.runs = (warps,), (teams,)
    plan = SimpleNamespace(launches=[warps, teams], program=SimpleNamespace(instructions=rows))
    assert busiest(plan, RATES) == (1.0 + 20 / 1.0) + (1.0 + 20 / 10.0)  # type: ignore[arg-type]
    teams.after = range(0)
    assert busiest(plan, RATES) == 21.0  # type: ignore[arg-type]


def test_the_time_of_a_walk() -> None:
    """A node, and for every run the way to it and its work or its bytes on one multiprocessor."""
    rows = [Instruction(0, (), 1, (), (), work=n, wait=None) for n in (3, 4)]
    kernel = Kernel("k", "def kernel(args, lo, hi):\n    pass\n", 32)
    program = BoundProgram("walked", (kernel,), tuple(rows), (), 0, (Turns(0, 2, 5),))
    plan = plan_launches(program, Processor(rates=replace(RATES, run_s=-math.inf)))
    assert len(plan.launches) == 1
    assert busiest(plan, RATES) == 1.0 + 5 * (0.5 + 3.0 + 0.5 + 4.0)


def test_the_floor_of_a_product() -> None:
    """One launch, whose operands and result lie on the GPU."""
    found = floor_of("matmul_512x512x512")
    assert (found.launches, found.depth, found.copied) == (1, 1, 0)
    assert found.moved == 3 * 4 * 512 * 512
    assert found.operations == 2 * 512**3
    parts = found.parts(H100)
    assert parts["launches"] == 1.3e-6
    assert parts["memory or arithmetic"] == pytest.approx(2 * 512**3 / 67e12)
    assert sum(parts.values()) == pytest.approx(max(found.busiest, 1.3e-6 + 2 * 512**3 / 67e12))


def test_the_floor_of_training() -> None:
    """The batch is copied in; parameters and their gradients lie on the GPU."""
    found = floor_of("mlp_small")
    arrays = WORKLOADS["mlp_small"].make()
    batch = arrays["x"].nbytes + arrays["y"].nbytes
    assert batch <= found.copied < batch + 2048
    assert 3 < found.depth <= found.launches <= 20
    assert found.moved > sum(arrays[name].nbytes for name in ("w0", "w1")) * 3


def test_the_floor_of_a_loop() -> None:
    """A block walks the loop and another the way back; else every turn launches its rows anew."""
    found = floor_of("elman_small")
    assert found.apart[0] > 2 * 64 > found.depth
    assert found.launches < found.rows < 40 < found.runs
    assert found.seconds(H100) < found.apart_seconds(H100) / 2
    assert 64 <= found.often[0][1] <= 65  # a row may run before the loop too


def test_a_text_that_is_written_has_a_floor() -> None:
    assert floor_of("generate").runs > 239


def test_limits_by_clocks() -> None:
    """Those of an H100 SXM, as its driver states them, are those of its data sheet."""
    stated = {
        "COMPUTE_CAPABILITY_MAJOR": 9, "COMPUTE_CAPABILITY_MINOR": 0, "MULTIPROCESSOR_COUNT": 132,
        "GLOBAL_MEMORY_BUS_WIDTH": 5120, "CLOCK_RATE": 1980000, "MEMORY_CLOCK_RATE": 2619000,
    }  # fmt: skip
    kinds = SimpleNamespace(**{f"CU_DEVICE_ATTRIBUTE_{name}": name for name in stated})
    driver = SimpleNamespace(
        CUdevice_attribute=kinds, cuInit=lambda flags: (0,), cuDeviceGet=lambda number: (0, number),
        cuDeviceGetAttribute=lambda kind, device: (0, stated[kind]),
    )  # fmt: skip
    found = gpu_limits(driver)
    assert found["peak_gflops"] == pytest.approx(H100.flops_per_s / 1e9, rel=0.01)
    assert found["copy_gb_per_s"] == pytest.approx(H100.rates.bytes_per_s / 1e9, rel=0.01)
    stated |= {"COMPUTE_CAPABILITY_MAJOR": 8, "MULTIPROCESSOR_COUNT": 108, "CLOCK_RATE": 1410000}
    assert gpu_limits(driver)["peak_gflops"] == pytest.approx(19500, rel=0.01)  # an A100
    driver.cuInit = lambda flags: (100,)
    with pytest.raises(RuntimeError, match="answers 100"):
        gpu_limits(driver)


def test_the_report_of_a_gpu() -> None:
    limits = {"peak_gflops": 66900.0, "copy_gb_per_s": 3350.0}
    machine = {"processor": "a GPU", "target": "cuda", "threads": 2, "limits": {"2": limits}}
    results = {
        name: {"diagrad": result(0.01), "torch": result(0.02)}
        for name in ("pointwise", "mlp_large", "moe")
    }
    report = {"machine": machine, "results": results, "layers": {}, "products": {}, "engine": None}
    lines = report_text(report).splitlines()
    assert "- by its clocks: multiply-adds 66900 GFLOP/s in float32; memory 3350 GB/s" in lines
    meant = [line.split("|")[-2].strip() for line in lines if "| diagrad |" in line]
    assert meant == ["85% of memory", "0.8x", "-"]
    assert set(CUDA_TARGETS) <= set(WORKLOADS) and set(LARGE) <= set(CUDA_TARGETS)


def test_without_a_gpu_the_runner_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacks = SimpleNamespace(usable=False, missing="there is no driver")
    monkeypatch.setattr(dg, "targets", lambda: {"cuda": lacks})
    monkeypatch.setattr(sys, "argv", ["run", "--target", "cuda"])
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("needs a GPU: there is no driver; --floors predicts its times without one")


def test_floors_are_printed_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "--floors", "--workloads", "softmax_ce"])
    run.main()
    printed = capsys.readouterr().out
    assert printed.startswith("Predicted, not measured: H100 SXM, 1.3 us a node")
    assert "| `softmax_ce` |" in printed


def test_jobs_that_only_ask_are_waited_for() -> None:
    done: list[str] = []
    job = Job(lambda: done.append("step"), repeated(lambda: done.append("one")), lambda: [1.0])
    job.passes["part"] = lambda: done.append("part")
    both = waited(job, lambda: done.append("wait"))
    both.step()
    both.many(2)
    both.passes["part"]()
    assert done == ["step", "wait", "one", "one", "wait", "part", "wait"]
    assert both.result() == [1.0]


@pytest.mark.parametrize("name", ["mlp_small", "matmul_64x64x64", "lenet5_infer"])
def test_programs_of_the_peer_run_on_a_device(name: str) -> None:
    """A simulated one: training, an operation whose arrays stay there, and inference."""
    before = use_device(SimulatedDevice())
    try:
        results = []
        for target in ("cpu", "cuda"):
            diagrad_.set_target(target)
            job = diagrad_.build(name, WORKLOADS[name].make())
            job.step()
            assert {call.program.target for call in job.calls()} == {target}
            results.append(job.result())
    finally:
        use_device(before)
        diagrad_.set_target("cpu")
    one, two = results
    np.testing.assert_allclose(two, one, rtol=1e-4)


@pytest.mark.parametrize("name", LARGE)
def test_large_workloads_are_made_of_the_same_parts(name: str) -> None:
    """Each has the arrays of a smaller one of its kind; peers build both by the same code."""
    small = {
        "mlp_large": "mlp", "lstm_large": "lstm", "attention_large": "attention",
        "conv_layers_3x3_64_56": "conv_layers_3x3_64", "conv_layers_3x3_128_56":
        "conv_layers_3x3_128",
    }[name]  # fmt: skip
    large, other = WORKLOADS[name], WORKLOADS[small]
    assert large.large and not other.large
    assert large.flops > 20 * other.flops
    arrays, others = large.make(), other.make()
    assert {k: a.dtype for k, a in arrays.items()} == {k: a.dtype for k, a in others.items()}
    assert all(np.isfinite(array).all() for array in arrays.values())

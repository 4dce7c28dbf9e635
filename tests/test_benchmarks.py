"""The benchmarks' report: ratios, shares of the limits, and what misses its target."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.engine import least
from benchmarks.report import ENGINE, TARGETS, engine_rows, product_target, report_text
from benchmarks.workloads import MATMUL_SIZES, WORKLOADS

FIGURES = {"dispatch_ns": 2.5, "barrier_us": None, "fixed_us": 3.0, "new_batch_ms": 5.0,
           "contention": 1.0, "import_s": 0.1, "import_of_numba": False}  # fmt: skip


def result(step: float, peak: int = 100, agrees: bool = True) -> dict[str, Any]:
    return {
        "step_s": step, "pipelined_s": step, "spread": 1.25, "first_cold_s": 3.0,
        "first_warm_s": 0.3, "peak_bytes": peak << 20, "agrees": agrees, "runs": 2,
    }  # fmt: skip


def report() -> dict[str, Any]:
    differs = result(0.001, 1, False)
    limits = {"numpy_matmul_gflops": 80.0, "peak_gflops": 100.0, "copy_gb_per_s": 20.0}
    return {
        "machine": {"processor": "a processor", "threads": 2, "limits": {"1": limits, "2": limits}},
        "results": {
            "mlp": {"diagrad": result(0.01), "torch": result(0.015, 150), "jax": differs},
            "pointwise": {"diagrad": result(0.01), "torch": result(0.03, 500)},
        },
        "products": {
            "matmul_16x16x16": {
                "1": {"diagrad": result(2e-6), "numpy": result(3e-6), "torch": result(4e-6)},
                "2": {"diagrad": result(2e-6), "numpy": result(1e-6)},
            }
        },
        "engine": dict(FIGURES),
    }  # fmt: skip


def test_the_report() -> None:
    text = report_text(report())
    lines = text.splitlines()
    assert lines[0] == "a processor, 2 threads."
    assert "| one more row of a program, on one thread | 2.5 ns | <= 10 ns |  |" in lines
    assert "| two threads from one row to the next | - | <= 0.5 us | not measured |" in lines
    assert "| a step of one multiplication, from Python | 3 us | <= 2 us | **missed** |" in lines
    assert "| `mlp`, first call, cold | 3 s | <= 2.5 s | **missed** |" in lines
    assert "| `mlp`, first call, warm | 0.3 s | <= 0.4 s |  |" in lines
    assert "| `mlp`, peak memory over PyTorch's | 0.667 x | <= 0.5 x | **missed** |" in lines
    assert "| `pointwise`, peak memory over PyTorch's | 0.2 x | <= 0.5 x |  |" in lines
    # What differs is shown, and compared with nothing.
    assert "| `mlp` | jax | 1 (differs) |" in text
    (ours,) = (line for line in lines if line.startswith("| `mlp` | diagrad |"))
    assert ours.endswith("| **1.50x** | 1.2x |") and "% of arithmetic" in ours
    (ours,) = (line for line in lines if line.startswith("| `pointwise` | diagrad |"))
    assert f"| {2 * 4 * 4096 * 1024 / 0.01 / 20e9:.0%} of memory |" in ours
    assert "| 16x16x16 | 1 | 2 | 3 | 4 | 1.25 | 4% | **1.50x** | 1.5x |" in lines
    assert "| 16x16x16 | 2 | 2 | 1 | - | 1.25 | 4% | **0.50x** | 1.5x |" in lines


def test_parts_that_were_not_measured() -> None:
    some = {**report(), "engine": None, "products": {}}
    text = report_text(some)
    assert "## Engine" not in text and "## Products" not in text and "## Workloads" in text
    alone = {**report(), "results": {}}
    assert len(engine_rows(alone)) == len(ENGINE)
    one = report()
    one["results"] = {"mlp": {"diagrad": {**result(0.01), "runs": 1}}}
    assert ("`mlp`, first call, warm", None, "s", 0.4) in engine_rows(one)


def test_targets() -> None:
    assert set(TARGETS) <= set(WORKLOADS)
    assert product_target("matmul_32x32x32") == 1.5
    assert {product_target(f"matmul_{m}x{k}x{n}") for m, k, n in MATMUL_SIZES} == {1.5, 0.95}


def test_a_workload_without_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TARGETS, "mlp")
    monkeypatch.setitem(WORKLOADS, "mlp", replace(WORKLOADS["mlp"], flops=0.0))
    (ours,) = (line for line in report_text(report()).splitlines() if "| `mlp` | diagrad" in line)
    assert ours.endswith("| - | **1.50x** | - |")


def test_the_least_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    clock = iter([0.0, 6.0, 10.0, 14.0, 20.0, 28.0])
    monkeypatch.setattr("benchmarks.engine.time.perf_counter", lambda: next(clock))
    assert least(lambda: calls.append(1), 3, inner=2) == 2.0
    assert len(calls) == 7

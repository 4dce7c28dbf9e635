"""The benchmarks' report: ratios, shares of the limits, and what misses its target; its peers."""

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.convnets import CONVNETS, PASSES, SINGLES
from benchmarks.engine import least
from benchmarks.functions import FUNCTIONS
from benchmarks.peers import numpy_
from benchmarks.report import ENGINE, FIRST_CALLS, TARGETS, engine_rows, product_target, report_text
from benchmarks.selection import PEERS, peers_for, workloads_for, workloads_named
from benchmarks.workloads import LARGE, MATMUL_SIZES, WORKLOADS

FIGURES = {"dispatch_ns": 2.5, "barrier_us": None, "fixed_us": 3.0, "new_batch_ms": 5.0,
           "contention": 1.0, "import_s": 0.1, "import_of_numba": False}  # fmt: skip


def result(step: float, peak: int = 100, agrees: bool = True) -> dict[str, Any]:
    return {
        "passes_s": {name: (i + 1) * step for i, name in enumerate(PASSES)},
        "step_s": step, "pipelined_s": step, "spread": 1.25, "first_cold_s": 3.0,
        "first_warm_s": 0.3, "peak_bytes": peak << 20, "agrees": agrees, "runs": 2,
    }  # fmt: skip


def report() -> dict[str, Any]:
    differs = result(0.001, 1, False)
    limits = {"numpy_matmul_gflops": 80.0, "peak_gflops": 100.0, "copy_gb_per_s": 20.0}
    return {
        "machine": {
            "processor": "a processor", "target": "cpu", "threads": 2,
            "limits": {"1": limits, "2": limits},
        },
        "results": {
            "mlp": {"diagrad": result(0.01), "torch": result(0.015, 150), "jax": differs},
            "pointwise": {"diagrad": result(0.01), "torch": result(0.03, 500)},
        },
        "layers": {
            "conv_layers_3x3_16": {
                "diagrad": result(2e-3), "torch": result(4e-3), "jax": result(1e-3, agrees=False),
            },
            "conv_layers_3x3_depthwise": {
                "diagrad": result(1e-3), "torch.channels_last": result(3e-3),
            },
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
    # 151 MFLOP in 2 ms of a machine that does 100 GFLOP/s.
    assert (
        "| `3x3_16` | 75, 75%, **2.00x** | 38 | - | 151 (differs) "
        "| 38, 38%, **2.00x** | 19 | - | 75 (differs) | 25, 25%, **2.00x** | 13 | - | 50 (differs) "
        "| 1.25 | 80% |"
    ) in lines
    (ours,) = (line for line in lines if line.startswith("| `3x3_depthwise` |"))
    share = SINGLES["conv_layers_3x3_depthwise"].traffic / 1e-3 / 20e9
    assert f"| 38, {share:.0%} mem, **3.00x** | - | 13 | - |" in ours
    assert ours.endswith("| 1.25 | - |")
    assert "| 16x16x16 | 1 | 2 | 3 | 4 | 1.25 | 4% | **1.50x** | 1.5x |" in lines
    assert "| 16x16x16 | 2 | 2 | 1 | - | 1.25 | 4% | **0.50x** | 1.5x |" in lines


def test_parts_that_were_not_measured() -> None:
    some = {**report(), "engine": None, "products": {}, "layers": {}}
    text = report_text(some)
    assert "## Engine" not in text and "## Products" not in text and "## Workloads" in text
    assert "## Convolutions" not in text
    alone = {**report(), "results": {}}
    assert len(engine_rows(alone)) == len(ENGINE)
    one = report()
    one["results"] = {"mlp": {"diagrad": {**result(0.01), "runs": 1}}}
    assert ("`mlp`, first call, warm", None, "s", 0.4) in engine_rows(one)


def test_targets() -> None:
    assert set(TARGETS) | set(FIRST_CALLS) <= set(WORKLOADS)
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


def test_names_of_workloads() -> None:
    products = workloads_named(["matmul"])
    assert len(products) == len(MATMUL_SIZES) and all(w.startswith("matmul_") for w in products)
    assert workloads_named(["conv_layers"], "cuda") == list(SINGLES)
    assert workloads_named(["conv_layers"]) == [name for name in SINGLES if name not in LARGE]
    # Large ones are for a GPU, but for who asks for one by its name.
    assert set(workloads_for("cuda")) - set(workloads_for("cpu")) == set(LARGE)
    assert workloads_named(["mlp_large"]) == ["mlp_large"]
    # A whole name is that workload alone, even where others begin with it; and no name comes twice.
    assert workloads_named(["lenet5", "gru", "lenet5"]) == ["lenet5", "gru"]
    with pytest.raises(LookupError, match="no workload is named 'lenet'"):
        workloads_named(["lenet"])


def test_peers_of_workloads() -> None:
    assert peers_for("matmul_16x16x16", PEERS) == ["diagrad", "torch", "numpy"]
    nets = ["diagrad", "torch", "torch.channels_last", "torch.compile", "jax"]
    assert peers_for("function_sort", PEERS) == ["diagrad", "torch", "numpy"]
    assert peers_for("lenet5", PEERS) == peers_for("resnet20", PEERS) == nets
    nets.remove("torch.compile")
    assert peers_for("conv_layers_1d_64", PEERS) == nets
    assert peers_for("mlp", PEERS) == ["diagrad", "torch", "torch.compile", "jax", "pytensor"]
    assert peers_for("viterbi", PEERS) == ["diagrad", "torch", "torch.compile", "jax"]
    assert peers_for("gru_T10", ["jax", "pytensor", "diagrad"]) == ["jax", "diagrad"]
    on_gpu = ["diagrad", "torch", "torch.compile", "jax"]
    on_gpu = ["diagrad", "torch", "torch.compile", "jax"]
    for name in ("mlp", "attention_large", "matmul_16x16x16"):
        assert peers_for(name, PEERS, "cuda") == on_gpu


def test_the_convnets() -> None:
    sizes = {}
    for name in ("lenet5", "lenet5_infer", "conv_cifar", "resnet20"):
        arrays = WORKLOADS[name].make()
        assert all(a.dtype == ("int32" if key == "y" else "float32") for key, a in arrays.items())
        sizes[name] = sum(a.size for key, a in arrays.items() if key not in "xy")
    # LeNet-5 as in its second listing; the residual net with what batch norm has.
    assert sizes == {
        "lenet5": 61706, "lenet5_infer": 61706, "conv_cifar": 60362, "resnet20": 269722,
    }  # fmt: skip
    megaflops = {name: round(WORKLOADS[name].flops / 1e6) for name in sizes}
    assert megaflops == {"lenet5": 145, "lenet5_infer": 1, "conv_cifar": 1027, "resnet20": 7757}


@pytest.mark.parametrize("name", SINGLES)
def test_layers_alone(name: str) -> None:
    single, (x, w, y) = SINGLES[name], SINGLES[name].shapes
    arrays = CONVNETS[name].make()
    assert [arrays[key].shape for key in "xwg"] == [x, w, y]
    # Each output is a sum over the window of the channels of its group.
    assert single.pass_flops == 2.0 * np.prod(y) * np.prod(w[1:])
    assert single.flops == 3 * single.pass_flops
    assert single.traffic == sum(a.nbytes for a in arrays.values())


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        "lenet5_infer",
        "resnet20",
        "conv_layers_5x5_6_16",
        "moe",
        "viterbi",
        *(name for name in FUNCTIONS if name.endswith("_small")),
    ],
)
def test_peers_compute_the_same(name: str) -> None:
    pytest.importorskip("torch")
    # By name, since type checkers have no PyTorch.
    ours, theirs = (importlib.import_module(f"benchmarks.peers.{p}_") for p in ("diagrad", "torch"))
    arrays = WORKLOADS[name].make()
    jobs = [ours.build(name, arrays), theirs.build(name, arrays)]
    if name in CONVNETS:
        jobs.append(theirs.build(name, arrays, channels_last=True))
    if name in FUNCTIONS:
        jobs.append(numpy_.build(name, arrays))
    results = []
    for job in jobs:
        for _ in range(5):
            job.step()
        results.append(job.result())
        assert set(job.passes) == (set(PASSES) if name in SINGLES else set())
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=1e-4)

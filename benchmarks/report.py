"""Results as JSON and as Markdown: workloads, layers, products, and the engine's own figures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .convnets import PASSES, SINGLES, Single
from .functions import FUNCTIONS
from .selection import LAYER_PEERS, PRODUCT_PEERS
from .workloads import LARGE, WORKLOADS

TARGETS = {
    "mlp": 1.2, "mlp_small": 2.5, "pointwise": 2.0, "softmax_ce": 2.0, "optimizer": 2.0,
    "elman_small": 4.0, "elman_small_b1": 4.0, "gru": 2.0, "lstm": 1.3, "neural_ode": 4.0,
    "hypernet": 2.5, "hypernet_per_sample": 1.5,
    "lenet5": 4.0, "conv_cifar": 2.2, "resnet20": 1.6, "lenet5_infer": 4.0,
    "attention": 2.3, "attention_long": 2.0, "viterbi": 5.0, "generate": 8.0, "moe": 3.5,
    **{name: one.meant for name, one in FUNCTIONS.items()},
}  # fmt: skip
"""How many times as fast as the fastest peer diagrad means to be, where that is stated."""

_SMALL = ("mlp_small", "elman_small", "gru", "neural_ode", "hypernet")
_LARGE = ("mlp", "attention", "conv_cifar", "resnet20", *LARGE)
CUDA_TARGETS = {"pointwise": 0.85, **dict.fromkeys(_SMALL, 1.5), **dict.fromkeys(_LARGE, 0.8)}
"""The same on a GPU; of `pointwise` the share of the memory's limit that is meant."""

FIRST_CALLS = {
    "mlp": (2.5, 0.4), "gru": (2.5, 0.4),
    "lenet5": (4.0, 0.5), "conv_cifar": (4.0, 0.5), "resnet20": (4.0, 0.5),
    "attention": (5.0, 0.5), "attention_long": (5.0, 0.5),
    "viterbi": (5.0, 0.5), "generate": (5.0, 0.5), "moe": (5.0, 0.5),
}  # fmt: skip
"""The most seconds that a first call may take, with an empty cache and with a warm one."""

ENGINE = (
    # name, text, unit, the most it may be
    ("dispatch_ns", "one more row of a program, on one thread", "ns", 10.0),
    ("barrier_us", "two threads from one row to the next", "us", 0.5),
    ("fixed_us", "a step of one multiplication, from Python", "us", 2.0),
    ("new_batch_ms", "the first step with another batch size, beyond the step", "ms", 30.0),
    ("contention", "a step on 2 threads over 1 thread, a core taken by another process", "x", 2.0),
    ("import_s", "`import diagrad`", "s", 0.2),
)
"""The figures of `engine.py` that have a target."""


def product_target(workload: str) -> float:
    """How many times as fast as the better of NumPy and PyTorch a product is meant to be."""
    return 1.5 if max(map(int, workload.split("_")[1].split("x"))) < 64 else 0.95


def report_text(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    machine = report["machine"]
    lines = [f"{machine['processor']}, {machine['threads']} threads.", ""]
    for threads, held in machine["limits"].items():
        if machine["target"] == "cuda":
            lines.append(
                f"- by its clocks: multiply-adds {held['peak_gflops']:.0f} GFLOP/s in float32; "
                f"memory {held['copy_gb_per_s']:.0f} GB/s"
            )
            break
        lines.append(
            f"- {threads} thread{'s' if threads != '1' else ''}: multiply-adds "
            f"{held['peak_gflops']:.0f} GFLOP/s in float32; NumPy's product of 2048x2048 "
            f"{held['numpy_matmul_gflops']:.0f} GFLOP/s; a copy {held['copy_gb_per_s']:.0f} GB/s"
        )
    if report["engine"] is not None:
        lines += ["", "## Engine", "", *_engine(report)]
    if report["results"]:
        lines += ["", "## Workloads", "", *_workloads(report)]
    if report["layers"]:
        lines += ["", "## Convolutions alone", "", *_layers(report)]
    if report["products"]:
        lines += ["", "## Products", "", *_products(report)]
    return "\n".join(lines) + "\n"


def _engine(report: dict[str, Any]) -> list[str]:
    lines = ["| figure | measured | meant | |", "|---|---:|---:|---|"]
    for text, value, unit, most in engine_rows(report):
        if value is None:
            lines.append(f"| {text} | - | <= {most:g} {unit} | not measured |")
        else:
            verdict = "" if value <= most else "**missed**"
            lines.append(f"| {text} | {value:.3g} {unit} | <= {most:g} {unit} | {verdict} |")
    numba = report["engine"]["import_of_numba"]
    lines.append(f"| the import takes Numba | {'yes' if numba else 'no'} | no | |")
    return lines


def engine_rows(report: dict[str, Any]) -> list[tuple[str, float | None, str, float]]:
    """Text, value, unit and the most it may be: of the engine, and of the workloads measured."""
    rows: list[tuple[str, float | None, str, float]] = [
        (text, report["engine"][name], unit, most) for name, text, unit, most in ENGINE
    ]
    results = report["results"]
    for workload, (cold, most) in FIRST_CALLS.items():
        ours = results.get(workload, {}).get("diagrad")
        if ours is not None:
            warm = ours["first_warm_s"] if ours["runs"] > 1 else None
            rows.append((f"`{workload}`, first call, cold", ours["first_cold_s"], "s", cold))
            rows.append((f"`{workload}`, first call, warm", warm, "s", most))
    few, many = (results.get(f"gru_T{steps}", {}).get("diagrad") for steps in (10, 5000))
    if few is not None and many is not None:
        ratio = many["first_cold_s"] / few["first_cold_s"]
        rows.append(("a GRU's first call, cold, T = 5000 over T = 10", ratio, "x", 1.2))
    for workload, peers in results.items():
        others = [r["peak_bytes"] for peer, r in peers.items() if peer != "diagrad"]
        if "diagrad" not in peers or not others:
            continue
        peak = peers["diagrad"]["peak_bytes"]
        if workload.startswith("lstm_T1000"):
            text = f"`{workload}`, peak memory over the leanest peer's"
            rows.append((text, peak / min(others), "x", 0.6))
        elif "torch" in peers and not workload.startswith("gru_T"):
            text = f"`{workload}`, peak memory over PyTorch's"
            rows.append((text, peak / peers["torch"]["peak_bytes"], "x", 0.5))
    return rows


def _workloads(report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    limits = machine["limits"][str(machine["threads"])]
    lines = [
        "| workload | peer | step, ms | pipelined, ms | spread | first call cold / warm, s "
        "| peak, MiB | of the limit | against the best peer | meant |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for workload, peers in report["results"].items():
        others = [r["step_s"] for p, r in peers.items() if p != "diagrad" and r["agrees"]]
        for peer, r in peers.items():
            ratio = meant = ""
            if peer == "diagrad" and others:
                ratio = f"**{min(others) / r['step_s']:.2f}x**"
                meant = _target(workload, machine["target"])
            warm = f"{r['first_warm_s']:.2f}" if r["runs"] > 1 else "-"
            lines.append(
                f"| `{workload}` | {peer} | {_step(r, 1e3)} | {1e3 * r['pipelined_s']:.4g} "
                f"| {r['spread']:.2f} | {r['first_cold_s']:.2f} / {warm} "
                f"| {r['peak_bytes'] / 2**20:.0f} | {_share(workload, r['step_s'], limits)} "
                f"| {ratio} | {meant} |"
            )
    return lines


def _target(workload: str, target: str) -> str:
    if target == "cuda" and workload == "pointwise":
        return f"{CUDA_TARGETS[workload]:.0%} of memory"
    table = CUDA_TARGETS if target == "cuda" else TARGETS
    return f"{table[workload]}x" if workload in table else "-"


def _share(workload: str, seconds: float, limits: dict[str, float]) -> str:
    """What a workload cannot do without, over the time and the machine's limit."""
    work = WORKLOADS[workload]
    if work.traffic:
        return f"{work.traffic / seconds / limits['copy_gb_per_s'] / 1e9:.0%} of memory"
    if not work.flops:
        return "-"
    return f"{work.flops / seconds / limits['peak_gflops'] / 1e9:.0%} of arithmetic"


def _layers(report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    limits = machine["limits"][str(machine["threads"])]
    heads = [f"{one}: {' | '.join(LAYER_PEERS.values())}" for one in PASSES]
    lines = [
        "GFLOP/s of each pass; of diagrad also the share of the nearer limit, arithmetic or "
        "memory (mem), and the ratio to the best peer.",
        "",
        f"| layer | {' | '.join(heads)} | largest spread | meant |",
        "|---|" + "---:|" * (len(PASSES) * len(LAYER_PEERS) + 2),
    ]
    for workload, peers in report["layers"].items():
        single = SINGLES[workload]
        cells = [_pass(single, peers, one, peer, limits) for one in PASSES for peer in LAYER_PEERS]
        spread = max((r["spread"] for r in peers.values()), default=1.0)
        meant = "-" if single.meant is None else f"{single.meant:.0%}"
        name = workload.removeprefix("conv_layers_")
        lines.append(f"| `{name}` | {' | '.join(cells)} | {spread:.2f} | {meant} |")
    return lines


def _pass(
    single: Single, peers: dict[str, Any], one: str, peer: str, limits: dict[str, float]
) -> str:
    """What one peer does in one pass of a layer."""
    if peer not in peers:
        return "-"
    seconds = peers[peer]["passes_s"][one]
    text = f"{single.pass_flops / seconds / 1e9:.0f}"
    if not peers[peer]["agrees"]:
        text += " (differs)"
    if peer == "diagrad":
        text += f", {_nearer(single, seconds, limits)}"
        others = [r["passes_s"][one] for p, r in peers.items() if p != "diagrad" and r["agrees"]]
        text += f", **{min(others) / seconds:.2f}x**" if others else ""
    return text


def _nearer(single: Single, seconds: float, limits: dict[str, float]) -> str:
    """The share of whichever limit, arithmetic or memory, takes the longer time."""
    arithmetic = single.pass_flops / limits["peak_gflops"] / 1e9
    memory = single.traffic / limits["copy_gb_per_s"] / 1e9
    return f"{max(arithmetic, memory) / seconds:.0%}{' mem' if memory > arithmetic else ''}"


def _products(report: dict[str, Any]) -> list[str]:
    lines = [
        "| rows x depth x columns | threads | diagrad, us | numpy, us | torch, us | largest spread "
        "| of arithmetic | against the better | meant |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for workload, runs in report["products"].items():
        for threads, peers in runs.items():
            cells = [_step(peers[peer], 1e6) if peer in peers else "-" for peer in PRODUCT_PEERS]
            others = [r["step_s"] for p, r in peers.items() if p != "diagrad" and r["agrees"]]
            ours = peers.get("diagrad")
            share = ratio = ""
            spread = max((r["spread"] for r in peers.values()), default=1.0)
            if ours is not None:
                limits = report["machine"]["limits"][threads]
                share = _share(workload, ours["step_s"], limits).removesuffix(" of arithmetic")
                ratio = f"**{min(others) / ours['step_s']:.2f}x**" if others else ""
            lines.append(
                f"| {workload.split('_')[1]} | {threads} | {' | '.join(cells)} "
                f"| {spread:.2f} | {share} | {ratio} "
                f"| {product_target(workload)}x |"
            )
    return lines


def _step(result: dict[str, Any], scale: float) -> str:
    return f"{scale * result['step_s']:.4g}" + ("" if result["agrees"] else " (differs)")


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """`results.json` and `results.md` in a folder, each written beside and renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"results.json": json.dumps(report, indent=1), "results.md": report_text(report)}
    for name, text in texts.items():
        beside = folder / (name + ".part")
        beside.write_text(text)
        os.replace(beside, folder / name)

"""Results as JSON and as a Markdown table: each workload, each peer, and the ratio to the best."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .workloads import WORKLOADS

TARGETS = {
    "mlp": 1.2, "mlp_small": 2.5, "pointwise": 2.0, "softmax_ce": 2.0, "optimizer": 2.0,
    **{
        name: 1.5 if max(map(int, name.split("_")[1].split("x"))) < 64 else 0.95
        for name in WORKLOADS
        if name.startswith("matmul")
    },
}  # fmt: skip
"""How many times as fast as the fastest peer diagrad means to be."""


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    machine = report["machine"]
    lines = [
        f"{machine['processor']}, {machine['threads']} threads; NumPy's product of 2048x2048: "
        f"{machine['numpy_matmul_gflops']:.0f} GFLOP/s; a copy in memory by one thread: "
        f"{machine['copy_gb_per_s']:.0f} GB/s.",
        "",
        "| workload | peer | step, ms | pipelined, ms | spread | first call cold / warm, s "
        "| peak, MiB | against the best peer | meant |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for workload, peers in report["results"].items():
        others = [r["step_s"] for p, r in peers.items() if p != "diagrad" and r["agrees"]]
        for peer, r in peers.items():
            ratio = meant = ""
            if peer == "diagrad" and others:
                ratio, meant = f"**{min(others) / r['step_s']:.2f}x**", f"{TARGETS[workload]}x"
            warm = f"{r['first_warm_s']:.2f}" if r["runs"] > 1 else "-"
            step = f"{1e3 * r['step_s']:.4g}" + ("" if r["agrees"] else " (differs)")
            lines.append(
                f"| `{workload}` | {peer} | {step} | {1e3 * r['pipelined_s']:.4g} "
                f"| {r['spread']:.2f} | {r['first_cold_s']:.2f} / {warm} "
                f"| {r['peak_bytes'] / 2**20:.0f} | {ratio} | {meant} |"
            )
    return "\n".join(lines) + "\n"


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """`results.json` and `results.md` in a folder, each written beside and renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"results.json": json.dumps(report, indent=1), "results.md": table(report)}
    for name, text in texts.items():
        beside = folder / (name + ".part")
        beside.write_text(text)
        os.replace(beside, folder / name)

"""The runner: every peer on every workload, in turn, repeated, in one run.

    python -m benchmarks.run [--workloads mlp,pointwise] [--peers diagrad,torch] [--threads 2]
                             [--repeats 3] [--seconds 2] [--out FOLDER]

Each measurement is a process of its own. The first of a peer on a workload has an empty cache, the
others a warm one. Peers alternate within a repeat, so that a slow phase of the machine meets all.
Costs that differ by more than 1e-4 relative are reported and not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from .limits import machine_limits
from .measure import PEERS
from .report import write_report
from .workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
Measurement = dict[str, Any]


def measure_once(
    peer: str, workload: str, threads: int, seconds: float, caches: Path
) -> Measurement | None:
    """One process; None, with the reason on standard error, if it failed."""
    environment = {
        **os.environ,
        "DIAGRAD_CACHE": str(caches / "diagrad"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "JAX_COMPILATION_CACHE_DIR": str(caches / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
        "PYTENSOR_FLAGS": f"base_compiledir={caches / 'pytensor'}",
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "OPENBLAS_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "DIAGRAD_THREADS": str(threads),
    }
    words = [peer, workload, str(threads), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.measure", *words]
    environment["BENCHMARK_START"] = repr(time.time())
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{peer} on {workload} failed: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    found: Measurement = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def summarise(runs: list[Measurement]) -> Measurement:
    """Medians over the repeats; the first run's start is the cold one."""
    warm = runs[1:] or runs
    return {
        "step_s": median(run["step_s"] for run in runs),
        "spread": max(r["step_s"] for r in runs) / min(r["step_s"] for r in runs),
        "pipelined_s": median(run["pipelined_s"] for run in runs),
        "first_cold_s": runs[0]["first_s"],
        "first_warm_s": median(run["first_s"] for run in warm),
        "peak_bytes": median(run["peak_bytes"] for run in warm),
        "result": runs[0]["result"],
        "runs": len(runs),
    }


def agree(one: list[float], other: list[float]) -> bool:
    """Whether two peers computed the same numbers, to 1e-4 relative."""
    return len(one) == len(other) and all(
        abs(a - b) <= 1e-4 * max(abs(a), abs(b), 1e-6) for a, b in zip(one, other, strict=True)
    )


def main() -> None:
    """Measure what the command line asks for; write results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("benchmark_results"))
    options = parser.parse_args()
    results: dict[str, dict[str, Measurement]] = {}
    machine = {"processor": platform.processor() or platform.machine(), "threads": options.threads}
    machine |= machine_limits(options.threads)
    for workload in options.workloads.split(","):
        runs: dict[str, list[Measurement]] = {}
        with tempfile.TemporaryDirectory() as folder:
            peers = options.peers.split(",")
            if "matmul" not in workload:
                peers = [peer for peer in peers if peer != "numpy"]
            for repeat in range(options.repeats):
                for peer in peers:
                    if repeat and peer not in runs:
                        continue
                    found = measure_once(
                        peer, workload, options.threads, options.seconds, Path(folder) / peer
                    )
                    if found is not None:
                        runs.setdefault(peer, []).append(found)
        results[workload] = {peer: summarise(found) for peer, found in runs.items()}
        peers_of = results[workload]
        reference = next((r["result"] for p, r in peers_of.items() if p != "diagrad"), None)
        for peer, found in results[workload].items():
            found["agrees"] = reference is None or agree(found["result"], reference)
            note = "" if found["agrees"] else "  DIFFERS"
            step, spread = 1e3 * found["step_s"], found["spread"]
            print(f"{workload:22s} {peer:14s} {step:10.4f} ms (spread {spread:.2f}){note}")
        write_report(options.out, {"machine": machine, "results": results})
    print((options.out / "results.md").read_text())


if __name__ == "__main__":
    main()

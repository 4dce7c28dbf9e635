"""The runner: every peer on every workload, in turn, repeated, in one run.

    python -m benchmarks.run [--workloads mlp,pointwise] [--peers diagrad,torch] [--threads 1,2]
                             [--repeats 3] [--seconds 2] [--out FOLDER] [--no-engine]
                             [--target cpu|cuda] [--floors]

Products run with every number of threads, beside NumPy and PyTorch; the other workloads with the
largest number, beside the rest.  `matmul` means all products, and `conv_layers` all convolutions
alone.  Each measurement is a process of its own.  The first of a peer on a workload has an empty
cache, the others a warm one.  Peers alternate within a repeat, so that a slow phase of the machine
meets all.
Costs that differ by more than 1e-4 relative are reported and not compared.

With `--target cuda` diagrad and its peers compute on the same GPU, larger workloads too.  A step
that trains or infers gets its batch from the host, and the host gets the cost or the answers; the
arrays of an operation alone lie on the GPU and its results stay there.  Each step is waited for.
`--floors` predicts what a GPU needs for a step at least, from the launches that diagrad plans; it
measures nothing and needs no GPU.
"""

from __future__ import annotations

import argparse
import compileall
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

from .convnets import SINGLES
from .engine import engine_figures
from .floors import H100, floor_of, floors_text
from .limits import gpu_limits, machine_limits
from .report import write_report
from .selection import PEERS, peers_for, workloads_for, workloads_named

ROOT = Path(__file__).resolve().parent.parent
Measurement = dict[str, Any]


def measure_once(
    peer: str, workload: str, threads: int, caches: Path, options: argparse.Namespace
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
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    words = [peer, workload, str(threads), str(options.seconds), options.target]
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
        "passes_s": {p: median(r["passes_s"][p] for r in runs) for p in runs[0]["passes_s"]},
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


def measure_peers(
    workload: str, peers: list[str], threads: int, options: argparse.Namespace
) -> dict[str, Measurement]:
    """Every peer that can, in turn within a repeat; whether each agrees with the first other."""
    runs: dict[str, list[Measurement]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for peer in peers:
                if repeat and peer not in runs:
                    continue
                caches = Path(folder) / peer
                found = measure_once(peer, workload, threads, caches, options)
                if found is not None:
                    runs.setdefault(peer, []).append(found)
    results = {peer: summarise(found) for peer, found in runs.items()}
    reference = next((r["result"] for p, r in results.items() if p != "diagrad"), None)
    for peer, found in results.items():
        found["agrees"] = reference is None or agree(found["result"], reference)
        note = "" if found["agrees"] else "  DIFFERS"
        step, spread = 1e3 * found["step_s"], found["spread"]
        print(f"{workload:22s} {threads} {peer:14s} {step:10.4f} ms (spread {spread:.2f}){note}")
    return results


def main() -> None:
    """Measure what the command line asks for; write results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workloads", help="names, or first parts of names; by default all")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--threads", default="1,2", help="numbers of threads; by default 1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("benchmark_results"))
    parser.add_argument("--no-engine", action="store_true", help="leave the engine's figures out")
    parser.add_argument("--target", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--floors", action="store_true", help="of a GPU; nothing is measured")
    options = parser.parse_args()
    threads = sorted({int(word) for word in options.threads.split(",")})
    target = "cuda" if options.floors else options.target
    try:
        named = None if options.workloads is None else options.workloads.split(",")
        workloads = workloads_for(target) if named is None else workloads_named(named, target)
    except LookupError as error:
        parser.error(str(error))
    if options.floors:
        print(floors_text([floor_of(workload) for workload in workloads], H100))
        return
    if target == "cuda":
        require_cuda(parser)
    peers = options.peers.split(",")
    # As pip does when it installs: no start shall wait for the checkout's own bytecode.
    for room in ("diagrad", "frontend", "compiler", "runtime", "benchmarks"):
        compileall.compile_dir(ROOT / room, quiet=2)
    on_cuda = target == "cuda"
    limits = {str(n): gpu_limits() if on_cuda else machine_limits(n) for n in threads}
    report: dict[str, Any] = {
        "machine": {
            "processor": gpu() if on_cuda else processor(), "target": target,
            "threads": threads[-1], "limits": limits,
        },
        "results": {},
        "layers": {},
        "products": {},
        "engine": None if options.no_engine or on_cuda else engine_figures(),
    }  # fmt: skip
    write_report(options.out, report)
    for workload in workloads:
        chosen = peers_for(workload, peers, target)
        if workload.startswith("matmul") and not on_cuda:
            for count in threads:
                found = measure_peers(workload, chosen, count, options)
                report["products"].setdefault(workload, {})[str(count)] = found
        else:
            table = report["layers" if workload in SINGLES else "results"]
            table[workload] = measure_peers(workload, chosen, threads[-1], options)
        write_report(options.out, report)
    print((options.out / "results.md").read_text())


def require_cuda(parser: argparse.ArgumentParser) -> None:
    """End with the words of `dg.targets()` where this machine has no GPU that can be used."""
    import diagrad as dg

    row = dg.targets()["cuda"]
    if not row.usable:
        parser.error(
            f"--target cuda needs a GPU: {row.missing}; --floors predicts its times without one"
        )


def gpu() -> str:
    """The GPU and its driver, as `dg.targets()` has them."""
    import diagrad as dg

    return dg.targets()["cuda"].machine


def processor() -> str:
    """The processor's name, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()

"""What the machine can do at most: products and copies, measured in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_SCRIPT = """
import json, sys, time
import numpy as np
from diagrad.runtime.cpu.limits import machine_limits

def best(function):
    function()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)

a = np.random.default_rng(0).random((2048, 2048), np.float32)
out = np.empty_like(a)
product = 2 * 2048**3 / best(lambda: np.matmul(a, a, out=out))
limits = machine_limits(int(sys.argv[1]))
print(json.dumps([product, limits.flops_per_s["float32"], limits.bytes_per_s]))
"""


def machine_limits(threads: int) -> dict[str, float]:
    """What so many threads can do.

    Returns:
        `peak_gflops`, multiply-adds on registers in float32; `numpy_matmul_gflops`, NumPy's product
        of 2048x2048; `copy_gb_per_s`, a copy that no cache holds, read and written.
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(threads)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    product, peak, copied = json.loads(done.stdout)
    return {
        "numpy_matmul_gflops": product / 1e9,
        "peak_gflops": peak / 1e9,
        "copy_gb_per_s": copied / 1e9,
    }

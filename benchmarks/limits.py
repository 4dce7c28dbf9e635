"""What the machine can do at most: matrix products and copies, measured with NumPy."""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import json, time
import numpy as np

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
flops = 2 * 2048**3 / best(lambda: np.matmul(a, a, out=out))
big = np.ones(1 << 26, np.float32)
target = np.empty_like(big)
print(json.dumps([flops, 2 * big.nbytes / best(lambda: np.copyto(target, big))]))
"""


def machine_limits(threads: int) -> dict[str, float]:
    """GFLOP/s of NumPy's product of 2048x2048 at these threads, and GB/s of a copy by one."""
    import json

    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    flops, copied = json.loads(done.stdout)
    return {"numpy_matmul_gflops": flops / 1e9, "copy_gb_per_s": copied / 1e9}

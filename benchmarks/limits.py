"""What the machine can do at most: a processor as measured, a GPU as its driver states it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

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


def gpu_limits(driver: Any = None) -> dict[str, float]:
    """What the first GPU can do by its clocks: multiply-adds in float32, and its memory.

    A multiprocessor makes 64 multiply-adds a cycle where its compute capability is 7.5 or 8.0, and
    128 from 8.6 on (CUDA C++ programming guide, arithmetic instructions).  Memory moves two words
    of its bus a cycle.

    Args:
        driver: the bindings; by default those of the package.

    Returns:
        `peak_gflops` and `copy_gb_per_s`, as `machine_limits`.

    Raises:
        RuntimeError: the driver does not answer.
    """
    if driver is None:
        driver = import_module("cuda.bindings.driver")

    def asked(answer: tuple[Any, ...]) -> Any:
        code, *values = answer
        if code:
            raise RuntimeError(f"the CUDA driver answers {code}")
        return values[0] if values else None

    asked(driver.cuInit(0))
    device = asked(driver.cuDeviceGet(0))

    def attribute(name: str) -> int:
        kind = getattr(driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(asked(driver.cuDeviceGetAttribute(kind, device)))

    capability = tuple(attribute(f"COMPUTE_CAPABILITY_{part}") for part in ("MAJOR", "MINOR"))
    units = attribute("MULTIPROCESSOR_COUNT") * (128 if capability >= (8, 6) else 64)
    wide = attribute("GLOBAL_MEMORY_BUS_WIDTH") / 8
    return {
        "peak_gflops": 2 * units * attribute("CLOCK_RATE") / 1e6,
        "copy_gb_per_s": 2 * wide * attribute("MEMORY_CLOCK_RATE") / 1e6,
    }

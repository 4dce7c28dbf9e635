"""One peer on one workload, in a process of its own; prints one line of JSON.

    python -m benchmarks.measure PEER WORKLOAD THREADS SECONDS TARGET

`first_s` is counted from the interpreter's start (the runner passes its time in an environment
variable) to the first result; the steps are timed after that.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable


def _job(peer: str, workload: str, threads: int, target: str) -> object:
    from .workloads import WORKLOADS

    arrays = WORKLOADS[workload].make()
    if peer == "diagrad":
        from .peers import diagrad_ as module
    elif peer.startswith("torch"):
        from .peers import torch_ as module  # type: ignore[no-redef]  # one peer a process
    elif peer == "jax":
        from .peers import jax_ as module  # type: ignore[no-redef]  # one peer a process
    elif peer == "pytensor":
        from .peers import pytensor_ as module  # type: ignore[no-redef]  # one peer a process
    else:
        from .peers import numpy_ as module  # type: ignore[no-redef]  # one peer a process
    module.set_threads(threads)
    if target != "cpu":
        module.set_target(target)  # type: ignore[attr-defined]  # of peers that have another
    options = {"torch.compile": "compiled", "torch.channels_last": "channels_last"}
    if peer in options:
        return module.build(workload, arrays, **{options[peer]: True})
    return module.build(workload, arrays)


def _times(step: Callable[[], object], seconds: float) -> list[float]:
    """Those of single steps, sorted; seven at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 7:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return sorted(times)


def measure(
    peer: str, workload: str, threads: int, seconds: float, target: str
) -> dict[str, object]:
    """Times in seconds, memory in bytes, and the numbers that must agree."""
    start = float(os.environ.get("BENCHMARK_START", time.time()))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    job = _job(peer, workload, threads, target)
    job.step()  # type: ignore[attr-defined]  # a Job; its module is imported late
    first = time.time() - start
    for _ in range(4):
        job.step()  # type: ignore[attr-defined]
    result = job.result()  # type: ignore[attr-defined]
    times = _times(job.step, seconds)  # type: ignore[attr-defined]
    count = max(5, min(2000, int(seconds / times[len(times) // 2] / 4)))
    before = time.perf_counter()
    job.many(count)  # type: ignore[attr-defined]
    pipelined = (time.perf_counter() - before) / count
    passes: dict[str, float] = {}
    for name, one in job.passes.items():  # type: ignore[attr-defined]
        spent = _times(one, seconds / 3)
        passes[name] = spent[len(spent) // 2]
    return {
        "first_s": first,
        "step_s": times[len(times) // 2],
        "low_s": times[len(times) // 10],
        "high_s": times[-1 - len(times) // 10],
        "pipelined_s": pipelined,
        "passes_s": passes,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "result": result,
    }


if __name__ == "__main__":
    _peer, _workload, _threads, _seconds, _target = sys.argv[1:6]
    print(json.dumps(measure(_peer, _workload, int(_threads), float(_seconds), _target)))

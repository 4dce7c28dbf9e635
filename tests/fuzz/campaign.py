"""Many random diagrams, in several processes: a crash ends one of them, and is a fault too."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .checking import Fault, fault_of
from .growth import NAMES
from .plan import Plan, random_plan
from .shrinking import shrink

ROOT = Path(__file__).resolve().parents[2]
SERVING = 200
"""Programs after which a process is replaced: native code that is no longer used adds up."""
PATIENCE = 300.0
"""Seconds after which a program counts as hanging."""


def plan_from(data: dict[str, Any]) -> Plan:
    """The plan that `asdict` made into plain data."""
    return Plan(
        **{
            **data,
            "extents": tuple(data["extents"]),
            "batches": tuple(data["batches"]),
            "inputs": tuple(data["inputs"]),
            "operations": tuple((name, tuple(numbers)) for name, numbers in data["operations"]),
        }
    )


def serve() -> None:
    """A worker: plans as lines of JSON in, faults as lines of JSON out."""
    for line in sys.stdin:
        fault = fault_of(plan_from(json.loads(line)))
        print(json.dumps(None if fault is None else asdict(fault)), flush=True)


class Worker:
    """A process that checks plans one after another, and is made anew when it dies."""

    def __init__(self, cache: str) -> None:
        self.environment = {**os.environ, "DIAGRAD_CACHE": cache}
        self.process: subprocess.Popen[str] | None = None
        self.served = 0

    def fault_of(self, plan: Plan) -> Fault | None:
        """What is wrong with a plan's diagram; a crash or a hang of the process is a fault."""
        if self.process is None or self.served >= SERVING:
            self.stop()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz", "--serve"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=self.environment,
            )  # fmt: skip
            self.served = 0
        self.served += 1
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        try:
            process.stdin.write(json.dumps(asdict(plan)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            late.cancel()
        if line:
            data = json.loads(line)
            return None if data is None else Fault(**data)
        code = process.wait()
        self.stop()
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return Fault(f"crash {name}", f"the process ended with {name}")

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(BrokenPipeError):  # what it has not read
                self.process.communicate()
            self.process = None


def campaign(
    first: int, programs: int, jobs: int, minutes: float | None, shrinking: float
) -> Iterator[tuple[int, int, tuple[Plan, Fault] | None]]:
    """Check the plans of seeds from `first` on: (programs done, seed, a plan with its fault)."""
    end = None if minutes is None else time.monotonic() + 60 * minutes
    lock, ready = threading.Lock(), threading.Condition()
    seeds = iter(range(first, first + programs))
    results: list[tuple[int, tuple[Plan, Fault] | None]] = []
    known: set[str] = set()
    active = jobs
    folder = tempfile.TemporaryDirectory(prefix="fuzz")

    def work() -> None:
        nonlocal active
        worker = Worker(folder.name)
        try:
            while end is None or time.monotonic() < end:
                with lock:
                    seed = next(seeds, None)
                if seed is None:
                    break
                plan = random_plan(seed, NAMES)
                fault = worker.fault_of(plan)
                if fault is not None:
                    with lock:
                        new = fault.kind not in known
                        known.add(fault.kind)
                    if new:  # one of each kind is made small
                        plan, fault = shrink(plan, fault, worker.fault_of, shrinking)
                with ready:
                    results.append((seed, None if fault is None else (plan, fault)))
                    ready.notify()
        finally:
            worker.stop()
            with ready:
                active -= 1
                ready.notify()

    for _ in range(jobs):
        threading.Thread(target=work, daemon=True).start()
    done = 0
    while True:
        with ready:
            ready.wait_for(lambda: results or active == 0)
            if not results:
                break
            seed, found = results.pop(0)
        done += 1
        yield done, seed, found
    folder.cleanup()

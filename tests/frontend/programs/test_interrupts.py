"""Signals and forks at any moment: `interrupted.py`, in processes that would hang."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diagrad.runtime.building.cache import cache_in_use

from ..evaluating import TARGETS

ROOT = Path(__file__).resolve().parents[3]


CASES = [(name, target) for name in ("interrupts", "nested", "forks") for target in TARGETS]


@pytest.mark.parametrize(("name", "target"), [*CASES, ("drawings", "no target")])
def test_in_a_process_of_its_own(name: str, target: str) -> None:
    if not (hasattr(os, "fork") and hasattr(signal, "setitimer")):
        pytest.skip("needs fork and setitimer")
    environment = {**os.environ, "DIAGRAD_CACHE": str(cache_in_use().folder)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.frontend.programs.interrupted", name, target],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")

"""No kernel and no routine touches a byte that is not its own: programs between guarded pages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diagrad.runtime.building.cache import cache_in_use

from .drawn_views import PARTS

ROOT = Path(__file__).parents[4]


def run(*arguments: str) -> None:
    """`guarded_programs` with the session's kernels; its last lines if it fails or faults."""
    if sys.platform == "win32":
        pytest.skip("needs mprotect")
    folder = cache_in_use().folder
    environment = {**os.environ, "DIAGRAD_CACHE": str(folder)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.runtime.cpu.guards.guarded_programs", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = "\n".join([*run.stdout.splitlines()[-1:], run.stderr])
    assert run.returncode == 0, f"exit status {run.returncode} after {told}"


def test_random_programs_keep_to_their_memory() -> None:
    run("programs", "0", str(len(PARTS)))


def test_factors_keep_to_their_memory() -> None:
    run("factors", "0", "10")


def test_convolutions_keep_to_their_memory() -> None:
    run("convolutions", "0", "12")


def test_products_keep_to_the_space_that_is_planned_for_them() -> None:
    run("routines", "0", "150")


def test_products_of_segments_keep_to_their_tables_and_space() -> None:
    run("segments", "0", "200")


def test_turned_matrices_keep_to_their_memory() -> None:
    run("turns", "0", "200")


@pytest.mark.parametrize("what", ["behind", "before"])
def test_a_byte_too_many_is_a_fault(what: str) -> None:
    with pytest.raises(AssertionError, match=r"^exit status -\d+ after fault"):
        run("fault", what)

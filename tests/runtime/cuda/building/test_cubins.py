"""Every kernel of the table of programs as PTX and as a cubin for sm_90, and the cache of cubins.

A float64 has kernels like those of a float32, which are not built again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from diagrad.runtime.building.cache import Cache, cache_in_use, use_cache
from diagrad.runtime.cuda.building.cubin import LinkError, link
from diagrad.runtime.cuda.building.cubins import Request, key_of, obtain
from diagrad.runtime.cuda.building.ptx import kernel_ptx

from ..programs import CASES, template

pytest.importorskip("cuda.bindings", reason="needs diagrad[cuda]")

ROOT = Path(__file__).resolve().parents[4]
NAMES = [name for name in CASES if not name.endswith("float64")]
STACK = 64
"""Bytes of local memory of a thread: what a program's few arrays of a lane's own take."""
WAVES = 128
"""The same where large angles of sines are reduced."""
SPILLED = {"attention_value": 128}
"""Bytes of spilled registers, by a part of the kernel's name; 0 for all others."""
TEXT = "def kernel(args, lo, hi):\n    store_first(f32_at(args[0]), lo, f32({}))\n"
_checked: set[str] = set()


def faults(name: str, source: str) -> list[str]:
    """What of a kernel is not as it should be."""
    ptx = kernel_ptx(source)
    _, takes = link(ptx, "sm_90")
    most = next((count for part, count in SPILLED.items() if part in name), 0)
    # Angles from 2^21 on are reduced by a function that is called: it is seldom, and long.
    waves = re.search(r"\b(sin|cos)\(", source) is not None
    wrong = {
        "calls a function": not waves and re.search(r"\bcall\b", ptx) is not None,
        "rounds to float64": ".f64" in ptx and "f64" not in source,
        "leaves contraction to the assembler": re.search(r"\b(add|sub|mul)\.f(32|64)", ptx)
        is not None,
        f"spills {takes.spilled} bytes": takes.spilled > most,
        f"has {takes.stack} bytes of local memory": takes.stack > (WAVES if waves else STACK),
        f"has {takes.shared} bytes of shared memory": takes.shared > 27 << 10,
    }
    return [f"{name} {what}" for what, is_so in wrong.items() if is_so]


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_becomes_a_cubin(name: str) -> None:
    found = []
    for kernel in template(name).kernels:
        if kernel.source not in _checked:
            _checked.add(kernel.source)
            found += faults(kernel.name, kernel.source)
    assert not found, "\n".join(found)


def test_equal_texts_are_equal_ptx() -> None:
    assert kernel_ptx(TEXT.format(1.5)) == kernel_ptx(TEXT.format(1.5))


def test_products_and_sums_stay_two_roundings() -> None:
    text = """def kernel(args, lo, hi):
    a = load(f32_at(args[0]), 0)
    store(f32_at(args[0]), 0, {})
"""
    apart, fused = kernel_ptx(text.format("a * a + a")), kernel_ptx(text.format("fma(a, a, a)"))
    assert "mul.rn.f32" in apart and "add.rn.f32" in apart and "fma" not in apart
    assert "fma.rn.f32" in fused


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an architecture among sm_75"):
        kernel_ptx(TEXT.format(1.5), architecture="sm_13")
    with pytest.raises(LinkError):
        link(kernel_ptx(TEXT.format(1.5)), "sm_13")


def test_the_key_is_of_all_but_the_name() -> None:
    keys = {
        key_of(request)
        for request in (
            Request("a", "x"), Request("b", "x"), Request("a", "y"), Request("a", "x", False),
            Request("a", "x", architecture="sm_80"),
        )
    }  # fmt: skip
    assert len(keys) == 4


def test_equal_requests_are_built_once(tmp_path: Path) -> None:
    before = cache_in_use()
    use_cache(Cache(tmp_path))
    try:
        first, again = obtain([Request("a", TEXT.format(2.5)), Request("b", TEXT.format(2.5))])
        (kept,) = obtain([Request("a", TEXT.format(2.5))])
    finally:
        use_cache(before)
    assert first is again
    assert (first.origin, kept.origin) == ("compiled", "cache")
    assert (kept.code, kept.takes) == (first.code, first.takes)
    assert first.code[:4] == b"\x7fELF"


CHILD = """
import sys
from diagrad.runtime.cuda.building.cubins import Request, obtain
print(obtain([Request("k", sys.argv[1])])[0].origin)
print(*(m for m in ("numba", "llvmlite", "cuda") if m in sys.modules))
"""


def test_a_process_that_finds_its_cubins_loads_no_builder(tmp_path: Path) -> None:
    def child() -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", CHILD, TEXT.format(3.5)],
            env={**os.environ, "DIAGRAD_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return run.stdout.split()

    assert child() == ["compiled", "numba", "llvmlite", "cuda"]
    assert child() == ["cache"]

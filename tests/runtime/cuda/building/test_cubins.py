"""Every kernel of the table of programs as PTX and as a cubin for sm_90, and the cache of cubins.

The table has nets, loops, and every operation of `tests/operations/rows`.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from diagrad.runtime.building.cache import Cache, cache_in_use, use_cache
from diagrad.runtime.cuda.building.cubin import LinkError, Resources, link
from diagrad.runtime.cuda.building.cubins import key_of, obtain
from diagrad.runtime.cuda.building.ptx import kernel_ptx, walk_ptx
from diagrad.runtime.cuda.code import Code
from diagrad.runtime.cuda.plan import plan_launches
from diagrad.runtime.cuda.processor import Processor
from diagrad.runtime.cuda.shapes import arguments
from diagrad.runtime.program import Kernel

from ..programs import CASES, EVER, LOOPS, NEVER, bound, template

pytest.importorskip("cuda.bindings", reason="needs diagrad[cuda]")

ROOT = Path(__file__).resolve().parents[4]
ROUTINE = re.compile(r"\b(gemm|segmented|turn)_f(32|64)\(")
TILE = re.compile(r"\btile\(")
WAVES = re.compile(r"\b(sin|cos)\(")
STATIC = 1 << 10
"""Bytes of shared memory of a block beside what a launch asks for."""
MOST = 227 << 10
"""Bytes of shared memory that a block of sm_90 may have."""


@dataclass(frozen=True)
class Bounds:
    """What a thread of a kernel takes at most: registers, local memory and spilled bytes."""

    registers: int
    stack: int = 0
    spilled: int = 0


TILES = Bounds(208, stack=64)
"""What a program's few arrays of a lane's own take."""
ANGLES = Bounds(208, stack=128)
"""The reduction of large angles keeps its partial products there."""
OWN = {
    "attention_value": Bounds(255, stack=64, spilled=128),
    "log_product": Bounds(255),
    "add_mul_sub_mul_and_19_more": Bounds(255),
}
"""By a part of the kernel's name.  The last one is in a GRU's derivative, with fifteen buffers."""
GLOBAL = {"attention_value": Bounds(255, stack=192, spilled=384)}
"""The same where the memory of a worker is global."""
TEXT = "def kernel(args, lo, hi):\n    store_first(f32_at(args[0]), lo, f32({}))\n"


def one(name: str, source: str, shared: bool = True) -> Code:
    return Code(((Kernel(name, source, 32), shared),))


def walk(*sources: str) -> Code:
    return Code(tuple((Kernel("k", source, 32), True) for source in sources), walks=True)


def bounds_of(name: str, source: str, shared: bool) -> Bounds:
    for part, own in (OWN if shared else OWN | GLOBAL).items():
        if part in name:
            return own
    if WAVES.search(source):
        return ANGLES
    if TILE.search(source):
        return TILES
    return Bounds(255 if ROUTINE.search(source) else 208)


@cache
def built(source: str, shared: bool = True) -> tuple[str, bytes, Resources]:
    """PTX, cubin, and what it takes; once for each text."""
    ptx = kernel_ptx(source, shared)
    return ptx, *link(ptx, "sm_90")


def faults(kernel: Kernel, shared: bool = True) -> list[str]:
    """What of a kernel is not as it should be."""
    source = kernel.source
    ptx, _, takes = built(source, shared)
    most = bounds_of(kernel.name, source, shared)
    # Angles from 2^21 on are reduced by a function that is called: it is seldom, and long.
    calls = re.search(r"\bcall\b", ptx) is not None and WAVES.search(source) is None
    wrong = {
        "calls a function": calls,
        "rounds to float64": ".f64" in ptx and "f64" not in source,
        "leaves contraction to the assembler": re.search(r"\b(add|sub|mul)\.f(32|64)", ptx)
        is not None,
        f"has {takes.registers} registers, not {most.registers}": takes.registers > most.registers,
        f"spills {takes.spilled} bytes": takes.spilled > most.spilled,
        f"has {takes.stack} bytes of local memory": takes.stack > most.stack,
        f"has {takes.shared} bytes of shared memory": takes.shared > STATIC,
    }
    return [f"{kernel.name} {what}" for what, is_so in wrong.items() if is_so]


@pytest.mark.parametrize("name", CASES)
def test_every_kernel_becomes_a_cubin(name: str) -> None:
    found = [fault for kernel in template(name).kernels for fault in faults(kernel)]
    assert not found, "\n".join(found)
    for sizes in CASES[name].sizes:
        program = bound(name, sizes)
        for launch in plan_launches(program, Processor(rates=NEVER)).runs:
            takes = built(program.kernels[launch.kernel].source)[2]
            assert launch.shared + takes.shared <= MOST
            assert launch.threads * takes.registers <= 1 << 16


@cache
def built_walk(texts: tuple[tuple[str, bool], ...]) -> tuple[str, Resources]:
    """PTX of a walk, and what its cubin takes; once for each tuple of texts."""
    ptx = walk_ptx(texts)
    return ptx, link(ptx, "sm_90")[1]


@pytest.mark.parametrize("shared", [Processor().shared, 2 << 10])
@pytest.mark.parametrize("name", LOOPS)
def test_every_walk_becomes_a_cubin(name: str, shared: int) -> None:
    """All kernels of a loop in one function, whose memory is shared or global: none spills."""
    processor = Processor(shared=shared, rates=EVER)
    plans = [plan_launches(bound(name, sizes), processor) for sizes in CASES[name].sizes]
    walks = [(plan.program.kernels, walk) for plan in plans for walk in plan.walks]
    assert walks
    for kernels, one in walks:
        texts = [(kernels[number].source, near) for number, near in one.kernels]
        ptx, takes = built_walk(tuple(texts))
        assert one.threads * takes.registers <= 1 << 16
        assert one.shared + takes.shared <= MOST
        assert takes.spilled == 0 and takes.shared <= STATIC
        most = max(
            bounds_of(kernels[n].name, kernels[n].source, near).stack for n, near in one.kernels
        )
        assert takes.stack <= most
        assert ".f64" not in ptx and not re.search(r"\b(call|add\.f32|mul\.f32)\b", ptx)


def test_walks_of_equal_texts_are_equal() -> None:
    (one, *_) = plan_launches(bound("gru", {"B": 2, "T": 5})).walks
    kernels = template("gru").kernels
    texts = tuple((kernels[number].source, near) for number, near in one.kernels)
    assert walk_ptx(texts) == built_walk(texts)[0]
    assert "ld.global.nc.b32" not in built_walk(texts)[0]  # what another run has written


def test_memory_of_workers_may_be_global() -> None:
    """Every kernel with memory of its own, as it is where that is too large to be shared."""
    own = [kernel for kernel in template("transformer").kernels if arguments(kernel) > 3]
    assert {arguments(kernel) for kernel in own} == {4, 6}
    found = [fault for kernel in own for fault in faults(kernel, shared=False)]
    assert not found, "\n".join(found)


def test_equal_texts_are_equal_cubins() -> None:
    kernels = template("regression").kernels
    kernel = next(kernel for kernel in kernels if ROUTINE.search(kernel.source))
    ptx, code, takes = built(kernel.source)
    again = kernel_ptx(kernel.source)
    assert again == ptx
    assert link(again, "sm_90") == (code, takes)


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
    codes = [
        one("a", "x"), one("b", "x"), one("a", "y"), one("a", "x", False),
        walk("x"), walk("x", "y"), walk("y", "x"),
    ]  # fmt: skip
    keys = [key_of(code, "sm_90") for code in codes] + [key_of(codes[0], "sm_80")]
    assert len(set(keys)) == len(keys) - 1 and keys[0] == keys[1]


def test_equal_requests_are_built_once(tmp_path: Path) -> None:
    before = cache_in_use()
    use_cache(Cache(tmp_path))
    try:
        first, again = obtain([one("a", TEXT.format(2.5)), one("b", TEXT.format(2.5))])
        (kept,) = obtain([one("a", TEXT.format(2.5))])
    finally:
        use_cache(before)
    assert first is again
    assert (first.origin, kept.origin) == ("compiled", "cache")
    assert (kept.code, kept.takes) == (first.code, first.takes)
    assert first.code[:4] == b"\x7fELF"


CHILD = """
import sys
from diagrad.runtime.cuda.building.cubins import obtain
from diagrad.runtime.cuda.code import Code
from diagrad.runtime.program import Kernel
pair = Kernel("k", sys.argv[1], 32), True
print(*(cubin.origin for cubin in obtain([Code((pair,)), Code((pair, pair), walks=True)])))
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

    assert child() == ["compiled", "compiled", "numba", "llvmlite", "cuda"]
    assert child() == ["cache", "cache"]

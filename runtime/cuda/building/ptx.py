"""Kernel text to PTX, the assembly of NVIDIA's processors, by LLVM alone.

A product and a sum stay two roundings, as on the processor: LLVM contracts them only where it is
told to, and writes `.rn`, so that the assembler behind it does not either.  Division and square
roots are rounded as IEEE 754 asks, and subnormal numbers are kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

from ...building.lowering import lower_kernel
from ...building.passes import optimize, parsed
from ...forking import COMPILING
from ...words.machine import WARP
from ..routines.routines import lowered_routine
from .entry import ENTRY, entered
from .walk import part, walked

ARCHITECTURES = (
    "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120", "sm_121",
)  # fmt: skip
"""What both LLVM and the linker know, from Turing (2018) on."""

_VERSION = "+ptx88"
"""Of PTX: the first that has all of them; linkers of CUDA 12.9 and later read it."""

compilations = 0
"""Texts that this process has made PTX of."""


def kernel_ptx(source: str, shared: bool = True, architecture: str = "sm_90") -> str:
    """A module of PTX with the function of `entry.py`, in which all calls are inlined.

    Args:
        source: kernel text, written for 32 lanes.
        shared: whether a worker's memory is shared memory, or global.
        architecture: as "sm_90".

    Raises:
        ValueError: for an architecture that is not in ARCHITECTURES.
        SyntaxError: for text outside the kernel language.
    """
    with COMPILING:
        machine, context = _machine(architecture), llvm.create_context()
        lowered = lower_kernel(source, "kernel", WARP)
        text = lowered.text + entered(lowered, shared)
        return _ptx(parsed(_for(machine, text), machine, {ENTRY}, context), machine, context)


def walk_ptx(texts: Sequence[tuple[str, bool]], architecture: str = "sm_90") -> str:
    """The same with the function of `walk.py`, for several texts.

    Args:
        texts: kernel texts, each with whether a worker's memory is shared memory.
        architecture: as "sm_90".

    Raises:
        as `kernel_ptx`.
    """
    with COMPILING:
        machine, context = _machine(architecture), llvm.create_context()
        lowered = [lower_kernel(source, "kernel", WARP) for source, _ in texts]
        shared = [near for _, near in texts]
        walk = walked([(one.arguments, near) for one, near in zip(lowered, shared, strict=True)])
        module = parsed(_for(machine, walk), machine, {ENTRY}, context)
        for number, one in enumerate(lowered):
            inner = parsed(_for(machine, one.text), machine, {one.function}, context)
            inner.get_function(one.function).name = part(number)
            module.link_in(inner)
        return _ptx(module, machine, context)


def _ptx(module: Any, machine: Any, context: Any) -> str:
    """The module with its routines, optimized, as PTX."""
    global compilations
    while missing := _missing(module):
        for name in missing:
            text = _for(machine, lowered_routine(name, WARP))
            module.link_in(parsed(text, machine, {name}, context))
    _inline_all(module)
    optimize(module, machine, 3)
    compilations += 1
    return str(machine.emit_assembly(module))


@lru_cache(maxsize=1)
def _initialize() -> None:
    """Make LLVM ready to write PTX; once a process."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def _machine(architecture: str) -> Any:
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"expected an architecture among {', '.join(ARCHITECTURES)}, got {architecture}"
        )
    _initialize()
    target = llvm.Target.from_triple("nvptx64-nvidia-cuda")
    return target.create_target_machine(cpu=architecture, features=_VERSION, opt=3)


def _for(machine: Any, text: str) -> str:
    """The text with this machine named in front; alignments follow from that when it is parsed."""
    body = re.sub(r"^target (?:triple|datalayout) = .*$", "", text, flags=re.MULTILINE)
    head = f'target datalayout = "{machine.target_data}"\ntarget triple = "{machine.triple}"\n'
    return head + body


def _missing(module: Any) -> list[str]:
    """Functions that are called and not defined."""
    declared = [f.name for f in module.functions if f.is_declaration]
    return [name for name in declared if not name.startswith("llvm.")]


def _inline_all(module: Any) -> None:
    """A call would put what the caller has in registers into local memory."""
    for function in module.functions:
        if not function.is_declaration and function.name != ENTRY:
            function.linkage = "internal"
            if not any(b"noinline" in bytes(a) for a in function.attributes):
                function.add_function_attribute("alwaysinline")

"""The processor at hand: its name, its features, its caches, and LLVM's target machine for it.

Needs llvmlite only, which imports in a few hundredths of a second; never Numba.  LLVM is asked once
for each: an exception from a signal handler within llvmlite can free a text of it twice.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

_CACHE_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")


@lru_cache(maxsize=1)
def initialize() -> None:
    """Make LLVM ready to write code for this machine; once a process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """The processor's name as LLVM knows it."""
    return str(llvm.get_host_cpu_name())


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """What the processor has, in LLVM's words."""
    return frozenset(name for name, has in llvm.get_host_cpu_features().items() if has)


@lru_cache(maxsize=1)
def feature_text() -> str:
    """The features for LLVM's target machine.

    LLVM prefers 256-bit vectors on some processors with AVX-512, because of clock speed in mixed
    code.  Kernels are all vectors, so that the wide registers pay; LLVM is told.
    """
    found = llvm.get_host_cpu_features()
    text = ",".join(f"{'+' if has else '-'}{name}" for name, has in sorted(found.items()))
    return text + (",-prefer-256-bit" if "avx512f" in features() else "")


def target_machine() -> Any:
    """A new target machine for this processor, with the code model that a JIT needs."""
    initialize()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    x86 = target.name.startswith("x86")
    return target.create_target_machine(
        cpu=cpu_name(),
        features=feature_text(),
        opt=3,
        reloc="static" if x86 else "default",
        codemodel="jitdefault",
        jit=True,
    )


def converts_halves() -> bool:
    """Whether it has instructions between float16 and float32: else LLVM calls a library."""
    return not is_x86() or "f16c" in features()


def vector_bytes() -> int:
    """Width of the vector registers."""
    if "avx512f" in features():
        return 64
    return 32 if "avx2" in features() else 16


@lru_cache(maxsize=1)
def is_x86() -> bool:
    """Whether the processor speaks x86-64."""
    return str(llvm.get_process_triple()).startswith("x86_64")


@lru_cache(maxsize=1)
def cache_bytes() -> tuple[int, int]:
    """Bytes of the first and second data cache; a modest guess where the system does not say."""
    sizes = {"1": 32 << 10, "2": 512 << 10}
    if sys.platform == "linux":
        for index in sorted(_CACHE_FOLDER.glob("index*")):
            try:
                level = (index / "level").read_text().strip()
                kind = (index / "type").read_text().strip()
                text = (index / "size").read_text().strip()
                scale = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:], 1)
                if kind != "Instruction" and level in sizes:
                    sizes[level] = int(text.rstrip("KM")) * scale
            except (OSError, ValueError):
                continue  # A container may hide or garble the folder: keep the guess.
    return sizes["1"], sizes["2"]


@lru_cache(maxsize=1)
def is_aarch64() -> bool:
    """Whether the processor speaks AArch64."""
    return str(llvm.get_process_triple()).startswith(("aarch64", "arm64"))

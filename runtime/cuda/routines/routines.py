"""The routines by name, as text and in LLVM's."""

from __future__ import annotations

from functools import lru_cache

from ...building.lowering import lower_routine
from ...words.machine import Machine
from .products import gemm_text, segmented_text
from .turning import turn_text

_TEXTS = {"gemm": gemm_text, "segmented": segmented_text, "turn": turn_text}


def routine_text(name: str) -> str:
    """A routine of `program.ROUTINES`, as text of the kernel language."""
    which, kind = name.split("_")
    return _TEXTS[which](kind)


@lru_cache(maxsize=32)
def lowered_routine(name: str, machine: Machine) -> str:
    """A module of LLVM's text that defines `void @name(i64, ...)`, for the threads of a machine."""
    return lower_routine(routine_text(name), name, machine)

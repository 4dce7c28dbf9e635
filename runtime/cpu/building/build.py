"""Kernel text to object code: `lowering` gives LLVM's text, LLVM optimizes it, once.

Numba is imported inside `build_kernel`, so that a program whose kernels are all in the cache never
pays for it.
"""

from __future__ import annotations

from ...building.passes import optimize, parsed
from ...forking import COMPILING
from ...program import CPU
from .. import host

compilations = 0
"""Objects built by this process: kernels, gemm routines and the driver."""


def build_kernel(source: str, symbol: str, lanes: int = CPU.lanes) -> bytes:
    """Object code with one function `symbol(args: int64*, lo, hi, space: int64) -> void`.

    The text may be written for any number of lanes: the processor has them all in one vector.
    """
    with COMPILING:
        from ...building.lowering import lower_kernel
        from ...words.machine import Machine

        machine = Machine(lanes, lanes, halves=host.converts_halves())
        lowered = lower_kernel(source, symbol, machine)
        # A thread is the one member of its team.
        more = {3: "", 4: ", i64 %space", 6: ", i64 %space, i64 0, i64 1"}[lowered.arguments]
        return build_text(_entered(lowered.text, lowered.function, symbol, more), {symbol})


def _entered(text: str, inner: str, symbol: str, more: str) -> str:
    """Add the function that is called from outside: Numba's takes two arguments more."""
    return f"""{text}
define void @{symbol}(ptr %args, i64 %lo, i64 %hi, i64 %space) {{
  %result = alloca ptr
  call i32 @"{inner}"(ptr %result, ptr null, ptr %args, i64 %lo, i64 %hi{more})
  ret void
}}
"""


def build_text(text: str, symbols: set[str], speed: int = 2) -> bytes:
    """Object code of LLVM's text; of its functions only those in `symbols` are seen outside.

    `speed` is LLVM's level of optimization, from 0, which translates the text as it stands, to 3.
    """
    global compilations
    with COMPILING:
        machine = host.target_machine()
        module = parsed(text, machine, symbols)
        optimize(module, machine, speed)
        compilations += 1
        return bytes(machine.emit_object(module))

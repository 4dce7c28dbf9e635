"""Kernel text to object code: `lowering` gives LLVM's text, LLVM optimizes it, once.

Numba is imported inside `build_kernel`, so that a program whose kernels are all in the cache never
pays for it.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding.ffi import ObjectRef
from llvmlite.binding.newpassmanagers import NewPassManager

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

        lowered = lower_kernel(source, symbol, Machine(lanes, lanes))
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
        module = llvm.parse_assembly(text, llvm.create_context())
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        for function in module.functions:
            if not function.is_declaration and function.name not in symbols:
                function.linkage = "internal"
        module.verify()
        optimize(module, machine, speed)
        compilations += 1
        return bytes(machine.emit_object(module))


def optimize(module: Any, machine: Any, speed: int) -> None:
    """LLVM's standard passes, without those that look for vectors: the text is all vectors."""
    options = llvm.create_pipeline_tuning_options(speed_level=speed)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    manager = builder.getModulePassManager()
    try:
        manager.run(module, builder)
    finally:
        if type(manager)._dispose is ObjectRef._dispose:  # It does nothing: 90 KiB would stay.
            NewPassManager._dispose(manager)

"""LLVM's text to a module that is ready to be written out: parsed, hidden and optimized."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding.ffi import ObjectRef
from llvmlite.binding.newpassmanagers import NewPassManager


def parsed(text: str, machine: Any, symbols: Set[str], context: Any = None) -> Any:
    """The module of a text, verified; of its functions only those in `symbols` are seen outside.

    Modules that are linked with one another have one context of LLVM's.
    """
    module = llvm.parse_assembly(text, context or llvm.create_context())
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    for function in module.functions:
        if not function.is_declaration and function.name not in symbols:
            function.linkage = "internal"
    module.verify()
    return module


def optimize(module: Any, machine: Any, speed: int) -> None:
    """LLVM's standard passes, without those that look for vectors: the text says what is one.

    `speed` is LLVM's level of optimization, from 0 to 3.
    """
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

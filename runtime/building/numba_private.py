"""Every private name of Numba that the engine uses, and the one function that needs them.

`lower` takes a Python function through Numba's interpreter, type inference and lowering, and hands
back LLVM's text.  `numba.cfunc` would do that too, and then much that a kernel has no use for:
twenty more passes over the IR, a wrapper that raises exceptions, reference counts, three rounds of
LLVM's optimizer: 105 ms where this way takes 45.  A test reads `NAMES` first, so that a
new Numba that moves one of them is reported by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

NAMES = {
    "numba.core.bytecode": ("ByteCode", "FunctionIdentity"),
    "numba.core.cgutils": ("normalize_ir_text",),
    "numba.core.compiler": ("Flags",),
    "numba.core.compiler_lock": ("global_compiler_lock",),
    "numba.core.funcdesc": ("PythonFunctionDescriptor",),
    "numba.core.interpreter": ("Interpreter",),
    "numba.core.lowering": ("Lower",),
    "numba.core.postproc": ("PostProcessor",),
    "numba.core.registry": ("cpu_target",),
    "numba.core.targetconfig": ("ConfigStack",),
    "numba.core.typed_passes": ("type_inference_stage",),
}
"""Module to names: what `lower` reaches into."""


def missing() -> list[str]:
    """The names that the installed Numba does not have."""
    found = []
    for module, names in NAMES.items():
        try:
            held = importlib.import_module(module)
        except ImportError:
            found.append(module)
            continue
        found.extend(f"{module}.{name}" for name in names if not hasattr(held, name))
    return found


@lru_cache(maxsize=1)
def _numba() -> Any:
    """All of `NAMES` under one roof; Any, since Numba is typed in parts only."""
    held = SimpleNamespace()
    for module, names in NAMES.items():
        for name in names:
            setattr(held, name, getattr(importlib.import_module(module), name))
    return held


@contextmanager
def _settled(*contexts: Any) -> Iterator[None]:
    """Refresh Numba's registries once instead of at every call that is typed or lowered."""
    try:
        for context in contexts:
            context.refresh()
            context.refresh = _nothing
        yield
    finally:
        for context in contexts:
            vars(context).pop("refresh", None)


def _nothing() -> None:
    pass


def lower(function: Any, signature: Any) -> tuple[str, str]:
    """LLVM's text of `function` for the Numba signature, and its name there.

    The LLVM function returns a status and takes two pointers (result, exception) before the
    arguments; a kernel's result is None and it raises nothing.
    """
    n = _numba()
    flags = n.Flags()
    flags.error_model = "numpy"
    typing, target = n.cpu_target.typing_context, n.cpu_target.target_context
    with n.global_compiler_lock, n.ConfigStack().enter(flags), _settled(typing, target):
        identity = n.FunctionIdentity.from_function(function)
        code = n.Interpreter(identity).interpret(n.ByteCode(identity))
        n.PostProcessor(code).run()
        typed = n.type_inference_stage(typing, target, code, signature.args, signature.return_type)
        description = n.PythonFunctionDescriptor.from_specialized_function(
            code,
            typed.typemap,
            typed.return_type,
            typed.calltypes,
            mangler=target.mangler,
            inline=False,
            noalias=False,
            abi_tags=[],
        )
        library = target.codegen().create_library(description.qualname)
        with target.push_code_library(library):
            lowering = n.Lower(target, library, description, code, metadata={})
            lowering.lower_normal_function(description)
        return n.normalize_ir_text(str(lowering.module)), str(description.llvm_func_name)

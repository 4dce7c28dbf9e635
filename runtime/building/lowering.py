"""Kernel text to LLVM's text, for a machine: Numba types it, and its words write instructions.

One of the two files that lead to Numba, next to `numba_private`; imported only to build a kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..words.lanes import SIGNATURES, types
from ..words.machine import Machine, lowering_for
from ..words.vocabulary import WORDS
from .desugar import desugar
from .numba_private import lower


class Lowered(NamedTuple):
    """LLVM's text of a kernel.

    Attributes:
        text: a module.
        function: the name of the kernel in it: `i32 (ptr result, ptr exception, ptr args, i64 lo,
            i64 hi, ...)`, with as many integers more as the kernel has arguments after `hi`.  Its
            result means nothing.
        arguments: how many the kernel's text has.
    """

    text: str
    function: str
    arguments: int


def lower_kernel(source: str, symbol: str, machine: Machine) -> Lowered:
    """The kernel in LLVM's text, as the threads of a machine run it.

    Args:
        source: the text, one `def kernel(args, lo, hi)` or with more arguments.
        symbol: what Numba's messages call its file.
        machine: whose lanes the text is written for.

    Raises:
        SyntaxError: for text outside the kernel language.
    """
    kernel = _function(source, "kernel", symbol)
    count = kernel.__code__.co_argcount
    with lowering_for(machine):
        text, function = lower(kernel, SIGNATURES[count])
    return Lowered(text, function, count)


def lower_routine(source: str, symbol: str, machine: Machine) -> str:
    """A module with `void @symbol(i64, ...)`, of a text `def ...` whose arguments are integers.

    Raises:
        SyntaxError: for text outside the kernel language.
    """
    function = _function(source, source[len("def ") : source.index("(")], symbol)
    count = function.__code__.co_argcount
    with lowering_for(machine):
        text, inner = lower(function, types.void(*[types.int64] * count))
    given = ", ".join(f"i64 %a{number}" for number in range(count))
    return f"""{text}
define void @{symbol}({given}) {{
  %result = alloca ptr
  call i32 @"{inner}"(ptr %result, ptr null, {given})
  ret void
}}
"""


def _function(source: str, name: str, symbol: str) -> Any:
    """The Python function that a text defines, in words."""
    scope: dict[str, Any] = dict(WORDS)
    exec(compile(desugar(source), f"<{symbol}>", "exec"), scope)
    return scope[name]

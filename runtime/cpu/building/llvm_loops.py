"""Loops and branches for native code that is written directly in LLVM's IR.

Only shapes of control flow; what is computed inside is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

I64 = ir.IntType(64)
I32 = ir.IntType(32)
I1 = ir.IntType(1)


@contextmanager
def loop(b: Any, start: Any, stop: Any, step: Any) -> Iterator[Any]:
    """`for index in range(start, stop, step)`; the body is written at the builder's place."""
    before = b.block
    head = b.append_basic_block("loop")
    body = b.append_basic_block("body")
    done = b.append_basic_block("done")
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(I64)
    index.add_incoming(start, before)
    b.cbranch(b.icmp_signed("<", index, stop), body, done)
    b.position_at_end(body)
    yield index
    index.add_incoming(b.add(index, I64(step) if isinstance(step, int) else step), b.block)
    b.branch(head)
    b.position_at_end(done)


def fold(
    b: Any, start: Any, stop: Any, step: int, values: Sequence[Any], body: Callable[..., list[Any]]
) -> list[Any]:
    """The values after `for index in range(start, stop, step): values = body(index, values)`."""
    before = b.block
    head = b.append_basic_block("fold")
    inside = b.append_basic_block("folded")
    done = b.append_basic_block("done")
    b.branch(head)
    b.position_at_end(head)
    index, phis = b.phi(I64), [b.phi(value.type) for value in values]
    for phi, value in zip([index, *phis], [start, *values], strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_signed("<", index, stop), inside, done)
    b.position_at_end(inside)
    new = body(index, phis)
    for phi, value in zip([index, *phis], [b.add(index, I64(step)), *new], strict=True):
        phi.add_incoming(value, b.block)
    b.branch(head)
    b.position_at_end(done)
    return phis


def smaller(b: Any, x: Any, y: Any) -> Any:
    """The smaller of two signed integers."""
    return b.select(b.icmp_signed("<", x, y), x, y)


def internal(module: Any, name: str, kinds: list[Any], inline: bool = False) -> tuple[Any, Any]:
    """A function of the module that nobody else sees, and a builder at its start."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("alwaysinline" if inline else "noinline")
    return function, ir.IRBuilder(function.append_basic_block("entry"))

"""The native function that runs a program: it places the moving addresses and walks the table.

One function for all programs, compiled once.  It is LLVM text by hand, since it needs indirect
calls and the processor's floating-point mode, which kernel text has no words for.  It allocates
nothing, calls no Python, and leaves the mode as it found it.

    run(header, arrays)
        header   int64[5]: instructions, their table, moves, their table, the address of memory for
                 kernels; its first word is 0 when one begins
        table    a cache line per instruction: kernel, row, extent, address of its check or 0, and
                 what `walk` needs to share it: indices of a chunk, chunks, what it waits for
        moves    three words each: the address of the word to set, the array's number, an offset
        arrays   the address of the addresses of inputs and outputs
        returns  the number of the instruction whose check failed, or -1
"""

from __future__ import annotations

import ctypes
from typing import Any

from ..program import HOLDS
from . import host
from .build import build_text

HEADER, INSTRUCTION, MOVE = 5, 8, 3

_FLUSH = {"x86": 0x8040, "aarch64": 1 << 24}
"""Flush to zero and denormals are zero (x86 MXCSR); flush to zero (AArch64 FPCR)."""

_X86 = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal i64 @get_mode() alwaysinline {
  %p = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %p)
  %v = load volatile i32, ptr %p
  %w = zext i32 %v to i64
  ret i64 %w
}
define internal void @set_mode(i64 %w) alwaysinline {
  %p = alloca i32
  %v = trunc i64 %w to i32
  store volatile i32 %v, ptr %p
  call void @llvm.x86.sse.ldmxcsr(ptr %p)
  ret void
}
"""

_AARCH64 = """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define internal i64 @get_mode() alwaysinline {
  %v = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %v
}
define internal void @set_mode(i64 %w) alwaysinline {
  call void @llvm.aarch64.set.fpcr(i64 %w)
  ret void
}
"""

_OTHER = """
define internal i64 @get_mode() alwaysinline { ret i64 0 }
define internal void @set_mode(i64 %w) alwaysinline { ret void }
"""

_PLACE = """
define internal void @place(ptr %header, ptr %arrays) alwaysinline {
start:
  %moves.p = getelementptr i64, ptr %header, i64 2
  %moves = load i64, ptr %moves.p
  %move.table.p = getelementptr i64, ptr %header, i64 3
  %move.table = load ptr, ptr %move.table.p
  %any.move = icmp sgt i64 %moves, 0
  br i1 %any.move, label %move, label %moved

move:
  %m = phi i64 [ 0, %start ], [ %m.next, %move ]
  %m.0 = mul i64 %m, 3
  %place.p = getelementptr i64, ptr %move.table, i64 %m.0
  %target = load ptr, ptr %place.p
  %number.p = getelementptr i64, ptr %place.p, i64 1
  %number = load i64, ptr %number.p
  %offset.p = getelementptr i64, ptr %place.p, i64 2
  %offset = load i64, ptr %offset.p
  %address.p = getelementptr i64, ptr %arrays, i64 %number
  %base = load i64, ptr %address.p
  %word = add i64 %base, %offset
  store i64 %word, ptr %target
  %m.next = add i64 %m, 1
  %m.more = icmp slt i64 %m.next, %moves
  br i1 %m.more, label %move, label %moved

moved:
  ret void
}
"""

_RUN = """
define i64 @SYMBOL(ptr %header, ptr %arrays) {
start:
  %count = load i64, ptr %header
  %table.p = getelementptr i64, ptr %header, i64 1
  %table = load ptr, ptr %table.p
  %space.p = getelementptr i64, ptr %header, i64 4
  %space = load ptr, ptr %space.p
  call void @place(ptr %header, ptr %arrays)
  %mode = call i64 @get_mode()
  %flush = or i64 %mode, FLUSH
  call void @set_mode(i64 %flush)
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %step, label %done

step:
  %i = phi i64 [ 0, %start ], [ %i.next, %next ]
  %i.0 = shl i64 %i, 3
  %kernel.p = getelementptr i64, ptr %table, i64 %i.0
  %kernel = load ptr, ptr %kernel.p
  %row.p = getelementptr i64, ptr %kernel.p, i64 1
  %row = load ptr, ptr %row.p
  %extent.p = getelementptr i64, ptr %kernel.p, i64 2
  %extent = load i64, ptr %extent.p
  store i64 0, ptr %space
  call void %kernel(ptr %row, i64 0, i64 %extent, ptr %space)
  %check.p = getelementptr i64, ptr %kernel.p, i64 3
  %check = load ptr, ptr %check.p
  %checks = icmp ne ptr %check, null
  br i1 %checks, label %look, label %next

look:
  %found = load i64, ptr %check
  %holds = icmp eq i64 %found, HOLDS
  br i1 %holds, label %next, label %done

next:
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %count
  br i1 %more, label %step, label %done

done:
  %failed = phi i64 [ -1, %start ], [ %i, %look ], [ -1, %next ]
  call void @set_mode(i64 %mode)
  ret i64 %failed
}
"""


def floating_point_mode() -> tuple[str, int]:
    """LLVM text of `get_mode` and `set_mode`, and the bits of the mode that flush denormals."""
    if host.is_x86():
        return _X86, _FLUSH["x86"]
    if host.is_aarch64():
        return _AARCH64, _FLUSH["aarch64"]
    return _OTHER, 0


def placement() -> str:
    """LLVM text of `place`, which sets the words that move from call to call."""
    return _PLACE


def text() -> str:
    """The driver's LLVM text for this processor; the symbol is still to be filled in."""
    mode, flush = floating_point_mode()
    run = _RUN.replace("FLUSH", str(flush)).replace("HOLDS", str(HOLDS))
    return mode + placement() + run


def build_driver(source: str, symbol: str) -> bytes:
    """Object code of the driver."""
    return build_text(source.replace("SYMBOL", symbol), {symbol})


def prototype() -> Any:
    """The driver's type for ctypes, which releases the interpreter's lock during the call."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)

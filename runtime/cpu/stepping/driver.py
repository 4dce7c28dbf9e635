"""The native function that runs a program: it places the moving addresses and walks the table.

One function for all programs, compiled once.  It is LLVM text by hand, since it needs indirect
calls and the processor's floating-point mode, which kernel text has no words for.  It allocates
nothing, calls no Python, and leaves the mode as it found it.

    run(header, arrays)
        header   what `FIELDS` names: tables and how many rows they have; `space` is memory for
                 kernels, whose first word is 0 when one begins, `room` how much each thread has
        table    a cache line per instruction: kernel, row, extent, address of its check or 0, what
                 `walk` needs to share it (indices of a chunk, chunks, what it waits for), and the
                 instruction at which to go on where the check does not hold, or 0 to stop
        moves    three words each: the address of the word to set, the array's number, an offset
        bases    three words each: the address of a word that lies in the arena, how many such there
                 are, and bytes from one to the next
        shared   the address of a word: where the arena, `space` and `room` are told, of which
                 `seen` is what the table was last set to; if it differs, all bases move
        arrays   the address of the addresses of inputs and outputs
        returns  the number of the instruction whose check failed, or -1
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from ...outcomes import HOLDS
from .. import host
from ..building.build import build_text

INSTRUCTION, MOVE, BASE = 8, 3, 3
"""Words of a row of each table."""

FIELDS = (
    "rows", "table", "moves", "move_table", "bases", "base_table", "shared", "seen", "room",
    "space",
)  # fmt: skip
"""Words of a header."""

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
  %shared.p = getelementptr i64, ptr %header, i64 6
  %shared = load ptr, ptr %shared.p
  %now = load ptr, ptr %shared
  %seen.p = getelementptr i64, ptr %header, i64 7
  %seen = load ptr, ptr %seen.p
  %stays = icmp eq ptr %now, %seen
  br i1 %stays, label %placed, label %rebase

rebase:
  %arena = load i64, ptr %now
  %before = load i64, ptr %seen
  %apart = sub i64 %arena, %before
  %rooms.p = getelementptr i64, ptr %now, i64 1
  %rooms = load i64, ptr %rooms.p
  %room.now = getelementptr i64, ptr %now, i64 2
  %room = load i64, ptr %room.now
  %room.p = getelementptr i64, ptr %header, i64 8
  store i64 %room, ptr %room.p
  %space.p = getelementptr i64, ptr %header, i64 9
  store i64 %rooms, ptr %space.p
  store ptr %now, ptr %seen.p
  %bases.p = getelementptr i64, ptr %header, i64 4
  %bases = load i64, ptr %bases.p
  %base.table.p = getelementptr i64, ptr %header, i64 5
  %base.table = load ptr, ptr %base.table.p
  br label %column

column:
  %c = phi i64 [ 0, %rebase ], [ %c.next, %filled ]
  %c.more = icmp slt i64 %c, %bases
  br i1 %c.more, label %fill, label %placed
fill:
  %c.0 = mul i64 %c, 3
  %c.p = getelementptr i64, ptr %base.table, i64 %c.0
  %first = load ptr, ptr %c.p
  %c.count = getelementptr i64, ptr %c.p, i64 1
  %count = load i64, ptr %c.count
  %c.stride = getelementptr i64, ptr %c.p, i64 2
  %stride = load i64, ptr %c.stride
  br label %each
each:
  %w = phi i64 [ 0, %fill ], [ %w.next, %shift ]
  %w.more = icmp slt i64 %w, %count
  br i1 %w.more, label %shift, label %filled
shift:
  %w.0 = mul i64 %w, %stride
  %w.p = getelementptr i8, ptr %first, i64 %w.0
  %w.old = load i64, ptr %w.p
  %w.new = add i64 %w.old, %apart
  store i64 %w.new, ptr %w.p
  %w.next = add i64 %w, 1
  br label %each
filled:
  %c.next = add i64 %c, 1
  br label %column

placed:
  %moves.p = getelementptr i64, ptr %header, i64 2
  %moves = load i64, ptr %moves.p
  %move.table.p = getelementptr i64, ptr %header, i64 3
  %move.table = load ptr, ptr %move.table.p
  %any.move = icmp sgt i64 %moves, 0
  br i1 %any.move, label %move, label %moved

move:
  %m = phi i64 [ 0, %placed ], [ %m.next, %move ]
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
  call void @place(ptr %header, ptr %arrays)
  %space.p = getelementptr i64, ptr %header, i64 9
  %space = load ptr, ptr %space.p
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
  %after = add i64 %i, 1
  br i1 %checks, label %look, label %next

look:
  %found = load i64, ptr %check
  %holds = icmp eq i64 %found, HOLDS
  br i1 %holds, label %next, label %fails

fails:
  %behind.p = getelementptr i64, ptr %kernel.p, i64 7
  %behind = load i64, ptr %behind.p
  %skips = icmp ne i64 %behind, 0
  br i1 %skips, label %next, label %done

next:
  %i.next = phi i64 [ %after, %step ], [ %after, %look ], [ %behind, %fails ]
  %more = icmp slt i64 %i.next, %count
  br i1 %more, label %step, label %done

done:
  %failed = phi i64 [ -1, %start ], [ %i, %fails ], [ -1, %next ]
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
    """LLVM text of `place`, which sets the words that move, with the arena or from call to call."""
    return _PLACE


@lru_cache(maxsize=1)
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

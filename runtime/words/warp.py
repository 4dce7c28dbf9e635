"""What the threads of a warp say to one another: whose lane is whose, shuffles, votes.

NVVM's intrinsics, which LLVM's target for NVIDIA's processors knows.  All threads of a warp meet in
each of them: kernel text has no branch that only some lanes take, and neither has a word around one
of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .values import Node, Value, call

_I1, _I32, _I64 = (ir.IntType(n) for n in (1, 32, 64))
_ALL = 0xFFFFFFFF
"""The mask that names every thread of a warp."""
GLOBAL = 1
"""The address space of the memory that all threads share, those of other blocks too."""

SIZE = 32
"""Threads of a warp."""

_MEETINGS = ("llvm.nvvm.bar.warp.sync", "llvm.nvvm.barrier.cta.sync.aligned.count")
"""The intrinsics in which the threads of a warp meet, and those of a team."""

_CLAMP = SIZE - 1
"""A shuffle's last argument where a warp is one segment."""


def lane_number(builder: Any) -> Node:
    """This thread's lane, as i32."""
    return call(builder, "llvm.nvvm.read.ptx.sreg.laneid", _I32)


def vote(builder: Any, bit: Node, every: bool) -> Node:
    """Whether the i1 of every lane is set (or of any)."""
    name = f"llvm.nvvm.vote.{'all' if every else 'any'}.sync"
    return call(builder, name, _I1, _I32(_ALL), bit)


def lanes_set(builder: Any, bit: Node) -> Node:
    """The lanes whose i1 is set, as the bits of an i32."""
    return call(builder, "llvm.nvvm.vote.ballot.sync", _I32, _I32(_ALL), bit)


def lanes_equal(builder: Any, number: Node) -> Node:
    """The lanes whose i64 is the same as this lane's, as the bits of an i32."""
    return call(builder, "llvm.nvvm.match.any.sync.i64", _I32, _I32(_ALL), number)


def lanes_before(builder: Any) -> Node:
    """The lanes below this one, as the bits of an i32."""
    return call(builder, "llvm.nvvm.read.ptx.sreg.lanemask.lt", _I32)


def is_last(builder: Any, lanes: Node) -> Node:
    """Whether this lane is the highest of those that the bits of an i32 name."""
    highest = builder.sub(_I32(SIZE - 1), builder.ctlz(lanes, _I1(0)))
    return builder.icmp_unsigned("==", highest, lane_number(builder))


def _needs_meetings(instruction: Any) -> bool:
    """Whether it may read or write what other lanes do; words of the row stay as they are."""
    if isinstance(instruction, ir.CallInstr):
        name = str(instruction.callee.name)
        return name.startswith("llvm.masked.") or not name.startswith("llvm.")
    if isinstance(instruction, ir.LoadInstr):
        return "invariant.load" not in instruction.metadata
    return isinstance(instruction, ir.StoreInstr)


def meet(builder: Any) -> None:
    """Wait for all lanes, and see what they have written; once, where nothing is done between."""
    for instruction in reversed(builder.block.instructions):
        if isinstance(instruction, ir.CallInstr) and instruction.callee.name in _MEETINGS:
            return
        if _needs_meetings(instruction):
            break
    call(builder, _MEETINGS[0], ir.VoidType(), _I32(_ALL))


def meet_team(builder: Any, warps: Node) -> None:
    """The same for the threads of so many warps, an i64, which are all of a block."""
    threads = builder.mul(builder.trunc(warps, _I32), _I32(SIZE))
    call(builder, _MEETINGS[1], ir.VoidType(), _I32(0), threads)


def swapped(x: Value, step: int) -> Value:
    """Each lane has the value of the lane whose number differs in the bit `step`."""
    return _shuffled(x, "bfly", _I32(step))


def from_lane(x: Value, lane: Node) -> Value:
    """Every lane has the value of one, whose number is an i32."""
    return _shuffled(x, "idx", lane)


def halved(combine: Callable[[Value, Value], Value], x: Value) -> Value:
    """Lanes combined by halves; lane 0 has all in that order."""
    step = SIZE
    while step > 1:
        step //= 2
        x = combine(x, swapped(x, step))
    return x


def _shuffled(x: Value, kind: str, which: Node) -> Value:
    b, name = x.builder, f"llvm.nvvm.shfl.sync.{kind}.i32"

    def moved(word: Node) -> Node:
        return call(b, name, _I32, _I32(_ALL), word, which, _I32(_CLAMP))

    if x.kind == "b1":
        word = moved(b.zext(b.bitcast(x.node, _I1), _I32))
        return x.like(b.bitcast(b.trunc(word, _I1), x.node.type))
    if x.kind.endswith("32"):
        return x.like(b.bitcast(moved(b.bitcast(x.node, _I32)), x.node.type))
    whole = b.bitcast(x.node, _I64)
    low, high = moved(b.trunc(whole, _I32)), moved(b.trunc(b.lshr(whole, _I64(32)), _I32))
    whole = b.or_(b.shl(b.zext(high, _I64), _I64(32)), b.zext(low, _I64))
    return x.like(b.bitcast(whole, x.node.type))

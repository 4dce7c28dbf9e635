"""Lanes that are threads, of a warp or of a block of warps: numbers, meetings, votes, reductions.

In a block lanes reach those of other warps through shared memory, and all threads of the block meet
wherever those of a warp would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from . import warp
from .machine import machine
from .values import KINDS, Node, Value, call, select

_I1, _I32, _I64 = (ir.IntType(n) for n in (1, 32, 64))
_SHARED = 3
"""The address space of the memory that the threads of a block share."""


def is_block() -> bool:
    """Whether the lanes are those of more than one warp."""
    return machine().lanes > warp.SIZE


def lane_number(builder: Any) -> Node:
    """This thread's lane, as i32."""
    if is_block():
        return call(builder, "llvm.nvvm.read.ptx.sreg.tid.x", _I32)
    return warp.lane_number(builder)


def _needs_meetings(instruction: Any) -> bool:
    """Whether it may read or write what other lanes do; words of the row stay as they are."""
    if isinstance(instruction, ir.CallInstr):
        name = str(instruction.callee.name)
        return name.startswith("llvm.masked.") or not name.startswith(("llvm.", "diagrad."))
    if isinstance(instruction, ir.LoadInstr):
        return "invariant.load" not in instruction.metadata
    return isinstance(instruction, ir.StoreInstr)


def meet(builder: Any) -> None:
    """Wait for all lanes, and see what they have written; once, where nothing is done between."""
    for instruction in reversed(builder.block.instructions):
        if isinstance(instruction, ir.CallInstr) and instruction.callee.name in warp.MEETINGS:
            return
        if _needs_meetings(instruction):
            break
    if is_block():
        warp.meet_team(builder, _I64(machine().lanes // warp.SIZE))
    else:
        warp.meet(builder)


def vote(builder: Any, bit: Node, every: bool) -> Node:
    """Whether the i1 of every lane is set (or of any)."""
    if not is_block():
        return warp.vote(builder, bit, every)
    name = f"llvm.nvvm.barrier.cta.red.{'and' if every else 'or'}.aligned.count"
    return call(builder, name, _I1, _I32(0), _I32(machine().lanes), bit)


def is_last(builder: Any, bit: Node) -> Node:
    """Whether this lane is the highest whose i1 is set."""
    if not is_block():
        return warp.is_last(builder, warp.lanes_set(builder, bit))
    own = builder.select(bit, lane_number(builder), _I32(-1))
    empty = ir.Constant(ir.VectorType(_I32, 1), ir.Undefined)
    value = Value(builder, builder.insert_element(empty, own, _I32(0)), "i32")
    highest = halved(lambda x, y: select(x > y, x, y), value)
    return builder.icmp_signed("==", builder.extract_element(highest.node, _I32(0)), own)


def first(x: Value) -> Value:
    """Every lane has the value of lane 0."""
    if not is_block():
        return warp.from_lane(x, _I32(0))
    seen = _seen(x, [_I32(0)])
    return seen[0]


def halved(combine: Callable[[Value, Value], Value], x: Value) -> Value:
    """Lanes combined by halves; lane 0 and the first of each other warp have all in that order."""
    step = machine().lanes
    if is_block():
        # Each warp does for itself what is done between warps: lane i has those of i modulo 32.
        own = warp.lane_number(x.builder)
        parts = _seen(x, [x.builder.add(own, _I32(k)) for k in range(0, step, warp.SIZE)])
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [combine(*pair) for pair in zip(parts[:half], parts[half:], strict=True)]
        x, step = parts[0], warp.SIZE
    while step > 1:
        step //= 2
        x = combine(x, warp.swapped(x, step))
    return x


def warp_by_warp(builder: Any, work: Callable[[], None]) -> None:
    """Write `work`, which warps do one after another, each when it sees what those before did."""
    if not is_block():
        work()
        return
    own = builder.lshr(lane_number(builder), _I32(warp.SIZE.bit_length() - 1))
    before = builder.block
    loop, done = builder.append_basic_block("warp"), builder.append_basic_block("warps_done")
    builder.branch(loop)
    builder.position_at_end(loop)
    turn = builder.phi(_I32)
    turn.add_incoming(_I32(0), before)
    with builder.if_then(builder.icmp_unsigned("==", own, turn)):
        work()
    meet(builder)
    after = builder.add(turn, _I32(1))
    turn.add_incoming(after, builder.block)
    left = builder.icmp_unsigned("<", after, _I32(machine().lanes // warp.SIZE))
    builder.cbranch(left, loop, done)
    builder.position_at_end(done)


def _seen(x: Value, lanes: list[Node]) -> list[Value]:
    """The values of other lanes of the block, by their numbers, through shared memory."""
    b, kind = x.builder, KINDS["i64" if x.kind == "b1" else x.kind]
    slots = _slots(b)

    def slot(lane: Node) -> Node:
        return b.bitcast(b.gep(slots, [lane]), kind.as_pointer())

    scalar = b.extract_element(x.node, _I32(0))
    b.store(b.zext(scalar, kind) if x.kind == "b1" else scalar, slot(lane_number(b)))
    meet(b)
    found = [b.load(slot(lane)) for lane in lanes]
    meet(b)
    if x.kind == "b1":
        found = [b.trunc(word, _I1) for word in found]
    empty = ir.Constant(x.node.type, ir.Undefined)
    return [x.like(b.insert_element(empty, word, _I32(0))) for word in found]


def _slots(builder: Any) -> Node:
    """Shared memory of the block, 8 bytes for every lane."""
    name = "diagrad.slots"
    if name not in builder.module.globals:
        kind = ir.ArrayType(_I64, machine().lanes)
        made = ir.GlobalVariable(builder.module, kind, name, addrspace=_SHARED)
        made.initializer = ir.Constant(kind, ir.Undefined)
        made.linkage = "internal"
    made = builder.module.globals[name]
    return builder.addrspacecast(builder.bitcast(made, _I64.as_pointer(_SHARED)), _I64.as_pointer())

"""The words that reach an element of memory for each lane, by indices or a stride.

Where lanes are threads, each reaches its own; those that write to one place take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from . import warp
from .machine import machine
from .memory import Pointer, lane, seen_by_all, size, splat, store_if, stored
from .values import FLOATS, Node, Value, call

_I1, _I32, _I64 = (ir.IntType(n) for n in (1, 32, 64))


def strided(builder: Any, offset: Node, stride: Node) -> Value:
    """Offset + lane * stride."""
    return splat(builder, offset, "i64") + lane(builder) * splat(builder, stride, "i64")


class _Addresses(ir.instructions.Instruction):  # type: ignore[misc]  # llvmlite has no types
    """One address per lane; llvmlite's own `gep` knows no vector of indices."""

    def __init__(self, block: Any, pointer: Pointer, index: Node) -> None:
        self._element = stored(pointer.kind)
        kind = ir.VectorType(self._element.as_pointer(), machine().width)
        super().__init__(block, kind, "getelementptr", [pointer.element(_I64(0)), index])

    def descr(self, buf: list[str]) -> None:
        base, index = self.operands
        text = f"{base.type} {base.get_reference()}, {index.type} {index.get_reference()}"
        buf.append(f"getelementptr {self._element}, {text}\n")


def _addresses(p: Pointer, index: Value) -> Node:
    made = _Addresses(p.builder.block, p, index.node)
    p.builder._insert(made)
    return made


def gather(p: Pointer, index: Value, mask: Value) -> Value:
    """The elements at the given indices; those without their mask bit are not read and are 0."""
    if size(p.kind) < 4 and machine().width > 1:
        # No instruction gathers bytes, and LLVM would write sixteen branches.
        return _gather_bytes(p, index, mask)
    name = f"llvm.masked.gather.{p.mangled}.v{machine().width}p0"
    zeros, align = p.zeros, _I32(size(p.kind))
    node = call(p.builder, name, zeros.type, _addresses(p, index), align, mask.node, zeros)
    return p.from_memory(node)


def scatter(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """Write to the given indices; of equal indices the highest lane stays."""
    b = p.builder
    if machine().is_warp:
        place = b.extract_element(index.node, _I32(0))
        bit = b.bitcast(mask.node, _I1)
        equal = b.and_(warp.lanes_equal(b, place), warp.lanes_set(b, bit))
        last, node, address = warp.is_last(b, equal), p.element_of(value), p.element(place)
        store_if(p, b.and_(bit, last), node, address)
    elif size(p.kind) < 4:
        _each_lane(p, index, value, mask, lambda old, new: new)
    else:
        _scatter_at_once(p, index, value, mask)


def _scatter_at_once(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    name = f"llvm.masked.scatter.{p.mangled}.v{machine().width}p0"
    node, align = p.to_memory(value), _I32(size(p.kind))
    call(p.builder, name, ir.VoidType(), node, _addresses(p, index), align, mask.node)


def scatter_add(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """Add to the given indices, lane after lane, so that equal indices add up."""
    b = p.builder
    _each_lane(p, index, value, mask, b.fadd if p.kind in FLOATS else b.add)


def scatter_mul(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """Multiply what lies at the given indices, lane after lane."""
    b = p.builder
    _each_lane(p, index, value, mask, b.fmul if p.kind in FLOATS else b.mul)


def scatter_max(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """The larger of what lies at the given indices and the lanes; a NaN comes through."""
    _each_lane(p, index, value, mask, lambda old, new: _extremum(p, ">", old, new))


def scatter_min(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """The smaller, likewise."""
    _each_lane(p, index, value, mask, lambda old, new: _extremum(p, "<", old, new))


def _extremum(p: Pointer, sign: str, old: Node, new: Node) -> Node:
    b = p.builder
    if p.kind in FLOATS:
        best = b.select(b.fcmp_ordered(sign, old, new), old, new)
        return b.select(b.fcmp_unordered("uno", old, old), old, best)
    compare = b.icmp_unsigned if p.kind == "u32" else b.icmp_signed
    return b.select(compare(sign, old, new), old, new)


def scatter_sums(p: Pointer, gap: Node, index: Value, value: Value, mask: Value) -> None:
    """The same; what an addition rounds away is added to the next one there.

    It lies `gap` elements behind the total, and is 0 where that is infinite or NaN.  With a gap of
    0 nothing is kept.
    """
    b = p.builder
    indices, values = _spill(b, index.node), _spill(b, value.node)

    def body(number: Node) -> None:
        place = b.load(b.gep(indices, [number]))
        total, lost = p.element(place), p.element(b.add(place, gap))
        old = b.load(total)
        zero = old.type(0)
        kept = b.select(b.icmp_signed("==", gap, _I64(0)), zero, b.load(lost))
        more = b.fadd(b.load(b.gep(values, [number])), kept)
        new = b.fadd(old, more)
        finite = b.fcmp_ordered("==", b.fsub(new, new), zero)
        b.store(b.select(finite, b.fsub(more, b.fsub(new, old)), zero), lost)
        b.store(new, total)

    _over_set_lanes(p, index, mask, body)


def load_spread(p: Pointer, offset: Node, index: Value, mask: Value | None = None) -> Value:
    """The elements at offset + index; those without their mask bit are not read and are 0."""
    start = Pointer(p.builder, p.element(offset), p.kind)
    if not machine().is_warp:
        return gather(start, index, full(p.builder) if mask is None else mask)
    # A number in a thread: neighbouring ones are then found to be one access.
    b, place = p.builder, start.element(p.builder.extract_element(index.node, _I32(0)))
    if mask is None:
        scalar = b.load(place)
    else:
        before = b.block
        with b.if_then(b.bitcast(mask.node, _I1)):
            loaded = b.load(place)
            inside = b.block
        scalar = b.phi(loaded.type)
        scalar.add_incoming(loaded.type(0), before)
        scalar.add_incoming(loaded, inside)
    return p.in_every_lane(scalar)


def store_spread(
    p: Pointer, offset: Node, index: Value, value: Value, mask: Value | None = None
) -> None:
    """Write to offset + index, where no two lanes write to one place."""
    start = Pointer(p.builder, p.element(offset), p.kind)
    if not machine().is_warp:
        scatter(start, index, value, full(p.builder) if mask is None else mask)
        return
    b, place = p.builder, start.element(p.builder.extract_element(index.node, _I32(0)))
    scalar = p.element_of(value)
    if mask is None:
        b.store(scalar, place)
        return
    with b.if_then(b.bitcast(mask.node, _I1)):
        b.store(scalar, place)


def full(builder: Any) -> Value:
    """A mask of every lane."""
    return splat(builder, _I1(1), "b1")


def load_strided(p: Pointer, offset: Node, stride: Node, mask: Value) -> Value:
    """The elements at offset + lane * stride; those without their mask bit are 0."""
    return gather(p, strided(p.builder, offset, stride), mask)


def store_strided(p: Pointer, offset: Node, stride: Node, value: Value, mask: Value) -> None:
    """Write to offset + lane * stride; with a stride of 0 it is the highest lane's."""
    index = strided(p.builder, offset, stride)
    if not machine().is_warp:
        scatter(p, index, value, mask)
        return
    b = p.builder
    bit = b.bitcast(mask.node, _I1)
    alone = b.or_(b.icmp_signed("!=", stride, _I64(0)), warp.is_last(b, warp.lanes_set(b, bit)))
    address = p.element(b.extract_element(index.node, _I32(0)))
    store_if(p, b.and_(bit, alone), p.element_of(value), address)


def _spill(builder: Any, node: Node) -> Node:
    """Lanes in stack memory, as a pointer to the first."""
    with builder.goto_entry_block():
        place = builder.alloca(node.type)
    builder.store(node, place)
    return builder.bitcast(place, node.type.element.as_pointer())


def _over_set_lanes(p: Pointer, index: Value, mask: Value, body: Callable[[Node], None]) -> None:
    """A loop over the lanes whose mask bit is set, in order; `body` gets the lane's element.

    Where lanes are threads, only those of equal indices wait for one another.
    """
    builder = p.builder
    if machine().is_warp:
        _in_turn(p, index, mask, body)
        return
    word = ir.IntType(machine().width)
    bits = builder.bitcast(mask.node, word)
    before = builder.block
    loop, done = builder.append_basic_block("lane"), builder.append_basic_block("lanes_done")
    builder.cbranch(builder.icmp_unsigned("==", bits, word(0)), done, loop)
    builder.position_at_end(loop)
    left = builder.phi(word)
    left.add_incoming(bits, before)
    lane = builder.cttz(left, _I1(0))
    body(builder.zext(lane, _I32))
    rest = builder.and_(left, builder.sub(left, word(1)))
    left.add_incoming(rest, builder.block)
    builder.cbranch(builder.icmp_unsigned("==", rest, word(0)), done, loop)
    builder.position_at_end(done)


def _in_turn(p: Pointer, index: Value, mask: Value, body: Callable[[Node], None]) -> None:
    """In each turn one lane of every index, the lowest first; it sees what those before wrote."""
    b = p.builder
    bit, place = b.bitcast(mask.node, _I1), b.extract_element(index.node, _I32(0))
    equal = b.and_(warp.lanes_equal(b, place), warp.lanes_set(b, bit))
    number = b.ctpop(b.and_(equal, warp.lanes_before(b)))
    with seen_by_all(p):
        before = b.block
        loop, work, done = (b.append_basic_block(name) for name in ("turn", "lane", "turns_done"))
        b.branch(loop)
        b.position_at_end(loop)
        turn = b.phi(_I32)
        turn.add_incoming(_I32(0), before)
        left = b.and_(bit, b.icmp_unsigned(">=", number, turn))
        b.cbranch(warp.vote(b, left, every=False), work, done)
        b.position_at_end(work)
        with b.if_then(b.and_(bit, b.icmp_unsigned("==", number, turn))):
            body(_I32(0))
        warp.meet(b)
        turn.add_incoming(b.add(turn, _I32(1)), b.block)
        b.branch(loop)
        b.position_at_end(done)


def _each_lane(
    p: Pointer, index: Value, value: Value, mask: Value, combine: Callable[[Node, Node], Node]
) -> None:
    b = p.builder
    indices, values = _spill(b, index.node), _spill(b, p.to_memory(value))

    def body(number: Node) -> None:
        place = p.element(b.load(b.gep(indices, [number])))
        new = b.load(b.gep(values, [number]))
        b.store(combine(b.load(place), new), place)

    _over_set_lanes(p, index, mask, body)


def _gather_bytes(p: Pointer, index: Value, mask: Value) -> Value:
    b = p.builder
    indices, found = _spill(b, index.node), _spill(b, p.zeros)

    def body(number: Node) -> None:
        byte = b.load(p.element(b.load(b.gep(indices, [number]))))
        b.store(byte, b.gep(found, [number]))

    _over_set_lanes(p, index, mask, body)
    return p.from_memory(b.load(b.bitcast(found, p.zeros.type.as_pointer())))

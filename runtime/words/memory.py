"""The words that move lanes between memory and registers.

Memory holds elements as NumPy does: a b1 is a byte.  Nothing here assumes an alignment beyond the
element's, checks a bound or touches a masked-off element.

Whatever a text stores, all lanes see at once, as in a vector: where lanes are threads, these meet
before every store, so that all have read what it overwrites, and behind it.  A tile alone is the
lane's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from . import threads, warp
from .arithmetic import is_set, splat_scalar
from .machine import machine
from .values import FLOATS, KINDS, Node, Value, call, select, vector

_I1, _I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))

POINTER = _I8.as_pointer()
"""Every typed pointer of the vocabulary is this in LLVM; its kind of lanes is in Numba's type."""


def stored(kind: str) -> Any:
    """How an element lies in memory."""
    return _I8 if kind == "b1" else KINDS[kind]


def size(kind: str) -> int:
    """Bytes of an element in memory."""
    return 1 if kind == "b1" else 8 if kind.endswith("64") else 4


class Pointer:
    """An address of elements of one kind, at the point where `builder` writes.

    In a tile, whose elements are `kept`, there are `lanes` elements at every multiple of `lanes`.
    """

    def __init__(self, builder: Any, node: Node, kind: str, kept: bool = False) -> None:
        self.builder, self.node, self.kind, self.kept = builder, node, kind, kept

    def element(self, offset: Node) -> Node:
        """The address of one element."""
        typed = self.builder.bitcast(self.node, stored(self.kind).as_pointer())
        return self.builder.gep(typed, [offset])

    def vector(self, offset: Node) -> Node:
        """The address of neighbouring elements, as many as a register holds."""
        if machine().is_warp and self.kept:
            offset = self.builder.sdiv(offset, _I64(machine().lanes))
        elif machine().is_warp:
            lane = self.builder.zext(threads.lane_number(self.builder), _I64)
            offset = self.builder.add(offset, lane)
        kind = ir.VectorType(stored(self.kind), machine().width)
        return self.builder.bitcast(self.element(offset), kind.as_pointer())

    def from_memory(self, node: Node) -> Value:
        """Lanes from elements as they lie in memory."""
        if self.kind == "b1":
            zero = ir.Constant(node.type, [_I8(0)] * machine().width)
            node = self.builder.icmp_unsigned("!=", node, zero)
        return Value(self.builder, node, self.kind)

    def to_memory(self, value: Value) -> Node:
        """Elements as they lie in memory from lanes."""
        if self.kind == "b1":
            return self.builder.zext(value.node, ir.VectorType(_I8, machine().width))
        return value.node

    @property
    def mangled(self) -> str:
        """The vector in memory, as LLVM's intrinsics spell it."""
        letter = "f" if self.kind in FLOATS else "i"
        return f"v{machine().width}{letter}{8 * size(self.kind)}"

    @property
    def zeros(self) -> Node:
        """A vector of zeros as it lies in memory."""
        element = stored(self.kind)
        return ir.Constant(ir.VectorType(element, machine().width), [element(0)] * machine().width)


@contextmanager
def _seen_by_all(p: Pointer) -> Iterator[None]:
    """What is stored here overwrites nothing that a lane has yet to read, and all lanes see it."""
    apart = machine().is_warp and not p.kept
    if apart:
        threads.meet(p.builder)
    yield
    if apart:
        threads.meet(p.builder)


def tile(builder: Any, count: int) -> Node:
    """Memory of so many bytes, for whole vectors, in which each lane keeps its own elements."""
    if machine().is_warp:
        count = count // machine().lanes + 8
    with builder.goto_entry_block():
        place = builder.alloca(ir.ArrayType(_I8, max(1, count)))
        place.align = 8 if machine().is_warp else 64
    return builder.bitcast(place, POINTER)


def lane(builder: Any) -> Value:
    """The number of each lane, from 0."""
    if machine().is_warp:
        return splat(builder, builder.zext(threads.lane_number(builder), _I64), "i64")
    numbers = [_I64(i) for i in range(machine().width)]
    return Value(builder, ir.Constant(vector("i64"), numbers), "i64")


def first(builder: Any, value: Value) -> Node:
    """Lane 0 as a number of the text."""
    if machine().is_warp:
        value = threads.first(value)
    return builder.extract_element(value.node, _I32(0))


def splat(builder: Any, scalar: Node, kind: str) -> Value:
    """A scalar of LLVM in every lane."""
    return splat_scalar(Value(builder, None, kind), scalar, kind)


def lanes_below(builder: Any, count: Node) -> Value:
    """Lanes with an index below `count`, which may be negative or large."""
    # In 32-bit lanes after clamping: half the registers of a comparison in 64 bits.
    high, low = _I64(machine().lanes), _I64(0)
    count = builder.select(builder.icmp_signed(">", count, high), high, count)
    count = builder.select(builder.icmp_signed("<", count, low), low, count)
    limit = splat(builder, builder.trunc(count, _I32), "i32")
    if machine().is_warp:
        return splat(builder, threads.lane_number(builder), "i32") < limit
    numbers = ir.Constant(vector("i32"), [_I32(i) for i in range(machine().width)])
    return Value(builder, numbers, "i32") < limit


def load(p: Pointer, offset: Node, mask: Value | None = None) -> Value:
    """Neighbouring elements; those without their mask bit are not read and are 0."""
    address = p.vector(offset)
    if mask is None:
        node = p.builder.load(address)
        node.align = size(p.kind)
    else:
        name = f"llvm.masked.load.{p.mangled}.p0"
        zeros = p.zeros
        node = call(p.builder, name, zeros.type, address, _I32(size(p.kind)), mask.node, zeros)
    return p.from_memory(node)


def store(p: Pointer, offset: Node, value: Value, mask: Value | None = None) -> None:
    """Write neighbouring elements, or those with their mask bit."""
    address, node = p.vector(offset), p.to_memory(value)
    with _seen_by_all(p):
        if mask is None:
            p.builder.store(node, address).align = size(p.kind)
        else:
            name = f"llvm.masked.store.{p.mangled}.p0"
            void = ir.VoidType()
            call(p.builder, name, void, node, address, _I32(size(p.kind)), mask.node)


def load_splat(p: Pointer, offset: Node, mask: Value | None = None) -> Value:
    """One element in every lane, 0 in those without their mask bit; read if any lane wants it."""
    b = p.builder
    if mask is None:
        scalar = b.load(p.element(offset))
    else:
        before = b.block
        with b.if_then(is_set(mask, every=False)):
            loaded = b.load(p.element(offset))
            inside = b.block
        scalar = b.phi(loaded.type)
        scalar.add_incoming(loaded.type(0), before)
        scalar.add_incoming(loaded, inside)
    if p.kind == "b1":
        scalar = b.icmp_unsigned("!=", scalar, _I8(0))
    value = splat(b, scalar, p.kind)
    return value if mask is None else select(mask, value, splat(b, scalar.type(0), p.kind))


def store_first(p: Pointer, offset: Node, value: Value) -> None:
    """Write lane 0."""
    scalar = p.builder.extract_element(value.node, _I32(0))
    if p.kind == "b1":
        scalar = p.builder.zext(scalar, _I8)
    address = p.element(offset)
    if not machine().is_warp:
        p.builder.store(scalar, address)
        return
    own = threads.lane_number(p.builder)
    _store_if(p, p.builder.icmp_unsigned("==", own, _I32(0)), scalar, address)


def _store_if(p: Pointer, bit: Node, scalar: Node, address: Node) -> None:
    """Write an element of a lane's own, where an i1 is set: lanes are threads."""
    with _seen_by_all(p), p.builder.if_then(bit):
        p.builder.store(scalar, address)


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
    if p.kind == "b1" and machine().width > 1:
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
        last, node, address = warp.is_last(b, equal), _own(p, value), p.element(place)

        def write() -> None:
            with b.if_then(b.and_(bit, last)):
                b.store(node, address)

        with _seen_by_all(p):
            threads.warp_by_warp(b, write)
    elif p.kind == "b1":
        _each_lane(p, index, value, mask, add=False)
    else:
        _scatter_at_once(p, index, value, mask)


def _own(p: Pointer, value: Value) -> Node:
    """A lane's element as it lies in memory: lanes are threads."""
    return p.builder.extract_element(p.to_memory(value), _I32(0))


def _scatter_at_once(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    name = f"llvm.masked.scatter.{p.mangled}.v{machine().width}p0"
    node, align = p.to_memory(value), _I32(size(p.kind))
    call(p.builder, name, ir.VoidType(), node, _addresses(p, index), align, mask.node)


def scatter_add(p: Pointer, index: Value, value: Value, mask: Value) -> None:
    """Add to the given indices, lane after lane, so that equal indices add up."""
    _each_lane(p, index, value, mask, add=True)


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
    if p.kind == "b1":
        scalar = b.icmp_unsigned("!=", scalar, _I8(0))
    return splat(b, scalar, p.kind)


def store_spread(
    p: Pointer, offset: Node, index: Value, value: Value, mask: Value | None = None
) -> None:
    """Write to offset + index, where no two lanes write to one place."""
    start = Pointer(p.builder, p.element(offset), p.kind)
    if not machine().is_warp:
        scatter(start, index, value, full(p.builder) if mask is None else mask)
        return
    b, place = p.builder, start.element(p.builder.extract_element(index.node, _I32(0)))
    scalar = b.extract_element(p.to_memory(value), _I32(0))
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
    alone = b.or_(b.icmp_signed("!=", stride, _I64(0)), threads.is_last(b, bit))
    address = p.element(b.extract_element(index.node, _I32(0)))
    _store_if(p, b.and_(bit, alone), _own(p, value), address)


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
    body(as_index(builder, lane))
    rest = builder.and_(left, builder.sub(left, word(1)))
    left.add_incoming(rest, builder.block)
    builder.cbranch(builder.icmp_unsigned("==", rest, word(0)), done, loop)
    builder.position_at_end(done)


def as_index(builder: Any, lane: Node) -> Node:
    """The number of a lane, in an integer as wide as there are lanes, as i32."""
    wide = builder.trunc if machine().width > 32 else builder.zext
    return wide(lane, _I32)


def _in_turn(p: Pointer, index: Value, mask: Value, body: Callable[[Node], None]) -> None:
    """In each turn one lane of every index, the lowest first; it sees what those before wrote."""
    b = p.builder
    bit, place = b.bitcast(mask.node, _I1), b.extract_element(index.node, _I32(0))
    equal = b.and_(warp.lanes_equal(b, place), warp.lanes_set(b, bit))
    number = b.ctpop(b.and_(equal, warp.lanes_before(b)))

    def turns() -> None:
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

    with _seen_by_all(p):
        threads.warp_by_warp(b, turns)


def _each_lane(p: Pointer, index: Value, value: Value, mask: Value, add: bool) -> None:
    b = p.builder
    indices, values = _spill(b, index.node), _spill(b, p.to_memory(value))

    def body(number: Node) -> None:
        place = p.element(b.load(b.gep(indices, [number])))
        new = b.load(b.gep(values, [number]))
        if add:
            new = (b.fadd if p.kind in FLOATS else b.add)(b.load(place), new)
        b.store(new, place)

    _over_set_lanes(p, index, mask, body)


def _gather_bytes(p: Pointer, index: Value, mask: Value) -> Value:
    b = p.builder
    indices, found = _spill(b, index.node), _spill(b, p.zeros)

    def body(number: Node) -> None:
        byte = b.load(p.element(b.load(b.gep(indices, [number]))))
        b.store(byte, b.gep(found, [number]))

    _over_set_lanes(p, index, mask, body)
    return p.from_memory(b.load(b.bitcast(found, p.zeros.type.as_pointer())))

"""The words that move lanes between memory and registers: neighbouring elements, and single ones.

Memory holds elements as NumPy does: a b1 is a byte.  Nothing here assumes an alignment beyond the
element's, checks a bound or touches a masked-off element.

Whatever a text stores, all lanes see at once, as in a vector: where lanes are threads, these meet
before every store, so that all have read what it overwrites, and behind it.  A tile alone is the
lane's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from . import halves, warp
from .arithmetic import is_set, splat_scalar, spread
from .machine import machine
from .values import FLOATS, KINDS, Node, Value, call, select, vector

_I8, _I32, _I64 = (ir.IntType(n) for n in (8, 32, 64))

POINTER = _I8.as_pointer()
"""Every typed pointer of the vocabulary is this in LLVM; its kind of lanes is in Numba's type."""


STORED = {"i8": "i32", "u8": "i32", "i16": "i32", "u16": "i32", "f16": "f32", "bf16": "f32"}
"""Kinds of elements that lie in memory alone, each with the kind of the lanes that hold them."""


def lanes_of(kind: str) -> str:
    """The kind of the lanes that hold elements of a kind."""
    return STORED.get(kind, kind)


def stored(kind: str) -> Any:
    """How an element lies in memory."""
    return ir.IntType(8 * size(kind)) if size(kind) < 4 else KINDS[kind]


def size(kind: str) -> int:
    """Bytes of an element in memory."""
    return 1 if kind == "b1" else int("".join(filter(str.isdigit, kind))) // 8


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
            lane = self.builder.zext(warp.lane_number(self.builder), _I64)
            offset = self.builder.add(offset, lane)
        kind = ir.VectorType(stored(self.kind), machine().width)
        return self.builder.bitcast(self.element(offset), kind.as_pointer())

    def from_memory(self, node: Node) -> Value:
        """Lanes from elements as they lie in memory."""
        if self.kind == "b1":
            zero = ir.Constant(node.type, [_I8(0)] * machine().width)
            node = self.builder.icmp_unsigned("!=", node, zero)
        elif self.kind in halves.KINDS:
            bits = Value(self.builder, self.builder.zext(node, vector("u32")), "u32")
            return halves.widened(bits, self.kind)
        elif self.kind in STORED:
            widen = self.builder.zext if self.kind[0] == "u" else self.builder.sext
            node = widen(node, vector("i32"))
        return Value(self.builder, node, lanes_of(self.kind))

    def to_memory(self, value: Value) -> Node:
        """Elements as they lie in memory from lanes; floats are rounded to the nearest."""
        kind = ir.VectorType(stored(self.kind), machine().width)
        if self.kind in halves.KINDS:
            value = halves.rounded(value, self.kind)
        if self.kind == "b1":
            return self.builder.zext(value.node, kind)
        return self.builder.trunc(value.node, kind) if self.kind in STORED else value.node

    def in_every_lane(self, element: Node) -> Value:
        """An element as it lies in memory, in every lane."""
        if self.kind == "b1":
            return splat(self.builder, self.builder.icmp_unsigned("!=", element, _I8(0)), "b1")
        return self.from_memory(spread(self.builder, element))

    def element_of(self, value: Value) -> Node:
        """Lane 0, or a thread's own, as it lies in memory."""
        return self.builder.extract_element(self.to_memory(value), _I32(0))

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
def seen_by_all(p: Pointer) -> Iterator[None]:
    """What is stored here overwrites nothing that a lane has yet to read, and all lanes see it."""
    apart = machine().is_warp and not p.kept
    if apart:
        warp.meet(p.builder)
    yield
    if apart:
        warp.meet(p.builder)


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
        return splat(builder, builder.zext(warp.lane_number(builder), _I64), "i64")
    numbers = [_I64(i) for i in range(machine().width)]
    return Value(builder, ir.Constant(vector("i64"), numbers), "i64")


def first(builder: Any, value: Value) -> Node:
    """Lane 0 as a number of the text."""
    if machine().is_warp:
        value = warp.from_lane(value, _I32(0))
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
        return splat(builder, warp.lane_number(builder), "i32") < limit
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
    with seen_by_all(p):
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
    value = p.in_every_lane(scalar)
    return value if mask is None else select(mask, value, value.number(0))


def store_first(p: Pointer, offset: Node, value: Value) -> None:
    """Write lane 0."""
    scalar, address = p.element_of(value), p.element(offset)
    if not machine().is_warp:
        p.builder.store(scalar, address)
        return
    own = warp.lane_number(p.builder)
    store_if(p, p.builder.icmp_unsigned("==", own, _I32(0)), scalar, address)


def store_if(p: Pointer, bit: Node, scalar: Node, address: Node) -> None:
    """Write an element of a lane's own, where an i1 is set: lanes are threads."""
    with seen_by_all(p), p.builder.if_then(bit):
        p.builder.store(scalar, address)

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

from . import warp
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
            lane = self.builder.zext(warp.lane_number(self.builder), _I64)
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
    own = warp.lane_number(p.builder)
    store_if(p, p.builder.icmp_unsigned("==", own, _I32(0)), scalar, address)


def store_if(p: Pointer, bit: Node, scalar: Node, address: Node) -> None:
    """Write an element of a lane's own, where an i1 is set: lanes are threads."""
    with seen_by_all(p), p.builder.if_then(bit):
        p.builder.store(scalar, address)

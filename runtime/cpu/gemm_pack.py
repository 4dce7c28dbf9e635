"""Packing for the matrix product: a panel of rows or columns, laid out as the tile reads it.

    target[p * width + r] = source[r * across + p * along]      r < some <= width, p < depth

Elements with r >= some are never used, but the room for them is written.  Contiguous panels are
copied, transposed ones go through a network of shuffles, others element by element.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .loops import I32, I64, internal, loop


_AHEAD = 12
"""Rows to ask for ahead: a panel's rows lie far apart, which the processor does not foresee."""


def pack_function(module: Any, element: Any, lanes: int, width: int) -> Any:
    """(target, source, across, along, some, depth); the target has `lanes` elements to spare."""
    name = f"pack_{width}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    function, b = internal(module, name, [pointer, pointer, I64, I64, I64, I64])
    target, source, across, along, some, depth = function.args
    pack = _Pack(b, element, lanes, width)
    full = b.icmp_signed("==", some, I64(width))
    copies = b.and_(full, b.icmp_signed("==", across, I64(1)))
    with b.if_then(copies):
        pack.copied(target, source, along, depth)
        b.ret_void()
    with b.if_else(b.icmp_signed("==", along, I64(1))) as (yes, no):
        with yes:
            whole = b.and_(depth, I64(-lanes))
            pack.transposed(target, source, across, some, whole)
            yes_block = b.block
        with no:
            no_block = b.block
    start = b.phi(I64)
    start.add_incoming(whole, yes_block)
    start.add_incoming(I64(0), no_block)
    pack.one_by_one(target, source, across, along, some, start, depth)
    b.ret_void()
    return function


class _Pack:
    def __init__(self, b: Any, element: Any, lanes: int, width: int) -> None:
        self.b, self.element, self.lanes, self.width = b, element, lanes, width
        self.vector = ir.VectorType(element, lanes)
        self.align = 4 if isinstance(element, ir.FloatType) else 8

    def _load(self, pointer: Any) -> Any:
        loaded = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = self.align
        return loaded

    def _store(self, value: Any, pointer: Any) -> None:
        place = self.b.bitcast(pointer, self.vector.as_pointer())
        self.b.store(value, place).align = self.align

    def _prefetch(self, pointer: Any) -> None:
        byte = ir.IntType(8).as_pointer()
        name = "llvm.prefetch.p0"
        module = self.b.module
        if name not in module.globals:
            kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
            ir.Function(module, kind, name)
        args = [self.b.bitcast(pointer, byte), I32(0), I32(3), I32(1)]
        self.b.call(module.globals[name], args)

    def copied(self, target: Any, source: Any, along: Any, depth: Any) -> None:
        """Whole vectors, then single elements: the source is never read beyond the panel."""
        b, whole = self.b, self.width // self.lanes * self.lanes
        ahead = b.mul(along, I64(_AHEAD))
        with loop(b, I64(0), depth, 1) as p:
            row, place = b.gep(source, [b.mul(p, along)]), b.gep(target, [b.mul(p, I64(self.width))])
            for first in range(0, self.width, 64 // self.align):
                self._prefetch(b.gep(row, [b.add(ahead, I64(first))]))
            for first in range(0, whole, self.lanes):
                self._store(self._load(b.gep(row, [I64(first)])), b.gep(place, [I64(first)]))
            for r in range(whole, self.width):
                b.store(b.load(b.gep(row, [I64(r)])), b.gep(place, [I64(r)]))

    def transposed(self, target: Any, source: Any, across: Any, some: Any, depth: Any) -> None:
        """Squares of lanes x lanes; rows that are not there repeat the last one that is.

        The last square of a width that is no multiple of the lanes spills over into the next
        step's place, which is written after it.
        """
        b, lanes = self.b, self.lanes
        last = b.sub(some, I64(1))
        with loop(b, I64(0), depth, lanes) as p:
            column = b.gep(source, [p])
            squares = []
            for first in range(0, self.width, lanes):
                rows = []
                for r in range(first, min(first + lanes, self.width)):
                    held = b.select(b.icmp_signed("<", I64(r), some), I64(r), last)
                    rows.append(self._load(b.gep(column, [b.mul(held, across)])))
                rows += rows[-1:] * (lanes - len(rows))
                squares.append((first, self._transpose(rows)))
            for step in range(lanes):
                place = b.gep(target, [b.mul(b.add(p, I64(step)), I64(self.width))])
                for first, square in squares:
                    self._store(square[step], b.gep(place, [I64(first)]))

    def _transpose(self, rows: list[Any]) -> list[Any]:
        """log2(lanes) rounds of interleaving row i with row i + lanes/2."""
        half = self.lanes // 2
        low = [x for i in range(half) for x in (i, self.lanes + i)]
        high = [x + half for x in low]
        kind = ir.VectorType(I32, self.lanes)
        for _ in range(self.lanes.bit_length() - 1):
            rows = [
                self.b.shuffle_vector(rows[i], rows[i + half], ir.Constant(kind, order))
                for i in range(half)
                for order in (low, high)
            ]
        return rows

    def one_by_one(
        self, target: Any, source: Any, across: Any, along: Any, some: Any, start: Any, depth: Any
    ) -> None:
        """Any strides."""
        b = self.b
        with loop(b, start, depth, 1) as p:
            row, place = b.gep(source, [b.mul(p, along)]), b.gep(target, [b.mul(p, I64(self.width))])
            with loop(b, I64(0), some, 1) as r:
                b.store(b.load(b.gep(row, [b.mul(r, across)])), b.gep(place, [r]))
            with loop(b, some, I64(self.width), 1) as r:
                b.store(self.element(0), b.gep(place, [r]))

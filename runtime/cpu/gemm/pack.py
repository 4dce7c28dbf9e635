"""Packing for the matrix product: rows or columns in panels, laid out as the tile reads them.

    target[panel * width * depth + p * width + r] = source[(panel * width + r) * across + p * along]

for p < depth, and for all panels of `width` that `some` rows fill; the last may be short, and its
missing rows are written but never used.  Contiguous panels are copied, transposed ones go through
a network of shuffles, others element by element.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..building.llvm_loops import I32, I64, internal, loop, smaller


def pack_function(module: Any, element: Any, lanes: int, width: int) -> Any:
    """(target, source, across, along, some, depth); the target has `lanes` elements to spare."""
    name = f"pack_{width}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    function, b = internal(module, name, [pointer, pointer, I64, I64, I64, I64])
    target, source, across, along, some, depth = function.args
    pack = Packing(b, element, lanes, width)
    full = b.sub(some, b.srem(some, I64(width)))
    copies = b.icmp_signed("==", across, I64(1))
    with b.if_then(copies):
        pack.copied(target, source, along, full, depth)
    rest = b.select(copies, full, I64(0))
    with loop(b, rest, some, width) as first:
        place = b.gep(target, [b.mul(first, depth)])
        row = b.gep(source, [b.mul(first, across)])
        here = smaller(b, b.sub(some, first), I64(width))
        pack.panel(place, row, across, along, here, depth)
    b.ret_void()
    return function


class Packing:
    """Writes the ways to pack into one function."""

    def __init__(self, b: Any, element: Any, lanes: int, width: int) -> None:
        self.b, self.element, self.lanes, self.width = b, element, lanes, width
        self.vector, self.pointer = ir.VectorType(element, lanes), element.as_pointer()
        self.align = 4 if isinstance(element, ir.FloatType) else 8

    def load(self, pointer: Any) -> Any:
        """A vector from anywhere."""
        loaded = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = self.align
        return loaded

    def _store(self, value: Any, pointer: Any) -> None:
        place = self.b.bitcast(pointer, self.vector.as_pointer())
        self.b.store(value, place).align = self.align

    def panel(
        self, target: Any, source: Any, across: Any, along: Any, some: Any, depth: Any
    ) -> None:
        """One panel that cannot be copied."""
        b = self.b
        before = b.block
        with b.if_then(b.icmp_signed("==", along, I64(1))):
            whole = b.and_(depth, I64(-self.lanes))
            self.transposed(target, source, across, some, whole)
            inside = b.block
        start = b.phi(I64)
        start.add_incoming(I64(0), before)
        start.add_incoming(whole, inside)
        self.one_by_one(target, source, across, along, some, start, depth)

    def copied(self, target: Any, source: Any, along: Any, full: Any, depth: Any) -> None:
        """All full panels, each step of the depth across all of them.

        Memory is read in the order in which it lies.  Panel by panel, a large matrix would be read
        in short pieces from many pages, with every cache line fetched again for the next panel.
        """
        b, whole = self.b, self.width // self.lanes * self.lanes
        with loop(b, I64(0), depth, 1) as p:
            row = b.gep(source, [b.mul(p, along)])
            place = b.gep(target, [b.mul(p, I64(self.width))])
            with loop(b, I64(0), full, self.width) as panel:
                here, there = b.gep(row, [panel]), b.gep(place, [b.mul(panel, depth)])
                for first in range(0, whole, self.lanes):
                    self._store(self.load(b.gep(here, [I64(first)])), b.gep(there, [I64(first)]))
                self._copy_rest(here, there, whole)

    def _copy_rest(self, here: Any, there: Any, first: int) -> None:
        """What is left of a width that is no multiple of the lanes, by smaller vectors."""
        b, lanes = self.b, self.lanes
        while first < self.width:
            while first + lanes > self.width:
                lanes //= 2
            kind = ir.VectorType(self.element, lanes).as_pointer()
            loaded = b.load(b.bitcast(b.gep(here, [I64(first)]), kind))
            loaded.align = self.align
            b.store(loaded, b.bitcast(b.gep(there, [I64(first)]), kind)).align = self.align
            first += lanes

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
                    rows.append(self.load(b.gep(column, [b.mul(held, across)])))
                rows += rows[-1:] * (lanes - len(rows))
                squares.append((first, self.transpose(rows)))
            for step in range(lanes):
                place = b.gep(target, [b.mul(b.add(p, I64(step)), I64(self.width))])
                for first, square in squares:
                    self._store(square[step], b.gep(place, [I64(first)]))

    def transpose(self, rows: list[Any]) -> list[Any]:
        """A square of vectors: column s holds element s of every row.

        First inside the 16-byte parts of the vectors, then the parts themselves: a shuffle that
        does only one of the two costs half as much as one that may take any element.
        """
        each = 16 // self.align
        squares = [self._inside(rows[i : i + each]) for i in range(0, self.lanes, each)]
        by_place = [self._parts([square[c] for square in squares]) for c in range(each)]
        return [column for columns in zip(*by_place, strict=True) for column in columns]

    def _inside(self, rows: list[Any]) -> list[Any]:
        """The small square in every part."""
        if len(rows) == 2:
            return self._interleave(rows[0], rows[1], 1)
        first, second = (self._interleave(rows[i], rows[i + 1], 1) for i in (0, 2))
        return [
            *self._interleave(first[0], second[0], 2),
            *self._interleave(first[1], second[1], 2),
        ]

    def _interleave(self, x: Any, y: Any, width: int) -> list[Any]:
        """Pieces of `width` elements of x and of y in turn, of the halves of every part."""
        each = 16 // self.align
        halves = []
        for half in (0, each // 2):
            starts = [
                s + half + i for s in range(0, self.lanes, each) for i in range(0, each // 2, width)
            ]
            halves.append(
                [
                    s + i
                    for start in starts
                    for s in (start, self.lanes + start)
                    for i in range(width)
                ]
            )
        return [self._shuffle(x, y, order) for order in halves]

    def _parts(self, vectors: list[Any]) -> list[Any]:
        """The square of parts: vector i holds part i of every vector."""
        if len(vectors) == 1:
            return vectors
        each = 16 // self.align
        taken = []
        for odd in (0, each):
            order = [s + i for s in range(odd, 2 * self.lanes, 2 * each) for i in range(each)]
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            taken.append(self._parts([self._shuffle(x, y, order) for x, y in pairs]))
        return [vector for pair in zip(*taken, strict=True) for vector in pair]

    def _shuffle(self, x: Any, y: Any, order: list[int]) -> Any:
        kind = ir.VectorType(I32, self.lanes)
        return self.b.shuffle_vector(x, y, ir.Constant(kind, order))

    def one_by_one(
        self, target: Any, source: Any, across: Any, along: Any, some: Any, start: Any, depth: Any
    ) -> None:
        """Any strides."""
        b = self.b
        with loop(b, start, depth, 1) as p:
            row = b.gep(source, [b.mul(p, along)])
            place = b.gep(target, [b.mul(p, I64(self.width))])
            with loop(b, I64(0), some, 1) as r:
                b.store(b.load(b.gep(row, [b.mul(r, across)])), b.gep(place, [r]))
            with loop(b, some, I64(self.width), 1) as r:
                b.store(self.element(0), b.gep(place, [r]))

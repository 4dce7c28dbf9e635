"""The innermost loop of the matrix product: one tile of C in registers.

A tile is some rows by some vectors.  Per step of the depth it reads its vectors of B, broadcasts
one element of A for each row, and does rows x vectors fused multiply-adds.  Nothing here packs or
chooses; the loop is the same for every edge, and only loading and storing C is masked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from ..building.llvm_loops import I1, I32, I64, internal

AHEAD = 6
"""Steps of the depth by which B is asked for before it is needed."""

FAR_AHEAD = 12
"""The same where B lies in memory and is read once."""


@dataclass(frozen=True)
class TileShape:
    """Rows, vectors of `lanes` elements, and how A lies.

    `packed` is the height of the packed panel, whose element (r, p) lies at p * packed + r; None
    takes A by its two strides.
    """

    rows: int
    vectors: int
    lanes: int
    packed: int | None

    @property
    def name(self) -> str:
        """The function's name in the module."""
        return f"tile_{self.rows}x{self.vectors}_{self.packed or 'strided'}"


def tile_function(module: Any, element: Any, shape: TileShape) -> Any:
    """(a, a_row, a_col, b, b_row, c, c_row, columns, k, fresh), k > 0; adds to C unless fresh."""
    if shape.name in module.globals:
        return module.globals[shape.name]
    pointer = element.as_pointer()
    kinds = [pointer, I64, I64, pointer, I64, pointer, I64, I64, I64, I1]
    function, b = internal(module, shape.name, kinds)
    _Tile(function, b, element, shape).write()
    return function


class TileWriter:
    """Writes one tile's function; the way through the depth is its subclasses'."""

    c: Any
    c_row: Any
    columns: Any
    fresh: Any

    def __init__(self, function: Any, b: Any, element: Any, shape: TileShape) -> None:
        self.b, self.element, self.shape = b, element, shape
        self.vector = ir.VectorType(element, shape.lanes)
        self.letter = "f32" if isinstance(element, ir.FloatType) else "f64"
        self.module = function.module
        self.cells = [(r, v) for r in range(shape.rows) for v in range(shape.vectors)]
        self.zeros = ir.Constant(self.vector, [element(0)] * shape.lanes)

    def _external(self, name: str, result: Any, kinds: list[Any]) -> Any:
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(result, kinds), name)
        return self.module.globals[name]

    def _splat(self, scalar: Any) -> Any:
        b, lanes = self.b, self.shape.lanes
        empty = ir.Constant(self.vector, ir.Undefined)
        one = b.insert_element(empty, scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return b.shuffle_vector(one, empty, zeros)

    def _load(self, pointer: Any) -> Any:
        loaded = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = 4 if self.letter == "f32" else 8
        return loaded

    def _mask(self, vector: int) -> Any:
        """Lanes of that vector that are columns of C (or of B)."""
        b, lanes = self.b, self.shape.lanes
        left = b.sub(self.columns, I64(vector * lanes))
        count = b.select(b.icmp_signed(">", left, I64(lanes)), I64(lanes), left)
        count = b.select(b.icmp_signed("<", count, I64(0)), I64(0), count)
        kind = ir.VectorType(I32, lanes)
        one = b.insert_element(ir.Constant(kind, ir.Undefined), b.trunc(count, I32), I32(0))
        zeros = ir.Constant(kind, [0] * lanes)
        limit = b.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)
        return b.icmp_signed("<", ir.Constant(kind, list(range(lanes))), limit)

    def _masked_load(self, pointer: Any, mask: Any) -> Any:
        name = f"llvm.masked.load.v{self.shape.lanes}{self.letter}.p0"
        place = self.b.bitcast(pointer, self.vector.as_pointer())
        args = [place, I32(4 if self.letter == "f32" else 8), mask, self.zeros]
        return self.b.call(self._external(name, self.vector, [x.type for x in args]), args)

    def _cell(self, r: int, v: int) -> Any:
        offset = self.b.add(self.b.mul(self.c_row, I64(r)), I64(v * self.shape.lanes))
        return self.b.gep(self.c, [offset])

    def write(self) -> None:
        """Full width or masked edge: the loop twice, so that the full one has no mask at all."""
        b = self.b
        full = b.icmp_signed(">=", self.columns, I64(self.shape.vectors * self.shape.lanes))
        with b.if_else(full, likely=True) as (yes, no):
            with yes:
                self._version(None)
            with no:
                self._version([self._mask(v) for v in range(self.shape.vectors)])
        b.ret_void()

    def _version(self, masks: list[Any] | None) -> None:
        # C is asked for now and needed after the loop: it may come from far.
        for r, v in self.cells:
            self._prefetch(self._cell(r, v))
        sums = self.depth_loop(masks)
        b, before = self.b, self.b.block
        more = []
        with b.if_then(b.not_(self.fresh)):
            for (r, v), value in zip(self.cells, sums, strict=True):
                cell = self._cell(r, v)
                held = self._load(cell) if masks is None else self._masked_load(cell, masks[v])
                more.append(b.fadd(held, value))
            inside = b.block
        for (r, v), value, added in zip(self.cells, sums, more, strict=True):
            total = b.phi(self.vector)
            total.add_incoming(value, before)
            total.add_incoming(added, inside)
            sums[r * self.shape.vectors + v] = total
        for (r, v), value in zip(self.cells, sums, strict=True):
            place = b.bitcast(self._cell(r, v), self.vector.as_pointer())
            align = 4 if self.letter == "f32" else 8
            if masks is None:
                b.store(value, place).align = align
            else:
                name = f"llvm.masked.store.v{self.shape.lanes}{self.letter}.p0"
                args = [value, place, I32(align), masks[v]]
                kinds = [x.type for x in args]
                b.call(self._external(name, ir.VoidType(), kinds), args)

    def _prefetch(self, pointer: Any, write: int = 1) -> None:
        byte = ir.IntType(8).as_pointer()
        function = self._external("llvm.prefetch.p0", ir.VoidType(), [byte, I32, I32, I32])
        # Into the nearest cache, as data.
        self.b.call(function, [self.b.bitcast(pointer, byte), I32(write), I32(3), I32(1)])

    def depth_loop(self, masks: list[Any] | None) -> list[Any]:
        """The sums of all steps, cell by cell."""
        raise NotImplementedError

    def step(
        self, masks: list[Any] | None, row: Any, factor: Callable[[int], Any], sums: list[Any]
    ) -> list[Any]:
        """The sums after one step: a row of B, and an element of A for each row of the tile."""
        b, shape = self.b, self.shape
        places = [b.gep(row, [I64(v * shape.lanes)]) for v in range(shape.vectors)]
        if masks is None:
            vectors = [self._load(place) for place in places]
        else:
            vectors = list(map(self._masked_load, places, masks))
        new = []
        for r in range(shape.rows):
            scalar = self._splat(b.load(factor(r)))
            for v in range(shape.vectors):
                new.append(self.fma(scalar, vectors[v], sums[r * shape.vectors + v]))
        return new

    def row_of_b(self, masks: list[Any] | None, place: Any) -> Any:
        """The first vector of a row of B."""
        return self._load(place) if masks is None else self._masked_load(place, masks[0])

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """The sum of x*y and z, rounded once."""
        name = f"llvm.fma.v{self.shape.lanes}{self.letter}"
        return self.b.call(self._external(name, self.vector, [self.vector] * 3), [x, y, z])


class _Tile(TileWriter):
    """A tile of one stretch of the depth."""

    def __init__(self, function: Any, b: Any, element: Any, shape: TileShape) -> None:
        super().__init__(function, b, element, shape)
        (self.a, self.a_row, self.a_col, self.bp, self.b_row, self.c, self.c_row, self.columns,
         self.k, self.fresh) = function.args  # fmt: skip

    def depth_loop(self, masks: list[Any] | None) -> list[Any]:
        b, shape = self.b, self.shape
        before, body, done = b.block, b.append_basic_block("step"), b.append_basic_block("end")
        b.branch(body)
        b.position_at_end(body)
        left, a, row = b.phi(I64), b.phi(self.a.type), b.phi(self.bp.type)
        sums = [b.phi(self.vector) for _ in self.cells]
        start = [self.k, self.a, self.bp, *[self.zeros] * len(sums)]
        for phi, value in zip([left, a, row, *sums], start, strict=True):
            phi.add_incoming(value, before)
        if shape.packed or shape.rows <= 4:
            ahead = b.gep(row, [b.mul(self.b_row, I64(AHEAD if shape.packed else FAR_AHEAD))])
            for v in range(shape.vectors):
                self._prefetch(b.gep(ahead, [I64(v * shape.lanes)]), write=0)

        def factor(r: int) -> Any:
            return b.gep(a, [I64(r) if shape.packed else b.mul(self.a_row, I64(r))])

        new = self.step(masks, row, factor, sums)
        step = I64(shape.packed) if shape.packed else self.a_col
        after = [b.sub(left, I64(1)), b.gep(a, [step]), b.gep(row, [self.b_row]), *new]
        for phi, value in zip([left, a, row, *sums], after, strict=True):
            phi.add_incoming(value, b.block)
        b.cbranch(b.icmp_signed(">", left, I64(1)), body, done)
        b.position_at_end(done)
        return new

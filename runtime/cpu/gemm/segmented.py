"""The native products of windows, `segmented_f32` and `segmented_f64`: a depth in segments.

    void(a, a_rows, a_depth, a_col, b, b_depth, b_row, c, c_row, m, n, k, segments, space)
    C[i*c_row + j] = sum over s < segments, p < k of
                     A[a_rows[i] + a_depth[s] + p*a_col] * B[b_depth[s] + p*b_row + j]

All are 64-bit integers: addresses, counts, and strides and offsets in elements.  `a_rows`,
`a_depth` and `b_depth` are addresses of tables of offsets.  So the rows and the depth of the
product may lie anyhow, and the windows of a convolution are multiplied where they lie: the rows are
the positions of its result, and a segment is a row of a window, with its columns and channels.  The
columns of B lie side by side.

Every element is the sum, in order, of chains of fused multiply-adds over whole segments, as many as
have at most GEMM_DEPTH steps, or over GEMM_DEPTH steps of one segment, whatever m is.  Where a
stripe of columns is one vector wide, a chain of float32 may be two: of its even steps, and of its
odd ones.  Of more than 64 chains, it is the sum of such sums, and what is rounded away is kept
(`deep`).  Nothing is packed: an element of A is read by a broadcast, B in vectors (Zhang,
Franchetti and Low, High performance zero-memory overhead direct convolutions, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from llvmlite import ir

from ...program import GEMM_CHAINS, GEMM_DEPTH, GEMM_LONG, SEGMENTED_PART
from .. import host
from ..building.build import build_text
from ..building.llvm_loops import I1, I32, I64, fold, internal, loop, smaller
from .blocking import Blocking, blocking
from .deep import add_row
from .dot import Sums
from .tile import TileShape, TileWriter


@dataclass(frozen=True)
class _Words:
    """What the routine is called with, in order."""

    a: Any
    a_rows: Any
    a_depth: Any
    a_col: Any
    b: Any
    b_depth: Any
    b_row: Any
    c: Any
    c_row: Any
    m: Any
    n: Any
    k: Any
    segments: Any
    space: Any = None

    @property
    def arguments(self) -> list[Any]:
        """All values, in order."""
        return [getattr(self, field.name) for field in fields(self)]


def build_segmented(name: str, symbol: str) -> bytes:
    """Object code of a routine."""
    text = segmented_text(name.removeprefix("segmented_"), symbol, host.vector_bytes())
    return build_text(text, {symbol}, speed=0)


def segmented_text(kind: str, symbol: str, vector_bytes: int) -> str:
    """LLVM's text of the routine for one kind of element."""
    module = ir.Module()
    _Routine(module, blocking(kind, vector_bytes)).write(symbol)
    return str(module)


class _Routine:
    def __init__(self, module: Any, shape: Blocking) -> None:
        self.module, self.shape = module, shape
        self.element = ir.FloatType() if shape.kind == "f32" else ir.DoubleType()
        self.pointer, self.table = self.element.as_pointer(), I64.as_pointer()
        pointer, table = self.pointer, self.table
        self.kinds = [
            pointer, table, table, I64, pointer, table, I64, pointer, I64, I64, I64, I64, I64,
        ]  # fmt: skip
        self.stripes = {n: self._stripe(n, _SegmentedTile) for n in (1, shape.vectors)}
        in_pairs = (_PairedSteps, _PairedRows) if shape.kind == "f32" else ()
        self.paired = {writer: self._stripe(1, writer) for writer in in_pairs}

    def write(self, symbol: str) -> None:
        """The routine itself: parts of the depth, each of up to GEMM_CHAINS chains."""
        product = self._product()
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(fields(_Words)))
        function = ir.Function(self.module, kind, symbol)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        given = _Words(*function.args)
        pointers = {name: b.inttoptr(getattr(given, name), self.pointer) for name in "abc"}
        names = ("a_rows", "a_depth", "b_depth")
        tables = {name: b.inttoptr(getattr(given, name), self.table) for name in names}
        x = replace(given, **pointers, **tables)
        with b.if_then(b.icmp_signed("<=", x.m, I64(0))):
            b.ret_void()
        self._zero_without_depth(b, x)
        chains = self._chains(b, x)
        with b.if_then(b.icmp_signed("<=", chains, I64(GEMM_CHAINS))):
            b.call(product, [*x.arguments[:-1], I64(0), x.segments])
            b.ret_void()
        self._deep(b, x, product)
        b.ret_void()

    def _zero_without_depth(self, b: Any, x: _Words) -> None:
        empty = b.or_(b.icmp_signed("<=", x.k, I64(0)), b.icmp_signed("<=", x.segments, I64(0)))
        with b.if_then(empty):
            with loop(b, I64(0), x.m, 1) as i:
                row = b.gep(x.c, [b.mul(i, x.c_row)])
                with loop(b, I64(0), x.n, 1) as j:
                    b.store(self.element(0), b.gep(row, [j]))
            b.ret_void()

    def _together(self, b: Any, k: Any) -> Any:
        """The segments of one chain; 1 where it takes several chains for one segment."""
        whole = b.sdiv(I64(GEMM_DEPTH), k)
        return b.select(b.icmp_signed("<", whole, I64(1)), I64(1), whole)

    def _chains(self, b: Any, x: _Words) -> Any:
        """About how many chains there are: no fewer than that."""
        together = self._together(b, x.k)
        each = b.sdiv(b.add(x.k, I64(GEMM_DEPTH - 1)), I64(GEMM_DEPTH))
        return b.mul(b.sdiv(b.add(x.segments, b.sub(together, I64(1))), together), each)

    def _deep(self, b: Any, x: _Words, product: Any) -> None:
        """Parts of the depth, and their sum; what is rounded away is kept."""
        sums = Sums(self.module, b, self.element, self.shape.lanes)
        part = b.inttoptr(b.add(x.space, I64(SEGMENTED_PART)), self.pointer)
        lost = b.gep(part, [b.mul(x.m, x.n)])
        each = b.sdiv(b.add(x.k, I64(GEMM_DEPTH - 1)), I64(GEMM_DEPTH))
        most = b.mul(self._together(b, x.k), b.sdiv(I64(GEMM_CHAINS), each))
        step = b.select(b.icmp_signed("<", most, I64(1)), I64(1), most)
        with loop(b, I64(0), x.segments, step) as s, loop(b, I64(0), x.k, GEMM_LONG) as p:
            stop = smaller(b, x.segments, b.add(s, step))
            left, below = b.gep(x.a, [b.mul(p, x.a_col)]), b.gep(x.b, [b.mul(p, x.b_row)])
            depth = smaller(b, b.sub(x.k, p), I64(GEMM_LONG))
            some = replace(x, a=left, b=below, c=part, c_row=x.n, k=depth)
            b.call(product, [*some.arguments[:-1], s, stop])
            fresh = b.and_(b.icmp_signed("==", s, I64(0)), b.icmp_signed("==", p, I64(0)))
            with loop(b, I64(0), x.m, 1) as i:
                row = b.mul(i, x.n)
                target = b.gep(x.c, [b.mul(i, x.c_row)])
                add_row(b, sums, target, b.gep(part, [row]), b.gep(lost, [row]), x.n, fresh)

    def _product(self) -> Any:
        """(the words but space, first, stop): the sum over the segments from `first` to `stop`.

        Chain by chain, and of each chain stripe by stripe of columns.
        """
        function, b = internal(self.module, "product", [*self.kinds, I64, I64])
        *words, first, stop = function.args
        x = _Words(*words)
        width = self.shape.width
        together = self._together(b, x.k)
        with loop(b, first, stop, together) as s, loop(b, I64(0), x.k, GEMM_DEPTH) as p:
            some = smaller(b, b.sub(stop, s), together)
            steps = smaller(b, b.sub(x.k, p), I64(GEMM_DEPTH))
            fresh = b.and_(b.icmp_signed("==", s, first), b.icmp_signed("==", p, I64(0)))
            left = b.gep(x.a, [b.mul(p, x.a_col)])
            below = b.gep(x.b, [b.mul(p, x.b_row)])
            with loop(b, I64(0), x.n, width) as j:
                columns = b.sub(x.n, j)
                args = [
                    left, x.a_rows, b.gep(x.a_depth, [s]), x.a_col, b.gep(below, [j]),
                    b.gep(x.b_depth, [s]), x.b_row, b.gep(x.c, [j]), x.c_row, columns, steps, some,
                    fresh, x.m,
                ]  # fmt: skip
                narrow = b.icmp_signed("<=", columns, I64(self.shape.lanes))
                with b.if_else(narrow) as (one, many):
                    with one:
                        self._one_vector(b, args, steps)
                    with many:
                        b.call(self.stripes[self.shape.vectors], args)
        b.ret_void()
        return function

    def _one_vector(self, b: Any, args: list[Any], steps: Any) -> None:
        """A stripe of one vector, with pairs of steps or of rows where they lie side by side."""
        if not self.paired:
            b.call(self.stripes[1], args)
            return
        even = b.icmp_signed("==", b.and_(steps, I64(1)), I64(0))
        beside = b.icmp_signed("==", args[3], I64(1))
        with b.if_else(b.and_(even, beside)) as (pairs, others):
            with pairs:
                b.call(self.paired[_PairedSteps], args)
            with others:
                rows = args[-1]
                apart = b.and_(rows, I64(1))
                apart = fold(b, I64(0), b.sub(rows, I64(1)), 2, [apart], self._apart(b, args[1]))[0]
                with b.if_else(b.icmp_signed("==", apart, I64(0))) as (together, single):
                    with together:
                        b.call(self.paired[_PairedRows], args)
                    with single:
                        b.call(self.stripes[1], args)

    def _apart(self, b: Any, table: Any) -> Any:
        """What is 0 as long as each second row begins right behind the one before it."""

        def more(i: Any, so_far: list[Any]) -> list[Any]:
            first, second = (b.load(b.gep(table, [b.add(i, I64(k))])) for k in (0, 1))
            off = b.sub(b.sub(second, first), I64(1))
            return [b.or_(so_far[0], off)]

        return more

    def _stripe(self, vectors: int, writer: type[_SegmentedTile]) -> Any:
        """(a tile's arguments, rows): any number of rows, in tiles of nearly one height.

        Of an even number of rows, tiles have even heights.
        """
        kinds = [*_tile_kinds(self.pointer, self.table), I64]
        name = f"stripe_{vectors}_{writer.__name__}"
        function, b = internal(self.module, name, kinds)
        *args, rows = function.args
        most = self.shape.rows
        tiles = b.sdiv(b.add(rows, I64(most - 1)), I64(most))
        height = b.sdiv(b.add(rows, b.sub(tiles, I64(1))), tiles)
        if writer is _PairedRows:
            height = b.add(height, b.and_(height, I64(1)))
        with loop(b, I64(0), rows, height) as i:
            here = smaller(b, b.sub(rows, i), height)
            done = b.append_basic_block("tiled")
            choice = b.switch(here, done)
            step = writer.rows_together
            for count in range(step, most + 1, step):
                case = b.append_basic_block(f"rows_{count}")
                choice.add_case(I64(count), case)
                b.position_at_end(case)
                moved = list(args)
                moved[1] = b.gep(args[1], [i])
                moved[7] = b.gep(args[7], [b.mul(i, args[8])])
                b.call(self._tile(count, vectors, writer), moved)
                b.branch(done)
            b.position_at_end(done)
        b.ret_void()
        return function

    def _tile(self, rows: int, vectors: int, writer: type[_SegmentedTile]) -> Any:
        shape = TileShape(rows, vectors, self.shape.lanes, None)
        kinds = _tile_kinds(self.pointer, self.table)
        function, b = internal(self.module, f"{shape.name}_{writer.__name__}", kinds)
        writer(function, b, self.element, shape).write()
        return function


def _tile_kinds(pointer: Any, table: Any) -> list[Any]:
    """(a, a_rows, a_depth, a_col, b, b_depth, b_row, c, c_row, columns, k, segments, fresh)."""
    return [pointer, table, table, I64, pointer, table, I64, pointer, I64, I64, I64, I64, I1]


class _SegmentedTile(TileWriter):
    """A tile whose rows are found by a table, and whose sums stay in registers over segments."""

    together = rows_together = 1
    """Steps of the depth, and rows of A, that are made at a time."""

    def __init__(self, function: Any, b: Any, element: Any, shape: TileShape) -> None:
        super().__init__(function, b, element, shape)
        (self.a, self.a_rows, self.a_depth, self.a_col, self.bp, self.b_depth, self.b_row, self.c,
         self.c_row, self.columns, self.k, self.segments, self.fresh) = function.args  # fmt: skip

    def depth_loop(self, masks: list[Any] | None) -> list[Any]:
        """The sums of all steps, cell by cell."""
        return self.over_segments(masks, len(self.cells))

    def over_segments(self, masks: list[Any] | None, count: int) -> list[Any]:
        """So many sums, which `advance` adds to, after all steps of all segments."""
        b, together = self.b, I64(self.together)
        rows = [
            b.gep(self.a, [b.load(b.gep(self.a_rows, [I64(r)]))]) for r in range(self.shape.rows)
        ]
        before = b.block
        segment, body, rest, done = map(b.append_basic_block, ("segment", "step", "rest", "end"))
        b.branch(segment)
        b.position_at_end(segment)
        number, total = b.phi(I64), [b.phi(self.vector) for _ in range(count)]
        for phi, value in zip([number, *total], [I64(0), *[self.zeros] * count], strict=True):
            phi.add_incoming(value, before)
        begin = b.load(b.gep(self.a_depth, [number]))
        first = b.gep(self.bp, [b.load(b.gep(self.b_depth, [number]))])
        b.branch(body)
        b.position_at_end(body)
        left, place, row = b.phi(I64), b.phi(I64), b.phi(self.bp.type)
        sums = [b.phi(self.vector) for _ in range(count)]
        start = [self.k, begin, first, *total]
        for phi, value in zip([left, place, row, *sums], start, strict=True):
            phi.add_incoming(value, segment)
        new = self.advance(masks, rows, place, row, sums)
        after = [
            b.sub(left, together),
            b.add(place, b.mul(self.a_col, together)),
            b.gep(row, [b.mul(self.b_row, together)]),
            *new,
        ]
        for phi, value in zip([left, place, row, *sums], after, strict=True):
            phi.add_incoming(value, b.block)
        b.cbranch(b.icmp_signed(">", left, together), body, rest)
        b.position_at_end(rest)
        for phi, value in zip([number, *total], [b.add(number, I64(1)), *new], strict=True):
            phi.add_incoming(value, rest)
        more = b.icmp_signed("<", b.add(number, I64(1)), self.segments)
        b.cbranch(more, segment, done)
        b.position_at_end(done)
        return new

    def advance(
        self, masks: list[Any] | None, rows: list[Any], place: Any, row: Any, sums: list[Any]
    ) -> list[Any]:
        """The sums after the steps at a place of each row of A, and at a row of B."""
        return self.step(masks, row, lambda r: self.b.gep(rows[r], [place]), sums)


class _Pairs(_SegmentedTile):
    """A tile of one vector, with two neighbouring elements of A in one broadcast.

    It serves two multiply-adds, where else each needs one of its own, and reading would take longer
    than computing.  The two sums that it adds to have, for every column, a lane for each of the two
    elements: `_interleaved` and `_parity` say where.
    """

    def depth_loop(self, masks: list[Any] | None) -> list[Any]:
        """The sums of all steps, row by row."""
        sums = self.over_segments(masks, 2 * self.shape.rows // self.rows_together)
        return [
            total
            for low, high in zip(sums[::2], sums[1::2], strict=True)
            for total in self.parted(
                *(self._shuffled(low, high, self._parity(odd)) for odd in (0, 1))
            )
        ]

    def parted(self, even: Any, odd: Any) -> list[Any]:
        """What becomes of the sums of the first and of the second elements of pairs."""
        raise NotImplementedError

    def multiplied(self, starts: list[Any], place: Any, first: Any, second: Any, sums: Any) -> Any:
        """The sums after the pairs at a place of some rows of A, times two rows of B."""
        b = self.b
        both = [self._shuffled(first, second, self._interleaved(half)) for half in (0, 1)]
        wide = ir.IntType(2 * ELEMENT_BITS)
        kind = ir.VectorType(wide, self.shape.lanes // 2)
        new = []
        for r, start in enumerate(starts):
            pair = b.load(b.bitcast(b.gep(start, [place]), wide.as_pointer()))
            pair.align = ELEMENT_BITS // 8
            factor = b.bitcast(self._repeated(pair, kind), self.vector)
            new += [self.fma(factor, both[half], sums[2 * r + half]) for half in (0, 1)]
        return new

    def _repeated(self, scalar: Any, kind: Any) -> Any:
        empty = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(empty, scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count)
        return self.b.shuffle_vector(one, empty, zeros)

    def _shuffled(self, x: Any, y: Any, order: list[int]) -> Any:
        kind = ir.VectorType(I32, self.shape.lanes)
        return self.b.shuffle_vector(x, y, ir.Constant(kind, order))

    def _interleaved(self, half: int) -> list[int]:
        """Elements of two vectors in turn, of one half of every 16 bytes."""
        lanes = self.shape.lanes
        places = [part + 2 * half + i for part in range(0, lanes, 4) for i in (0, 1)]
        return [place for start in places for place in (start, lanes + start)]

    def _parity(self, odd: int) -> list[int]:
        """The even or odd lanes of two vectors, those of both for each 16 bytes."""
        lanes = self.shape.lanes
        return [
            start + part + 2 * i + odd
            for part in range(0, lanes, 4)
            for start in (0, lanes)
            for i in (0, 1)
        ]


ELEMENT_BITS = 32
"""Of the elements that go in pairs."""


class _PairedSteps(_Pairs):
    """Pairs of steps, which lie side by side: the sums of even and of odd steps are added up."""

    together = 2

    def parted(self, even: Any, odd: Any) -> list[Any]:
        """The sum of a row."""
        return [self.b.fadd(even, odd)]

    def advance(
        self, masks: list[Any] | None, rows: list[Any], place: Any, row: Any, sums: list[Any]
    ) -> list[Any]:
        """The sums after two steps."""
        b = self.b
        first, second = (
            self.row_of_b(masks, b.gep(row, [b.mul(self.b_row, I64(k))])) for k in (0, 1)
        )
        return list(self.multiplied(rows, place, first, second, sums))


class _PairedRows(_Pairs):
    """Pairs of rows, which lie side by side: each has its own sum, as in a tile without pairs."""

    rows_together = 2

    def parted(self, even: Any, odd: Any) -> list[Any]:
        """The sums of two rows."""
        return [even, odd]

    def advance(
        self, masks: list[Any] | None, rows: list[Any], place: Any, row: Any, sums: list[Any]
    ) -> list[Any]:
        """The sums after one step."""
        vector = self.row_of_b(masks, row)
        return list(self.multiplied(rows[::2], place, vector, vector, sums))

"""The native matrix products `gemm_f32` and `gemm_f64`: blocking, packing and edges.

    void(a, a_row, a_col, b, b_row, b_col, c, c_row, m, n, k, space, tag)    all 64-bit integers
    C[i*c_row + j] = sum over p of A[i*a_row + p*a_col] * B[p*b_row + j*b_col]

Any sizes, any strides (in elements), zero and negative ones included; C is overwritten, with zeros
where k is 0.  Every element is the sum, in order, of chains of fused multiply-adds over `depth`
steps each, whatever m, n, the strides or the place in a block, so results never depend on how a
product was cut up; of more than `GEMM_LONG` steps, it is a sum of such sums (`gemm_deep`).

A is taken by broadcasts and may lie anyhow; it is packed where it will be read very often.  B is
read in vectors along n; it is packed where its rows are not contiguous or its panel does not fit
the caches.  Where few rows meet contiguous columns, these are turned in registers; where few
columns are asked for, the transposed product is made.  `space` is memory of the calling thread for
what is packed: `program.GEMM_LEFT` and `GEMM_RIGHT` say where, `gemm_space` how much there must be.
With a `tag` other than 0 all of B is packed at once, and not again for as long as the word at the
start of the space is that tag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llvmlite import ir

from ...program import GEMM_DEPTH, GEMM_LEFT, GEMM_LONG, GEMM_RIGHT, GEMM_ROWS
from .. import host
from ..building.build import build_text
from ..building.llvm_loops import I1, I64, internal, loop, smaller
from .blocking import Blocking, blocking
from .deep import deep_function
from .dot import HEIGHTS, dot_function, sweep_function, turn_function
from .pack import pack_function
from .product import Product
from .tile import TileShape, tile_function

NARROW_ROWS, NARROW_DEPTH = 4, 16
"""Vectors of rows, and the depth, from which on it pays to turn a product with few columns."""

MANY_PANELS = 16
"""Panels of B that read the same rows of A, from which on these are worth being packed."""

FEW_TILES, PAGE = 12, 4096
"""Tiles' heights of rows up to which B is read where it lies, if its rows are not pages apart."""

SMALL_TILES = 4
"""Heights of a tile up to which a product of one tile's width goes straight to the tiles."""

STRIP, STRIP_PLACE = 512, GEMM_ROWS // 2 * GEMM_DEPTH
"""Rows of a narrow product at a time, and where in the left operand's place its transpose is."""

MOST_DOTS = 2
"""Tiles' heights of rows up to which columns are turned in registers instead of packed."""


def build_routine(name: str, symbol: str) -> bytes:
    """Object code of a gemm routine."""
    text = routine_text(name.removeprefix("gemm_"), symbol, host.vector_bytes())
    # It is written as it is to be run: LLVM's passes take 0.5 s and make it no faster.
    return build_text(text, {symbol}, speed=0)


def routine_text(kind: str, symbol: str, vector_bytes: int) -> str:
    """LLVM's text of the routine for one kind of element."""
    module = ir.Module()
    shape = blocking(kind, vector_bytes)
    _Routine(module, shape).write(symbol)
    return str(module)


class _Routine:
    """Writes the routine and the functions it calls into one module."""

    def __init__(self, module: Any, shape: Blocking) -> None:
        self.module, self.shape = module, shape
        self.element = ir.FloatType() if shape.kind == "f32" else ir.DoubleType()
        self.pointer = self.element.as_pointer()
        self.rows_packed = self._rows_function(packed=True)
        self.rows_strided = self._rows_function(packed=False)
        self.pack_a = pack_function(module, self.element, shape.lanes, shape.rows)
        self.turn = turn_function(module, self.element, shape.lanes)
        self.dots = [
            (rows, dot_function(module, self.element, shape.lanes, rows, shape.depth))
            for rows in (*(rows for rows in HEIGHTS if rows < shape.rows), shape.rows)
        ]
        self.sweep = sweep_function(module, self.element, shape.lanes, shape.depth)
        self.pack_b = pack_function(module, self.element, shape.lanes, shape.width)

    def _tile(self, rows: int, vectors: int, packed: bool) -> Any:
        stride = self.shape.rows if packed else None
        return tile_function(
            self.module, self.element, TileShape(rows, vectors, self.shape.lanes, stride)
        )

    def _rows_function(self, packed: bool) -> Any:
        """(a, a_row, a_col, b, b_row, c, c_row, rows, columns, k, fresh): up to one tile."""
        kinds = [self.pointer, I64, I64, self.pointer, I64, self.pointer, I64, I64, I64, I64, I1]
        name = "rows_packed" if packed else "rows_strided"
        function, b = internal(self.module, name, kinds)
        a, a_row, a_col, bp, b_row, c, c_row, rows, columns, k, fresh = function.args

        def run(height: int, first: Any) -> None:
            start = b.gep(a, [first if packed else b.mul(first, a_row)])
            target = b.gep(c, [b.mul(first, c_row)])
            args = [start, a_row, a_col, bp, b_row, target, c_row, columns, k, fresh]
            narrow = b.icmp_signed("<=", columns, I64(self.shape.lanes))
            with b.if_else(narrow) as (yes, no):
                with yes:
                    b.call(self._tile(height, 1, packed), args)
                with no:
                    b.call(self._tile(height, self.shape.vectors, packed), args)

        with b.if_then(b.icmp_signed(">=", rows, I64(self.shape.rows))):
            run(self.shape.rows, I64(0))
            b.ret_void()
        first = I64(0)
        for height in self.shape.remainders:
            has = b.icmp_signed("!=", b.and_(rows, I64(height)), I64(0))
            before = b.block
            with b.if_then(has):
                run(height, first)
                after = b.add(first, I64(height))
                inside = b.block
            merged = b.phi(I64)
            merged.add_incoming(first, before)
            merged.add_incoming(after, inside)
            first = merged
        b.ret_void()
        return function

    def write(self, symbol: str) -> None:
        """The routine itself: it chooses which way round the product is done."""
        core = self._core()
        kind = ir.FunctionType(ir.VoidType(), [I64] * 13)
        function = ir.Function(self.module, kind, symbol)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        words = Product(*function.args)
        a, b_, c = (b.inttoptr(word, self.pointer) for word in (words.a, words.b, words.c))
        x = replace(words, a=a, b=b_, c=c)
        self._zero_without_depth(b, x)
        with b.if_then(b.icmp_signed(">", x.k, I64(GEMM_LONG))):
            deep = deep_function(self.module, self.element, self.shape.lanes, function)
            b.call(deep, words.arguments[:-1])
            b.ret_void()
        # A column of results that lies contiguously is a row of the transposed product.
        flip = b.and_(
            b.and_(b.icmp_signed("==", x.n, I64(1)), b.icmp_signed("==", x.c_row, I64(1))),
            b.icmp_signed(">", x.m, I64(1)),
        )
        with b.if_then(flip):
            b.call(core, x.transposed().arguments)
            b.ret_void()
        with b.if_then(self._is_narrow(b, x)):
            self._narrow(b, core, x)
            b.ret_void()
        self._small(b, x)
        b.call(core, x.arguments)
        b.ret_void()

    def _small(self, b: Any, x: Product) -> None:
        """Up to one tile's width and a few tiles' heights: nothing to choose, nothing to pack."""
        shape = self.shape
        fits = b.and_(b.icmp_signed("<=", x.n, I64(shape.width)), b.icmp_signed(">", x.n, I64(0)))
        low = b.icmp_signed("<=", x.m, I64(SMALL_TILES * shape.rows))
        one_chain = b.icmp_signed("<=", x.k, I64(shape.depth // 2))
        contiguous = b.icmp_signed("==", x.b_col, I64(1))
        with b.if_then(b.and_(b.and_(fits, low), b.and_(one_chain, contiguous))):
            with loop(b, I64(0), x.m, shape.rows) as i:
                row, target = b.gep(x.a, [b.mul(i, x.a_row)]), b.gep(x.c, [b.mul(i, x.c_row)])
                left = b.sub(x.m, i)
                args = [row, x.a_row, x.a_col, x.b, x.b_row, target, x.c_row, left, x.n, x.k, I1(1)]
                b.call(self.rows_strided, args)
            b.ret_void()

    def _is_narrow(self, b: Any, x: Product) -> Any:
        """Whether so few columns are asked for that most lanes of a tile would be empty."""
        shape = self.shape
        padded = b.and_(b.add(x.n, I64(shape.lanes - 1)), I64(-shape.lanes))
        empty = b.icmp_signed(">", b.mul(padded, I64(4)), b.mul(x.n, I64(5)))
        few = b.icmp_signed("<=", x.n, I64(min(shape.rows, shape.lanes)))
        upright, flat = b.icmp_signed("==", x.a_row, I64(1)), b.icmp_signed("==", x.a_col, I64(1))
        lies = b.or_(upright, flat)
        # Rows that lie side by side need not be turned.
        least = b.select(upright, I64(NARROW_ROWS // 2), I64(NARROW_ROWS))
        many = b.icmp_signed(">=", x.m, b.mul(least, I64(shape.lanes)))
        deep = b.icmp_signed(">=", x.k, I64(NARROW_DEPTH))
        return b.and_(b.and_(empty, few), b.and_(lies, b.and_(many, deep)))

    def _narrow(self, b: Any, core: Any, x: Product) -> None:
        """The transposed product, strip after strip, and each strip turned into its place."""
        room = b.inttoptr(b.add(x.space, I64(GEMM_LEFT + STRIP_PLACE)), self.pointer)
        with loop(b, I64(0), x.m, STRIP) as i:
            here = smaller(b, b.sub(x.m, i), I64(STRIP))
            rows = b.gep(x.a, [b.mul(i, x.a_row)])
            strip = replace(x.transposed(), b=rows, c=room, c_row=I64(STRIP), n=here)
            b.call(core, strip.arguments)
            target = b.gep(x.c, [b.mul(i, x.c_row)])
            b.call(self.turn, [target, x.c_row, room, I64(STRIP), x.n, here])

    def _core(self) -> Any:
        """The product as it is asked for: words as the routine's own, k > 0."""
        matrix = [self.pointer, I64, I64]
        kinds = [*matrix, *matrix, self.pointer, I64, I64, I64, I64, I64, I64]
        function, b = internal(self.module, "product", kinds)
        x = Product(*function.args)
        one = b.icmp_signed("==", x.m, I64(1))
        contiguous = b.icmp_signed("==", x.b_col, I64(1))
        upright = b.and_(b.icmp_signed("==", x.b_row, I64(1)), b.not_(contiguous))
        few = b.icmp_signed("<=", x.m, I64(MOST_DOTS * self.shape.rows))
        with b.if_then(b.and_(few, upright)):
            self._dots(b, x)
            b.ret_void()
        with b.if_then(b.and_(one, contiguous)):
            room = b.inttoptr(b.add(x.space, I64(GEMM_LEFT)), self.pointer)
            b.call(self.sweep, [x.a, x.a_col, x.b, x.b_row, x.c, x.n, x.k, room])
            b.ret_void()
        few = b.icmp_signed("<=", x.m, I64(4))
        with b.if_then(b.and_(contiguous, few)):
            self._few_rows(b, x)
            b.ret_void()
        self._blocks(b, x)
        b.ret_void()
        return function

    def _dots(self, b: Any, x: Product) -> None:
        """Rows times columns that lie contiguously, each of which is read once for a few rows."""
        shape = self.shape
        true, step = I1(1), I64(shape.rows)
        with b.if_then(b.icmp_signed("==", x.m, I64(1))):
            args = [x.a, x.a_col, x.b, x.b_col, x.c, x.c_row, x.m, x.n, x.k, true]
            b.call(self.dots[0][1], args)
            b.ret_void()
        room = b.inttoptr(b.add(x.space, I64(GEMM_LEFT)), self.pointer)
        with loop(b, I64(0), x.k, shape.depth) as p:
            depth = smaller(b, b.sub(x.k, p), I64(shape.depth))
            fresh = b.icmp_signed("==", p, I64(0))
            with loop(b, I64(0), x.m, shape.rows) as i:
                rows = smaller(b, b.sub(x.m, i), step)
                left = b.gep(x.a, [b.add(b.mul(i, x.a_row), b.mul(p, x.a_col))])
                b.call(self.pack_a, [room, left, x.a_row, x.a_col, rows, depth])
                target, right = b.gep(x.c, [b.mul(i, x.c_row)]), b.gep(x.b, [p])
                done = b.append_basic_block("dotted")
                for height, dots in self.dots[1:]:
                    with b.if_then(b.icmp_signed("<=", rows, I64(height))):
                        args = [room, step, right, x.b_col, target, x.c_row, rows, x.n, depth]
                        b.call(dots, [*args, fresh])
                        b.branch(done)
                b.unreachable()
                b.position_at_end(done)

    def _zero_without_depth(self, b: Any, x: Product) -> None:
        with b.if_then(b.icmp_signed("<=", x.k, I64(0))):
            with loop(b, I64(0), x.m, 1) as i:
                row = b.gep(x.c, [b.mul(i, x.c_row)])
                with loop(b, I64(0), x.n, 1) as j:
                    b.store(self.element(0), b.gep(row, [j]))
            b.ret_void()

    def _few_rows(self, b: Any, x: Product) -> None:
        """Up to four rows: wide tiles that read B once where it lies."""
        first = I64(0)
        for height, vectors in ((4, 4), (2, 4), (1, 4)):
            if self.shape.lanes * self.shape.size < 64:
                vectors //= 2
            has = b.icmp_signed("!=", b.and_(x.m, I64(height)), I64(0))
            before = b.block
            with b.if_then(has):
                start = b.gep(x.a, [b.mul(first, x.a_row)])
                row = b.gep(x.c, [b.mul(first, x.c_row)])
                # The same depths as for more rows, so that the sums are the same.
                with loop(b, I64(0), x.k, self.shape.depth) as p:
                    depth = smaller(b, b.sub(x.k, p), I64(self.shape.depth))
                    fresh = b.icmp_signed("==", p, I64(0))
                    a_deep = b.gep(start, [b.mul(p, x.a_col)])
                    b_deep = b.gep(x.b, [b.mul(p, x.b_row)])
                    with loop(b, I64(0), x.n, vectors * self.shape.lanes) as j:
                        args = [
                            a_deep, x.a_row, x.a_col, b.gep(b_deep, [j]), x.b_row, b.gep(row, [j]),
                            x.c_row, b.sub(x.n, j), depth, fresh,
                        ]  # fmt: skip
                        b.call(self._tile(height, vectors, packed=False), args)
                after = b.add(first, I64(height))
                inside = b.block
            merged = b.phi(I64)
            merged.add_incoming(first, before)
            merged.add_incoming(after, inside)
            first = merged

    def _hold(self, b: Any, x: Product, padded: Any) -> Any:
        """Pack all of B, depth after depth, unless it is there; whether it is to be used."""
        whole = b.icmp_signed("!=", x.tag, I64(0))
        place = b.inttoptr(x.space, I64.as_pointer())
        room = b.inttoptr(b.add(x.space, I64(GEMM_RIGHT)), self.pointer)
        missing = b.and_(whole, b.icmp_signed("!=", b.load(place), x.tag))
        with b.if_then(missing), loop(b, I64(0), x.k, self.shape.depth) as p:
            depth = smaller(b, b.sub(x.k, p), I64(self.shape.depth))
            source, target = b.gep(x.b, [b.mul(p, x.b_row)]), b.gep(room, [b.mul(p, padded)])
            b.call(self.pack_b, [target, source, x.b_col, x.b_row, x.n, depth])
        b.store(x.tag, place)
        return whole

    def _blocks(self, b: Any, x: Product) -> None:
        """Depth by depth, block of rows by block of rows, panel of columns by panel."""
        shape = self.shape
        room_a = b.inttoptr(b.add(x.space, I64(GEMM_LEFT)), self.pointer)
        room_b = b.inttoptr(b.add(x.space, I64(GEMM_RIGHT)), self.pointer)
        padded = b.and_(b.add(x.n, I64(shape.width - 1)), I64(-shape.width))
        whole = self._hold(b, x, padded)
        pack_a, near = self._choices(b, x)
        direct_b = b.and_(near, b.not_(whole))
        pack_b = b.not_(b.or_(near, whole))
        group_most = b.select(whole, padded, I64(shape.packed_columns))
        with loop(b, I64(0), x.k, shape.depth) as p:
            depth = smaller(b, b.sub(x.k, p), I64(shape.depth))
            fresh = b.icmp_signed("==", p, I64(0))
            a_deep = b.gep(x.a, [b.mul(p, x.a_col)])
            b_deep = b.gep(x.b, [b.mul(p, x.b_row)])
            held = b.gep(room_b, [b.select(whole, b.mul(p, padded), I64(0))])
            with loop(b, I64(0), x.m, shape.packed_rows) as i0:
                rows = smaller(b, b.sub(x.m, i0), I64(shape.packed_rows))
                a_block = b.gep(a_deep, [b.mul(i0, x.a_row)])
                with b.if_then(pack_a):
                    b.call(self.pack_a, [room_a, a_block, x.a_row, x.a_col, rows, depth])
                with loop(b, I64(0), x.n, group_most) as j0:
                    group = smaller(b, b.sub(x.n, j0), group_most)
                    b_block = b.gep(b_deep, [b.mul(j0, x.b_col)])
                    with b.if_then(pack_b):
                        b.call(self.pack_b, [room_b, b_block, x.b_col, x.b_row, group, depth])
                    with loop(b, I64(0), group, shape.width) as j:
                        packed_b = b.gep(held, [b.mul(j, depth)])
                        panel = b.select(direct_b, b.gep(b_block, [j]), packed_b)
                        step = b.select(direct_b, x.b_row, I64(shape.width))
                        columns = b.sub(group, j)
                        with loop(b, I64(0), rows, shape.rows) as i:
                            place = b.add(b.mul(b.add(i0, i), x.c_row), b.add(j0, j))
                            left = b.sub(rows, i)
                            rest = [panel, step, b.gep(x.c, [place]), x.c_row, left, columns, depth]
                            with b.if_else(pack_a) as (yes, no):
                                with yes:
                                    source = b.gep(room_a, [b.mul(i, depth)])
                                    args = [source, x.a_row, x.a_col, *rest, fresh]
                                    b.call(self.rows_packed, args)
                                with no:
                                    source = b.gep(a_block, [b.mul(i, x.a_row)])
                                    args = [source, x.a_row, x.a_col, *rest, fresh]
                                    b.call(self.rows_strided, args)

    def _choices(self, b: Any, x: Product) -> tuple[Any, Any]:
        """Whether to pack A, and whether to read B where it lies."""
        shape = self.shape
        first, second = host.cache_bytes()
        many_panels = b.icmp_signed(">", x.n, I64(MANY_PANELS * shape.width))
        # Rows of A side by side: a few elements each from many pages, unless they are packed or
        # all of them stay in the second cache.
        spread = b.icmp_unsigned(">", b.mul(x.k, x.a_col), I64(second // 2 // shape.size))
        apart = b.and_(b.icmp_signed("!=", x.a_col, I64(1)), spread)
        many_rows = b.icmp_signed(">", x.m, I64(2 * shape.rows))
        pack_a = b.or_(many_panels, b.and_(apart, many_rows))
        contiguous = b.icmp_signed("==", x.b_col, I64(1))
        near = b.icmp_unsigned("<=", b.mul(x.k, x.b_row), I64(first // shape.size))
        # Pages apart, the rows of a panel would meet in a few places of the first cache.
        staggered = b.icmp_signed("!=", b.and_(x.b_row, I64(PAGE // shape.size - 1)), I64(0))
        most = b.select(staggered, I64(FEW_TILES * shape.rows), I64(2 * shape.rows))
        few_rows = b.icmp_signed("<=", x.m, most)
        return pack_a, b.and_(contiguous, b.or_(few_rows, near))

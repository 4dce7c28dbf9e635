"""A row times a matrix, where reading the matrix once is what takes the time.

Where the columns lie contiguously, they are many dot products side by side: squares of the matrix
are transposed in registers.  Where the rows do, each is read from end to end and added to sums that
stay in the cache.  Either way a sum is made in the order in which the tiles of the matrix product
make it, so that the results are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir

from .gemm_pack import Packing
from .loops import I32, I64, internal, loop, smaller

STRETCH = 4096
"""Sums that are made at a time; they stay in the cache."""

TOGETHER = 8
"""Rows that are read side by side."""


def dot_function(module: Any, element: Any, lanes: int, depth: int) -> Any:
    """(x, x_step, columns, apart, c, n, k): c[j] = sum over p of x[p*x_step] * columns[j*apart+p].

    Each sum is of chains of `depth` steps; n and k are positive.
    """
    pointer = element.as_pointer()
    kinds = [pointer, I64, pointer, I64, pointer, I64, I64]
    function, b = internal(module, "dots", kinds)
    x, x_step, columns, apart, c, n, k = function.args
    sums = _Sums(module, b, element, lanes)
    chain, total = b.alloca(sums.vector), b.alloca(sums.vector)
    with loop(b, I64(0), n, lanes) as j:
        some = smaller(b, b.sub(n, j), I64(lanes))
        first = b.gep(columns, [b.mul(j, apart)])
        last = b.sub(some, I64(1))
        starts = [b.gep(first, [b.mul(smaller(b, I64(r), last), apart)]) for r in range(lanes)]
        b.store(sums.zeros, total)
        with loop(b, I64(0), k, depth) as p:
            end = smaller(b, k, b.add(p, I64(depth)))
            whole = b.add(p, b.and_(b.sub(end, p), I64(-lanes)))
            b.store(sums.zeros, chain)

            def step(q: Any, column: Any) -> None:
                factor = sums.splat(b.gep(x, [b.mul(q, x_step)]))
                b.store(sums.fma(factor, column, b.load(chain)), chain)

            with loop(b, p, whole, lanes) as q:
                square = sums.packing.transpose([sums.load(b.gep(s, [q])) for s in starts])
                for s, column in enumerate(square):
                    step(b.add(q, I64(s)), column)
            with loop(b, whole, end, 1) as q:
                step(q, sums.column([b.gep(start, [q]) for start in starts]))
            value = b.load(chain)
            more = b.fadd(b.load(total), value)
            b.store(b.select(b.icmp_signed("==", p, I64(0)), value, more), total)
        sums.store(b.load(total), b.gep(c, [j]), sums.mask(some))
    b.ret_void()
    return function


def sweep_function(module: Any, element: Any, lanes: int, depth: int) -> Any:
    """(x, x_step, rows, apart, c, n, k, room): c[j] = sum over p of x[p*x_step] * rows[p*apart+j].

    Each row is read from end to end, so that memory is read as it lies; `room` has place for
    STRETCH sums.
    """
    pointer = element.as_pointer()
    kinds = [pointer, I64, pointer, I64, pointer, I64, I64, pointer]
    function, b = internal(module, "sweep", kinds)
    x, x_step, rows, apart, c, n, k, room = function.args
    sums = _Sums(module, b, element, lanes)
    with loop(b, I64(0), n, STRETCH) as j0:
        some = smaller(b, b.sub(n, j0), I64(STRETCH))
        left, target = b.gep(rows, [j0]), b.gep(c, [j0])
        with loop(b, I64(0), k, depth) as p:
            end = smaller(b, k, b.add(p, I64(depth)))
            whole = b.add(p, b.and_(b.sub(end, p), I64(-TOGETHER)))
            for count, start, stop in ((TOGETHER, p, whole), (1, whole, end)):
                with loop(b, start, stop, count) as q:
                    first = b.icmp_signed("==", q, p)
                    steps = [b.add(q, I64(s)) for s in range(count)]
                    factors = [sums.splat(b.gep(x, [b.mul(s, x_step)])) for s in steps]
                    places = [b.gep(left, [b.mul(s, apart)]) for s in steps]
                    for j, mask in sums.over(some):
                        held = b.gep(room, [j])
                        value = b.select(first, sums.zeros, sums.load(held))
                        for factor, place in zip(factors, places, strict=True):
                            row = sums.load(b.gep(place, [j]), mask)
                            value = sums.fma(factor, row, value)
                        sums.store(value, held)
            fresh = b.icmp_signed("==", p, I64(0))
            for j, mask in sums.over(some):
                value, place = sums.load(b.gep(room, [j])), b.gep(target, [j])
                held = b.select(fresh, sums.zeros, sums.load(place, mask))
                sums.store(b.select(fresh, value, b.fadd(held, value)), place, mask)
    b.ret_void()
    return function


class _Sums:
    """Vectors of sums, one in each lane."""

    def __init__(self, module: Any, b: Any, element: Any, lanes: int) -> None:
        self.module, self.b, self.lanes = module, b, lanes
        self.packing = Packing(b, element, lanes, lanes)
        self.vector = self.packing.vector
        self.zeros = ir.Constant(self.vector, [element(0)] * lanes)
        self.letter = "f32" if isinstance(element, ir.FloatType) else "f64"
        self.align = I32(4 if self.letter == "f32" else 8)

    def _call(self, name: str, result: Any, *args: Any) -> Any:
        name = f"llvm.{name}.v{self.lanes}{self.letter}"
        name += ".p0" if "masked" in name else ""
        if name not in self.module.globals:
            kind = ir.FunctionType(result, [a.type for a in args])
            ir.Function(self.module, kind, name)
        return self.b.call(self.module.globals[name], args)

    def over(self, some: Any) -> Iterator[tuple[Any, Any]]:
        """The index of each vector of `some` elements, and a mask for the last if it is short."""
        b = self.b
        whole = b.and_(some, I64(-self.lanes))
        with loop(b, I64(0), whole, self.lanes) as j:
            yield j, None
        with b.if_then(b.icmp_signed("<", whole, some)):
            yield whole, self.mask(b.sub(some, whole))

    def mask(self, some: Any) -> Any:
        """The first `some` lanes."""
        kind = ir.VectorType(I32, self.lanes)
        limit = self._repeat(self.b.trunc(some, I32), kind)
        return self.b.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), limit)

    def _repeat(self, scalar: Any, kind: Any) -> Any:
        empty = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(empty, scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, empty, zeros)

    def splat(self, place: Any) -> Any:
        """One element in every lane."""
        return self._repeat(self.b.load(place), self.vector)

    def column(self, places: list[Any]) -> Any:
        """An element from everywhere."""
        made = ir.Constant(self.vector, ir.Undefined)
        for r, place in enumerate(places):
            made = self.b.insert_element(made, self.b.load(place), I32(r))
        return made

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """The sum of x*y and z, rounded once."""
        return self._call("fma", self.vector, x, y, z)

    def load(self, place: Any, mask: Any = None) -> Any:
        """A vector from anywhere."""
        if mask is None:
            return self.packing.load(place)
        target = self.b.bitcast(place, self.vector.as_pointer())
        return self._call("masked.load", self.vector, target, self.align, mask, self.zeros)

    def store(self, value: Any, place: Any, mask: Any = None) -> None:
        """A vector to anywhere."""
        target = self.b.bitcast(place, self.vector.as_pointer())
        if mask is None:
            self.b.store(value, target).align = self.align.constant
        else:
            self._call("masked.store", ir.VoidType(), value, target, self.align, mask)

"""Few rows times a matrix, where reading the matrix once is what takes the time.

Where the columns lie contiguously, they are many dot products side by side: squares of the matrix
are transposed in registers.  Where the rows do, one row times the matrix reads each from end to
end and adds it to sums that stay in the cache.  Either way a sum is made in the order in which the
tiles of the matrix product make it, so that the results are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir

from ..building.llvm_loops import I1, I32, I64, fold, internal, loop, smaller
from .pack import Packing

STRETCH = 4096
"""Sums that are made at a time; they stay in the cache."""

TOGETHER = 8
"""Rows that are read side by side."""

HEIGHTS = (1, 2, 4, 8, 12)
"""Rows that are multiplied with the same columns at a time."""


def dot_function(module: Any, element: Any, lanes: int, rows: int, depth: int) -> Any:
    """(x, step, columns, apart, c, c_row, some, n, k, fresh): `some` rows times n columns.

    c[r*c_row + j] = sum over p of x[p*step + r] * columns[j*apart + p], added to what is there
    unless fresh; 0 < some <= rows, 0 < k.  A sum is made of chains of `depth` steps.  `x` holds
    `rows` rows whatever `some` is.
    """
    name = f"dots_{rows}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    kinds = [pointer, I64, pointer, I64, pointer, I64, I64, I64, I64, I1]
    function, b = internal(module, name, kinds)
    x, step, columns, apart, c, c_row, some, n, k, fresh = function.args
    sums = Sums(module, b, element, lanes)
    left_over = b.alloca(sums.vector, I64(lanes))

    def add(q: Any, columns: list[Any], values: list[Any]) -> list[Any]:
        place = b.gep(x, [b.mul(q, step)])
        for column in columns:
            factors = [sums.splat(b.gep(place, [I64(r)])) for r in range(rows)]
            pairs = zip(factors, values, strict=True)
            values = [sums.fma(factor, column, value) for factor, value in pairs]
            place = b.gep(place, [step])
        return values

    with loop(b, I64(0), n, lanes) as j:
        here = smaller(b, b.sub(n, j), I64(lanes))
        first = b.gep(columns, [b.mul(j, apart)])
        last, inside = b.sub(here, I64(1)), sums.mask(here)
        starts = [b.gep(first, [b.mul(smaller(b, I64(r), last), apart)]) for r in range(lanes)]

        def square(q: Any, mask: Any = None) -> list[Any]:
            return sums.packing.transpose([sums.load(b.gep(s, [q]), mask) for s in starts])

        with loop(b, I64(0), k, depth) as p:
            stop = smaller(b, k, b.add(p, I64(depth)))
            whole = b.add(p, b.and_(b.sub(stop, p), I64(-lanes)))
            values = fold(
                b, p, whole, lanes, [sums.zeros] * rows, lambda q, held: add(q, square(q), held)
            )
            before, some_left = b.block, b.icmp_signed("<", whole, stop)
            with b.if_then(some_left):
                for s, column in enumerate(square(whole, sums.mask(b.sub(stop, whole)))):
                    b.store(column, b.gep(left_over, [I64(s)]))

                def one(q: Any, held: list[Any], whole: Any = whole) -> list[Any]:
                    return add(q, [b.load(b.gep(left_over, [b.sub(q, whole)]))], held)

                longer = fold(b, whole, stop, 1, values, one)
                after = b.block
            chains = []
            for value, added in zip(values, longer, strict=True):
                chains.append(b.phi(sums.vector))
                chains[-1].add_incoming(value, before)
                chains[-1].add_incoming(added, after)
            new = b.and_(fresh, b.icmp_signed("==", p, I64(0)))
            for r, value in enumerate(chains):
                with b.if_then(b.icmp_signed(">", some, I64(r))):
                    place = b.gep(c, [b.add(b.mul(c_row, I64(r)), j)])
                    more = b.fadd(sums.load(place, inside), value)
                    sums.store(b.select(new, value, more), place, inside)
    b.ret_void()
    return function


def turn_function(module: Any, element: Any, lanes: int) -> Any:
    """(c, c_row, rows, apart, n, m): c[i*c_row + j] = rows[j*apart + i] for j < n, i < m."""
    pointer = element.as_pointer()
    function, b = internal(module, "turn", [pointer, I64, pointer, I64, I64, I64])
    c, c_row, rows, apart, n, m = function.args
    sums = Sums(module, b, element, lanes)
    with loop(b, I64(0), n, lanes) as j, loop(b, I64(0), m, lanes) as i:
        wide, last = sums.mask(b.sub(n, j)), b.sub(n, I64(1))
        starts = [b.mul(smaller(b, b.add(j, I64(r)), last), apart) for r in range(lanes)]
        high = sums.mask(b.sub(m, i))
        square = [sums.load(b.gep(rows, [b.add(start, i)]), high) for start in starts]
        for s, row in enumerate(sums.packing.transpose(square)):
            place = b.add(i, I64(s))
            with b.if_then(b.icmp_signed("<", place, m)):
                sums.store(row, b.gep(c, [b.add(b.mul(place, c_row), j)]), wide)
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
    sums = Sums(module, b, element, lanes)
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


class Sums:
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

"""What the kernels of attention share: operands, memory of the worker, and blocks of scores.

A block of scores has its keys down and its queries across: with queries in the lanes, no maximum
and no sum goes across lanes, and every product reads its right operand where it lies.  The products
are the engine's `gemm`.  How large a block is, the target says (`sizes`).

How blocks are cut depends on the sizes of one head alone, and a block is one thread's.  So results
depend neither on the number of threads nor on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....runtime.program import Routine, Target
from ...graph import Node
from ...graphs.views import contiguous, mergeable, resolve, squeeze
from ...primitives.attention import seen_by
from ...primitives.elementwise import LANE_TYPES
from ...primitives.record import Builder
from ...scheduling.fusion import Group
from ...scheduling.template import Place
from ...sizes import Dim, ceil_divide, product
from ..nest import Places
from ..writer import Emitted, Writer, decode
from .sizes import blocks_on, products_space


@dataclass(frozen=True)
class Operand:
    """An array in memory: where it is, and strides along the heads and along its other axes.

    Attributes:
        address: the name of its address.
        pointer: the name of a pointer to its elements.
        outer: the strides of the leading axes and of the heads.
        steps: the names of the strides of the others, but the last of vectors, which lie so.
        begin: the name of where the present head begins, in elements.
        extent: the elements of a vector, and the name of it; of what has vectors.
    """

    address: str
    pointer: str
    outer: tuple[Dim, ...]
    steps: tuple[str, ...]
    begin: str
    extent: tuple[Dim, str] = (0, "")

    @property
    def row(self) -> str:
        """The step from a vector to the next one of its head."""
        return self.steps[0]


@dataclass(frozen=True)
class Held:
    """A matrix in memory of the worker: where it begins, a pointer, and its row's elements."""

    begin: str
    pointer: str
    row: str

    @property
    def address(self) -> str:
        """The text of its address."""
        return f"space + {self.begin}"


class AttentionBlocks:
    """Writes what kernels of attention have in common."""

    def __init__(self, group: Group, buffers: Places, target: Target) -> None:
        self.members = {node.op: node for node in group.members}
        self.target, self.lanes = target, target.lanes
        self.blocks = blocks_on(target)
        self.down, self.across = self.blocks.keys, self.blocks.queries
        self.buffers, self.writer = buffers, Writer(self.lanes)
        self.operands: list[Operand] = []
        self.node = node = next(iter(group.members))
        self.dtype, self.kind = node.dtype, LANE_TYPES[node.dtype]
        self.size = node.type.item_bytes
        q, k, v = node.inputs[:3]
        *self.lead, self.count, heads, width = q.shape
        self.lead.append(heads)
        writer, b = self.writer, Builder()
        self.zero = f"{self.kind}(0)"
        self.queries = writer.integer(self.count, "n")
        self.keys = writer.integer(k.shape[-3], "n")
        self.width = (width, writer.integer(width, "n"))
        self.depth = (v.shape[-1], writer.integer(v.shape[-1], "n"))
        self.gemm = writer.integer(Routine(f"gemm_{self.kind}"), "routine")
        self.turn = writer.integer(Routine(f"turn_{self.kind}"), "routine")
        self.scale = writer.scalar(b.constant(node.attrs["scale"], self.dtype))
        self.infinity = writer.scalar(b.constant(np.inf, self.dtype))
        self.space = self.products_space()
        self.q, self.k, self.v = (
            self.vectors(item, extent)
            for item, extent in ((q, self.width), (k, self.width), (v, self.depth))
        )
        limits, bias = seen_by(node)
        self.limits = None if limits is None else self.lines(limits)
        self.bias = None if bias is None else self.lines(bias, 2)
        self.hides = bool(self.limits or self.bias)
        self.scores = self.held(self.down, self.across)
        if self.limits:
            self.seen = self.held(1, self.across, "i32")
        if self.bias:
            self.added = self.held(self.down, self.across)

    def products_space(self) -> Dim:
        """The bytes that the products need, before those of the kernel itself."""
        return products_space(self.target, self.size, self.width[0], self.depth[0])

    def vectors(self, item: Node, extent: tuple[Dim, str], writes: bool = False) -> Operand:
        """An array [..., T, h, d], as it lies."""
        place, strides = self._lies(item, writes)
        return self._operand(
            item, place, (*strides[:-3], strides[-2]), strides[-3:-2], writes, extent
        )

    def lines(self, item: Node, inner: int = 1, writes: bool = False) -> Operand:
        """An array [..., h, i] or [..., h, i, j]."""
        place, strides = self._lies(item, writes)
        return self._operand(item, place, strides[:-inner], strides[-inner:], writes)

    def result(self, op: str, extent: tuple[Dim, str]) -> Operand | None:
        """An array [..., T, h, d] that is asked for, or None."""
        node = self.members.get(op)
        return None if node is None else self.vectors(node, extent, writes=True)

    def _lies(self, item: Node, writes: bool) -> tuple[Place, tuple[Dim, ...]]:
        if not writes:
            view = resolve(item)
            place = self.buffers[view.base]
            return Place(place.buffer, place.offset + view.offset), view.strides
        place = self.buffers[item]
        inner = list(place.strides or contiguous(squeeze(item.shape)))
        strides = tuple(0 if extent == 1 else inner.pop(0) for extent in item.shape)
        return Place(place.buffer, place.offset), strides

    def _operand(
        self,
        item: Node,
        place: Place,
        outer: tuple[Dim, ...],
        steps: tuple[Dim, ...],
        writes: bool,
        extent: tuple[Dim, str] = (0, ""),
    ) -> Operand:
        writer = self.writer
        (writer.writes if writes else writer.reads)[place.buffer] = None
        address = writer.integer(place, "a")
        pointer = writer.fresh("p")
        writer.prologue.append(f"    {pointer} = {LANE_TYPES[item.dtype]}_at({address})")
        names = tuple(writer.integer(step, "s") for step in steps)
        made = Operand(address, pointer, outer, names, writer.fresh("b"), extent)
        self.operands.append(made)
        return made

    def held(self, rows: Dim, columns: Dim, kind: str = "") -> Held:
        """A matrix in memory of the worker, its rows in whole vectors."""
        writer, row = self.writer, ceil_divide(columns, self.lanes) * self.lanes
        begin, pointer = writer.integer(self.space, "h"), writer.fresh("p")
        writer.prologue.append(f"    {pointer} = {kind or self.kind}_in(space, {begin})")
        item = 4 if kind == "i32" else self.size
        self.space = self.space + ceil_divide(rows * row * item, 64) * 64
        return Held(begin, pointer, str(row) if isinstance(row, int) else writer.integer(row, "w"))

    def heads(self, *more: Dim) -> list[str]:
        """The loop over the rows of work, heads and what else there is; where each head begins.

        Leading axes are one where all operands step through them as one, so that kernels of few
        and of many are the same text.
        """
        writer = self.writer
        axes: list[tuple[Dim, tuple[Dim, ...]]] = []
        strides = zip(*(x.outer for x in self.operands), strict=True)
        for extent, steps in zip(self.lead, strides, strict=True):
            if axes:
                outer, apart = axes[-1]
                pairs = zip(apart, steps, strict=True)
                if outer == 1 or all(mergeable((outer, a), (extent, b)) for a, b in pairs):
                    axes[-1] = (outer * extent, steps)
                    continue
            if extent != 1 or not axes:
                axes.append((extent, steps))
        nothing = (0,) * len(self.operands)
        axes = [(1, nothing)] * (2 - len(axes)) + axes
        extents = [*(extent for extent, _ in axes), *more]
        writer.enter("for row in range(lo, hi):")
        indices = decode(writer, "row", [(writer.integer(n, "n"), n) for n in extents])
        for place, x in enumerate(self.operands):
            terms = (
                f"{index} * {writer.integer(steps[place], 's')}"
                for index, (_, steps) in zip(indices, axes, strict=False)
            )
            writer.line(f"{x.begin} = {' + '.join(terms)}")
        self.extent = product(extents)
        return indices[len(axes) :]

    def leave(self, count: int = 1) -> None:
        """Go out of so many loops or branches."""
        self.writer.indent -= count

    def along(self, extent: tuple[Dim, str]) -> None:
        """The loop over the elements of a vector, with the mask m."""
        self.writer.enter(f"for d in range(0, {extent[1]}, {self.lanes}):")
        self.writer.line(f"m = lanes_below({extent[1]} - d)")

    def product(self, a: str, b: str, c: str, sizes: str) -> None:
        """C = A B: each is an address and its strides, and `sizes` are rows, columns and depth."""
        self.writer.line(f"gemm_{self.kind}({self.gemm}, {a}, {b}, {c}, {sizes}, space, 0, 0, 1)")

    def block(self, x: Operand, first: str) -> str:
        """A product's operand: the vectors from one on, as rows."""
        return f"{x.address} + ({x.begin} + {first} * {x.row}) * {self.size}, {x.row}, 1"

    def turned(self, target: Held, x: Operand) -> None:
        """Scale times the block of queries' vectors, turned into the worker's memory."""
        writer = self.writer
        start = f"{x.address} + ({x.begin} + top * {x.row}) * {self.size}"
        rest = f"{start}, {x.row}, count, {x.extent[1]}"
        writer.line(f"turn_{self.kind}({self.turn}, {target.address}, {self.across}, {rest}, 0, 1)")
        writer.enter(f"for d in range({x.extent[1]}):")
        writer.enter(f"for i in range(0, count, {self.lanes}):")
        place = f"{target.pointer}, d * {self.across} + i"
        writer.line(f"store({place}, {self.scale} * load({place}))")
        self.leave(2)

    def block_of_queries(self) -> None:
        """How many there are from `top` on, and the keys: those before `most` that some query sees.

        Those before `least` are seen by all.
        """
        writer = self.writer
        writer.line(f"count = {self.queries} - top")
        writer.line(f"if count > {self.across}:")
        writer.line(f"    count = {self.across}")
        writer.line(f"most = {self.keys}")
        writer.line("if count < 1:")
        writer.line("    most = 0")
        writer.line(f"least = {'0' if self.bias else 'most'}")
        if self.limits is None:
            return
        writer.line("high = i64(0)")
        writer.line("low = i64(most)")
        writer.enter(f"for i in range(0, count, {self.lanes}):")
        self.load_line("some", self.limits)
        writer.line(f"store({self.seen.pointer}, i, some)")
        writer.line("high = maximum(high, to_i64(some))")
        writer.line("low = minimum(low, select(m, to_i64(some), low))")
        self.leave()
        for name, lanes in (("most", "reduce_max(high)"), ("least", "reduce_min(low)")):
            writer.line(f"found = first({lanes})")
            writer.line(f"if found < {name}:")
            writer.line(f"    {name} = found")

    def load_line(self, name: str, x: Operand) -> None:
        """What there is of the block's queries from the i-th on, and the mask m of those."""
        self.writer.line("m = lanes_below(count - i)")
        place = f"{x.begin} + (top + i) * {x.row}, {x.row}"
        self.writer.line(f"{name} = load_strided({x.pointer}, {place}, m)")

    def block_of_keys(self, turned: Held) -> None:
        """The loop over blocks of keys, with the scores of all pairs, and what is added to them."""
        writer = self.writer
        writer.enter(f"for j in range(0, most, {self.down}):")
        writer.line("keys = most - j")
        writer.line(f"if keys > {self.down}:")
        writer.line(f"    keys = {self.down}")
        self.product(
            self.block(self.k, "j"), f"{turned.address}, {self.across}, 1",
            f"{self.scores.address}, {self.across}", f"keys, count, {self.width[1]}",
        )  # fmt: skip
        if self.bias is not None:
            x = self.bias
            start = f"{x.address} + ({x.begin} + top * {x.row} + j * {x.steps[1]}) * {self.size}"
            target = f"{self.added.address}, {self.across}"
            rest = f"{target}, {start}, {x.row}, count, keys"
            writer.line(f"turn_{self.kind}({self.turn}, {rest}, 0, 1)")

    def over_queries(self) -> None:
        """The loop over vectors of queries, and the limits of one, as lanes."""
        self.writer.enter(f"for i in range(0, count, {self.lanes}):")
        if self.limits is not None:
            self.writer.line(f"limit = load({self.seen.pointer}, i)")

    def over_keys(self, write: Callable[[bool], None]) -> None:
        """The loop over the keys of a block, with `x` a score of each.

        Where keys may be hidden it is written twice, first for blocks with hidden pairs: there `x`
        has the bias, and `seen` says where it counts.
        """
        writer = self.writer
        for hidden in (True, False) if self.hides else (False,):
            if self.hides:
                writer.enter(f"if least {'<' if hidden else '>='} j + keys:")
            writer.enter("for r in range(keys):")
            writer.line(f"x = load({self.scores.pointer}, r * {self.across} + i)")
            masks = []
            if hidden and self.bias:
                writer.line(f"added = load({self.added.pointer}, r * {self.across} + i)")
                writer.line("x = x + added")
                masks.append(f"(added != -{self.infinity})")
            if hidden and self.limits:
                masks.append("(limit > i32(j + r))")
            if hidden:
                writer.line(f"seen = {' & '.join(masks)}")
            write(hidden)
            self.leave(2 if self.hides else 1)

    def sum_over_keys(
        self, weights: Held, x: Operand, clean: Held | None, total: Held, part: Held, factors: str
    ) -> None:
        """Add the sums over the block's keys of weights times vectors, to its queries' totals.

        The totals are multiplied first with the factors of the queries, if there are any.  Where
        pairs may be hidden, what is not finite is left out of the product, and added to the sums of
        those queries for which its weight is not 0: no 0 is multiplied with NaN or infinity.
        """
        writer, (_, width) = self.writer, x.extent
        writer.line(f"value = {x.address} + ({x.begin} + j * {x.row}) * {self.size}")
        writer.line(f"apart = {x.row}")
        if clean is not None:
            self._clean(x, clean)
        writer.line(f"target = {total.begin}")
        writer.line("if j > 0:")
        writer.line(f"    target = {part.begin}")
        self.product(
            f"{weights.address}, 1, {self.across}", "value, apart, 1",
            f"space + target, {total.row}", f"count, {width}, keys",
        )  # fmt: skip
        if clean is not None:
            self._mend(weights, x, total.row)
        writer.enter("if j > 0:")
        writer.enter(f"for d in range(0, {total.row}, {self.lanes}):")
        writer.enter("for i in range(count):")
        place = f"i * {total.row} + d"
        writer.line(f"x = load({total.pointer}, {place})")
        more = f"load({part.pointer}, {place})"
        added = f"fma(x, load_splat({factors}, i), {more})" if factors else f"x + {more}"
        writer.line(f"store({total.pointer}, {place}, {added})")
        self.leave(3)

    def _clean(self, x: Operand, clean: Held) -> None:
        """In a block with hidden pairs, a copy of the vectors, 0 for what is not finite."""
        writer = self.writer
        writer.line("dirty = 0")
        writer.enter("if least < j + keys:")
        writer.line("bad = i64(0)")
        self.along(x.extent)
        writer.enter("for r in range(keys):")
        writer.line(f"x = load({x.pointer}, {x.begin} + (j + r) * {x.row} + d, m)")
        writer.line(f"fine = x - x == {self.zero}")
        writer.line("bad = select(fine, bad, i64(1))")
        writer.line(f"store({clean.pointer}, r * {clean.row} + d, select(fine, x, {self.zero}))")
        self.leave(2)
        writer.line(f"value = {clean.address}")
        writer.line(f"apart = {clean.row}")
        writer.line("dirty = first(reduce_max(bad))")
        self.leave()

    def _mend(self, weights: Held, x: Operand, row: str) -> None:
        """Add what was left out, where its weight is not 0."""
        writer, zero = self.writer, self.zero
        writer.enter("if dirty > 0:")
        writer.line(f"sums = {self.kind}_in(space, target)")
        self.along(x.extent)
        writer.enter("for r in range(keys):")
        writer.line(f"x = load({x.pointer}, {x.begin} + (j + r) * {x.row} + d, m)")
        writer.line(f"x = select(x - x == {zero}, {zero}, x)")
        writer.enter("for i in range(count):")
        writer.line(f"weight = load_splat({weights.pointer}, r * {self.across} + i)")
        place = f"sums, i * {row} + d"
        writer.line(f"sum = load({place})")
        writer.line(f"store({place}, select(weight == {zero}, sum, fma(weight, x, sum)))")
        self.leave(4)

    def give(self, total: Held, x: Operand, factors: str = "") -> None:
        """Store the totals of the block's queries, times their factors, if there are any.

        They are 0 where no key is seen.
        """
        writer = self.writer
        self.along(x.extent)
        writer.enter("for i in range(count):")
        writer.line(f"x = {self.zero}")
        writer.line("if most > 0:")
        value = f"load({total.pointer}, i * {total.row} + d)"
        times = f" * load_splat({factors}, i)" if factors else ""
        writer.line(f"    x = {value}{times}")
        writer.line(f"store({x.pointer}, {x.begin} + (top + i) * {x.row} + d, x, m)")
        self.leave(2)

    def finish(self) -> Emitted:
        """The kernel."""
        return self.writer.emitted(self.extent, ", space", self.space)

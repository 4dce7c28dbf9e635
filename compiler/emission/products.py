"""A gemm group as a kernel: blocks of a batched matrix product, each followed by its epilogue.

    for block in range(lo, hi):
        gemm_f32(routine, a, ..., tile, ...)  one block of rows x columns, into the worker's memory
        meet(space, warps)
        for i in range(..., warps):           the epilogue: what else the group computes of it
            for j in range(0, columns, 16):
                v0 = load(tile, ...)
        meet(space, warps)

The worker may be a team, all of which make the product; the rows of the epilogue are dealt to them.

The labels of the contraction are sorted into rows (of the first operand), columns (of the
second), the summed axis and batch axes.  Neighbouring labels merge into one axis where every
operand steps through them as one; those that do not become batch axes, along which the other
operand has the stride 0.  Without an epilogue the product goes straight to its place.

Where the summed axes do not read as one, the routine is another one, `segmented`: it finds rows and
segments of the depth by tables of offsets, so that rows merge wherever all other operands allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...runtime.program import Routine, Target
from ..graph import Node
from ..graphs.depth import MOST_ROWS, depth_axes, merge_neighbours, one_depth, operands_of
from ..graphs.views import contiguous, mergeable
from ..primitives.contraction import summed_labels
from ..primitives.elementwise import LANE_TYPES
from ..scheduling.fusion import Group
from ..scheduling.template import Offsets, Place, Tiled
from ..sizes import Dim, nominal, product
from .axes import is_whole
from .nest import Index, Known, Memory, Nest, Operand, Places, inputs_of, stored_at
from .writer import Emitted, Writer, decode

ITEM = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class _Axis:
    """An axis of the product: extent, strides in both operands, and the domain's axis."""

    extent: Dim
    left: Dim
    right: Dim
    place: int


def emit_gemm(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of a gemm group, for a target."""
    return _Product(group, buffers, target.lanes).emit()


class _Product:
    def __init__(self, group: Group, buffers: Places, lanes: int) -> None:
        self.group = group
        self.buffers = buffers
        self.writer = Writer(lanes)
        self.node = next(node for node in group.members if node.op == "contract")
        self.operands = {
            node: inputs_of(node, group, buffers) for node in group.members if node is not self.node
        }
        self.stores = {n: stored_at(n, group, buffers) for n in group.members if n in buffers}
        linear = [item for items in self.operands.values() for item in items]
        self.strides = [item.strides for item in linear if isinstance(item, (Memory, Index))]
        self.strides += [target.strides for target in self.stores.values()]
        self.flat = contiguous(group.domain)
        if any(node.op == "random_bits" for node in group.members):
            self.strides.append(self.flat)
        self.sort_labels()

    def sort_labels(self) -> None:
        node, summed = self.node, summed_labels(self.node)
        x = operands_of(node)
        self.left, self.right = x.left, x.right
        step_a = dict(zip(x.a, x.left.strides, strict=True))
        step_b = dict(zip(x.b, x.right.strides, strict=True))
        extents = dict(zip(node.attrs["out"], node.shape, strict=True))
        axes = [
            _Axis(extents[label], step_a.get(label, 0), step_b.get(label, 0), place)
            for place, label in enumerate(x.labels)
        ]
        pairs = list(zip(axes, x.labels, strict=True))
        rows = [axis for axis, label in pairs if label not in x.b]
        columns = [axis for axis, label in pairs if label not in x.a]
        self.batch = [axis for axis, label in pairs if label in x.a and label in x.b]
        one = one_depth(x, summed)
        self.depth = depth_axes(x, summed) if one is None else [one]
        self.segmented = one is None
        self.row_parts: list[tuple[Dim, Dim]] = [(1, 0)]
        self.rows = self.merge_rows(rows) if self.segmented else self.merge(rows)
        self.columns = self.merge(columns)
        self.batch.sort(key=lambda axis: axis.place)

    def merge_rows(self, axes: Sequence[_Axis]) -> _Axis | None:
        """Rows as one wherever the operands of the epilogue read so: a table finds them in A."""
        merged = self.merge(axes, table=True)
        if merged is not None:
            first = next(k for k, axis in enumerate(axes) if axis.place == merged.place)
            parts: list[tuple[Dim, Dim]] = [(axes[first].extent, axes[first].left)]
            count = axes[first].extent
            for axis in reversed(axes[:first]):
                if count == merged.extent:
                    break
                parts.insert(0, (axis.extent, axis.left))
                count = count * axis.extent
            self.row_parts = [(extent, left) for extent, left in merge_neighbours(parts)]
        return merged

    def merge(self, axes: Sequence[_Axis], table: bool = False) -> _Axis | None:
        """Axes as one, the last ones that merge; the others go to the batch.

        With a `table`, the operands of the product itself may step through them anyhow.
        """
        merged: _Axis | None = None
        alone = False
        for axis in reversed(axes):
            if merged is None:
                merged = axis
                continue
            pairs = [(s[axis.place], s[merged.place]) for s in self.strides]
            if not table:
                pairs += [(axis.left, merged.left), (axis.right, merged.right)]
            alone = alone or (table and nominal(axis.extent * merged.extent) > MOST_ROWS)
            if not alone and all(mergeable((axis.extent, o), (merged.extent, i)) for o, i in pairs):
                extent = axis.extent * merged.extent
                merged = _Axis(extent, merged.left, merged.right, merged.place)
            else:
                alone = table  # the table has neighbours alone
                self.batch.append(axis)
        return merged

    def emit(self) -> Emitted:
        writer, node = self.writer, self.node
        one = _Axis(1, 0, 0, -1)
        rows, columns = self.rows or one, self.columns or one
        m = writer.integer(rows.extent, "m")
        n = writer.integer(columns.extent, "n")
        kind = "segmented" if self.segmented else "gemm"
        routine = writer.integer(Routine(f"{kind}_{LANE_TYPES[node.dtype]}"), "routine")
        self.routine = f"{kind}_{LANE_TYPES[node.dtype]}({routine}"
        target = self.stores.get(node)
        places = [axis.place for axis in self.batch] + [rows.place, columns.place]
        narrow = None if target is None else self.narrow(target, places)
        straight = isinstance(narrow, Memory) and narrow.strides[-1] in (0, 1)
        direct = len(self.group.members) == 1 and straight
        depth = product(extent for extent, _, _ in self.depth)
        tiled = Tiled(
            "", node.dtype, rows.extent, columns.extent, depth, not direct, self.segmented
        )
        names = {
            which: writer.integer(replace(tiled, which=which), prefix)
            for which, prefix in (
                ("across", "n"), ("down", "n"), ("rows", "h"), ("columns", "w"),
            )
        }  # fmt: skip
        blocks = [(writer.integer(a.extent, "n"), a.extent) for a in self.batch]
        blocks += [(names["across"], 0), (names["down"], 0)]
        product_of = _Segments if self.segmented else _Stretch
        words = product_of(self, rows, columns, names["down"], tiled)
        writer.line("for block in range(lo, hi):")
        writer.indent += 1
        split = decode(writer, "block", blocks)
        writer.line(f"top = {split[-1]} * {names['rows']}")
        writer.line(f"left = {split[-2]} * {names['columns']}")
        for name, extent, start in (("rows", m, "top"), ("columns", n, "left")):
            writer.line(f"{name} = {extent} - {start}")
            writer.line(f"if {name} > {names[name]}:")
            writer.line(f"    {name} = {names[name]}")
        call, rest = words.call(split[:-2])
        indices = [*split[:-2], "i", "j"]
        if direct:
            assert isinstance(narrow, Memory)
            self.direct(call, narrow, split, ITEM[node.dtype], rest)
        else:
            tile = writer.integer(replace(tiled, which="tile"), "t")
            self.epilogue(call, indices, places, rest, tile, names["columns"])
        count = product(axis.extent for axis in self.batch)
        return writer.emitted(
            replace(tiled, which="blocks", count=count),
            ", space, warp, warps",
            replace(tiled, which="space"),
        )

    def terms(self, first: str, indices: Sequence[str], strides: Sequence[Dim]) -> str:
        """An offset in elements: the first term, and each batch index times its stride."""
        found = [first]
        for index, stride in zip(indices, strides, strict=True):
            if stride != 0:
                found.append(f"{index} * {self.writer.integer(stride, 's')}")
        return " + ".join(found)

    def operand(self, base: Node, offset: Dim) -> str:
        """The name of an operand's address."""
        place = self.buffers[base]
        self.writer.reads[place.buffer] = None
        return self.writer.integer(Place(place.buffer, place.offset + offset), "a")

    def narrow(self, item: Operand, places: Sequence[int]) -> Operand:
        """An operand with strides over batch, rows and columns."""
        if isinstance(item, (Node, Known)):
            return item
        strides = tuple(0 if place < 0 else item.strides[place] for place in places)
        if isinstance(item, Memory):
            return Memory(item.buffer, item.offset, strides, item.dtype)
        return Index(item.offset, strides, item.dtype)

    def direct(
        self,
        call: str,
        target: Memory,
        split: Sequence[str],
        size: int,
        rest: str,
    ) -> None:
        """The product alone, written where it belongs."""
        writer = self.writer
        row = target.strides[-2]
        writer.writes[target.buffer] = None
        out = writer.integer(Place(target.buffer, target.offset), "a")
        apart = writer.integer(row, "s")
        terms = [f"top * {apart}", "left"]
        for index, stride in zip(split[:-2], target.strides[:-2], strict=True):
            terms.append(f"{index} * {writer.integer(stride, 's')}")
        writer.line(f"{call}{out} + ({' + '.join(terms)}) * {size}, {apart}, {rest}")

    def epilogue(
        self,
        call: str,
        indices: Sequence[str],
        places: Sequence[int],
        rest: str,
        tile: str,
        width: str,
    ) -> None:
        """The product into a tile, then what the group computes from it."""
        writer = self.writer
        writer.prologue.append(f"    p_tile = {LANE_TYPES[self.node.dtype]}_in(space, {tile})")
        writer.line(f"{call}space + {tile}, {width}, {rest}")
        batch = len(indices) - 2
        nest = Nest(writer, indices, ["row"] * (batch + 1) + ["lane"], batch + 1, "m")
        nest.flat_strides = tuple(0 if place < 0 else self.flat[place] for place in places)
        writer.line("meet(space, warps)")
        writer.enter("for i in range(top + warp, top + rows, warps):")
        writer.mark_row()
        writer.line(f"for j in range(left, left + columns, {writer.lanes}):")
        writer.indent += 1
        # Blocks are whole vectors wide, so that none is left over where the columns are.
        extent = self.columns.extent if self.columns else 1
        left = writer.lanes if is_whole(extent, writer.lanes) else "left + columns - j"
        writer.line(f"m = lanes_below({left})")
        for node in self.group.members:
            if node is self.node:
                text = f"load(p_tile, (i - top) * {width} + j - left, m)"
                nest.define(node, "lane", text)
            else:
                operands = [self.narrow(item, places) for item in self.operands[node]]
                nest.expression(node, operands)
        # Stores come last: a state that is overwritten in place has been read by then.
        for node, place in self.stores.items():
            target = self.narrow(place, places)
            assert isinstance(target, Memory)
            nest.store(nest.values[node][0], target)
        writer.indent -= 2
        writer.line("meet(space, warps)")


class _Stretch:
    """The words of a product with one summed axis."""

    def __init__(
        self, work: _Product, rows: _Axis, columns: _Axis, down: str, tiled: Tiled
    ) -> None:
        writer = work.writer
        self.work, self.down = work, down
        ((depth, left, right),) = work.depth
        self.k = writer.integer(depth, "k")
        self.whole = writer.integer(replace(tiled, which="whole"), "whole")
        self.a = work.operand(work.left.base, work.left.offset)
        self.b = work.operand(work.right.base, work.right.offset)
        strides = (rows.left, left, right, columns.right)
        self.a_row, self.a_depth, self.b_depth, self.b_column = (
            writer.integer(stride, "s") for stride in strides
        )

    def call(self, batch: Sequence[str]) -> tuple[str, str]:
        """What stands before the place of the result, and what behind it."""
        work, size = self.work, ITEM[self.work.node.dtype]
        lefts, rights = ([getattr(axis, side) for axis in work.batch] for side in ("left", "right"))
        from_a = work.terms(f"top * {self.a_row}", batch, lefts)
        from_b = work.terms(f"left * {self.b_column}", batch, rights)
        call = (
            f"{work.routine}, {self.a} + ({from_a}) * {size}, {self.a_row}, {self.a_depth}, "
            f"{self.b} + ({from_b}) * {size}, {self.b_depth}, {self.b_column}, "
        )
        # What a thread has packed of b serves the blocks below as well.
        tag = f"{self.whole} * (block // {self.down} + 1)"
        return call, f"rows, columns, {self.k}, space, {tag}, warp, warps)"


class _Segments:
    """The words of a product with a depth in segments."""

    def __init__(
        self, work: _Product, rows: _Axis, columns: _Axis, down: str, tiled: Tiled
    ) -> None:
        writer = work.writer
        self.work = work
        *outer, (steps, left, right) = work.depth
        self.k = writer.integer(steps, "k")
        self.segments = writer.integer(product(extent for extent, _, _ in outer), "n")
        self.a = work.operand(work.left.base, work.left.offset)
        self.b = work.operand(work.right.base, work.right.offset)
        tables = (work.row_parts, [(n, s) for n, s, _ in outer], [(n, s) for n, _, s in outer])
        self.a_rows, self.a_depth, self.b_depth = (
            writer.integer(Offsets(tuple(axes)), "a") for axes in tables
        )
        self.a_col, self.b_row = writer.integer(left, "s"), writer.integer(right, "s")

    def call(self, batch: Sequence[str]) -> tuple[str, str]:
        """What stands before the place of the result, and what behind it."""
        work, size = self.work, ITEM[self.work.node.dtype]
        lefts, rights = ([getattr(axis, side) for axis in work.batch] for side in ("left", "right"))
        from_a = work.terms("0", batch, lefts)
        from_b = work.terms("left", batch, rights)
        call = (
            f"{work.routine}, {self.a} + ({from_a}) * {size}, {self.a_rows} + top * 8, "
            f"{self.a_depth}, {self.a_col}, {self.b} + ({from_b}) * {size}, {self.b_depth}, "
            f"{self.b_row}, "
        )
        return call, f"rows, columns, {self.k}, {self.segments}, space, warp, warps)"

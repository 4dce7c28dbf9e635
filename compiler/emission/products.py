"""A gemm group as a kernel: blocks of a batched matrix product, each followed by its epilogue.

    for block in range(lo, hi):
        gemm(routine, a, ..., tile, ...)      one block of rows x columns, into memory of the thread
        for i in ...:                         the epilogue: what else the group computes of it
            for j in range(0, columns, 16):
                v0 = load(tile, ...)

The labels of the contraction are sorted into rows (of the first operand), columns (of the
second), the summed axis and batch axes.  Neighbouring labels merge into one axis where every
operand steps through them as one; those that do not become batch axes, along which the other
operand has the stride 0.  Without an epilogue the product goes straight to its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...runtime.program import Routine
from ..graph import Node
from ..graphs.views import contiguous, mergeable, merged_axis, resolve
from ..primitives.contraction import summed_labels
from ..primitives.elementwise import LANE_TYPES
from ..scheduling.fusion import Group
from ..scheduling.template import Place, Tiled
from ..sizes import Dim, nominal, product
from .loop_kernels import Emitted
from .nest import Index, Known, Memory, Nest, Operand, Places, inputs_of, stored_at
from .writer import Writer, decode

ITEM = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class _Axis:
    """An axis of the product: extent, strides in both operands, and the domain's axis."""

    extent: Dim
    left: Dim
    right: Dim
    place: int


def columns_in_first(node: Node, labels: Sequence[int]) -> bool:
    """Whether the labels that the first operand alone has are the columns of the product.

    They are if the last of all labels is one of them, or, where that is a batch label, so that no
    row of the result lies in one piece, if they have more elements than the second operand's.
    """
    a, b = node.attrs["a"], node.attrs["b"]
    if labels and labels[-1] in a and labels[-1] in b:
        extents = dict(zip(node.attrs["out"], node.shape, strict=True))
        own = [
            nominal(product(extents[k] for k in labels if k in text and k not in other))
            for text, other in ((a, b), (b, a))
        ]
        return own[0] > own[1]
    return bool(labels) and labels[-1] in a


def emit_gemm(group: Group, buffers: Places) -> Emitted:
    """The kernel of a gemm group."""
    return _Product(group, buffers).emit()


class _Product:
    def __init__(self, group: Group, buffers: Places) -> None:
        self.group = group
        self.buffers = buffers
        self.writer = Writer()
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
        node = self.node
        a, b, out = node.attrs["a"], node.attrs["b"], node.attrs["out"]
        left, right = (resolve(item) for item in node.inputs)
        labels = [label for label, extent in zip(out, node.shape, strict=True) if extent != 1]
        if columns_in_first(node, labels):
            a, b, left, right = b, a, right, left
        step_a = dict(zip(a, left.strides, strict=True))
        step_b = dict(zip(b, right.strides, strict=True))
        axes = [
            _Axis(extent, step_a.get(label, 0), step_b.get(label, 0), place)
            for place, (label, extent) in enumerate(
                (label, extent)
                for label, extent in zip(out, node.shape, strict=True)
                if extent != 1
            )
        ]
        in_a = [label in a for label in labels]
        in_b = [label in b for label in labels]
        rows = [axis for axis, i, j in zip(axes, in_a, in_b, strict=True) if i and not j]
        columns = [axis for axis, i, j in zip(axes, in_a, in_b, strict=True) if j and not i]
        self.batch = [axis for axis, i, j in zip(axes, in_a, in_b, strict=True) if i and j]
        self.rows = self.merge(rows)
        self.columns = self.merge(columns)
        self.batch.sort(key=lambda axis: axis.place)
        order = tuple(summed_labels(node))
        found = [merged_axis(left, a, order), merged_axis(right, b, order)]
        if None in found:
            order = tuple(label for label in node.attrs["b"] if label in order)
            found = [merged_axis(left, a, order), merged_axis(right, b, order)]
        first, second = found
        assert first is not None and second is not None
        (self.depth, self.depth_left), (_, self.depth_right) = first, second
        self.left, self.right = left, right

    def merge(self, axes: Sequence[_Axis]) -> _Axis | None:
        """Axes as one, the last ones that merge; the others go to the batch."""
        merged: _Axis | None = None
        for axis in reversed(axes):
            if merged is None:
                merged = axis
                continue
            pairs = [(axis.left, merged.left), (axis.right, merged.right)]
            pairs += [(s[axis.place], s[merged.place]) for s in self.strides]
            if all(mergeable((axis.extent, o), (merged.extent, i)) for o, i in pairs):
                extent = axis.extent * merged.extent
                merged = _Axis(extent, merged.left, merged.right, merged.place)
            else:
                self.batch.append(axis)
        return merged

    def emit(self) -> Emitted:
        writer, node = self.writer, self.node
        one = _Axis(1, 0, 0, -1)
        rows, columns = self.rows or one, self.columns or one
        m = writer.integer(rows.extent, "m")
        n = writer.integer(columns.extent, "n")
        k = writer.integer(self.depth, "k")
        routine = writer.integer(Routine(f"gemm_{LANE_TYPES[node.dtype]}"), "routine")
        target = self.stores.get(node)
        places = [axis.place for axis in self.batch] + [rows.place, columns.place]
        narrow = None if target is None else self.narrow(target, places)
        straight = isinstance(narrow, Memory) and narrow.strides[-1] in (0, 1)
        direct = len(self.group.members) == 1 and straight
        tiled = Tiled("", node.dtype, rows.extent, columns.extent, self.depth, not direct)
        names = {
            which: writer.integer(replace(tiled, which=which), prefix)
            for which, prefix in (
                ("across", "n"), ("down", "n"), ("rows", "h"), ("columns", "w"), ("whole", "whole"),
            )
        }  # fmt: skip
        blocks = [(writer.integer(a.extent, "n"), a.extent) for a in self.batch]
        blocks += [(names["across"], 0), (names["down"], 0)]
        a = self.operand(self.left.base, self.left.offset)
        b = self.operand(self.right.base, self.right.offset)
        steps = {
            name: writer.integer(stride, "s")
            for name, stride in (
                ("a_row", rows.left),
                ("a_depth", self.depth_left),
                ("b_depth", self.depth_right),
                ("b_column", columns.right),
            )
        }
        size = ITEM[node.dtype]
        writer.line("for block in range(lo, hi):")
        writer.indent += 1
        split = decode(writer, "block", blocks)
        writer.line(f"top = {split[-1]} * {names['rows']}")
        writer.line(f"left = {split[-2]} * {names['columns']}")
        for name, extent, start in (("rows", m, "top"), ("columns", n, "left")):
            writer.line(f"{name} = {extent} - {start}")
            writer.line(f"if {name} > {names[name]}:")
            writer.line(f"    {name} = {names[name]}")
        from_a = [f"top * {steps['a_row']}"]
        from_b = [f"left * {steps['b_column']}"]
        for axis, index in zip(self.batch, split, strict=False):
            if axis.left != 0:
                from_a.append(f"{index} * {writer.integer(axis.left, 's')}")
            if axis.right != 0:
                from_b.append(f"{index} * {writer.integer(axis.right, 's')}")
        call = (
            f"gemm({routine}, {a} + ({' + '.join(from_a)}) * {size}, {steps['a_row']}, "
            f"{steps['a_depth']}, {b} + ({' + '.join(from_b)}) * {size}, {steps['b_depth']}, "
            f"{steps['b_column']}, "
        )
        # What a thread has packed of b serves the blocks below as well.
        rest = f"rows, columns, {k}, space, {names['whole']} * (block // {names['down']} + 1))"
        indices = [*split[:-2], "i", "j"]
        if direct:
            assert isinstance(narrow, Memory)
            self.direct(call, narrow, split, size, rest)
        else:
            tile = writer.integer(replace(tiled, which="tile"), "t")
            self.epilogue(call, indices, places, rest, tile, names["columns"])
        count = product(axis.extent for axis in self.batch)
        total = replace(tiled, which="blocks", count=count)
        source = writer.source(", space")
        return source, tuple(writer.words), total, tuple(writer.reads), tuple(writer.writes)

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
        writer.prologue.append(f"    p_tile = {LANE_TYPES[self.node.dtype]}_at(space + {tile})")
        writer.line(f"{call}space + {tile}, {width}, {rest}")
        batch = len(indices) - 2
        nest = Nest(writer, indices, ["row"] * (batch + 1) + ["lane"], batch + 1, "m")
        nest.flat_strides = tuple(0 if place < 0 else self.flat[place] for place in places)
        writer.line("for i in range(top, top + rows):")
        writer.indent += 1
        writer.mark_row()
        writer.line("for j in range(left, left + columns, 16):")
        writer.indent += 1
        writer.line("m = lanes_below(left + columns - j)")
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

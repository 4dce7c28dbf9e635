"""Kernels of the primitives that move elements: parts, zeros, taps, running sums, indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...runtime.outcomes import HOLDS
from ...runtime.program import Target
from ..graph import Node
from ..graphs.views import Shape, base_of, contiguous, resolve, squeeze
from ..primitives.elementwise import LANE_TYPES
from ..primitives.record import Builder
from ..primitives.reduction import BLOCK
from ..primitives.scattering import scatter_start
from ..scheduling.fusion import Group, Level
from ..scheduling.joining import Part, frames, parts_of
from ..sizes import Dim, ceil_divide, nominal, product
from .accumulators import block_sizes
from .compensation import BlockedSum, enter_blocks
from .loop_kernels import emit_loop
from .nest import Memory, Nest, Places, memory_at
from .turning import emit_turn, turned_axis
from .writer import Emitted, Writer, decode


def emit_copy(source: Node, buffers: Places, target: Target, place: Memory) -> Emitted:
    """A kernel that copies a value, by any view, to a place in memory.

    Where the last axis is short, the lanes go along the one whose elements lie side by side.
    """
    view = resolve(source).squeezed()
    shape, last = view.shape, len(view.shape) - 1
    axis = turned_axis(view, place, target.lanes) if view.base in buffers else None
    if axis is not None:
        return emit_turn(view, axis, buffers, target, place)
    if last > 0 and nominal(shape[last]) < target.lanes:
        along = [
            axis
            for axis in range(last)
            if view.strides[axis] == 1 and nominal(shape[axis]) >= target.lanes
        ]
        if along and view.strides[last] != 1:
            order = (*(a for a in range(last + 1) if a != along[0]), along[0])
            b = Builder(source.origin)
            source = b.transpose(b.reshape(source, shape=shape), axes=order)
            place = replace(place, strides=tuple(place.strides[a] for a in order))
    copy = Builder(source.origin).copy(source)
    group = Group("loop", squeeze(source.shape), members={copy: "full"})
    return emit_loop(group, buffers, target, {copy: place})


def emit_parts(group: Group, buffers: Places, target: Target) -> list[Emitted]:
    """One copy for each part that is not made in its stretch of the result."""
    (node,) = group.members
    made = []
    for item, part in copied_parts(node, buffers):
        place = memory_at(buffers[node], part.offset, part.strides, node.dtype)
        made.append(emit_copy(item, buffers, target, place))
    return made


def copied_parts(node: Node, buffers: Places) -> list[tuple[Node, Part]]:
    """The operands of a concatenation or padding that are made elsewhere."""
    found = []
    for item, part in parts_of(node):
        place = buffers.get(base_of(item))
        if place is None or place.strides is None:
            found.append((item, part))
    return found


def emit_pad(group: Group, buffers: Places, target: Target) -> list[Emitted]:
    """Zeros around the operand, or everywhere if some are within, and the operand in its place."""
    (node,) = group.members
    zeros = [
        emit_copy(
            Builder(node.origin).fill(0, node.type.with_shape(shape)),
            buffers,
            target,
            memory_at(buffers[node], part.offset, part.strides, node.dtype),
        )
        for shape, part in cleared_parts(node)
    ]
    return [*zeros, *emit_parts(group, buffers, target)]


def cleared_parts(node: Node) -> list[tuple[Shape, Part]]:
    """The parts of a padding that are filled with zeros, and their shapes.

    Before and behind the operand along each axis, over all of the axes after it; or all, if there
    are zeros within the operand.
    """
    strides, inside = contiguous(node.shape), node.inputs[0].shape
    if not frames(node):
        return [(node.shape, Part(node, 0, contiguous(squeeze(node.shape))))]
    before: Dim = 0
    found = []
    for axis, low in enumerate(node.attrs["low"]):
        high = low + inside[axis]
        for start, stop in ((0, low), (high, node.shape[axis])):
            shape = (*inside[:axis], stop - start, *node.shape[axis + 1 :])
            if 0 not in shape:
                steps = tuple(s for s, n in zip(strides, shape, strict=True) if n != 1)
                found.append((shape, Part(node, before + start * strides[axis], steps)))
        before = before + low * strides[axis]
    return found


def _emit_start(node: Node, buffers: Places, target: Target) -> Emitted:
    """A kernel that fills a scatter's buffer with what it is where nothing is scattered."""
    start = Builder(node.origin).fill(scatter_start(node.op, node.dtype), node.type)
    strides = contiguous(squeeze(node.shape))
    return emit_copy(start, buffers, target, memory_at(buffers[node], 0, strides, node.dtype))


def emit_first_outside(group: Group, buffers: Places, target: Target) -> Emitted:
    """The least index among the elements outside a range, as a reduction."""
    (node,) = group.members
    x = node.inputs[0]
    b = Builder(node.origin)
    line = b.widened(b.reshape(x, shape=(x.type.count,)))
    low, high = (b.spread(b.size(size=node.attrs[k], dtype=line.dtype), line.shape) for k in BOUNDS)
    below, above = b.lt(line, low), b.ge(line, high)
    outside = b.apply("or", below, above)
    places = b.iota(axis=0, shape=line.shape, dtype="int64")
    chosen = b.select(outside, places, b.fill(HOLDS, places.type))
    first = b.reduce_min(chosen, axes=(0,))
    widened = (line,) if line.op == "cast" else ()
    members: dict[Node, Level] = dict.fromkeys((*widened, below, above, outside, chosen), "full")
    whole = Group("loop", (x.type.count,), (0,), {**members, first: "kept"})
    return emit_loop(whole, {**buffers, first: buffers[node]}, target)


BOUNDS = ("low", "high")

ROWS = 64
"""Rows beside the axis of windows that are enough for threads without a part of the axis each."""


class _Lanes:
    """A kernel whose parallel axis covers the outer axes and blocks of one vector axis."""

    def __init__(
        self, lanes: int, shape: Sequence[Dim], inner: Sequence[int], vector: int | None
    ) -> None:
        """`inner` axes are looped over inside; `vector` is one of the others, or None."""
        self.writer = writer = Writer(lanes)
        outer = [a for a in range(len(shape)) if a not in inner and a != vector]
        names = [writer.integer(shape[axis], "n") for axis in outer]
        pairs: list[tuple[str, Dim]] = list(zip(names, (shape[a] for a in outer), strict=True))
        self.indices = ["0"] * len(shape)
        if vector is not None:
            blocks = ceil_divide(shape[vector], lanes)
            pairs.append((writer.integer(blocks, "n"), blocks))
            width = writer.integer(shape[vector], "n")
        self.extent = product(extent for _, extent in pairs)
        writer.line("for row in range(lo, hi):")
        writer.indent += 1
        split = decode(writer, "row", pairs) if pairs else []
        if vector is not None:
            writer.line(f"j = {split.pop()} * {lanes}")
            writer.line(f"m = lanes_below({width} - j)")
            self.indices[vector] = "j"
        else:
            writer.line("m = lanes_below(1)")
        for axis, name in zip(outer, split, strict=True):
            self.indices[axis] = name
        for axis in inner:
            self.indices[axis] = writer.fresh("r")
        scopes = ["lane"] * len(shape)
        self.nest = Nest(writer, self.indices, scopes, vector, "m")

    def done(self) -> Emitted:
        """The kernel."""
        return self.writer.emitted(self.extent)


def emit_cumsum(group: Group, buffers: Places, target: Target) -> Emitted:
    """Down the axis with a running sum, a vector of neighbours of another axis at a time.

    Of many floats, it is the running sum of a block on top of the total of those before.
    """
    (node,) = group.members
    axis, rank = node.attrs["axis"], node.type.rank
    view = resolve(node.inputs[0])
    others = [a for a in range(rank) if a != axis]
    work = _Lanes(target.lanes, node.shape, [axis], others[-1] if others else None)
    writer, nest = work.writer, work.nest
    source = memory_at(buffers[view.base], view.offset, view.strides, node.dtype)
    place = memory_at(buffers[node], 0, contiguous(node.shape), node.dtype)
    extent, index = writer.integer(node.shape[axis], "n"), work.indices[axis]
    step = "back" if node.attrs["reverse"] else index
    running = _Running(writer, node, node.shape[axis], extent)
    running.enter(step)
    if node.attrs["reverse"]:
        writer.line(f"{index} = {extent} - 1 - back")
    value, _ = nest.load(source)
    running.add(value)
    nest.store(running.value(), place)
    running.leave()
    return work.done()


class _Running:
    """A sum that grows step by step, in blocks if it is of many floats."""

    def __init__(self, writer: Writer, node: Node, steps: Dim, extent: str) -> None:
        """Of `steps` steps, for which the kernel has the name `extent`."""
        self.writer, self.extent = writer, extent
        kind, self.stop = LANE_TYPES[node.dtype], ""
        self.sum: BlockedSum | None = None
        if node.type.is_float and block_sizes([steps]):
            self.sum = BlockedSum(writer, kind)
        else:
            writer.line(f"a0 = {kind}(0)")
        self.depth = writer.indent

    def enter(self, index: str) -> None:
        """The beginning of the loop over the steps."""
        first, stop = "0", self.extent
        if self.sum:
            first, stop = enter_blocks(self.writer, first, stop, BLOCK)
        self.stop = stop
        self.writer.enter(f"for {index} in range({first}, {stop}):")

    def add(self, value: str) -> None:
        """One more term."""
        if self.sum:
            self.sum.add(value)
        else:
            self.writer.line(f"a0 = a0 + {value}")

    def value(self) -> str:
        """The sum so far."""
        return f"({self.sum.value()})" if self.sum else "a0"

    def leave(self) -> None:
        """The end of the loop."""
        if self.sum:
            self.writer.indent = self.depth + 1
            self.writer.enter(f"if {self.stop} < {self.extent}:")
            self.sum.close_block()
        self.writer.indent = self.depth


def emit_overlap_add(group: Group, buffers: Places, target: Target) -> Emitted:
    """Each element is the sum of its taps, in their order, a vector of neighbours at a time.

    Element place * stride + phase of the axis has tap t of the window `shift` places further on,
    if shift * stride is phase - t * dilation.  So the axis is taken as one of phases and one of
    places, whose neighbours have the same taps.
    """
    (node,) = group.members
    axis, stride, dilation = (node.attrs[key] for key in ("axis", "stride", "dilation"))
    view = resolve(node.inputs[0])
    extent, (count, taps) = node.shape[axis], view.shape[axis : axis + 2]
    places = ceil_divide(extent, stride)
    before, behind = node.shape[:axis], node.shape[axis + 1 :]
    domain = (*before, stride, places, *behind, taps, 1)
    tap, shift = len(domain) - 2, len(domain) - 1
    across = not behind
    loops = [axis] if across else [axis, axis + 1]
    if nominal(product((*before, *behind))) < ROWS:
        loops = []
    work = _Lanes(target.lanes, domain, [*loops, tap, shift], tap - 1)
    writer, nest, indices = work.writer, work.nest, work.indices
    phase, place = indices[axis], indices[axis + 1]
    for loop in loops:
        writer.enter(f"for {indices[loop]} in range({writer.integer(domain[loop], 'n')}):")
    writer.line(f"left = ({writer.integer(extent, 'n')} - {phase} + {stride - 1}) // {stride}")
    if across:
        writer.line(f"inside = m & lanes_below(left - {place})")
        nest.choose("inside")
    else:
        writer.enter(f"if {place} < left:")
    running = _Running(writer, node, taps, writer.integer(taps, "n"))
    running.enter(indices[tap])
    writer.line(f"back = {phase} - {indices[tap]} * {dilation}")
    writer.line(f"{indices[shift]} = back // {stride}")
    writer.enter(f"if {indices[shift]} * {stride} == back:")
    writer.line(f"first = {place} + {indices[shift]}")
    limit = writer.integer(count, "n")
    if across:
        writer.line(f"there = inside & lanes_below({limit} - first) & ~lanes_below(0 - first)")
        nest.choose("there")
    else:
        writer.enter("if first >= 0:")
        writer.enter(f"if first < {limit}:")
    step, apart = view.strides[axis : axis + 2]
    strides = (*view.strides[:axis], 0, step, *view.strides[axis + 2 :], apart, step)
    value, _ = nest.load(memory_at(buffers[view.base], view.offset, strides, node.dtype))
    running.add(value)
    running.leave()
    nest.choose("inside" if across else "m")
    out = contiguous(node.shape)
    strides = (*out[: axis + 1], out[axis] * stride, *out[axis + 1 :], 0, 0)
    nest.store(running.value(), memory_at(buffers[node], 0, strides, node.dtype))
    return work.done()


def emit_scatter(group: Group, buffers: Places, target: Target) -> list[Emitted]:
    """Zeros, then every update added in the order of its index, a vector of neighbours at a time.

    Other scatters combine in another way, and start at what that is of nothing.  The vector axis is
    the last axis behind the indexed ones; without one it is the last index axis, whose updates may
    meet at one element and are taken one after another.  A `scatter_sums` has what is rounded away
    behind the totals, as `compensation` says, in blocks of one.
    """
    (node,) = group.members
    index, updates = node.inputs
    first, count = node.attrs["axis"], index.type.rank
    rank = updates.type.rank
    chosen = list(range(first, first + count))
    behind = rank > first + count
    vector = rank - 1 if behind else (chosen[-1] if chosen else None)
    inner = [axis for axis in chosen if axis != vector]
    if behind or not chosen:
        work = _Lanes(target.lanes, updates.shape, chosen, vector)
    else:
        work = _Lanes(target.lanes, updates.shape, chosen, None)
        work.indices[chosen[-1]] = "j"
        work.nest.indices, work.nest.vector = work.indices, chosen[-1]
    writer, nest = work.writer, work.nest
    names = {axis: writer.integer(updates.shape[axis], "n") for axis in chosen}
    for axis in inner if not behind else chosen:
        writer.line(f"for {work.indices[axis]} in range({names[axis]}):")
        writer.indent += 1
    if not behind and chosen:
        writer.line(f"for j in range(0, {names[chosen[-1]]}, {target.lanes}):")
        writer.indent += 1
        writer.line(f"m = lanes_below({names[chosen[-1]]} - j)")
    where, _ = nest.load(memory_operand_at(index, chosen, rank, buffers))
    value, _ = nest.load(memory_operand_at(updates, list(range(rank)), rank, buffers))
    out = contiguous(node.shape)[1 if node.op == "scatter_sums" else 0 :]
    strides: list[Dim] = [0] * rank
    for axis in range(rank):
        if axis not in chosen:
            strides[axis] = out[axis if axis < first else axis - count + 1]
    place = buffers[node]
    pointer = writer.pointer(place.buffer, place.offset, node.dtype, writes=True)
    extent = writer.integer(node.attrs["size"], "n")
    apart = writer.integer(out[first], "s")
    start = nest.offset("out", tuple(strides))
    gap = None
    if node.op == "scatter_sums":
        parts, apart_by = node.shape[0], contiguous(node.shape)[0]
        gap = writer.integer((parts - 1) * apart_by, "s")
    if behind:
        writer.line(f"k = first(to_i64({where}))")
        writer.enter("if k >= 0:")
        writer.enter(f"if k < {extent}:")
        writer.line(f"at = {start} + k * {apart}")
        _combine_row(writer, node, pointer, value, gap)
    else:
        writer.line(f"k = to_i64({where})")
        writer.line(f"inside = (k >= i64(0)) & (k < i64({extent})) & m")
        places = f"i64({start}) + k * i64({apart})"
        word = f"{node.op}({pointer}, {gap}, " if gap else f"{node.op}({pointer}, "
        writer.line(f"{word}{places}, {value}, inside)")
    return [_emit_start(node, buffers, target), work.done()]


def put_in_place(node: Node, buffers: Places) -> bool:
    """Whether the value of a `put` lies where that lies which it is put into."""
    view = resolve(node.inputs[0])
    return buffers[view.base] == buffers[node] and view.is_identity()


def emit_put(group: Group, buffers: Places, target: Target) -> list[Emitted]:
    """A copy, unless the value lies there already, and the row at its place."""
    (node,) = group.members
    x, index, row = node.inputs
    axis, rank = node.attrs["axis"], node.type.rank
    others = [a for a in range(rank) if a != axis]
    work = _Lanes(target.lanes, node.shape, [axis], others[-1] if others else None)
    writer, nest = work.writer, work.nest
    where, _ = nest.load(memory_operand_at(index, [], rank, buffers))
    writer.line(f"{work.indices[axis]} = first(to_i64({where}))")
    extent = writer.integer(node.shape[axis], "n")
    writer.enter(f"if {work.indices[axis]} >= 0:")
    writer.enter(f"if {work.indices[axis]} < {extent}:")
    value, _ = nest.load(memory_operand_at(row, others, rank, buffers))
    place = memory_at(buffers[node], 0, contiguous(node.shape), node.dtype)
    nest.store(value, place)
    copies = []
    if not put_in_place(node, buffers):
        whole = memory_at(buffers[node], 0, contiguous(squeeze(node.shape)), node.dtype)
        copies.append(emit_copy(x, buffers, target, whole))
    return [*copies, work.done()]


COMBINED = {
    "scatter_add": "{} + {}",
    "scatter_mul": "{} * {}",
    "scatter_max": "maximum({}, {})",
    "scatter_min": "minimum({}, {})",
}


def _combine_row(writer: Writer, node: Node, pointer: str, value: str, gap: str | None) -> None:
    """Lines that combine a vector with that at `at`; what a sum loses is kept `gap` behind."""
    if gap is None:
        both = COMBINED[node.op].format(f"load({pointer}, at, m)", value)
        writer.line(f"store({pointer}, at, {both}, m)")
        return
    kind = LANE_TYPES[node.dtype]
    writer.line(f"a0 = load({pointer}, at, m)")
    writer.line(f"more = {value} + select(b1({gap}), load({pointer}, at + {gap}, m), {kind}(0))")
    writer.line("new = a0 + more")
    lost = f"select(new - new == {kind}(0), more - (new - a0), {kind}(0))"
    writer.line(f"store({pointer}, at + {gap}, {lost}, m)")
    writer.line(f"store({pointer}, at, new, m)")


def memory_operand_at(item: Node, axes: Sequence[int], rank: int, buffers: Places) -> Memory:
    """An operand in memory whose axes, those of one element too, are `axes` of the domain."""
    view = resolve(item)
    strides: list[Dim] = [0] * rank
    for axis, stride in zip(axes, view.strides, strict=True):
        strides[axis] = stride
    return memory_at(buffers[view.base], view.offset, tuple(strides), view.base.dtype)

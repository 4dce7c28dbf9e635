"""A loop group as a kernel: loops over the kept axes, and inside them one loop a phase.

    for row in range(lo, hi):                 the kept axes, this call's share of them
        a0 = ...                              accumulators of phase 0
        for j in range(0, n1, 16):            the reduced axes, all lanes at a time (here 16)
            ...                               loads, expressions, accumulation
        v7 = reduce_max(a0)                   values of the kept axes
        for j in range(0, n1, 16):            phase 1: what needs the reductions of phase 0
            ...

A value that two phases need is saved in the cache if recomputing it would cost more.

The innermost axis of the domain is the vector axis.  If it is kept while others are reduced,
each row handles a vector of its elements and the phases run down the reduced axes.  So it is made
where the innermost axis is reduced and known to be short: as many rows at once as there are lanes.

A loop over the vector axis has two parts, the second for what is left behind whole vectors:

        for j in range(0, whole, 16):         all lanes, so that LLVM drops the mask
            m = lanes_below(16)
        for j in range(whole, n1, 16):        at most once
            m = lanes_below(n1 - j)

Where the extent is whole vectors for all sizes, or below two of them, there is one part.

On a GPU a row without sums is done in pieces, and few long rows with sums by teams (`teams`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...runtime.program import Target
from ..graph import Node
from ..graphs.views import contiguous
from ..primitives.elementwise import LANE_TYPES, MEMORY_TYPES
from ..primitives.record import lookup
from ..primitives.reduction import BLOCK, STRETCH
from ..scheduling.fusion import Group, ready_phases
from ..sizes import Dim, ceil_divide, product
from .accumulators import Accumulators
from .axes import (
    Axis,
    is_short,
    is_whole,
    merged_axes,
    moves_bytes,
    piece_on,
    rows_in_lanes,
    short_rows,
)
from .nest import Index, Known, Memory, Nest, Operand, Places, inputs_of, stored_at
from .phases import CACHE, plan_phases
from .teams import Team, takes_team
from .writer import Emitted, Writer, decode

FLAT = STRETCH
"""Elements that one index of the parallel axis covers where a domain is a single axis."""


def emit_loop(
    group: Group, buffers: Places, target: Target, stores: Mapping[Node, Memory] | None = None
) -> Emitted:
    """The kernel of a loop group, for a target.

    `stores` says where members go if not in their own buffers.
    """
    if stores is None:
        stores = {
            node: stored_at(node, group, buffers) for node in group.members if node in buffers
        }
    return _Loop(group, buffers, target, stores).emit()


class _Loop:
    def __init__(
        self, group: Group, buffers: Places, target: Target, stores: Mapping[Node, Memory]
    ) -> None:
        self.group, self.lanes = group, target.lanes
        self.writer = Writer(self.lanes)
        operands = {node: inputs_of(node, group, buffers) for node in group.members}
        flat = contiguous(group.domain)
        random = any(node.op == "random_bits" for node in group.members)
        linear = [item for items in operands.values() for item in items]
        strides = [item.strides for item in linear if isinstance(item, (Memory, Index))]
        strides += [target.strides for target in stores.values()] + ([flat] if random else [])
        self.axes = merged_axes(group, strides)
        self.columns = [node for node, level in group.members.items() if level == "column"]
        if not (random or self.columns or moves_bytes(linear, stores)):
            self.axes = rows_in_lanes(self.axes, self.lanes)
        self.operands = {node: [self.narrow(i) for i in items] for node, items in operands.items()}
        self.stores = {node: self.narrow(target) for node, target in stores.items()}
        self.flat = tuple(flat[axis.last] for axis in self.axes)
        self.ready = ready_phases(group)
        self.inner = [] if group.reduced or self.columns else short_rows(self.axes)
        self.piece = None if group.reduced or self.columns else piece_on(target)
        self.team = Team(self.writer) if takes_team(group, self.axes, target) else None
        self.bounds: tuple[str, str] | None = None  # of the loop over the vector axis
        self.row_length: str | None = None
        self.tiles: dict[Node, str] = {}
        self.needed, self.put_by = plan_phases(
            group, self.operands, self.roots(), self.stores.keys(), self.longest_row()
        )

    def narrow(self, item: Operand) -> Operand:
        """An operand with strides over the merged axes."""
        if isinstance(item, (Node, Known)):
            return item
        strides = tuple(item.strides[axis.last] for axis in self.axes)
        if isinstance(item, Memory):
            return Memory(item.buffer, item.offset, strides, item.dtype)
        return Index(item.offset, strides, item.dtype)

    def emit(self) -> Emitted:
        writer = self.writer
        kept = [axis for axis in self.axes if not axis.reduced]
        reduced = [axis for axis in self.axes if axis.reduced]
        names = {axis: writer.integer(axis.extent, "n") for axis in self.axes}
        vector = self.axes[-1] if self.axes else None
        indices: dict[Axis, str] = {}
        inside = [axis for axis in self.axes if axis.reduced or axis in self.inner]
        scopes = {axis: "lane" if axis in inside else "row" for axis in self.axes}
        flat = vector is not None and not vector.reduced and len(self.axes) == 1
        if vector is None:
            extent: Dim = 1
            writer.line("for row in range(lo, hi):")
        elif flat:
            scopes[vector] = "lane"
            extent = ceil_divide(vector.extent, self.piece or FLAT)
            indices[vector] = "j"
        else:
            outer = [axis for axis in kept if axis is not vector and axis not in self.inner]
            extent = product(axis.extent for axis in outer)
            if self.columns:
                extent = self.open_blocks(extent, names[vector])
            else:
                writer.line("for row in range(lo, hi):")
            writer.indent += 1
            pairs: list[tuple[str, Dim]] = [(names[axis], axis.extent) for axis in outer]
            if not vector.reduced and reduced:
                blocks = ceil_divide(vector.extent, self.lanes)
                extent = extent * blocks
                pairs.append((writer.integer(blocks, "n"), blocks))
                split = decode(writer, "row", pairs)
                indices[vector] = "j"
                writer.line(f"j = {split.pop()} * {self.lanes}")
                left = self.lanes if is_whole(vector.extent, self.lanes) else f"{names[vector]} - j"
                writer.line(f"m = lanes_below({left})")
            else:
                if self.piece is not None and not is_short(vector.extent, self.piece):
                    blocks = ceil_divide(vector.extent, self.piece)
                    extent = extent * blocks
                    pairs.append((writer.integer(blocks, "n"), blocks))
                split = decode(writer, "row", pairs) if pairs else []
                if len(split) > len(outer):
                    self.open_piece(split.pop(), names[vector])
                scopes[vector] = "lane"
                indices[vector] = "j"
            indices.update(zip(outer, split, strict=True))
            writer.indent -= 1
        for axis in (*reduced, *self.inner):
            indices.setdefault(axis, writer.fresh("r"))
        self.along = indices[reduced[-1]] if reduced else ""
        self.nest = Nest(
            writer,
            [indices[axis] for axis in self.axes],
            [scopes[axis] for axis in self.axes],
            len(self.axes) - 1 if self.axes else None,
            "m",
        )
        self.nest.flat_strides = self.flat
        if flat:
            self.flat_phase(names[self.axes[0]])
        else:
            writer.indent += 1
            if vector is None:
                writer.line("m = lanes_below(1)")
            self.phases([*reduced, *self.inner], names, indices, vector)
        if self.team is not None:
            return writer.emitted(extent, ", space, warp, warps", self.team.space)
        return writer.emitted(extent)

    def open_piece(self, block: str, width: str) -> None:
        """The bounds of the part of a row that an index covers."""
        writer = self.writer
        writer.line(f"begin = {block} * {self.piece}")
        writer.line(f"end = begin + {self.piece}")
        writer.line(f"if end > {width}:")
        writer.line(f"    end = {width}")
        self.bounds = ("begin", "end")

    def open_blocks(self, rows: Dim, width: str) -> Dim:
        """Rows in blocks, each of which starts its column sums at zero; how many blocks."""
        writer = self.writer
        total = writer.integer(rows, "n")
        writer.line("for block in range(lo, hi):")
        writer.indent += 1
        writer.line(f"for j in range(0, {width}, {self.lanes}):")
        for node in self.columns:
            pointer, place = self.column_place(node)
            text = (
                f"store({pointer}, {place}, {LANE_TYPES[node.dtype]}(0), lanes_below({width} - j))"
            )
            writer.line("    " + text)
        writer.line(f"stop = block * {BLOCK} + {BLOCK}")
        writer.line(f"if stop > {total}:")
        writer.line(f"    stop = {total}")
        writer.line(f"for row in range(block * {BLOCK}, stop):")
        return ceil_divide(rows, BLOCK)

    def column_place(self, node: Node) -> tuple[str, str]:
        """Where a column sum stands: a pointer, and the offset of the lane's element."""
        target = self.stores[node]
        assert isinstance(target, Memory)
        pointer = self.writer.pointer(target.buffer, target.offset, target.dtype, writes=True)
        if self.row_length is None:
            self.row_length = self.writer.integer(self.axes[-1].extent, "n")
        return pointer, f"block * {self.row_length} + j"

    def flat_phase(self, extent: str) -> None:
        """One axis alone, kept: no rows, each index of the parallel axis is a stretch of it."""
        writer = self.writer
        if self.columns:
            self.stretches(extent)
            return
        piece = self.piece or FLAT
        writer.line(f"end = hi * {piece}")
        writer.line(f"if end > {extent}:")
        writer.line(f"    end = {extent}")
        for _ in self.vector_loops(f"lo * {piece}", "end", self.axes[0].extent):
            self.lane_values(0)

    def stretches(self, extent: str) -> None:
        """The same, with a sum for each stretch."""
        writer, axis = self.writer, self.axes[0]
        sums = Accumulators(writer, self.nest, across=True)
        writer.line("for row in range(lo, hi):")
        writer.indent += 1
        sums.start(self.columns)
        writer.line(f"end = row * {FLAT} + {FLAT}")
        writer.line(f"if end > {extent}:")
        writer.line(f"    end = {extent}")
        for _ in self.vector_loops(f"row * {FLAT}", "end", axis.extent):
            for node, value in self.lane_values(0).items():
                sums.accumulate(node, value, "j")
        for node, state in sums.states.items():
            target = self.stores[node]
            assert isinstance(target, Memory)
            pointer = writer.pointer(target.buffer, target.offset, target.dtype, writes=True)
            writer.line(f"store_first({pointer}, row, {sums.result(node, state)})")

    def vector_loops(
        self, start: str, end: str, extent: Dim, sums: Accumulators | None = None, place: int = 0
    ) -> Iterator[None]:
        """The parts of a loop over the vector axis; the body is written once in each.

        The first may be cut into the blocks of sums, for which this loop is the one at `place`.
        """
        writer, lanes = self.writer, self.lanes
        parts = [(start, end, f"lanes_below({end} - j)")]
        if is_whole(extent, lanes):
            parts = [(start, end, f"lanes_below({lanes})")]
        elif not isinstance(extent, int) or extent >= 2 * lanes:
            stop = writer.fresh("whole")
            writer.line(f"{stop} = {end} // {lanes} * {lanes}")
            parts = [(start, stop, f"lanes_below({lanes})"), (stop, end, f"lanes_below({end} - j)")]
        for number, (first, stop, mask) in enumerate(parts):
            in_blocks = sums if number == 0 else None
            if in_blocks:
                first, stop = in_blocks.enter_block(place, first, stop, lanes)
            if self.team is not None:
                self.team.enter(first, stop)
            else:
                writer.enter(f"for j in range({first}, {stop}, {lanes}):")
            writer.line(f"m = {mask}")
            yield
            writer.indent -= 1
            if in_blocks:
                in_blocks.leave_block(place)
            self.nest.forget("lane")

    def phases(
        self,
        inside: Sequence[Axis],
        names: Mapping[Axis, str],
        indices: Mapping[Axis, str],
        vector: Axis | None,
    ) -> None:
        across = vector is not None and vector.reduced
        sums = Accumulators(self.writer, self.nest, across, self.team)
        last = max(self.ready.values(), default=0)
        for phase in range(last + 1):
            self.writer.mark_row()
            self.row_values(phase)
            starts = self.reductions(phase)
            if not (starts or self.column_sums(phase)) and not any(
                self.ready[n] == phase for n in self.full_stores()
            ):
                continue
            looped = list(inside)
            if vector is not None and not vector.reduced and not self.group.reduced:
                looped.append(vector)
            steps = [ceil_divide(a.extent, self.lanes) if a is vector else a.extent for a in looped]
            sums.start(starts, steps)
            self.writer.mark_row()
            for _ in self.nested(looped, names, indices, vector, sums):
                self.add_to_columns(self.lane_values(phase))
                for node in starts:
                    value, _ = self.nest.value(self.operands[node][0])
                    sums.accumulate(node, value, indices[inside[0]] if inside else "0")
            self.nest.forget("lane")
            self.writer.mark_row()
            sums.finish()
        if self.team is not None:
            self.team.meet()  # all have read what is overwritten in place, and what others found
        self.store([node for node in self.stores if self.group.members[node] == "kept"])

    def nested(
        self,
        axes: Sequence[Axis],
        names: Mapping[Axis, str],
        indices: Mapping[Axis, str],
        vector: Axis | None,
        sums: Accumulators,
    ) -> Iterator[None]:
        """Loops over axes, the first outermost; the body is written once for each part."""
        writer = self.writer
        outer = [axis for axis in axes if axis is not vector]
        for place, axis in enumerate(outer):
            first, stop = sums.enter_block(place, "0", names[axis])
            writer.enter(f"for {indices[axis]} in range({first}, {stop}):")
        if vector is not None and vector in axes:
            last = len(outer)
            start, end = self.bounds or ("0", names[vector])
            yield from self.vector_loops(start, end, vector.extent, sums, last)
            sums.leave_loop(last)
        else:
            yield
        for place in reversed(range(len(outer))):
            writer.indent -= 1
            sums.leave_block(place)
            sums.leave_loop(place)

    def full_stores(self) -> list[Node]:
        return [node for node in self.stores if self.group.members[node] == "full"]

    def reductions(self, phase: int) -> list[Node]:
        return [
            node
            for node in self.group.members
            if self.group.members[node] == "kept"
            and lookup(node.op).kind == "reduction"
            and self.ready[node] == phase + 1
        ]

    def row_values(self, phase: int) -> None:
        """Kept members that this phase's loop may need."""
        for node, level in self.group.members.items():
            if level != "kept" or self.ready[node] != phase or node in self.nest.values:
                continue
            self.nest.expression(node, self.operands[node])

    def store(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            target = self.stores[node]
            assert isinstance(target, Memory)
            self.nest.store(self.nest.values[node][0], target)

    def roots(self) -> list[list[Operand]]:
        """What each phase must have: the values that it stores or reduces."""
        found: list[list[Operand]] = []
        for phase in range(max(self.ready.values(), default=0) + 1):
            wanted: list[Operand] = [n for n in self.full_stores() if self.ready[n] == phase]
            for node in (*self.reductions(phase), *self.column_sums(phase)):
                wanted += self.operands[node]
            found.append(wanted)
        return found

    def longest_row(self) -> int:
        """Elements that a saved row would have; more than the cache has where that is unknown."""
        reduced = [axis for axis in self.axes if axis.reduced]
        if len(reduced) != 1 or not isinstance(reduced[0].extent, int):
            return CACHE + 1
        extent = reduced[0].extent
        return extent + self.lanes if reduced[0] is self.axes[-1] else extent * self.lanes

    def column_sums(self, phase: int) -> list[Node]:
        return [node for node in self.columns if self.ready[node] == phase + 1]

    def put_aside(self, node: Node) -> None:
        """Keep a value for later phases: in its own buffer if it has one, else on the stack."""
        name = self.nest.values[node][0]
        if node in self.stores:
            target = self.stores[node]
            assert isinstance(target, Memory)
            pointer = self.writer.pointer(target.buffer, target.offset, target.dtype, writes=True)
            self.nest.saved[node] = self.nest.read(pointer, target)
        else:
            pointer = self.tile(node)
            place = "j" if self.axes[-1].reduced else f"{self.along} * {self.lanes}"
            self.writer.line(f"store({pointer}, {place}, {name}, m)")
            self.nest.saved[node] = f"load({pointer}, {place}, m)"

    def tile(self, node: Node) -> str:
        """The pointer to a row on the stack, the same in both parts of a loop."""
        if node not in self.tiles:
            self.tiles[node] = self.writer.fresh("q")
            size = self.longest_row() * node.type.item_bytes
            text = f"{self.tiles[node]} = {MEMORY_TYPES[node.dtype]}_at(tile({size}))"
            self.writer.prologue.append(f"    {text}")
        return self.tiles[node]

    def lane_values(self, phase: int) -> dict[Node, str]:
        """The full members that a phase computes, and their stores; the terms of its columns."""
        wanted = [node for node in self.full_stores() if self.ready[node] == phase]
        for node in self.group.members:
            if node in self.needed[phase] and node not in self.nest.values:
                self.nest.expression(node, self.operands[node])
                lane = self.nest.values[node][1] == "lane"
                if lane and node in self.put_by:
                    self.put_aside(node)
        for node in self.reductions(phase):
            self.nest.value(self.operands[node][0])
        terms = {n: self.nest.value(self.operands[n][0])[0] for n in self.column_sums(phase)}
        # Stores come last: what is overwritten in place has been read by then.
        self.store(wanted)
        return terms

    def add_to_columns(self, terms: Mapping[Node, str]) -> None:
        """One more row of column sums."""
        for node, value in terms.items():
            pointer, place = self.column_place(node)
            text = f"load({pointer}, {place}, m) + {value}"
            self.writer.line(f"store({pointer}, {place}, {text}, m)")

"""What the kernels of linear algebra share: their range are the matrices of the batch.

for row in range(lo, hi):          a matrix of the batch
held <- the operands           in memory of the worker, rows in whole vectors
...                            what the kernel is about
result <- held
"""

from __future__ import annotations

from ....runtime.program import Target
from ...graph import Node
from ...graphs.views import resolve
from ...primitives.elementwise import LANE_TYPES
from ...sizes import Dim, product
from ..nest import Places
from ..writer import Emitted, Writer, decode
from .matrices import RESERVED, batch_axes


class Frame:
    """A kernel of one node while it is written, inside of the loop over matrices.

    Which strides are 0 makes no difference to the text, so that most matrices share it.
    """

    def __init__(self, node: Node, buffers: Places, target: Target) -> None:
        self.node, self.buffers, self.lanes = node, buffers, target.lanes
        self.kind = LANE_TYPES[node.dtype]
        self.writer = writer = Writer(target.lanes)
        self.views = [resolve(item) for item in node.inputs]
        self.lead = node.inputs[0].shape[:-2]
        writer.prologue.append(f"    held = {self.kind}_in(space, {RESERVED})")
        axes = batch_axes(self.lead, [view.strides for view in self.views])
        matrices = [(writer.integer(extent, "n"), extent) for extent, _ in axes]
        self.steps = [steps for _, steps in axes]
        writer.enter("for row in range(lo, hi):")
        self.indices = decode(writer, "row", matrices)

    def integer(self, value: Dim) -> str:
        """The name of an extent."""
        return self.writer.integer(value, "n")

    def memory(self, name: str, elements: Dim, kind: str = "") -> None:
        """A name for memory of the worker, behind so many elements."""
        start = self.integer(elements * self.node.type.item_bytes + RESERVED)
        self.writer.prologue.append(f"    {name} = {kind or self.kind}_in(space, {start})")

    def text(self, template: str, **names: str | int) -> None:
        """Lines of text, with the kind and the number of lanes beside the names given."""
        for line in template.format(kind=self.kind, lanes=self.lanes, **names).splitlines():
            self.writer.line(line)

    def rows(self, rows: str, columns: str) -> None:
        """The beginning of loops over rows, and over columns a vector at a time."""
        self.writer.enter(f"for i in range({rows}):")
        self.writer.enter(f"for j in range(0, {columns}, {self.lanes}):")
        self.writer.line(f"m = lanes_below({columns} - j)")

    def leave(self) -> None:
        """The end of loops over rows and columns."""
        self.writer.indent -= 2

    def operand(self, index: int) -> tuple[str, str, str, str]:
        """A pointer to an operand, where its matrix begins, and its strides down and across."""
        view = self.views[index]
        place = self.buffers[view.base]
        pointer = self.writer.pointer(place.buffer, place.offset + view.offset, view.base.dtype)
        pairs = zip(self.indices, self.steps, strict=True)
        begin = " + ".join(f"{i} * {self.writer.integer(step[index], 's')}" for i, step in pairs)
        down, across = (self.writer.integer(stride, "s") for stride in view.strides[-2:])
        return pointer, begin, down, across

    def read(self, index: int, rows: str, columns: str, at: str, turned: bool = False) -> None:
        """Copy an operand's rows, or its columns, to `held` at `at`, a text of i and j."""
        pointer, begin, down, across = self.operand(index)
        strides, shape = self.views[index].strides[-2:], self.views[index].shape[-2:]
        along = 0 if turned else 1
        down, across = (across, down) if turned else (down, across)
        self.rows(rows, columns)
        if strides[along] == 1 or shape[along] == 1:
            value = f"load({pointer}, {begin} + i * {down} + j, m)"
        else:
            value = f"load_strided({pointer}, {begin} + i * {down} + j * {across}, {across}, m)"
        self.writer.line(f"store(held, {at}, {value})")
        self.leave()

    def result(self) -> str:
        """A pointer to the result."""
        place = self.buffers[self.node]
        return self.writer.pointer(place.buffer, place.offset, self.node.dtype, writes=True)

    def emitted(self, elements: Dim) -> Emitted:
        """The kernel, with memory for so many elements."""
        space = RESERVED + elements * self.node.type.item_bytes
        return self.writer.emitted(product(self.lead), ", space", space)

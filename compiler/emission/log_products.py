"""The kernels of products in logarithms: `log_product`, and those of its way back.

    for block in range(lo, hi):                   four rows of the result, which read b together
        for j in range(0, columns, 16):
            s <- sum_d a[row, d] b[d, j]          the factors' product
            value <- log(s), or s times a factor, or NaN where that cannot be trusted
            if there is a NaN:
                value <- where it is NaN, computed again from x and w, by exponentials

What else is computed makes no difference to an element, nor does the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.program import Target
from ..graph import Node
from ..graphs.views import resolve
from ..primitives.elementwise import LANE_TYPES
from ..primitives.log_product import LEAST, MOST
from ..primitives.record import Builder
from ..scheduling.fusion import Group
from ..sizes import ceil_divide, product
from .nest import Places
from .writer import Emitted, Writer, decode

ROWS = 4
"""Rows that are computed together; what is left is computed row by row, and in the same order."""

CHAINS = 2
"""Sums of each row that are made side by side, so that none waits for the one before."""


@dataclass(frozen=True)
class _Matrix:
    """An operand in memory: a pointer, where the present matrix begins, and its strides."""

    pointer: str
    begin: str
    down: str
    across: str
    in_rows: bool

    def one(self, row: str, column: str) -> str:
        """An element, in all lanes."""
        return f"load_splat({self.pointer}, {self._place(row, column)})"

    def row(self, row: str) -> str:
        """A vector of elements of a row from column j on."""
        place = self._place(row, "j")
        if self.in_rows:
            return f"load({self.pointer}, {self.begin} + {row} * {self.down} + j, m)"
        return f"load_strided({self.pointer}, {place}, {self.across}, m)"

    def column(self, column: str) -> str:
        """A vector of elements of a column from row j on."""
        return f"load_strided({self.pointer}, {self._place('j', column)}, {self.down}, m)"

    def _place(self, row: str, column: str) -> str:
        return f"{self.begin} + {row} * {self.down} + {column} * {self.across}"


def emit_log_product(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the rows of the result."""
    (node,) = group.members
    return _Kernel(node, buffers, target.lanes).emit()


class _Kernel:
    """Writes the kernel of one node."""

    def __init__(self, node: Node, buffers: Places, lanes: int) -> None:
        self.node, self.buffers, self.writer = node, buffers, Writer(lanes)
        self.kind = LANE_TYPES[node.dtype]
        self.zero = f"{self.kind}(0)"
        self.infinity, self.nan = self.number(np.inf), self.number(np.nan)

    def emit(self) -> Emitted:
        """The text, and what its row holds."""
        node, writer = self.node, self.writer
        *lead, rows, columns = node.shape
        count, width = writer.integer(rows, "n"), writer.integer(columns, "n")
        blocks = ceil_divide(rows, ROWS)
        axes = [axis for axis, extent in enumerate(lead) if extent != 1]
        extents = [(writer.integer(lead[axis], "n"), lead[axis]) for axis in axes]
        extents.append((writer.integer(blocks, "n"), blocks))
        place = self.buffers[node]
        self.target = writer.pointer(place.buffer, place.offset, node.dtype, writes=True)
        writer.enter("for block in range(lo, hi):")
        *outer, inner = decode(writer, "block", extents)
        writer.line(f"above = block // {extents[-1][0]} * {count}")
        writer.line(f"start = {inner} * {ROWS}")
        writer.line(f"stop = start + {ROWS}")
        writer.line(f"if stop > {count}:")
        writer.line(f"    stop = {count}")
        self.operands = [self.matrix(item, axes, outer) for item in node.inputs]
        self.depths = [writer.integer(item.shape[-1], "n") for item in node.inputs]
        writer.enter(f"for j in range(0, {width}, {writer.lanes}):")
        self.place = f"(above + {{}}) * {width} + j"
        writer.line(f"m = lanes_below({width} - j)")
        writer.line("doubt = b1(0)")
        writer.enter(f"if stop - start == {ROWS}:")
        self.products([f"(start + {number})" for number in range(ROWS)])
        writer.indent -= 1
        writer.enter(f"if stop - start < {ROWS}:")
        writer.enter("for i in range(start, stop):")
        self.products(["i"])
        writer.indent -= 2
        writer.line("some = first(to_i64(reduce_any(doubt)))")
        writer.enter("if some > 0:")
        writer.enter("for i in range(start, stop):")
        self.terms("i")
        return writer.emitted(product([*lead, blocks]))

    def number(self, value: float) -> str:
        """A number in all lanes."""
        return self.writer.scalar(Builder().constant(value, self.node.dtype))

    def matrix(self, item: Node, axes: list[int], outer: list[str]) -> _Matrix:
        """An operand as it lies."""
        writer, view = self.writer, resolve(item)
        place = self.buffers[view.base]
        pointer = writer.pointer(place.buffer, place.offset + view.offset, item.dtype)
        terms = [
            f"{index} * {writer.integer(view.strides[axis], 's')}"
            for index, axis in zip(outer, axes, strict=True)
        ]
        begin = writer.fresh("begin")
        writer.line(f"{begin} = {' + '.join(terms) or '0'}")
        down, across = (writer.integer(step, "s") for step in view.strides[-2:])
        return _Matrix(pointer, begin, down, across, view.strides[-1] == 1 or view.shape[-1] == 1)

    def products(self, rows: list[str]) -> None:
        """Rows of the result by the product of the factors, or NaN."""
        writer, kind = self.writer, self.kind
        logarithms = self.node.op == "log_product"
        number = 2 if logarithms else 4
        left, right, depth = *self.operands[number : number + 2], self.depths[number]

        def add(chain: int, at: str) -> None:
            writer.line(f"each = {right.row(at)}")
            for k, row in enumerate(rows):
                name = f"sum{k}_{chain}"
                writer.line(f"{name} = fma({left.one(row, at)}, each, {name})")

        for k in range(len(rows)):
            for chain in range(CHAINS):
                writer.line(f"sum{k}_{chain} = {self.zero}")
        writer.line(f"whole = {depth} // {CHAINS} * {CHAINS}")
        writer.enter(f"for d in range(0, whole, {CHAINS}):")
        for chain in range(CHAINS):
            add(chain, f"(d + {chain})")
        writer.indent -= 1
        writer.enter(f"for d in range(whole, {depth}):")
        add(0, "d")
        writer.indent -= 1
        for k, row in enumerate(rows):
            writer.line(f"s = sum{k}_0 + sum{k}_1")
            if logarithms:
                least, most = (self.number(ends[self.node.dtype]) for ends in (LEAST, MOST))
                writer.line(f"trusted = (s > {least}) & (s < {most})")
                writer.line(f"value = log(select(trusted, s, {kind}(1)))")
            else:
                writer.line(f"value = s * {self.operands[-1].row(row)}")
                writer.line(f"trusted = absolute(value) < {self.infinity}")
            writer.line("doubt = doubt | (~trusted & m)")
            place = f"{self.target}, {self.place.format(row)}"
            writer.line(f"store({place}, select(trusted, value, {self.nan}), m)")

    def terms(self, row: str) -> None:
        """What is NaN in a row of the result, term by term."""
        writer, place = self.writer, f"{self.target}, {self.place.format(row)}"
        x, w, *rest = self.operands
        if self.node.op == "log_product":
            self.log_sum(self.depths[0], x.one(row, "d"), w.row("d"))
        elif self.node.op == "log_product_left":
            total, g = (item.one(row, "d") for item in rest[:2])
            self.sum(self.depths[2], x.row(row), w.column("d"), total, g)
        else:
            total, g = (item.row("d") for item in rest[:2])
            self.sum(self.depths[4], x.one("d", row), w.row(row), total, g)
        writer.line(f"value = load({place}, m)")
        writer.line(f"store({place}, select(value == value, value, s), m)")

    def log_sum(self, depth: str, x: str, w: str) -> None:
        """s, the logarithm of the sum of exp(x + w) over d."""
        writer, infinity = self.writer, self.infinity
        writer.line(f"top = -{infinity}")
        writer.enter(f"for d in range({depth}):")
        writer.line(f"each = {x} + {w}")
        writer.line("top = select(each > top, each, top)")
        writer.indent -= 1
        finite = f"(top > -{infinity}) & (top < {infinity})"
        writer.line(f"top = select({finite}, top, {self.zero})")
        writer.line(f"s = {self.zero}")
        writer.enter(f"for d in range({depth}):")
        writer.line(f"s = s + exp({x} + {w} - top)")
        writer.indent -= 1
        writer.line("s = top + log(s)")

    def sum(self, depth: str, x: str, w: str, total: str, g: str) -> None:
        """s, the sum of g exp(x + w - total) over d."""
        writer, zero = self.writer, self.zero
        writer.line(f"s = {zero}")
        writer.enter(f"for d in range({depth}):")
        writer.line(f"total = {total}")
        writer.line(f"each = {g} * exp({x} + {w} - total)")
        writer.line(f"s = s + select(total == -{self.infinity}, {zero}, each)")
        writer.indent -= 1

"""Attention of one query, as a step of a text that is written has it: its weights are one row.

    for row in range(lo, hi):                  a head
        scores <- q k'                         of the keys that the query sees
        scores <- exp(scale * scores - top);   total
        attention <- scores v / total

Keys are in the lanes, where blocks of many queries have these (`kernels`).  A key that is
not seen is not read.
"""

from __future__ import annotations

from ....runtime.program import Target
from ...primitives.attention import seen_by
from ...scheduling.fusion import Group
from ...sizes import Dim
from ..nest import Places
from ..writer import Emitted
from .blocks import AttentionBlocks
from .sizes import query_space


def is_one_query(group: Group) -> bool:
    """Whether it is the attention alone of one query, with nothing added to its scores."""
    node, *others = group.members
    alone = node.op == "attention" and not others
    return alone and node.inputs[0].shape[-3] == 1 and seen_by(node)[1] is None


def emit_one_query(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel."""
    return _One(group, buffers, target).emit()


class _One(AttentionBlocks):
    """A row of work is a head."""

    def products_space(self) -> Dim:
        """The bytes that the products need: they are as wide, or as deep, as there are keys."""
        keys = self.node.inputs[1].shape[-3]
        return query_space(self.target, self.size, self.width[0], self.depth[0], keys)

    def emit(self) -> Emitted:
        writer = self.writer
        out = self.result("attention", self.depth)
        assert out is not None
        weights = self.held(1, self.node.inputs[1].shape[-3])
        self.heads()
        writer.line(f"most = {self.keys}")
        if self.limits is not None:
            x = self.limits
            where = f"{x.pointer}, {x.begin}, {x.row}, lanes_below(1)"
            writer.line(f"limit = first(to_i64(load_strided({where})))")
            writer.line("if limit < most:")
            writer.line("    most = limit")
            writer.line("if most < 0:")
            writer.line("    most = 0")
        query = f"{self.q.address} + {self.q.begin} * {self.size}, {self.q.row}, 1"
        keys = f"{self.k.address} + {self.k.begin} * {self.size}, 1, {self.k.row}"
        row = f"{weights.address}, {weights.row}"
        self.product(query, keys, row, f"1, most, {self.width[1]}")
        writer.line(f"best = -{self.infinity}")
        writer.enter(f"for i in range(0, most, {self.lanes}):")
        writer.line("m = lanes_below(most - i)")
        writer.line(f"x = {self.scale} * load({weights.pointer}, i, m)")
        writer.line(f"store({weights.pointer}, i, x, m)")
        writer.line(f"x = select(m, x, -{self.infinity})")
        writer.line("best = select(x > best, x, best)")
        self.leave()
        # Where no score is finite, minus infinity stays what it is.
        writer.line("top = reduce_max(best)")
        writer.line(f"top = select(top == -{self.infinity}, {self.zero}, top)")
        writer.line(f"total = {self.zero}")
        writer.enter(f"for i in range(0, most, {self.lanes}):")
        writer.line("m = lanes_below(most - i)")
        writer.line(f"x = exp(load({weights.pointer}, i, m) - top)")
        writer.line(f"store({weights.pointer}, i, x, m)")
        writer.line(f"total = total + select(m, x, {self.zero})")
        self.leave()
        writer.line("total = reduce_add(total)")
        writer.line(f"part = {self.kind}(1) / select(total == {self.zero}, {self.kind}(1), total)")
        values = f"{self.v.address} + {self.v.begin} * {self.size}, {self.v.row}, 1"
        target = f"{out.address} + {out.begin} * {self.size}, {out.row}"
        self.product(f"{row}, 1", values, target, f"1, {self.depth[1]}, most")
        self.along(self.depth)
        writer.line(f"x = load({out.pointer}, {out.begin} + d, m)")
        writer.line(f"store({out.pointer}, {out.begin} + d, part * x, m)")
        self.leave(2)
        return self.finish()

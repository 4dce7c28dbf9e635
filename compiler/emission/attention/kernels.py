"""Attention as a kernel, and the way back through it.

    for row in range(lo, hi):                  a block of queries of one head
        turned <- scale * q'                   in memory of the worker
        for j in range(0, most, KEYS):         `most` keys are seen by some query of the block
            scores <- k turned                 keys down, queries across
            tops, totals                       the running maximum and sum of each query
            scores <- exp(scores - tops)
            held <- held * exp(old tops - tops) + scores' v
        attention <- held / totals;  log_sums <- tops + log(totals)

(Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al.,
FlashAttention, 2022, and the order of its loops in FlashAttention-2, 2023.)  The way back takes a
head at a time, and makes each block of weights once for all three results:

    for block of queries, for block of keys, as above:
        scores <- exp(k turned - log_sums)           the weights again
        lifts <- scores * (v turned_g - delta)
        value += scores g;  key += lifts q;  query += lifts' k
"""

from __future__ import annotations

from ....runtime.program import Target
from ...scheduling.fusion import Group
from ...sizes import ceil_divide
from ..nest import Places
from ..writer import Emitted
from .blocks import AttentionBlocks, Held, Operand


def emit_attention(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of an attention, of its sums, or of both."""
    return _Forward(group, buffers, target).emit()


def emit_attention_back(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of the cotangents of queries, keys and values, of those that are asked for."""
    return _Back(group, buffers, target).emit()


class _Forward(AttentionBlocks):
    """A row of work is a block of queries."""

    def emit(self) -> Emitted:
        writer = self.writer
        out = self.result("attention", self.depth)
        sums = self.members.get("attention_log_sums")
        log_sums = None if sums is None else self.lines(sums, writes=True)
        turned = self.held(self.width[0], self.across)
        self.tops, self.totals, self.factors = (self.held(1, self.across).pointer for _ in range(3))
        if out is not None:
            held, part = (self.held(self.across, self.depth[0]) for _ in range(2))
            clean = self.held(self.down, self.depth[0]) if self.hides else None
        (block,) = self.heads(ceil_divide(self.count, self.across))
        writer.line(f"top = {block} * {self.across}")
        self.block_of_queries()
        self.turned(turned, self.q)
        writer.enter(f"for i in range(0, count, {self.lanes}):")
        writer.line(f"store({self.tops}, i, -{self.infinity})")
        writer.line(f"store({self.totals}, i, {self.zero})")
        self.leave()
        self.block_of_keys(turned)
        self.softmax()
        if out is not None:
            self.sum_over_keys(self.scores, self.v, clean, held, part, self.factors)
        self.leave()
        writer.enter(f"for i in range(0, count, {self.lanes}):")
        writer.line(f"total = load({self.totals}, i)")
        writer.line(f"empty = total == {self.zero}")
        writer.line(f"store({self.factors}, i, select(empty, {self.zero}, {self.kind}(1) / total))")
        if log_sums is not None:
            writer.line("m = lanes_below(count - i)")
            writer.line(f"x = select(empty, {self.infinity}, load({self.tops}, i) + log(total))")
            place = f"{log_sums.begin} + (top + i) * {log_sums.row}, {log_sums.row}"
            writer.line(f"store_strided({log_sums.pointer}, {place}, x, m)")
        self.leave()
        if out is not None:
            self.give(held, out, self.factors)
        return self.finish()

    def softmax(self) -> None:
        """New maxima and sums, and the scores' exponentials in their place."""
        writer, place = self.writer, f"{self.scores.pointer}, r * {self.across} + i"
        self.over_queries()
        writer.line(f"old = load({self.tops}, i)")
        writer.line("best = old")

        def maximum(hidden: bool) -> None:
            if hidden:
                writer.line(f"x = select(seen, x, -{self.infinity})")
                writer.line(f"store({place}, x)")
            writer.line("best = select(x > best, x, best)")

        self.over_keys(maximum)
        # Where nothing has been seen yet, minus infinity stays what it is.
        writer.line(f"shift = select(best == -{self.infinity}, {self.zero}, best)")
        writer.line(f"total = {self.zero}")
        writer.enter("for r in range(keys):")
        writer.line(f"x = exp(load({place}) - shift)")
        writer.line(f"store({place}, x)")
        writer.line("total = total + x")
        self.leave()
        writer.line("factor = exp(old - shift)")
        writer.line(f"store({self.tops}, i, best)")
        writer.line(f"store({self.factors}, i, factor)")
        writer.line(f"store({self.totals}, i, fma(load({self.totals}, i), factor, total))")
        self.leave()


class _Back(AttentionBlocks):
    """A row of work is a head."""

    def emit(self) -> Emitted:
        writer = self.writer
        g, *lines = self.node.inputs[3:6]
        cotangents = self.vectors(g, self.depth)
        log_sums, delta = (self.lines(item) for item in lines)
        query = self.result("attention_query", self.width)
        key = self.result("attention_key", self.width)
        value = self.result("attention_value", self.depth)
        lifted = query is not None or key is not None
        turned = self.held(self.width[0], self.across)
        turned_g = self.held(self.depth[0], self.across)
        self.lifts = self.held(self.down, self.across) if lifted else None
        self.sums, self.deltas = (self.held(1, self.across).pointer for _ in range(2))
        of_width, of_depth = (self.held(self.blocks.square, n) for n, _ in (self.width, self.depth))
        if query is not None:
            held = self.held(self.across, self.width[0])
            clean = self.held(self.down, self.width[0]) if self.hides else None
        blocks = writer.integer(ceil_divide(self.count, self.across), "n")
        self.heads()
        writer.line(f"blocks = {blocks}")
        # Where there are no queries, one block of none: keys and values get zeros.
        writer.line("if blocks < 1:")
        writer.line("    blocks = 1")
        writer.enter("for block in range(blocks):")
        writer.line(f"top = block * {self.across}")
        self.block_of_queries()
        self.turned(turned, self.q)
        if lifted:
            self.turned(turned_g, cotangents)
        writer.enter(f"for i in range(0, count, {self.lanes}):")
        for x, target, factor in (
            (log_sums, self.sums, ""), (delta, self.deltas, f"{self.scale} * "),
        ):  # fmt: skip
            self.load_line("x", x)
            writer.line(f"store({target}, i, {factor}x)")
        self.leave()
        results = [x for x in (key, value) if x is not None]
        for x in results:
            self.clear(x)
        self.block_of_keys(turned)
        if self.lifts is not None:
            self.product(
                self.block(self.v, "j"), f"{turned_g.address}, {self.across}, 1",
                f"{self.lifts.address}, {self.across}", f"keys, count, {self.depth[1]}",
            )  # fmt: skip
        self.weights()
        if value is not None:
            self.sum_over_queries(value, self.scores, cotangents, of_depth)
        if key is not None and self.lifts is not None:
            self.sum_over_queries(key, self.lifts, self.q, of_width)
        if query is not None and self.lifts is not None:
            self.sum_over_keys(self.lifts, self.k, clean, held, of_width, "")
        self.leave()
        if query is not None:
            self.give(held, query)
        return self.finish()

    def clear(self, x: Operand) -> None:
        """Zeros for the keys that the first block of queries does not see."""
        writer = self.writer
        writer.enter("if block < 1:")
        self.along(x.extent)
        writer.enter(f"for r in range(most, {self.keys}):")
        writer.line(f"store({x.pointer}, {x.begin} + r * {x.row} + d, {self.zero}, m)")
        self.leave(3)

    def weights(self) -> None:
        """The weights in place of the scores, and their changes in place of the lifts."""
        writer, place = self.writer, f"r * {self.across} + i"

        def weight(hidden: bool) -> None:
            writer.line("x = exp(x - sum)")
            if hidden:
                writer.line(f"x = select(seen, x, {self.zero})")
            writer.line(f"store({self.scores.pointer}, {place}, x)")
            if self.lifts is not None:
                writer.line(f"y = x * (load({self.lifts.pointer}, {place}) - delta)")
                if hidden:
                    writer.line(f"y = select(x == {self.zero}, {self.zero}, y)")
                writer.line(f"store({self.lifts.pointer}, {place}, y)")

        self.over_queries()
        writer.line(f"sum = load({self.sums}, i)")
        writer.line(f"delta = load({self.deltas}, i)")
        self.over_keys(weight)
        self.leave()

    def sum_over_queries(self, x: Operand, weights: Held, y: Operand, part: Held) -> None:
        """Add the sums over the block's queries of weights times vectors, to those of its keys.

        The first block of queries does not add: keys that it does not see have been cleared.
        """
        writer = self.writer
        left, right = f"{weights.address}, {self.across}, 1", self.block(y, "top")
        sizes = f"keys, {x.extent[1]}, count"
        writer.enter("if block < 1:")
        place = f"{x.address} + ({x.begin} + j * {x.row}) * {self.size}, {x.row}"
        self.product(left, right, place, sizes)
        self.leave()
        writer.enter("if block > 0:")
        self.product(left, right, f"{part.address}, {part.row}", sizes)
        self.along(x.extent)
        writer.enter("for r in range(keys):")
        place = f"{x.pointer}, {x.begin} + (j + r) * {x.row} + d"
        more = f"load({part.pointer}, r * {part.row} + d)"
        writer.line(f"store({place}, load({place}, m) + {more}, m)")
        self.leave(3)

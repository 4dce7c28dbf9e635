"""A long sum of floats, as lines of a kernel: in blocks, whose total keeps what is rounded away.

    a0, a1, a2 = 0, 0, 0                  the total, what it has lost, and a block
    for k0 in range(0, n0, 64):
        for j in range(k0, stop0):
            a2 = a2 + v0
        if stop0 < n0:                    all but the last block
            d0 = a2 + a1
            t0 = a0 + d0
            a1 = select(t0 is finite, d0 - (t0 - a0), 0)
            a0 = t0
            a2 = 0
    ... = a0 + (a1 + a2)

The total is compensated (Kahan, Further remarks on reducing truncation errors, 1965): with u half
an eps, it is off by at most (2 u + O(n u^2)) times the sum of the blocks' absolute values.  So a
term goes through BLOCK roundings and a few more however many there are, and a sum of one block
costs what it would cost in one piece.  An infinite total has lost nothing: what it is off by would
be NaN.  The pass `sum_steps` writes the same as nodes of a graph, in blocks of one.
"""

from __future__ import annotations

from .writer import Writer


def enter_blocks(writer: Writer, first: str, stop: str, length: int) -> tuple[str, str]:
    """The beginning of a loop over blocks of `length`; where a block begins and ends."""
    begin, end = writer.fresh("k"), writer.fresh("stop")
    writer.enter(f"for {begin} in range({first}, {stop}, {length}):")
    writer.line(f"{end} = {begin} + {length}")
    writer.line(f"if {end} > {stop}:")
    writer.line(f"    {end} = {stop}")
    return begin, end


class BlockedSum:
    """The accumulators of a sum in blocks, set to zero."""

    def __init__(self, writer: Writer, kind: str) -> None:
        self.writer, self.zero = writer, f"{kind}(0)"
        self.total, self.lost, self.block = (writer.fresh("a") for _ in range(3))
        for name in (self.total, self.lost, self.block):
            writer.line(f"{name} = {self.zero}")

    def add(self, value: str) -> None:
        """Add a value to the block."""
        self.writer.line(f"{self.block} = {self.block} + {value}")

    def close_block(self) -> None:
        """Add the block to the total, and begin the next."""
        writer, total, lost = self.writer, self.total, self.lost
        more, new = writer.fresh("d"), writer.fresh("t")
        writer.line(f"{more} = {self.block} + {lost}")
        writer.line(f"{new} = {total} + {more}")
        finite = f"{new} - {new} == {self.zero}"
        writer.line(f"{lost} = select({finite}, {more} - ({new} - {total}), {self.zero})")
        writer.line(f"{total} = {new}")
        writer.line(f"{self.block} = {self.zero}")

    def value(self) -> str:
        """What has been added so far."""
        return f"{self.total} + ({self.lost} + {self.block})"

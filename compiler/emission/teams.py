"""Reductions of long rows by a team of warps: each takes every so manieth vector of the row.

    ... v0 = reduce_add(a0)               what a warp has found of its vectors
    store_first(q0, warp, v0)             in memory of the team
    meet(space, warps)
    c0 = load_splat(q0, 0)
    for w in range(1, warps):
        c0 = c0 + load_splat(q0, w)       what all have found, in the same order for each of them

A GPU has warps to spare where rows are few and long.  A vector is the same warp's in every phase,
so that what one phase has stored in memory, or saved, another one may read without a meeting.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...runtime.program import Target
from ...runtime.teams import TEAM_WARPS
from ..graph import Node
from ..primitives.elementwise import LANE_TYPES
from ..primitives.record import lookup
from ..scheduling.fusion import Group
from ..sizes import nominal, product
from .axes import Axis, piece_on
from .writer import Writer

LONG = 1024
"""Elements from which on a row is worth a team."""

MOST_ROWS, FEW_ROWS = 1024, 64
"""Rows of which a team takes each: of known length, and of one that is a name."""

COMBINED = {
    "reduce_sum": "{} + {}",
    "reduce_max": "maximum({}, {})",
    "reduce_min": "minimum({}, {})",
}
"""The reductions that a team can do, and how two parts of one become one."""

SLOT = 8 * TEAM_WARPS
"""Bytes for what the warps have found of one reduction."""


def takes_team(group: Group, axes: list[Axis], target: Target) -> bool:
    """Whether a team does each row of a kernel with these axes, the vector axis last."""
    if piece_on(target) is None or not axes or not axes[-1].reduced:
        return False
    if "column" in group.members.values():
        return False
    reductions = [n for n in group.members if lookup(n.op).kind == "reduction"]
    if not all(n.op in COMBINED and n.dtype != "bool" for n in reductions):
        return False
    rows, length = product(axis.extent for axis in axes if not axis.reduced), axes[-1].extent
    if isinstance(length, int):
        return length >= LONG and nominal(rows) <= MOST_ROWS
    return isinstance(rows, int) and rows <= FEW_ROWS


class Team:
    """Writes what the warps of a team do for one another."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.space = 0

    def together(self, found: Mapping[Node, str]) -> dict[Node, str]:
        """Reductions of all from those of each warp, as names of values."""
        writer, slots = self.writer, {}
        for node, value in found.items():
            slots[node] = writer.fresh("q")
            kind = LANE_TYPES[node.dtype]
            writer.prologue.append(f"    {slots[node]} = {kind}_in(space, {self.space})")
            writer.line(f"store_first({slots[node]}, warp, {value})")
            self.space += SLOT
        self.meet()
        made = {node: writer.fresh("c") for node in found}
        for node, name in made.items():
            writer.line(f"{name} = load_splat({slots[node]}, 0)")
        writer.enter("for w in range(1, warps):")
        for node, name in made.items():
            other = f"load_splat({slots[node]}, w)"
            writer.line(f"{name} = {COMBINED[node.op].format(name, other)}")
        writer.indent -= 1
        return made

    def meet(self) -> None:
        """All warps have come so far before one goes on."""
        self.writer.line("meet(space, warps)")

    def enter(self, first: str, stop: str) -> None:
        """The loop over those of the vectors from one element to another that are this warp's."""
        writer, lanes = self.writer, self.writer.lanes
        count = f"({stop} - {first} + {lanes - 1}) // {lanes}"
        writer.enter(f"for t in range(warp, {count}, warps):")
        writer.line(f"j = {first} + t * {lanes}")

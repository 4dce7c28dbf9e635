"""Reductions inside a loop: accumulators, one vector of values at a time, and what they come to.

A sum of floats that may take more than BLOCK steps is made in blocks of that many (`compensation`),
for which one of the loops that go through its terms is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph import Node
from ..primitives.elementwise import LANE_TYPES
from ..primitives.record import Builder
from ..primitives.reduction import BLOCK, extremum_of_none
from ..sizes import Dim
from .compensation import BlockedSum, enter_blocks
from .nest import Nest
from .teams import Team
from .writer import Writer

State = tuple[str, ...]
"""The names of a reduction's accumulators."""


def block_sizes(steps: Sequence[Dim]) -> tuple[int, int] | None:
    """Which of some nested loops is cut into blocks, and how many of its steps are a block.

    None where all of them together are known to take at most BLOCK steps.
    """
    inside = 1
    for place in range(len(steps) - 1, -1, -1):
        count = steps[place]
        if not isinstance(count, int) or inside * count > BLOCK:
            return place, max(1, BLOCK // inside)
        inside *= max(1, count)
    return None


class Accumulators:
    """The accumulators of the reductions of one loop nest.

    `across` says that the lanes are elements of one sum; else each lane has its own.  With a
    `team`, each warp has some of the vectors.
    """

    def __init__(self, writer: Writer, nest: Nest, across: bool, team: Team | None = None) -> None:
        self.writer = writer
        self.nest = nest
        self.across = across
        self.team = team
        self.states: dict[Node, State | BlockedSum] = {}
        self.cut: tuple[int, int] | None = None
        self.more = ""  # whether a block follows

    def start(self, nodes: Sequence[Node], steps: Sequence[Dim] = ()) -> None:
        """Accumulators with the neutral values of reductions over loops of so many steps."""
        sums = [node for node in nodes if node.op == "reduce_sum" and node.type.is_float]
        self.cut = block_sizes(steps) if sums else None
        blocked = sums if self.cut else []
        self.states = {
            node: BlockedSum(self.writer, LANE_TYPES[node.dtype])
            if node in blocked
            else self.begin(node)
            for node in nodes
        }

    def enter_block(self, place: int, first: str, stop: str, unit: int = 1) -> tuple[str, str]:
        """The bounds of the loop at `place`: those of a block, in a loop over them, if it is cut.

        A step of that loop is `unit` of its index.
        """
        if self.cut is None or self.cut[0] != place:
            return first, stop
        begin, end = enter_blocks(self.writer, first, stop, self.cut[1] * unit)
        self.more = f"{end} < {stop}"
        return begin, end

    def leave_block(self, place: int) -> None:
        """The end of a block, behind the loop at `place`, if that is the one that is cut."""
        if self.cut is None or self.cut[0] != place:
            return
        self.writer.enter(f"if {self.more}:")
        self.close_blocks()
        self.writer.indent -= 2

    def leave_loop(self, place: int) -> None:
        """The end of all parts of the loop at `place`: what is left is a block of its own."""
        if self.cut is not None and self.cut[0] == place > 0:
            self.close_blocks()

    def close_blocks(self) -> None:
        """The end of a block of every sum in blocks."""
        for state in self.states.values():
            if isinstance(state, BlockedSum):
                state.close_block()

    def begin(self, node: Node) -> State:
        """The accumulators of any other reduction, with its neutral value."""
        writer = self.writer
        name = writer.fresh("a")
        writer.line(f"{name} = {self.neutral(node)}")
        if self.watches_nan(node):
            # Apart from the extremum, so that a step of it is one instruction and not four.
            flag = writer.fresh("a")
            writer.line(f"{flag} = b1(0)")
            return name, flag
        if node.op not in ("argmax", "argmin"):
            return (name,)
        place = writer.fresh("a")
        writer.line(f"{place} = i64(-1)")
        return name, place

    def watches_nan(self, node: Node) -> bool:
        """Whether a reduction notes apart from its value which lanes have met a NaN."""
        return node.op in ("reduce_max", "reduce_min") and node.inputs[0].type.is_float

    def neutral(self, node: Node) -> str:
        """What a reduction of nothing gives, in all lanes."""
        dtype = node.inputs[0].dtype
        if node.op in ("reduce_sum", "stretch_sum"):
            return f"{LANE_TYPES[dtype]}(0)"
        least = node.op in ("reduce_min", "argmin")
        return self.writer.scalar(Builder().constant(extremum_of_none(dtype, least), dtype))

    def accumulate(self, node: Node, value: str, index: str) -> None:
        """Take one more vector of values, at an index along the reduced axis."""
        writer, across, state = self.writer, self.across, self.states[node]
        if isinstance(state, BlockedSum):
            state.add(f"select(m, {value}, {self.neutral(node)})" if across else value)
            return
        name = state[0]
        if node.op in ("argmax", "argmin"):
            place = state[1]
            index = f"i64({index})" + (" + lane()" if across else "")
            sign = ">" if node.op == "argmax" else "<"
            better = writer.fresh("e")
            first = f"({place} < i64(0))"
            text = f"({value} {sign} {name}) | {first}"
            if node.inputs[0].type.is_float:
                text += f" | (({value} != {value}) & ({name} == {name}))"
            writer.line(f"{better} = ({text})" + (" & m" if across else ""))
            writer.line(f"{name} = select({better}, {value}, {name})")
            writer.line(f"{place} = select({better}, {index}, {place})")
            return
        if across:
            value = f"select(m, {value}, {self.neutral(node)})"
        if node.op in ("reduce_sum", "stretch_sum"):
            writer.line(f"{name} = {name} + {value}")
        elif self.watches_nan(node):
            item, sign = writer.fresh("e"), ">" if node.op == "reduce_max" else "<"
            writer.line(f"{item} = {value}")
            writer.line(f"{name} = select({item} {sign} {name}, {item}, {name})")
            writer.line(f"{state[1]} = {state[1]} | ({item} != {item})")
        else:
            function = "maximum" if node.op == "reduce_max" else "minimum"
            writer.line(f"{name} = {function}({name}, {value})")

    def finish(self) -> None:
        """The values of the reductions."""
        found = {node: self.result(node, state) for node, state in self.states.items()}
        if self.team is not None and found:
            found = self.team.together(found)
            self.writer.mark_row()
        for node, value in found.items():
            self.nest.define(node, "row", value)

    def result(self, node: Node, state: State | BlockedSum) -> str:
        """The value of a reduction."""
        if isinstance(state, BlockedSum):
            return f"reduce_add({state.value()})" if self.across else state.value()
        name = state[0]
        if self.watches_nan(node):
            missing = self.writer.scalar(Builder().constant(np.nan, node.inputs[0].dtype))
            name = f"select({state[1]}, {missing}, {name})"
        if node.op in ("argmax", "argmin"):
            return self.best_index(node, state) if self.across else f"maximum({state[1]}, i64(0))"
        if self.across:
            word = {"reduce_sum": "reduce_add", "stretch_sum": "reduce_add"}.get(node.op, node.op)
            return f"{word}({name})"
        return name

    def best_index(self, node: Node, state: State) -> str:
        """The least index among the lanes that hold the best value."""
        writer, (name, place) = self.writer, state
        reduce = "reduce_max" if node.op == "argmax" else "reduce_min"
        best, chosen = writer.fresh("e"), writer.fresh("e")
        writer.hoist(f"{name} = select({place} < i64(0), {self.neutral(node)}, {name})")
        writer.hoist(f"{best} = {reduce}({name})")
        match = f"({name} == {best})"
        if node.inputs[0].type.is_float:
            match = f"({match} | (({name} != {name}) & ({best} != {best})))"
        top = self.writer.scalar(Builder().constant(np.iinfo(np.int64).max, "int64"))
        writer.hoist(
            f"{chosen} = reduce_min(select({match} & ({place} >= i64(0)), {place}, {top}))"
        )
        return f"select({chosen} == {top}, i64(0), {chosen})"

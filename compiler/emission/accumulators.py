"""Reductions inside a loop: accumulators, one vector of values at a time, and what they come to."""

from __future__ import annotations

import numpy as np

from ..builder import Builder
from ..graph import Node
from ..primitives.elementwise import LANE_TYPES
from .nest import Nest
from .writer import Writer


class Accumulators:
    """The accumulators of a kernel's reductions.

    `across` says that the 16 lanes are elements of one sum; else each lane has its own.
    """

    def __init__(self, writer: Writer, nest: Nest, across: bool) -> None:
        self.writer = writer
        self.nest = nest
        self.across = across

    def start(self, node: Node) -> tuple[str, ...]:
        """Accumulators with the neutral value of a reduction."""
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
        if dtype.startswith("float"):
            value = np.inf if least else -np.inf
        else:
            limits = np.iinfo(dtype)
            value = limits.max if least else limits.min
        return self.writer.scalar(Builder().constant(value, dtype))

    def accumulate(self, node: Node, state: tuple[str, ...], value: str, index: str) -> None:
        """Take one more vector of values, at an index along the reduced axis."""
        writer, across, name = self.writer, self.across, state[0]
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

    def finish(self, node: Node, state: tuple[str, ...]) -> None:
        """The reduction's value, and its store."""
        name = state[0]
        if self.watches_nan(node):
            missing = self.writer.scalar(Builder().constant(np.nan, node.inputs[0].dtype))
            name = f"select({state[1]}, {missing}, {name})"
        if node.op in ("argmax", "argmin"):
            text = self.best_index(node, state) if self.across else f"maximum({state[1]}, i64(0))"
        elif self.across:
            word = {"reduce_sum": "reduce_add"}.get(node.op, node.op)
            text = f"{word}({name})"
        else:
            text = name
        self.nest.define(node, "row", text)

    def best_index(self, node: Node, state: tuple[str, ...]) -> str:
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

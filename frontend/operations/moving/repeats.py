"""Elements repeated, one by one or as a whole, and moved around in a circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import integer, items
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..structure import normal_axis
from .padding import remainder_of


def tile(x: Any, repetitions: int | Sequence[int]) -> Variable:
    """The whole array repeated along each axis, as NumPy's tile.

    Args:
        x: of any shape and dtype.
        repetitions: how often along each axis, the last ones for the last axes; where there are
            more than axes, x has new ones in front, and where there are fewer, they are 1.

    Raises:
        TypeError, ValueError: no integers of 0 or more.
    """
    single = isinstance(repetitions, (int, np.integer))
    given = [repetitions] if single else items("tile", "repetitions", repetitions, "integers")
    counts = [integer("tile", "repetitions", count, 0) for count in given]

    def rule(b: Builder, node: Node) -> Node:
        rank = max(node.type.rank, len(counts))
        shape = (*(1,) * (rank - node.type.rank), *node.shape)
        times = [1] * (rank - len(counts)) + counts
        rows = b.reshape(node, shape=shape)
        spread = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
        whole = b.broadcast(rows, shape=spread, axes=tuple(range(1, 2 * rank, 2)))
        found: Node = b.reshape(
            whole, shape=tuple(t * n for t, n in zip(times, shape, strict=True))
        )
        return found

    result: Variable = apply("tile", rule, as_variables(x), as_stored=True)
    return result


def repeat(x: Any, repetitions: int | Sequence[int], axis: int | None = None) -> Variable:
    """Each element repeated, one after another along an axis, as NumPy's.

    Args:
        x: of any shape and dtype.
        repetitions: how often; a list says it for each element of an axis of fixed size.
        axis: along which; None for all elements in row-major order, as one axis.

    Raises:
        ShapeError: when the diagram is built: no such axis, another number of repetitions than it
            has elements.
        TypeError, ValueError: no integers of 0 or more.
    """
    several = not isinstance(repetitions, (int, np.integer))
    given = items("repeat", "repetitions", repetitions, "integers") if several else [repetitions]
    counts = [integer("repeat", "repetitions", item, 0) for item in given]

    def rule(b: Builder, node: Node) -> Node:
        node = b.reshape(node, shape=(node.type.count,)) if axis is None else node
        place = normal_axis(0 if axis is None else axis, node.type.rank)
        if len(counts) != 1:
            if node.shape[place] != len(counts):
                raise TypeRuleError(
                    f"expects repetitions for {node.shape[place]} elements, not {len(counts)}"
                )
            places = np.repeat(np.arange(len(counts)), counts)
            taken: Node = b.gather(node, b.constant(places, "int64"), axis=place)
            return taken
        count = counts[0]
        before, extent, after = node.shape[:place], node.shape[place], node.shape[place + 1 :]
        axes = (*range(place + 1), *range(place + 2, node.type.rank + 1))
        spread = b.broadcast(node, shape=(*before, extent, count, *after), axes=axes)
        found: Node = b.reshape(spread, shape=(*before, extent * count, *after))
        return found

    result: Variable = apply("repeat", rule, as_variables(x), as_stored=True)
    return result


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Variable:
    """The elements moved along axes, those that leave at the end coming in at the front.

    Args:
        x: of any shape and dtype.
        shift: by how many places, negative ones to the front; one for each axis, or one for all.
        axis: along which axes; None for all elements in row-major order.

    Raises:
        ShapeError: when the diagram is built: no such axis, another number of shifts than axes.
        TypeError, ValueError: shifts that are no integers.
    """
    shifts = _integers("shift", shift)
    axes = None if axis is None else _integers("axis", axis)

    def rule(b: Builder, node: Node) -> Node:
        if axes is None:
            line = b.reshape(node, shape=(node.type.count,))
            return b.reshape(_rolled(b, line, sum(shifts), 0), shape=node.shape)
        moves = shifts * len(axes) if len(shifts) == 1 else shifts
        places = axes * len(moves) if len(axes) == 1 else axes
        if len(moves) != len(places):
            raise TypeRuleError(
                f"expects as many shifts as axes, not {len(moves)} and {len(places)}"
            )
        for move, place in zip(moves, places, strict=True):
            node = _rolled(b, node, move, normal_axis(place, node.type.rank))
        return node

    result: Variable = apply("roll", rule, as_variables(x), as_stored=True)
    return result


def _integers(name: str, value: Any) -> list[int]:
    single = isinstance(value, (int, np.integer))
    given = [value] if single else items("roll", name, value, "integers")
    return [integer("roll", name, item) for item in given]


def _rolled(b: Builder, x: Node, shift: int, axis: int) -> Node:
    extent = x.shape[axis]
    if isinstance(extent, int):
        cut = -shift % extent if extent else 0
        if not cut:
            return x
        parts = b.slice_axis(x, axis, cut, extent), b.slice_axis(x, axis, 0, cut)
        return b.concatenate(*parts, axis=axis)
    place = b.apply("iota", axis=0, shape=(extent,), dtype="int64")
    size = b.spread(b.apply("size", size=extent, dtype="int64"), place.shape)
    moved = remainder_of(b, b.sub(place, b.fill(shift, place.type)), size)
    found: Node = b.gather(x, moved, axis=axis)
    return found

"""What a caller must know of a prepared graph: its sizes, and what they and the inputs must be.

Plain data, so that a program can be called without the graph that it was compiled from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..graph import Graph, Node
from ..primitives.convolution import CONVOLUTIONS, reaches
from ..primitives.known import filled_with
from ..primitives.pooling import POOLS, pooled_axes
from ..primitives.windows import reach_of
from ..sizes import Dim, Size, evaluate, names
from .loop_bodies import every_node


class SizeRuleError(Exception):
    """Named sizes were bound to values that the graph cannot take."""


@dataclass(frozen=True, slots=True)
class SizeRule:
    """What must hold of the named sizes for one operation, at `where` in the user's file.

    kind      sizes                    what must hold
    extent    (extent,)                it is not negative
    steps     (steps of a loop,)       it is not negative
    slice     (start, stop, extent)    the slice lies inside of its operand, on `axis`
    windows   (reach, extent)          a window fits into its operand, on `axis`
    mean      (count,)                 a divisor: it is not 0 in a step that trains
    """

    kind: Literal["extent", "steps", "slice", "windows", "mean"]
    op: str
    where: str
    sizes: tuple[Dim, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True)
class InputRange:
    """All of the input called `name` must lie in [low, high)."""

    name: str
    low: Dim
    high: Dim


@dataclass(frozen=True, slots=True)
class Interface:
    """The named sizes of a graph, the rules for them, and the input of each of its checks."""

    sizes: tuple[str, ...]
    rules: tuple[SizeRule, ...]
    ranges: tuple[InputRange, ...]


def interface_of(graph: Graph) -> Interface:
    """What a caller of a prepared graph must know."""
    ranges = [InputRange(check.name, check.low, check.high) for check in graph.checks]
    return Interface(tuple(sorted(size_names(graph))), size_rules(graph), tuple(ranges))


def size_names(graph: Graph) -> set[str]:
    """The named sizes that types and attributes depend on, in the bodies of loops too."""
    found: set[Size] = set()
    for node in every_node(graph):
        stack: list[Any] = [node.shape, *node.attrs.values()]
        while stack:
            value = stack.pop()
            if isinstance(value, tuple):
                stack.extend(value)
            elif isinstance(value, Size):
                found.add(value)
    return {name for size in found for name in names(size)}


def size_rules(graph: Graph) -> tuple[SizeRule, ...]:
    """What must hold of the named sizes, each once; those of the bodies of loops come last.

    Sizes without names are as they should be: the type rules have seen them.
    """
    found: dict[object, SizeRule] = {}
    for node in every_node(graph):
        for rule in _rules_of(node):
            found.setdefault((rule.kind, rule.sizes), rule)
    return tuple(found.values())


def _rules_of(node: Node) -> Iterable[SizeRule]:
    op, where = node.op, node.origin.where
    if op in ("windows", "overlap_add"):
        whole, reach = reach_of(node)
        if isinstance(whole, Size):
            yield SizeRule("windows", op, where, (reach, whole), node.attrs["axis"])
    if op in CONVOLUTIONS:
        found = reaches(node)
        for axis, (whole, reach) in enumerate(found):
            if isinstance(whole, Size):
                # From the end, as users have it, with channels before space.
                yield SizeRule("windows", op, where, (reach, whole), axis - len(found))
    if op in POOLS:
        for item in pooled_axes(node):
            if isinstance(item.whole, Size) and isinstance(item.reach, int):
                yield SizeRule("windows", op, where, (item.reach, item.whole), item.axis)
    for extent in node.shape:
        if isinstance(extent, Size):
            yield SizeRule("extent", op, where, (extent,))
    if op == "loop" and isinstance(node.attrs["steps"], Size):
        yield SizeRule("steps", op, where, (node.attrs["steps"],))
    if op == "slice":
        bounds = zip(node.attrs["start"], node.attrs["stop"], node.inputs[0].shape, strict=True)
        for axis, sizes in enumerate(bounds):
            if any(isinstance(size, Size) for size in sizes):
                yield SizeRule("slice", op, where, sizes, axis)
    if op == "div":
        for count in _counts(filled_with(node.inputs[1])):
            yield SizeRule("mean", op, where, (count,))


def _counts(divisor: Node) -> Iterable[Size]:
    """The named sizes that a divisor is made of, as a factor."""
    if divisor.op in ("cast", "mul"):
        for factor in divisor.inputs:
            yield from _counts(factor)
    elif divisor.op == "size" and isinstance(divisor.attrs["size"], Size):
        yield divisor.attrs["size"]


def check_sizes(rules: Iterable[SizeRule], sizes: Mapping[str, int], training: bool) -> None:
    """Raise SizeRuleError unless every node of a graph with these rules makes sense at these sizes.

    A slice and a window must lie inside of their operand, no axis may have a negative size, no loop
    a negative number of steps, and a step that trains may not divide by an empty batch; in the
    bodies of loops too.
    """
    for rule in rules:
        numbers = [evaluate(size, sizes) for size in rule.sizes]
        if rule.kind == "slice":
            start, stop, extent = numbers
            holds = 0 <= start <= stop <= extent
        elif rule.kind == "windows":
            reach, extent = numbers
            holds = reach <= extent
        elif rule.kind in ("extent", "steps"):
            holds = numbers[0] >= 0
        else:
            holds = numbers[0] != 0 or not training
        if not holds:
            raise SizeRuleError(_fault(rule, numbers, sizes))


def _fault(rule: SizeRule, numbers: list[int], sizes: Mapping[str, int]) -> str:
    values = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    place = f" ({rule.where})" if rule.where else ""
    if rule.kind == "extent":
        return f"size {rule.sizes[0]} of {rule.op}{place} is negative for {values}"
    if rule.kind == "steps":
        return f"loop{place} has {rule.sizes[0]} steps, which is negative for {values}"
    if rule.kind == "slice":
        start, stop, extent = numbers
        return (
            f"slice{place} takes {start}:{stop} of axis {rule.axis}, which has {extent} "
            f"elements for {values}"
        )
    if rule.kind == "windows":
        reach, extent = numbers
        return (
            f"a window{place} reaches over {reach} elements of axis {rule.axis}, which has "
            f"{extent} for {values}"
        )
    empty = f"{rule.sizes[0]} = 0"
    return (
        f"the batch is empty: {empty}{'' if empty == values else f' for {values}'}, and a "
        f"mean{place} is taken over it; give at least one sample"
    )

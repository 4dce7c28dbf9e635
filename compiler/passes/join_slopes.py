"""join_slopes: the derivative of a function of one variable is one factor.

    %5 = mul(%g, f(%x)); %6 = mul(mul(%g, h(%x)), 0.5)      ->   %6 = add(f(%x), mul(h(%x), 0.5))
    %7 = add(%5, %6)                                             %7 = mul(%g, %6)

Where a variable is used several times in an elementwise function, as in x * sigmoid(x), its
cotangent is a sum of products with one factor in common.  Behind this pass the other factors are
one number for each element, which the kernel of the function itself makes and keeps, instead of
one number for each use.

The terms are taken together only if what is left of them is made elementwise of a single variable:
of several, as in the gates of a recurrent cell, each is kept for more than this sum.  What the user
has written stays as it is, since a * inf - b * inf is not (a - b) * inf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import reduce

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.known import fill_value
from ..primitives.record import Builder, lookup

LONGEST = 24
"""Nodes that are looked at between a variable and a derivative by it."""


@each_level
def join_slopes(graph: Graph) -> Graph:
    """An equal graph, but for rounding, with one factor for a derivative: Graph -> Graph."""
    order = graph.all_nodes()
    readers = Counter(item for node in order for item in node.inputs)
    readers.update(graph.roots)
    once = {node for node, count in readers.items() if count == 1}
    return rewrite(graph, lambda node, old: _joined(node, old, once), order=order)


def _joined(n: Node, old: Node, once: set[Node]) -> Node:
    if n.op not in ("add", "sub") or n.origin.direction != "backward":
        return n
    pairs = zip(n.inputs, old.inputs, strict=True)
    sides = [_factors(new, was, once) for new, was in pairs]
    shared = [item for item in sides[0] if item in sides[1] and fill_value(item) is None]
    if not shared:
        return n
    common = shared[0]
    for side in sides:
        side.remove(common)
    if not all(sides) or not _of_one_variable(sides[0] + sides[1]):
        return n
    b = Builder(n.origin)
    result: Node = b.mul(common, b.apply(n.op, *(reduce(b.mul, side) for side in sides)))
    return result


def _factors(n: Node, old: Node, once: set[Node]) -> list[Node]:
    """What a product is made of, as far as its parts are for nothing else."""
    if n.op != "mul" or old not in once:
        return [n]
    if old.op != "mul":
        return list(n.inputs)  # a sum that this pass has made a product
    pairs = zip(n.inputs, old.inputs, strict=True)
    return [factor for new, was in pairs for factor in _factors(new, was, once)]


def _of_one_variable(nodes: list[Node]) -> bool:
    """Whether numbers and one other node are all that elementwise nodes are made of."""
    reached = _reached(nodes, None)
    return any(_reached(nodes, x) == {x} for x in reached) if reached else False


def _reached(nodes: Iterable[Node], end: Node | None) -> set[Node]:
    """The nodes that elementwise ones are made of, each of them if there is no `end`.

    With one, those alone that are not made of others, or are the end; nothing where there are too
    many.
    """
    found: set[Node] = set()
    stack, seen = list(nodes), set[Node]()
    while stack:
        node = stack.pop()
        if node in seen or fill_value(node) is not None:
            continue
        seen.add(node)
        if len(seen) > LONGEST:
            return set()
        inner = node is not end and lookup(node.op).kind == "elementwise"
        if end is None or not inner:
            found.add(node)
        if inner:
            stack.extend(node.inputs)
    return found

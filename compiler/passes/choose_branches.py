"""choose_branches: of a `select` by a known mask, such as `dg.training()`, one branch is left.

    %3 = select(broadcast(constant(true)), %1, %2)     ->    %1

It comes before differentiate: the derivative of a branch that is not taken is 0 times something,
which nothing may drop, for the something may be infinite.
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.known import fill_value
from ..primitives.record import Builder, lookup

_LOGICAL = frozenset({"and", "or", "xor", "not"})


@each_level
def choose_branches(graph: Graph) -> Graph:
    """The same graph without branches that are never taken: Graph -> Graph."""
    return rewrite(graph, lambda node, _: _chosen(node))


def _chosen(node: Node) -> Node:
    """The branch that a known mask takes, and what is known of masks; others as they are."""
    if node.op == "select":
        mask = fill_value(node.inputs[0])
        return node if mask is None else node.inputs[1 if mask else 2]
    if node.op not in _LOGICAL:
        return node
    values = [fill_value(item) for item in node.inputs]
    rule = lookup(node.op).reference
    if rule is None or any(value is None for value in values):
        return node
    b = Builder(node.origin)
    value = rule(node.type.with_shape(()), node.attrs, *values)
    return b.spread(b.constant(bool(value), "bool"), node.shape)

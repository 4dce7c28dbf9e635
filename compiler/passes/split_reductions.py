"""split_reductions: large sums get two parts, the first of which can join what makes its terms.

    %2: [] = reduce_sum(%1: [B,512], axes=(0,1))     ->     %2: [B] = reduce_sum(%1, axes=(1))
                                                            %3: []  = reduce_sum(%2, axes=(0))
    %4: [C] = reduce_sum(%1: [B,C], axes=(0))        ->     %4: [B/64,C] = block_sum(%1)
                                                            %5: [C] = reduce_sum(%4, axes=(0))

The first part stands on the same domain as a softmax or a normalisation of those rows, so that
they become one kernel; and it is made of independent parts, for any number of threads.
"""

from __future__ import annotations

from dataclasses import replace

from ..builder import Builder
from ..graph import Graph, Node, topological
from ..primitives.reduction import block_count

SHORTEST = 32
"""Elements below which a row is not worth a reduction of its own."""


def split_reductions(graph: Graph) -> Graph:
    """An equal graph whose full reductions have two parts: Graph -> Graph."""
    done: dict[Node, Node] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        done[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
        if node.op == "reduce_sum" and is_column_sum(node):
            b = Builder(node.origin)
            done[node] = b.reduce_sum(b.block_sum(inputs[0]), axes=(0,))
        elif node.op in ("reduce_sum", "reduce_max", "reduce_min") and node.shape == ():
            real = [axis for axis, extent in enumerate(inputs[0].shape) if extent != 1]
            last = inputs[0].shape[real[-1]] if real else 0
            if len(real) > 1 and not (isinstance(last, int) and last < SHORTEST):
                b = Builder(node.origin)
                rows = b.apply(node.op, inputs[0], axes=(real[-1],))
                done[node] = b.apply(node.op, rows, axes=tuple(range(rows.type.rank)))
    return graph.rebuilt(done)


def is_column_sum(node: Node) -> bool:
    """Whether a sum leaves the last axis alone, and has more than one block of rows."""
    x = node.inputs[0]
    leading = tuple(range(x.type.rank - 1))
    return node.attrs["axes"] == leading and node.shape[0] != 1 and block_count(x.shape) != 1

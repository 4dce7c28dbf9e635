"""batch_parts: the same computation of each part of a value, the results side by side, is one.

    %3 = concatenate(f(%x, %w[0:1]), f(%x, %w[1:2]))     ->     %3 = f(%x, %w), for both at once

The parts lie behind one another along an axis, which becomes a leading one; f is batched over it
by the rules of its primitives, and what all f read is shared.  So equal experts of a mixture, heads
or members of an ensemble are one product.  It comes before differentiate, whose gradients then are
of the whole value as well.

Nothing but the concatenation may read what is between it and the parts: another reader would have
it computed twice, and a gradient by it would miss what no longer goes through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...graph import Graph, Node
from ...graphs.batching import batch
from ...graphs.loop_bodies import each_level
from ...graphs.rewrite import replace_inputs
from ...primitives.batch import turned
from ...primitives.record import Builder
from .matching import Match, match


@each_level
def batch_parts(graph: Graph) -> Graph:
    """An equal graph, its equal computations of parts batched: Graph -> Graph."""
    order = graph.all_nodes()
    joints = [node for node in order if node.op == "concatenate"]
    if not joints:
        return graph
    readers = Counter(item for node in order for item in node.inputs)
    readers.update(graph.roots)
    matches = {node: found for node in joints if (found := match(node, readers)) is not None}
    if not matches:
        return graph
    done: dict[Node, Node] = {}
    for node in order:
        if node in matches:
            done[node] = _batched(node, matches[node], done)
        else:
            done[node] = replace_inputs(node, tuple([done[item] for item in node.inputs]))
    return graph.rebuilt(done)


def _batched(joint: Node, found: Match, done: Mapping[Node, Node]) -> Node:
    """The concatenation as one computation, on what stands for what is read."""
    count, first = len(joint.inputs), joint.inputs[0]
    whole = {
        part: _in_front(part, done[part.inputs[0]], axis, count)
        for part, axis in found.parts.items()
    }
    shared = {node: done[node] for node in found.shared}
    stacked = batch([first], shared, whole, count)[first].node
    axis, rank = joint.attrs["axis"], first.type.rank
    b = Builder(joint.origin)
    turns = (*range(1, axis + 1), 0, *range(axis + 1, rank + 1))
    result: Node = b.reshape(turned(b, stacked, turns), shape=joint.shape)
    return result


def _in_front(part: Node, base: Node, axis: int, count: int) -> Node:
    """All parts of a value along a new leading axis."""
    b = Builder(part.origin)
    start, stop, extent = part.attrs["start"], part.attrs["stop"], part.shape[axis]
    end = (*stop[:axis], start[axis] + extent * count, *stop[axis + 1 :])
    all_parts = b.slice(base, start=start, stop=end, step=part.attrs["step"])
    shape = part.shape
    apart = b.reshape(all_parts, shape=(*shape[:axis], count, *shape[axis:]))
    rest = (i for i in range(len(shape) + 1) if i != axis)
    return turned(b, apart, (axis, *rest))

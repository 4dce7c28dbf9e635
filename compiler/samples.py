"""One computation for each sample: a graph that was drawn for a batch, run on batches of one.

    %2: [B,10] = contract(%x: [B,64], %w: [64,10])          # what was drawn
    %2: [B,1,10] = contract(%x: [B,1,64], %w: [B,64,10])    # with a %w for each sample

The size that stands for the batch becomes 1, and `batching` puts the samples in front again, so
that whatever a block does with its batch it does with each sample alone.  A mean over the batch,
for instance, is that sample itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .graph import Graph, Node, Type, depending
from .graphs.batching import Batched, Batching, batch
from .graphs.binding import assigned_nodes
from .graphs.loop_bodies import every_node, map_bodies
from .graphs.rewrite import substitute
from .passes.checkpoint import checkpoint
from .passes.differentiate import differentiate, differentiate_where
from .passes.inline import inline
from .passes.lift_draws import lift_draws
from .passes.mask_padding import mask_padding
from .passes.take_last import take_last
from .primitives.batch import turned
from .primitives.record import Builder
from .sizes import Dim, assign, named


def batch_axis(type: Type, size: str) -> int | None:
    """The axis of samples: the one whose extent is the named size."""
    return next((axis for axis, n in enumerate(type.shape) if n == named(size)), None)


def each_sample(graph: Graph, size: str, own: Sequence[bool], extent: Dim) -> Graph:
    """The same computation, done for each sample apart.

    Args:
        graph: a body without updates, drawn for `size` samples.
        size: the name that the number of samples has in it.
        own: for each input whether a sample has one of its own, of the type that the graph has
            for it; other inputs have an axis of samples, or are the same for all.
        extent: how many samples there are.

    Returns:
        A graph whose inputs have `extent` elements on their axis of samples, a new leading one
        where they are a sample's own; and so have the outputs, a leading one where the graph has
        none for them.

    Raises:
        InvalidGraphError: as `batch` does.
    """
    graph = mask_padding(inline(graph))
    if any(node.op == "random_bits" for node in every_node(graph)):
        graph = lift_draws(graph)  # each sample has its own part of what is drawn
    graph = _differentiated(graph, size, own)
    alone = assigned_nodes(graph, {size: 1})
    inputs, shared, batched = [], {}, {}
    for entry, has_own in zip(graph.inputs, own, strict=True):
        type = _outside(entry.type, size, extent, has_own)
        node = replace(entry, attrs={**entry.attrs, "type": type}, type=type)
        inputs.append(node)
        axis = 0 if has_own else batch_axis(entry.type, size)
        if axis is None:
            shared[alone[entry]] = node
        else:
            batched[alone[entry]] = node if has_own else _in_front(node, axis)
    outer = dict(zip(graph.inputs, inputs, strict=True))
    for draw in graph.nodes():
        axis = batch_axis(draw.type, size)
        if draw.op == "random_bits" and axis is not None:
            node = substitute([draw], outer)[draw]
            type = _outside(draw.type, size, extent, False)
            node = replace(node, attrs={**node.attrs, "shape": type.shape}, type=type)
            batched[alone[draw]] = _in_front(node, axis)
    found = batch([alone[node] for node in graph.roots], shared, batched, extent)
    outputs = tuple(
        (name, _back(found[alone[node]], batch_axis(node.type, size), extent))
        for name, node in graph.outputs
    )
    return Graph(graph.name, tuple(inputs), outputs)


def _differentiated(graph: Graph, size: str, own: Sequence[bool]) -> Graph:
    """The graph without gradients of what differs between samples by what they share.

    Such a gradient differs between samples, which a gradient by one value for all cannot.
    """
    if not any(node.op == "gradient" for node in every_node(graph)):
        return graph

    def needed(graph: Graph) -> list[Node]:
        order = graph.nodes()
        differ = [entry for entry, has in zip(graph.inputs, own, strict=True) if has]
        leaves = [n for n in order if n.op in ("input", "random_bits")]
        differ += [n for n in leaves if batch_axis(n.type, size) is not None]
        depends = depending(order, differ)
        gradients = [node for node in order if node.op == "gradient"]
        return [n for n in gradients if n.inputs[0] in depends and n.inputs[1] not in depends]

    graph = map_bodies(checkpoint(take_last(graph)), differentiate)
    return differentiate_where(graph, needed)


def _outside(type: Type, size: str, extent: Dim, own: bool) -> Type:
    """The type of a value for all samples, of which the body has another one."""
    shape = tuple(assign(n, {size: extent}) for n in type.shape)
    return type.with_shape((extent, *shape) if own else shape)


def _in_front(x: Node, axis: int) -> Node:
    """Samples along an axis -> batches of one along a leading one."""
    b = Builder(x.origin)
    rest = [other for other in range(x.type.rank) if other != axis]
    front = turned(b, x, (axis, *rest))
    extent, *kept = front.shape
    kept.insert(axis, 1)
    alone: Node = b.reshape(front, shape=(extent, *kept))
    return alone


def _back(value: Batched, axis: int | None, extent: Dim) -> Node:
    """Batches of one along a leading axis -> samples along an axis; they stay where it is None."""
    b = Builder(value.node.origin)
    x = Batching(extent).repeated(b, value)
    if axis is None:
        return x
    shape = (*x.shape[: axis + 1], *x.shape[axis + 2 :])
    samples: Node = b.reshape(x, shape=shape)
    return turned(b, samples, (*range(1, axis + 1), 0, *range(axis + 1, len(shape))))

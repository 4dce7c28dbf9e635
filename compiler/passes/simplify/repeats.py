"""Products with a weight that is repeated: what is the same along an axis is multiplied once.

    contract(x[b,p,k], repeated over p: w[k,m])      ->     contract(x[b,p,k], w[k,m])
    sum over p of contract(x[b,p,k], g[b,p,m])       ->     contract(x, g), p summed over too
    contract(x[b,1,k], w[b,k,m])                     ->     contract(x[b,k], w[b,k,m])

A shared weight is repeated over the positions where it stands; so its product is one of all
positions' rows, and its gradient one product too.  A row with a weight of its own is no matrix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...graph import Graph, Node
from ...graphs.rewrite import rewrite
from ...graphs.views import axis_groups, squeeze
from ...primitives.record import Builder


def slice_repeats(b: Builder, n: Node) -> Node | None:
    """A slice of repeated elements is the slice of the elements, repeated.

    It stays where it says something of a named size: that T - 1 lies in an axis of T.
    """
    x = n.inputs[0]
    if x.op != "broadcast":
        return None
    axes = x.attrs["axes"]
    bounds = zip(n.attrs["start"], n.attrs["stop"], x.shape, strict=True)
    for axis, (start, stop, extent) in enumerate(bounds):
        known = all(isinstance(size, int) for size in (start, stop, extent))
        if axis not in axes and not known and (start, stop) != (0, extent):
            return None
    cut = {name: tuple(value[axis] for axis in axes) for name, value in n.attrs.items()}
    part = b.apply("slice", x.inputs[0], **cut) if axes else x.inputs[0]
    return b.broadcast(part, shape=n.shape, axes=axes)


def reshape_repeats(b: Builder, n: Node) -> Node | None:
    """Repeated elements under another shape are elements under another shape, repeated."""
    x = n.inputs[0]
    groups = axis_groups(x.shape, n.shape) if x.op == "broadcast" and 0 not in x.shape else None
    if groups is None:
        return None
    kept: list[int] = []
    for axes, wanted in groups:
        own = [axis in x.attrs["axes"] for axis in axes]
        if any(own) and not all(own):
            return None
        kept += wanted if all(own) else []
    part = b.reshape(x.inputs[0], shape=tuple(n.shape[axis] for axis in kept))
    return b.broadcast(part, shape=n.shape, axes=tuple(kept))


def contract_repeats(b: Builder, n: Node) -> Node | None:
    """An operand that is repeated along an axis of the other one and of the result need not be."""
    labels = [n.attrs["a"], n.attrs["b"]]
    for i, item in enumerate(n.inputs):
        if item.op != "broadcast":
            continue
        own, shared = labels[i], {*labels[1 - i]} & {*n.attrs["out"]}
        kept = [a for a, k in enumerate(own) if a in item.attrs["axes"] or k not in shared]
        if len(kept) == len(own):
            continue
        inputs = list(n.inputs)
        inputs[i] = b.broadcast(
            item.inputs[0],
            shape=tuple(item.shape[axis] for axis in kept),
            axes=tuple(map(kept.index, item.attrs["axes"])),
        )
        labels[i] = tuple(own[axis] for axis in kept)
        return b.contract(*inputs, a=labels[0], b=labels[1], out=n.attrs["out"])
    return None


def contract_ones(b: Builder, n: Node) -> Node | None:
    """A product without the labels of axes of one element, under which nothing is added up."""
    labels = [n.attrs["a"], n.attrs["b"]]
    ones = {
        label
        for item, own in zip(n.inputs, labels, strict=True)
        for label, extent in zip(own, item.shape, strict=True)
        if extent == 1
    }
    if not ones:
        return None
    parts = [b.reshape(item, shape=squeeze(item.shape)) for item in n.inputs]
    first, second, out = (
        tuple(k for k in own if k not in ones) for own in (*labels, n.attrs["out"])
    )
    return b.reshape(b.contract(*parts, a=first, b=second, out=out), shape=n.shape)


def sum_products(graph: Graph) -> Graph:
    """Sums of products as products, where nothing else reads what is summed: Graph -> Graph."""
    order = graph.all_nodes()
    readers = Counter(graph.roots)
    for node in order:
        readers.update(node.inputs)

    def as_product(node: Node, old: Node) -> Node:
        labels = _labels_under(old, readers) if node.op == "reduce_sum" else None
        if labels is None:
            return node
        x = node.inputs[0]
        product = x.inputs[0] if x.op == "reshape" else x
        b, attrs = Builder(product.origin), product.attrs
        out = tuple(label for label in attrs["out"] if label not in labels)
        whole = b.contract(*product.inputs, a=attrs["a"], b=attrs["b"], out=out)
        found: Node = b.reshape(whole, shape=node.shape)
        return found

    return rewrite(graph, as_product, order=order)


def _labels_under(n: Node, readers: Mapping[Node, int]) -> list[int] | None:
    """The labels of a product, maybe reshaped, that a sum adds up; both operands have them."""
    x, axes = n.inputs[0], list(n.attrs["axes"])
    if x.op == "reshape" and readers[x] == 1:
        groups = axis_groups(x.inputs[0].shape, x.shape) or []
        if any(not set(news).isdisjoint(axes) and not set(news) <= set(axes) for _, news in groups):
            return None
        axes = [axis for olds, news in groups if set(news) <= set(axes) for axis in olds]
        x = x.inputs[0]
    if x.op != "contract" or readers[x] > 1:
        return None
    labels = [x.attrs["out"][axis] for axis in axes]
    both = {*x.attrs["a"]} & {*x.attrs["b"]}
    return labels if labels and both.issuperset(labels) else None

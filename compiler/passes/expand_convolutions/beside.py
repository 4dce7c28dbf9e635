"""Neighbouring positions as columns of one product, where a convolution has few results."""

from __future__ import annotations

from ....runtime.program import CPU
from ...graph import Node
from ...primitives.convolution import results_and_weights
from ...primitives.record import Builder
from ...sizes import nominal
from .windowing import NEIGHBOUR, RESULT, Windows, filled, labels_of, windowed, windows_of

FULLER = 1.5
"""Times that more lanes must be used, so that it pays."""


def neighbours(node: Node) -> int:
    """How many neighbouring positions of the last axis are columns of a product together.

    Where there are few results, they fill more of the lanes; but the window that several positions
    share has taps that each does not have.
    """
    results, weights = results_and_weights(node)
    taps, positions, attrs = weights.shape[-3], results.shape[-2], node.attrs
    assert isinstance(taps, int)
    if attrs["groups"] != 1 or attrs["stride"][-1] != 1 or attrs["dilation"][-1] != 1:
        return 1
    if not isinstance(positions, int) or nominal(results.shape[-1]) >= CPU.lanes:
        return 1
    gains = {
        count: filled(count * results.shape[-1]) * taps / (taps + count - 1)
        for count in (1, 2, 4)
        if positions % count == 0
    }
    best = max(gains, key=gains.__getitem__)
    return best if gains[best] >= FULLER * gains[1] else 1


def _shared_windows(b: Builder, node: Node, count: int) -> Node:
    """Windows over x, of which `count` neighbouring positions of the last axis share each."""
    *others, last = windows_of(node, *results_and_weights(node))
    assert isinstance(last.count, int)
    wide = Windows(last.begin, last.count // count, last.taps + count - 1, count, 1)
    return windowed(b, node.inputs[0], [*others, wide])


def _shared_labels(node: Node) -> dict[str, tuple[int, ...]]:
    """Labels as of `_labels`, with one of neighbours before the results in w and g."""
    labels = labels_of(node.type.rank - 2, node.type.rank)
    beside = {name: (*labels[name][:-1], NEIGHBOUR, RESULT) for name in ("w", "g")}
    return {"x": labels["x"], **beside}


def forward_beside(b: Builder, node: Node, count: int) -> Node:
    """The convolution with neighbouring positions as columns: each has its taps further on."""
    w = node.inputs[1]
    seen, axis = _shared_windows(b, node, count), w.type.rank - 3
    whole = seen.shape[-2]
    shifted = []
    for k in range(count):
        low = (*(0,) * axis, k, 0, 0)
        shape = (*w.shape[:axis], whole, *w.shape[axis + 1 :])
        moved = b.pad(w, low=low, inner=(1,) * w.type.rank, shape=shape)
        shifted.append(b.reshape(moved, shape=(*shape[:-1], 1, shape[-1])))
    weights = b.concatenate(*shifted, axis=w.type.rank - 1)
    labels = _shared_labels(node)
    found = b.contract(seen, weights, a=labels["x"], b=labels["w"], out=labels["g"])
    result: Node = b.reshape(found, shape=node.shape)
    return result


def weight_beside(b: Builder, node: Node, count: int) -> Node:
    """The gradient by the weights, the same way: of all neighbours, the taps of each, added up."""
    g = node.inputs[1]
    seen, axis = _shared_windows(b, node, count), node.type.rank - 3
    shape = (*g.shape[:-2], seen.shape[-3], count, g.shape[-1])
    labels = _shared_labels(node)
    above = b.reshape(g, shape=shape)
    found = b.contract(seen, above, a=labels["x"], b=labels["g"], out=labels["w"])
    taps, total = node.shape[axis], None
    for k in range(count):
        part = b.slice_axis(b.slice_axis(found, axis, k, k + taps), axis + 2, k, k + 1)
        part = b.reshape(part, shape=node.shape)
        total = part if total is None else b.add(total, part)
    assert total is not None
    return total

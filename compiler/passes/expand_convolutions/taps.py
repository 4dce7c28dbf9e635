"""Products over windows, and those of many groups with few channels, tap by tap.

A group is one batch of a contraction.  Where a group has a handful of channels, as in a depthwise
convolution, hardly a lane would be used: then each tap is an elementwise product with the groups
in the lanes, and their sum one kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product as every

from ....runtime.program import CPU
from ...graph import Node
from ...primitives.batch import turned
from ...primitives.record import Builder
from ...sizes import Dim, nominal
from ...sizes import product as times
from .windowing import GROUP

FEWEST_CHANNELS = 4
"""Channels of a group from which on its products are a batch of a contraction."""

MOST_TERMS = 64
"""Products that are written out."""

Labels = Sequence[int]


def product(
    b: Builder, x: Node, y: Node, a: Labels, b_labels: Labels, out: Labels, taps: Labels
) -> Node:
    """The contraction of windows over x with y; labels as those of `contract`.

    Of those of x, `taps` are the taps of its windows, and the last is of its channels in a group.
    """
    written = [*(label for label in a if label in taps), a[-1]]
    extents = {**dict(zip(b_labels, y.shape, strict=True)), **dict(zip(a, x.shape, strict=True))}
    if GROUP not in a or not _is_worth(extents, written, a, out):
        result: Node = b.contract(x, y, a=tuple(a), b=tuple(b_labels), out=tuple(out))
        return result
    kept = [label for label in out if label not in written]
    summed = [label for label in a if label not in out and label not in written]
    domain = (*summed, *kept)
    shape = tuple(extents[label] for label in domain)
    if not summed:  # y are the weights: a few, in the order in which they are read
        y = b.copy(y)
    parts = []
    for number in every(*(range(_known(extents[label])) for label in written)):
        chosen = dict(zip(written, number, strict=True))
        factors = [
            _spread(b, item, labels, chosen, domain, shape)
            for item, labels in ((x, a), (y, b_labels))
        ]
        term = b.mul(*factors)
        parts.append(b.reduce_sum(term, axes=tuple(range(len(summed)))) if summed else term)
    if not set(written) & set(out):
        return reduce(b.add, parts)
    return _stacked(b, parts, [*written, *kept], extents, out)


def _known(extent: Dim) -> int:
    assert isinstance(extent, int)
    return extent


def _is_worth(extents: dict[int, Dim], written: Labels, a: Labels, out: Labels) -> bool:
    """Whether few products are written out, each with the lanes full."""
    terms = [extents[label] for label in written]
    lanes = nominal(extents[GROUP]) * nominal(extents[out[-1]])
    return (
        all(isinstance(extent, int) for extent in terms)
        and nominal(extents[a[-1]]) < FEWEST_CHANNELS
        and nominal(times(terms)) <= MOST_TERMS
        and lanes >= CPU.lanes
    )


def _spread(
    b: Builder,
    x: Node,
    labels: Labels,
    chosen: dict[int, int],
    domain: Labels,
    shape: Sequence[Dim],
) -> Node:
    """An operand at one tap, over all of the domain."""
    start, stop = [0] * x.type.rank, list(x.shape)
    for axis, label in enumerate(labels):
        if label in chosen:
            start[axis], stop[axis] = chosen[label], chosen[label] + 1
    part = b.slice(x, start=tuple(start), stop=tuple(stop), step=(1,) * x.type.rank)
    left = [label for label in labels if label not in chosen]
    extents = tuple(n for n, label in zip(x.shape, labels, strict=True) if label not in chosen)
    order = sorted(left, key=domain.index)
    line = turned(b, b.reshape(part, shape=extents), [left.index(label) for label in order])
    axes = tuple(domain.index(label) for label in order)
    result: Node = b.broadcast(line, shape=tuple(shape), axes=axes)
    return result


def _stacked(
    b: Builder, parts: Sequence[Node], labels: Labels, extents: dict[int, Dim], out: Labels
) -> Node:
    """Values of all taps, one behind another, as axes of the result."""
    lined = [b.reshape(part, shape=(1, *part.shape)) for part in parts]
    whole = b.concatenate(*lined, axis=0)
    found = b.reshape(whole, shape=tuple(extents[label] for label in labels))
    return turned(b, found, [labels.index(label) for label in out])

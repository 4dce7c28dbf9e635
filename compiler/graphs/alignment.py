"""Alignment: which axes of which values of a loop's body run over the same things.

    %2: [B,H] = broadcast(%mask: [B])          axis 0 of %2 runs over what axis 0 of %mask does
    %5: [B,H] = contract(%z: [B,K], %w)        and so does axis 0 of %5, if %2 selects from it

Sizes do not say it, for two axes may be as long as each other by chance; what the primitives do
with axes does.  Two axes run over the same things if a primitive puts them side by side, in one of
its operands and in its result or in two operands.  What moves elements along an axis, such as a
slice, ends it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..graph import Graph, Node
from ..primitives.attention import ATTENTION, attention_labels
from ..primitives.convolution import CONVOLUTIONS, results_and_weights
from ..primitives.linear.counts import LINEAR
from ..primitives.log_product import LOG_PRODUCTS, log_product_labels
from ..primitives.pooling import POOLS
from ..primitives.record import lookup
from ..primitives.recurrence import result_source, role_of
from ..primitives.reduction import kept_axes
from ..sizes import product
from .loop_bodies import every_node

Axis = tuple[Node, int]
"""An axis of a value."""


def aligned_axes(body: Graph, node: Node, axis: int) -> dict[Node, int]:
    """For the values of a body, and of the loops in it, the axis that runs along with one of them.

    What has no such axis is not among them; of several, the first counts.
    """
    classes = _Classes()
    for item in every_node(body):
        for one, other in _pairs(item):
            classes.join(one, other)
    wanted = classes.find((node, axis))
    found: dict[Node, int] = {}
    for item in every_node(body):
        for number in range(item.type.rank):
            if classes.find((item, number)) == wanted:
                found[item] = number
                break
    return found


class _Classes:
    """Sets of axes, joined two at a time (Tarjan, 1975)."""

    def __init__(self) -> None:
        self.above: dict[Axis, Axis] = {}

    def find(self, axis: Axis) -> Axis:
        while (up := self.above.get(axis, axis)) != axis:
            self.above[axis] = self.above.get(up, up)
            axis = up
        return axis

    def join(self, one: Axis, other: Axis) -> None:
        self.above[self.find(one)] = self.find(other)


def _pairs(n: Node) -> Iterator[tuple[Axis, Axis]]:
    """Axes that a node puts side by side."""
    kind, attrs = lookup(n.op).kind, n.attrs
    if n.op == "loop":
        yield from _of_loop(n)
    elif n.op == "contract":
        labels = (attrs["a"], attrs["b"], attrs["out"])
        yield from _of_labels(zip((*n.inputs, n), labels, strict=True))
    elif n.op in CONVOLUTIONS:
        results, weights = results_and_weights(n)
        images = n if n.op == "conv_input" else n.inputs[0]
        last = n.type.rank - 1
        yield from _same(images, results, [(0, 0)])
        yield from _same(weights, results, [(last, last)])
    elif n.op == "gather":
        x, index = n.inputs
        at, places = attrs["axis"], index.type.rank
        kept = [i for i in range(x.type.rank) if i != at]
        yield from _same(x, n, [(i, i if i < at else i + places - 1) for i in kept])
        yield from _same(index, n, [(i, at + i) for i in range(places)])
    elif n.op in ("scatter_add", "scatter_mul", "scatter_max", "scatter_min"):
        index, x = n.inputs
        at, places = attrs["axis"], index.type.rank
        kept = [i for i in range(x.type.rank) if not at <= i < at + places]
        yield from _same(x, n, [(i, i if i < at else i - places + 1) for i in kept])
        yield from _same(index, x, [(i, at + i) for i in range(places)])
    elif n.op == "put":
        x, _, row = n.inputs
        at = attrs["axis"]
        yield from _same(x, n, [(i, i) for i in range(x.type.rank)])
        yield from _same(row, n, [(i, i if i < at else i + 1) for i in range(row.type.rank)])
    elif n.op == "gradient":
        yield from _same(n.inputs[1], n, [(i, i) for i in range(n.type.rank)])
    elif n.op in LINEAR:
        lead = [(i, i) for i in range(n.inputs[0].type.rank - 2)]
        yield from (pair for item in n.inputs for pair in _same(item, n, lead))
    elif n.op in ATTENTION:
        yield from _of_labels(zip((*n.inputs, n), attention_labels(n), strict=True))
    elif n.op in LOG_PRODUCTS:
        yield from _of_labels(zip((*n.inputs, n), log_product_labels(n), strict=True))
    elif n.op in POOLS:
        yield from _same(n.inputs[0], n, _all_but(n, attrs["axes"]))
        for code in n.inputs[1:]:
            windows = n if n.op == "pool_take" else n.inputs[0]
            yield from _same(code, windows, [(i, i) for i in range(n.type.rank)])
    elif n.op in _MAPS:
        yield from (pair for item in n.inputs for pair in _same(item, n, _MAPS[n.op](n)))
    elif kind == "elementwise":
        every = [(i, i) for i in range(n.type.rank)]
        yield from (pair for item in n.inputs for pair in _same(item, n, every))
    elif kind == "reduction" and "axes" in attrs:
        left = kept_axes(n.inputs[0].type.rank, attrs["axes"])
        yield from _same(n.inputs[0], n, [(old, new) for new, old in enumerate(left)])


def _same(x: Node, n: Node, axes: Iterable[tuple[int, int]]) -> Iterator[tuple[Axis, Axis]]:
    return (((x, i), (n, k)) for i, k in axes)


def _of_labels(labelled: Iterable[tuple[Node, Sequence[int]]]) -> Iterator[tuple[Axis, Axis]]:
    first: dict[int, Axis] = {}
    for item, labels in labelled:
        for axis, label in enumerate(labels):
            if label in first:
                yield first[label], (item, axis)
            else:
                first[label] = (item, axis)


def _of_loop(n: Node) -> Iterator[tuple[Axis, Axis]]:
    body: Graph = n.attrs["body"]
    for entry, outer in zip(body.inputs, n.inputs, strict=True):
        steps = int(role_of(entry) == "sequence")
        yield from _same(entry, outer, [(i, i + steps) for i in range(entry.type.rank)])
    for carry, value in body.updates:
        yield from _same(carry, value, [(i, i) for i in range(carry.type.rank)])
    value = result_source(body, n)
    steps = int(n.attrs["result"] == "stack")
    yield from _same(value, n, [(i, i + steps) for i in range(value.type.rank)])


def _all_but(n: Node, moved: Iterable[int]) -> list[tuple[int, int]]:
    moved = set(moved)
    return [(i, i) for i in range(n.type.rank) if i not in moved]


def _reshape(n: Node) -> list[tuple[int, int]]:
    """Axes of one extent, behind which as many elements lie."""
    x = n.inputs[0]
    return [
        (i, k)
        for i, old in enumerate(x.shape)
        for k, new in enumerate(n.shape)
        if old == new and product(x.shape[i + 1 :]) == product(n.shape[k + 1 :])
    ]


def _unmoved(n: Node) -> list[tuple[int, int]]:
    """Axes that a slice or a padding leaves as they are."""
    return [(i, i) for i, extent in enumerate(n.shape) if extent == n.inputs[0].shape[i]]


_MAPS: dict[str, Callable[[Node], Iterable[tuple[int, int]]]] = {
    "broadcast": lambda n: enumerate(n.attrs["axes"]),
    "transpose": lambda n: ((old, new) for new, old in enumerate(n.attrs["axes"])),
    "reshape": _reshape,
    "slice": _unmoved,
    "pad": _unmoved,
    "flip": lambda n: _all_but(n, n.attrs["axes"]),
    "concatenate": lambda n: _all_but(n, [n.attrs["axis"]]),
    "cumsum": lambda n: _all_but(n, [n.attrs["axis"]]),
    "argsort": lambda n: _all_but(n, [n.attrs["axis"]]),
    "windows": lambda n: [
        (i, i if i < n.attrs["axis"] else i + 1)
        for i in range(n.inputs[0].type.rank)
        if i != n.attrs["axis"]
    ],
    "overlap_add": lambda n: [
        (i if i < n.attrs["axis"] else i + 1, i) for i in range(n.type.rank) if i != n.attrs["axis"]
    ],
}
"""For primitives that keep axes apart, pairs of an operand's axis and the result's."""

"""The order of the elements along an axis: the indices that would sort them.

    argsort(x)    index, int64, with x[index[0]] <= x[index[1]] <= ... along the axis

Of equal elements the one with the lowest index comes first, rising or falling.  A NaN counts as
the greatest, as in `argmax`; -0 and 0 are equal.  Values are gathered by the indices
(`take_along`), so that no derivative has to know of an order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim
from .batch import along, turned
from .record import Array, Attrs, Builder, Primitive


def _infer(types: Sequence[Type], attrs: Attrs) -> Type:
    (x,) = types
    if not 0 <= attrs["axis"] < x.rank:
        raise TypeRuleError(f"expected an axis below {x.rank}, got {attrs['axis']}")
    return x.with_dtype("int64")


def _reference(result: Type, attrs: Attrs, x: Array) -> Array:
    axis = attrs["axis"]
    if attrs["descending"]:
        # The last of a stable sort of the reversed elements is the first of the greatest.
        last = x.shape[axis] - 1
        order = np.flip(last - np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    return np.asarray(order, np.int64)


def take_along(b: Builder, x: Node, index: Node, axis: int) -> Node:
    """The elements of each line of x along an axis at the indices of the same line of `index`.

    The indices are int64 and within the axis.
    """
    rank = x.type.rank
    if rank == 1:
        found: Node = b.gather(x, index, axis=0)
        return found
    order = (*(other for other in range(rank) if other != axis), axis)
    x, index = turned(b, x, order), turned(b, index, order)
    count = b.spread(b.apply("size", size=x.shape[-1], dtype="int64"), index.shape)
    line: Node = b.fill(0, index.type)
    for place, extent in enumerate(x.shape[:-1]):
        wide = b.spread(b.apply("size", size=extent, dtype="int64"), index.shape)
        line = b.add(b.mul(line, wide), b.iota(axis=place, shape=index.shape, dtype="int64"))
    flat = b.reshape(x, shape=(x.type.count,))
    found = b.gather(flat, b.add(b.mul(line, count), index), axis=0)
    return turned(b, found, (*range(axis), rank - 1, *range(axis, rank - 1)))


RANKED = 128
"""Elements up to which a line is sorted by counting for each how many come before it."""


def sort_work(node: Node) -> Dim:
    """An estimate, in operations on one element."""
    x = node.inputs[0]
    extent = x.shape[node.attrs["axis"]]
    return x.type.count * (extent if isinstance(extent, int) and extent < RANKED else 64)


PRIMITIVES = (
    Primitive(
        name="argsort",
        kind="movement",
        infer=_infer,
        reference=_reference,
        batch=along(lambda attrs, n: {"axis": attrs["axis"] + 1}),
    ),
)

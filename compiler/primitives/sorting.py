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
from .batch import along
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

    The indices are int64; what lies outside of the axis is read nowhere, as in a gather.
    """
    found: Node = b.gather(
        b.reshape(x, shape=(x.type.count,)), places_along(b, index, x.shape, axis), axis=0
    )
    return found


def places_along(b: Builder, index: Node, shape: Sequence[Dim], axis: int) -> Node:
    """For indices (int64) into lines along an axis, the places in the array's row-major order.

    Outside of the array for one that is no place of its line.
    """
    if len(shape) == 1:
        return index
    flat: Node | None = None
    for place, extent in enumerate(shape):
        width = b.spread(b.apply("size", size=extent, dtype="int64"), index.shape)
        if place == axis:
            at, lower = index, b.apply("ge", index, b.fill(0, index.type))
            inside = b.apply("and", lower, b.lt(index, width))
        else:
            at = b.iota(axis=place, shape=index.shape, dtype="int64")
        flat = at if flat is None else b.add(b.mul(flat, width), at)
    found: Node = b.select(inside, flat, b.fill(-1, index.type))
    return found


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

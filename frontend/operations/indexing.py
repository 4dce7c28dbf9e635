"""Elements chosen by integer arrays, and the coordinates of elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..arguments import wrong
from ..location import user_location
from ..variables.kinds import Number
from ..variables.numbers import in_dtype, number_array
from ..variables.variable import Shape, Variable, apply, dtype_name, shape_of
from ..variables.weak import unstated
from .broadcasting import as_variables
from .places import (
    as_index,
    expect_integers,
    expect_within,
    fixed_value,
    gather_fixed,
    scatter_fixed,
)
from .structure import normal_axis


def take(x: Any, index: Any, axis: int = 0) -> Variable:
    """The elements of x at integer indices along an axis (gather), as in an embedding.

    The result's shape is x's, with the axis replaced by the shape of `index`.  Indices that are
    fixed (a list, an array, a constant) are known when the diagram is drawn: negative ones count
    from the end, as in NumPy, and others outside of [-n, n) are mistakes.  Those of an observed
    variable must lie in [0, n), which is checked before a step, as for labels; a computed index
    outside of it gives NaN (0 for integers, False for bool).
    """
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, x: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        expect_integers(index)
        if places is not None:
            return gather_fixed(b, x, index, places, place)
        checked = b.apply("in_range", index, low=0, high=x.shape[place])
        return b.gather(x, checked, axis=place)

    result: Variable = apply("take", rule, [as_variables(x)[0], chosen])
    return result


def scatter_add(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """Zeros with `size` elements along an axis, and every update added where its index says.

    Indices are as for `take`: fixed ones may count from the end (where the size has no name), those
    of an observed variable are checked; an update at a computed index outside is added nowhere.
    """
    extent = shape_of((size,))[0]
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, index: Node, updates: Node) -> Node:
        place = normal_axis(axis, updates.type.rank)
        expect_integers(index)
        if places is not None:
            return scatter_fixed(b, index, places, updates, place, extent)
        checked = b.apply("in_range", index, low=0, high=extent)
        return b.scatter_add(checked, updates, axis=place, size=extent)

    result: Variable = apply("scatter_add", rule, [chosen, as_variables(updates)[0]])
    return result


def one_hot(index: Any, size: Any, dtype: Any = None) -> Variable:
    """A new last axis of `size` elements, 1 at the index and 0 elsewhere.

    Args:
        index: class numbers in [0, size): fixed ones outside are a mistake, those of an observed
            variable are checked before a step, and a computed one outside has no 1 at all.
        size: how many classes there are.
        dtype: of the result; by default float32, or that of what it meets.
    """
    size = shape_of((size,), f"one_hot ({user_location()})")[0]
    chosen = as_index(index)
    places = fixed_value(chosen)

    def draw(name: str) -> Variable:
        def rule(b: Builder, index: Node) -> Node:
            expect_integers(index)
            if places is not None:
                expect_within("class numbers", places, 0, size)
            index = b.apply("in_range", index, low=0, high=size)
            shape = (*index.shape, size)
            counted = b.apply("iota", axis=index.type.rank, shape=shape, dtype=index.dtype)
            wanted = b.broadcast(index, shape=shape, axes=tuple(range(index.type.rank)))
            return b.cast(b.eq(counted, wanted), dtype=name)

        result: Variable = apply("one_hot", rule, [chosen])
        return result

    return _of_dtype(draw, dtype, "float32")


def arange(size: Any, dtype: Any = None) -> Variable:
    """0, 1, ... size - 1; the size may be a name.

    int32 by default, or the dtype of the integers that it meets; DtypeError if it cannot hold them.
    """
    shape = shape_of((size,))
    place = f"arange ({user_location()})"

    def draw(name: str) -> Variable:
        if isinstance(shape[0], int) and shape[0]:
            in_dtype(place, np.asarray(shape[0] - 1), name)
        result: Variable = apply(
            "arange", lambda b: b.apply("iota", axis=0, shape=shape, dtype=name), []
        )
        return result

    return _of_dtype(draw, dtype, "int32", "i")


def fill(value: Any, shape: Shape, dtype: Any = None) -> Variable:
    """`value` in every element of `shape`, which may have named sizes.

    float32 by default, or the float dtype of what it meets; DtypeError for a number that the dtype
    cannot hold.
    """
    extents = shape_of(shape)
    place = f"fill ({user_location()})"
    if isinstance(value, Variable):
        raise wrong(place, "a number: dg.broadcast_to spreads a variable", value)
    array = number_array(place, value)

    def draw(name: str) -> Variable:
        known = in_dtype(place, array, name)
        result: Variable = apply(
            f"fill {value}",
            lambda b: b.spread(b.constant(known, name), extents),
            [],
            kind=Number,
            shown=str(value),
        )
        return result

    return _of_dtype(draw, dtype, "float32")


def size(extent: Any, dtype: Any = None) -> Variable:
    """A named size as a number: dg.size("B") is the batch size.

    float32 by default, or the dtype of what it meets.
    """
    amount = shape_of((extent,))[0]

    def draw(name: str) -> Variable:
        result: Variable = apply(
            f"size {extent}",
            lambda b: b.apply("size", size=amount, dtype=name),
            [],
            kind=Number,
            shown=str(extent),
        )
        return result

    return _of_dtype(draw, dtype, "float32", "fi")


def _of_dtype(draw: Any, dtype: Any, default: str, kinds: str = "f") -> Variable:
    """A variable of a stated dtype, or of a default one that adopts another."""
    if dtype is None:
        return unstated(draw(default), draw, kinds)
    result: Variable = draw(dtype_name(dtype))
    return result

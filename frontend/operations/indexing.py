"""NumPy's indexing, and elements chosen by integer arrays along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..location import user_location
from ..variables.applying import apply
from ..variables.variable import Variable, shape_of
from ..variables.weak import of_dtype
from .broadcasting import as_variables
from .choosing import choose
from .masking import as_dtype
from .places import (
    Count,
    as_index,
    counted,
    expect_integers,
    expect_within,
    fixed_value,
    from_front,
    gather_fixed,
    scatter_fixed,
)
from .structure import index_by, normal_axis


def getitem(x: Variable, key: Any) -> Variable:
    """NumPy's indexing: integers, slices, ..., None, and arrays of integers (gather).

    A size may stand for an integer, and its name too as a bound of a slice.  It must not exceed the
    axis, which is checked when the size is known.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(item, (Variable, np.ndarray, list)) for item in keys):
        result: Variable = apply(
            "index", lambda b, node: index_by(b, node, keys), [x], as_stored=True
        )
        return result
    alone = len(keys) == 1 and not _is_mask(keys[0])
    return take(x, keys[0], axis=0) if alone else choose(x, keys)


def _is_mask(key: Any) -> bool:
    """Whether an index says of each element whether it is chosen."""
    if isinstance(key, Variable):
        return not key.mistakes and key.dtype == "bool"
    array = np.asarray(key)
    return array.dtype == bool and array.ndim > 0


def take(x: Any, index: Any, axis: int = 0) -> Variable:
    """The elements of x at integer indices along an axis, as NumPy's.

    The result's shape is x's, with the axis replaced by the shape of `index`.  Negative indices
    count from the end.  Indices that are fixed (a list, an array, a constant) are known when the
    diagram is drawn, and others outside of [-n, n) are mistakes; those of an observed variable are
    checked before a step; a computed index outside gives NaN (0 for integers, False for bool).
    """
    return _gathered(x, index, axis, counted)


def gather(x: Any, index: Any, axis: int = 0) -> Variable:
    """As `take`, but for indices that count from the front alone, as in an embedding.

    Observed ones must lie in [0, n), as labels; a computed one outside of it gives NaN.
    """
    return _gathered(x, index, axis, from_front)


def _gathered(x: Any, index: Any, axis: int, count: Count) -> Variable:
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, x: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        expect_integers(index)
        if places is not None:
            return gather_fixed(b, x, index, places, place)
        return b.gather(x, count(b, index, x.shape[place]), axis=place)

    result: Variable = apply("take", rule, [as_variables(x)[0], chosen], as_stored=True)
    return result


def scatter_add(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """Zeros with `size` elements along an axis, and every update added where its index says.

    Args:
        index: of any shape.  Fixed indices may count from the end (where the size has no name),
            those of an observed variable must lie in [0, size), which is checked before a step; an
            update at a computed index outside goes nowhere.
        updates: numbers, with the axes of `index` from `axis` on.
        size: how many elements there are: an integer or the name of a size.
        axis: which one.
    """
    return _scattered("scatter_add", index, updates, size, axis)


def scatter_mul(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """Ones, and every update multiply where its index says; arguments as of `scatter_add`.

    Updates are multiplied in their order, bools as int64.  The gradient of one is the product of
    the others at its place, zeros among them too, and so is every further derivative.
    """
    return _scattered("scatter_mul", index, updates, size, axis)


def scatter_max(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """The greatest of the updates that go to each of `size` places; arguments as of `scatter_add`.

    -inf (the least integer, False) where none does, as the `max` of nothing; NaN where one of them
    is NaN.  The gradient is shared evenly among the updates that reach it.  Updates may be bools.
    """
    return _scattered("scatter_max", index, updates, size, axis)


def scatter_min(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """The least of the updates that go to each place; inf (the greatest integer, True) for none."""
    return _scattered("scatter_min", index, updates, size, axis)


def _scattered(op: str, index: Any, updates: Any, size: Any, axis: int) -> Variable:
    extent = shape_of((size,))[0]
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, index: Node, updates: Node) -> Node:
        place = normal_axis(axis, updates.type.rank)
        expect_integers(index)
        extremum = op in ("scatter_max", "scatter_min")
        truth = extremum and updates.dtype == "bool"
        if truth:
            updates = b.cast(updates, dtype="int32")
        else:
            updates = b.widened(updates) if extremum else as_dtype(b, updates, None)
        if places is not None:
            found = scatter_fixed(b, op, index, places, updates, place, extent)
        else:
            checked = from_front(b, index, extent)
            found = b.apply(op, checked, updates, axis=place, size=extent)
        return b.gt(found, b.fill(0, found.type)) if truth else found

    result: Variable = apply(op, rule, [chosen, as_variables(updates)[0]], as_stored=True)
    return result


def segment_sum(x: Any, segments: Any, count: Any, axis: int = 0) -> Variable:
    """Sums over the elements along an axis that have the same number, of so many numbers.

    Args:
        x: numbers of one axis or more.
        segments: of each element, the number of its segment in [0, count), in any order; indices
            as of `scatter_add`.
        count: how many segments there are: an integer or the name of a size.
        axis: along which; in its place, there is an axis of `count` elements, 0 where none are.
    """
    return scatter_add(segments, x, count, axis)


def segment_prod(x: Any, segments: Any, count: Any, axis: int = 0) -> Variable:
    """The product of each segment, as of `scatter_mul`; arguments as of `segment_sum`."""
    return scatter_mul(segments, x, count, axis)


def segment_max(x: Any, segments: Any, count: Any, axis: int = 0) -> Variable:
    """The greatest element of each segment, as of `scatter_max`; arguments as of `segment_sum`."""
    return scatter_max(segments, x, count, axis)


def segment_min(x: Any, segments: Any, count: Any, axis: int = 0) -> Variable:
    """The least element of each segment, as of `scatter_min`; arguments as of `segment_sum`."""
    return scatter_min(segments, x, count, axis)


def put(x: Variable, index: Variable, row: Variable, axis: int = 0) -> Variable:
    """x, with the element at an index along an axis replaced by `row`; x itself stays as it is.

    What a loop carries, or a state, is written in place so: `t.close(z, put(z, i, row))` moves the
    row alone, where nothing reads the old z later.

    Args:
        x: of any shape and dtype, (..., n, ...).
        index: an int32 or int64 of shape (); where it lies outside [0, n), nothing is replaced.
        row: of x's dtype, and of its shape without the axis.
        axis: which one.
    """

    def rule(b: Builder, x: Node, index: Node, row: Node) -> Node:
        return b.put(x, index, row, axis=normal_axis(axis, x.type.rank))

    result: Variable = apply("put", rule, [x, index, row], as_stored=True)
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
            index = b.widened(b.apply("in_range", index, low=0, high=size))
            shape = (*index.shape, size)
            counted = b.apply("iota", axis=index.type.rank, shape=shape, dtype=index.dtype)
            wanted = b.broadcast(index, shape=shape, axes=tuple(range(index.type.rank)))
            return b.cast(b.eq(counted, wanted), dtype=name)

        result: Variable = apply("one_hot", rule, [chosen], as_stored=True)
        return result

    return of_dtype(draw, dtype, "float32")

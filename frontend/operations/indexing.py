"""Elements chosen by integer arrays, and the coordinates of elements."""

from __future__ import annotations

from typing import Any

from ...compiler.builder import Builder
from ...compiler.errors import DtypeRuleError
from ...compiler.graph import Node
from ..kinds import Number
from ..variable import Shape, Variable, apply, dtype_name, shape_of
from .broadcasting import as_variables
from .structure import normal_axis


def take(x: Any, index: Any, axis: int = 0) -> Variable:
    """The elements of x at integer indices along an axis (gather), as in an embedding.

    The result's shape is x's, with the axis replaced by the shape of `index`.  Indices must lie
    in [0, n): those of an observed variable are checked before a step; a computed index outside
    gives NaN (0 for integers).
    """

    def rule(b: Builder, x: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        _expect_integers(index)
        checked = b.apply("in_range", index, low=0, high=x.shape[place])
        return b.gather(x, checked, axis=place)

    chosen = as_variables(index)[0]
    result: Variable = apply("take", rule, [as_variables(x)[0], chosen])
    return result


def scatter_add(index: Any, updates: Any, size: Any, axis: int = 0) -> Variable:
    """Zeros with `size` elements along an axis, and every update added where its index says."""
    extent = shape_of((size,))[0]

    def rule(b: Builder, index: Node, updates: Node) -> Node:
        place = normal_axis(axis, updates.type.rank)
        _expect_integers(index)
        checked = b.apply("in_range", index, low=0, high=extent)
        return b.scatter_add(checked, updates, axis=place, size=extent)

    result: Variable = apply("scatter_add", rule, as_variables(index, updates))
    return result


def one_hot(index: Any, size: int, dtype: Any = "float32") -> Variable:
    """A new last axis of `size` elements, 1 at the index and 0 elsewhere."""
    name = dtype_name(dtype)

    def rule(b: Builder, index: Node) -> Node:
        _expect_integers(index)
        shape = (*index.shape, size)
        places = b.apply("iota", axis=index.type.rank, shape=shape, dtype=index.dtype)
        wanted = b.broadcast(index, shape=shape, axes=tuple(range(index.type.rank)))
        return b.cast(b.eq(places, wanted), dtype=name)

    result: Variable = apply("one_hot", rule, as_variables(index))
    return result


def _expect_integers(index: Node) -> None:
    if index.dtype not in ("int32", "int64"):
        raise DtypeRuleError(f"expects indices of dtype int32 or int64, not {index.dtype}")


def arange(size: Any, dtype: Any = "int32") -> Variable:
    """0, 1, ... size - 1; the size may be a name."""
    shape = shape_of((size,))
    name = dtype_name(dtype)
    result: Variable = apply(
        "arange", lambda b: b.apply("iota", axis=0, shape=shape, dtype=name), []
    )
    return result


def fill(value: Any, shape: Shape, dtype: Any = "float32") -> Variable:
    """`value` in every element of `shape`, which may have named sizes."""
    extents, name = shape_of(shape), dtype_name(dtype)
    result: Variable = apply(
        f"fill {value}",
        lambda b: b.spread(b.constant(value, name), extents),
        [],
        kind=Number,
        shown=str(value),
    )
    return result


def size(extent: Any, dtype: Any = "float32") -> Variable:
    """A named size as a number: dg.size("B") is the batch size."""
    amount, name = shape_of((extent,))[0], dtype_name(dtype)
    result: Variable = apply(
        f"size {extent}",
        lambda b: b.apply("size", size=amount, dtype=name),
        [],
        kind=Number,
        shown=str(extent),
    )
    return result

"""Indices that are known when the diagram is drawn: counted from the front, or a mistake there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import INDICES, computed
from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.primitives.scattering import scatter_start
from ...compiler.sizes import Dim
from ..location import user_location
from ..variables.constants import constant
from ..variables.numbers import refuse_masked
from ..variables.variable import Variable, shape_text
from .broadcasting import as_variables

Count = Callable[[Builder, Node, Dim], Node]
"""How an index into an axis of some extent is counted."""

Places = npt.NDArray[np.integer[Any]]


def fixed_value(variable: Variable) -> npt.NDArray[Any] | None:
    """The array of a variable that never changes, also where it enters a block; else None."""
    while variable.source is not None:
        variable = variable.source
    return variable.value


def as_index(index: Any) -> Variable:
    """An index as a variable; an array of any dtype of integers will do."""
    if isinstance(index, Variable):
        return index
    refuse_masked(f"an index ({user_location()}) expects integers", index)
    array = np.asarray(index)
    if not array.size and not isinstance(index, np.ndarray):
        return constant(array.astype(np.int32))
    if array.dtype.kind in "iu" and array.dtype.name not in ("int32", "int64"):
        return constant(array, "int64")
    return as_variables(index)[0]


def expect_integers(index: Node) -> None:
    """DtypeRuleError unless a node can be an index."""
    if index.dtype not in INDICES:
        raise DtypeRuleError(f"expects indices of dtype int32 or int64, not {index.dtype}")


def expect_within(
    what: str, values: npt.NDArray[Any], low: int, high: Dim, of: str = "", where: str = "index"
) -> None:
    """TypeRuleError unless fixed integers lie in [low, high); a named size is not known yet."""
    beyond = values >= high if isinstance(high, int) else np.zeros(values.shape, bool)
    outside = np.argwhere((values < low) | beyond)
    if len(outside):
        subject = tuple(map(int, outside[0]))
        at = f" at {shape_text(subject)} of the {where}" if subject else ""
        raise TypeRuleError(f"expects {what} in [{low}, {high}){of}, not {values[subject]}{at}")


def from_the_front(places: npt.NDArray[Any], extent: int) -> Places:
    """An index with its negative places counted from the front; TypeRuleError for one outside."""
    expect_within("places", places, -extent, extent, f" of an axis of {extent} elements")
    places = places.astype(np.int64)
    return np.where(places < 0, places + extent, places)


def counted(b: Builder, index: Node, extent: Dim) -> Node:
    """An index that may count from the end, counted from the front.

    Of an observed variable it must lie in [-n, n), which is checked before a step.
    """
    if index.dtype.startswith("u"):
        return from_front(b, index, extent)
    checked = b.apply("in_range", index, low=-extent, high=extent)
    return from_end(b, b.widened(checked), extent)


def from_front(b: Builder, index: Node, extent: Dim) -> Node:
    """An index that counts from the front; of an observed variable it must lie in [0, n)."""
    found: Node = b.apply("in_range", index, low=0, high=extent)
    return found


def from_end(b: Builder, index: Node, extent: Dim) -> Node:
    """An index with its negative places moved by the size of the axis."""
    size = b.spread(b.apply("size", size=extent, dtype=index.dtype), index.shape)
    behind = b.lt(index, b.fill(0, index.type))
    found: Node = b.select(behind, b.add(index, size), index)
    return found


def gather_fixed(b: Builder, x: Node, index: Node, places: npt.NDArray[Any], axis: int) -> Node:
    """The elements of x at places that are known."""
    extent = x.shape[axis]
    if isinstance(extent, int):
        return b.gather(x, _known(b, index, from_the_front(places, extent)), axis=axis)
    negative = places < 0
    if not negative.any():
        return _from_named(b, x, index, places, axis)
    # From the end of a named size: those are counted from the front of the axis turned round.
    turned = b.flip(x, axes=(axis,))
    last = _from_named(b, turned, index, np.where(negative, -1 - places, 0), axis)
    if negative.all():
        return last
    first = _from_named(b, x, index, np.where(negative, 0, places), axis)
    mask = b.constant(negative, "bool")
    axes = tuple(range(axis, axis + places.ndim))
    return b.select(b.broadcast(mask, shape=first.shape, axes=axes), last, first)


def _from_named(b: Builder, x: Node, index: Node, places: npt.NDArray[Any], axis: int) -> Node:
    """The elements at places of an axis of named size, which a slice requires to be there."""
    stop = list(x.shape)
    stop[axis] = int(places.max(initial=-1)) + 1
    ones = (1,) * x.type.rank
    there = b.slice(x, start=(0,) * x.type.rank, stop=tuple(stop), step=ones)
    return b.gather(there, _known(b, index, places), axis=axis)


def scatter_fixed(
    b: Builder,
    op: str,
    index: Node,
    places: npt.NDArray[Any],
    updates: Node,
    axis: int,
    size: Dim,
) -> Node:
    """Updates combined at places that are known."""
    if isinstance(size, int):
        index = _known(b, index, from_the_front(places, size))
        return b.apply(op, index, updates, axis=axis, size=size)
    if (places < 0).any():
        raise TypeRuleError(
            f"expects places counted from the front of an axis whose size has a name, {size}, not "
            f"{places.min()}"
        )
    most = int(places.max(initial=-1)) + 1
    found = b.apply(op, _known(b, index, places), updates, axis=axis, size=most)
    # What is left of a size below these places would be negative, which is refused.
    rest = b.fill(scatter_start(op, found.dtype), found.type.with_shape(
        size - most if i == axis else n for i, n in enumerate(found.shape)
    ))  # fmt: skip
    return b.concatenate(found, rest, axis=axis)


def _known(b: Builder, index: Node, places: npt.NDArray[Any]) -> Node:
    return b.constant(places, computed(index.dtype))

"""NumPy's indexing with arrays: x[i, j] for pairs of indices, x[:, i], and masks that are fixed.

What a mask that is computed would choose has no size before the call, and is refused.

    x[:, i, j]      [N, *ij]     side by side: in the place of the first
    x[i, :, j]      [*ij, N]     apart, by a slice, None or ...: in front of all others, as in NumPy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node, Type
from ...compiler.primitives.batch import turned
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, product
from ..location import user_location
from ..variables.applying import apply
from ..variables.numbers import refuse_masked
from ..variables.variable import Variable, shape_text
from .broadcasting import align
from .places import (
    as_index,
    counted,
    expect_integers,
    fixed_value,
    from_end,
    from_the_front,
    gather_fixed,
)
from .structure import index_by, is_position

MASKED = (
    "expects indices of dtype int32 or int64, not a mask of bools, whose choice has no known size: "
    "use dg.where(mask, x, 0.0), which keeps the shape, or dg.sum(x, where=mask), as dg.mean, "
    "dg.max and the others over axes have it"
)


@dataclass(frozen=True, eq=False)
class _Array:
    """An array among the indices.

    Attributes:
        variable: as a variable.
        places: its values, where they are fixed.
        mask: of the first of a mask's indices, the mask's shape.
    """

    variable: Variable
    places: npt.NDArray[Any] | None
    mask: tuple[int, ...] | None = None


def choose(x: Variable, keys: tuple[Any, ...]) -> Variable:
    """The elements of x at indices among which there are arrays, by NumPy's rules.

    Negative indices count from the end; those of an observed variable are checked before a step;
    computed ones outside give NaN (0 for integers).
    """
    parts: list[Any] = []
    for key in keys:
        parts += _arrays(key) if isinstance(key, (Variable, np.ndarray, list)) else [key]
    arrays = [item for item in parts if isinstance(item, _Array)]

    def rule(b: Builder, node: Node, *indices: Node) -> Node:
        for index in indices:
            if index.dtype == "bool":
                raise DtypeRuleError(MASKED)
            expect_integers(index)
        full = _written_out(parts, node.type.rank)
        _expect_masks_fit(full, node.shape)
        plain = tuple(slice(None) if isinstance(item, _Array) else item for item in full)
        left = [item for item in full if not is_position(item)]
        chosen = [axis for axis, item in enumerate(left) if isinstance(item, _Array)]
        value = index_by(b, node, plain)
        if len(arrays) == 1:
            found = _gather(b, value, indices[0], arrays[0], chosen[0])
        else:
            found = _gather_together(b, value, indices, arrays, chosen)
        if not _are_apart(parts):
            return found
        first, rank = chosen[0], found.type.rank
        behind = first + rank - value.type.rank + len(chosen)
        return turned(b, found, (*range(first, behind), *range(first), *range(behind, rank)))

    result: Variable = apply(
        "index", rule, [x, *(item.variable for item in arrays)], as_stored=True
    )
    return result


def _arrays(key: Any) -> list[_Array]:
    """An array of indices; the indices of what a fixed mask chooses, one for each of its axes."""
    if not isinstance(key, Variable):
        refuse_masked(f"an index ({user_location()}) expects integers or bools", key)
        array = np.asarray(key)
        if array.dtype == bool and array.ndim:
            chosen = [item.astype(np.int64) for item in array.nonzero()]
            found = [_Array(as_index(item), item) for item in chosen]
            return [_Array(found[0].variable, found[0].places, array.shape), *found[1:]]
    variable = as_index(key)
    return [_Array(variable, None if variable.mistakes else fixed_value(variable))]


def _written_out(parts: Sequence[Any], rank: int) -> list[Any]:
    """The indices with one for each axis, besides None for new ones."""
    used = sum(1 for item in parts if item is not None and item is not Ellipsis)
    if used > rank:
        raise TypeRuleError(f"expects at most {rank} indices, not {used}")
    dots = [place for place, item in enumerate(parts) if item is Ellipsis]
    if len(dots) > 1:
        raise TypeRuleError("expects at most one ... among the indices")
    place = dots[0] if dots else len(parts)
    return [*parts[:place], *[slice(None)] * (rank - used), *parts[place + 1 :]]


def _are_apart(parts: Sequence[Any]) -> bool:
    """Whether something else stands between arrays and integers."""
    group = [i for i, item in enumerate(parts) if isinstance(item, _Array) or is_position(item)]
    return group[-1] - group[0] + 1 != len(group)


def _expect_masks_fit(full: Sequence[Any], shape: Sequence[Dim]) -> None:
    axis = 0
    for item in full:
        if isinstance(item, _Array) and item.mask is not None:
            extents = tuple(shape[axis : axis + len(item.mask)])
            if extents != item.mask:
                raise TypeRuleError(
                    f"expects a mask of the shape of its axes, {shape_text(extents)}, not "
                    f"{shape_text(item.mask)}"
                )
        axis += item is not None


def _gather(b: Builder, x: Node, index: Node, array: _Array, axis: int) -> Node:
    if array.places is not None:
        return gather_fixed(b, x, index, array.places, axis)
    found: Node = b.gather(x, counted(b, index, x.shape[axis]), axis=axis)
    return found


def _gather_together(
    b: Builder, x: Node, indices: Sequence[Node], arrays: Sequence[_Array], axes: Sequence[int]
) -> Node:
    """One element for each tuple of indices: of the axes as one, at the place that they say.

    Axes between theirs are among those, and come behind what was chosen.
    """
    places = [
        _place(b, index, array, x.shape[axis])
        for index, array, axis in zip(indices, arrays, axes, strict=True)
    ]
    first, last = axes[0], axes[-1]
    between = [axis for axis in range(first, last) if axis not in axes]
    aligned = align(b, places)
    rank = aligned[0].type.rank
    shape = (*aligned[0].shape, *(x.shape[axis] for axis in between))
    place_of = dict(zip(axes, aligned, strict=True))
    flat, inside = b.fill(0, Type("int64", shape)), b.fill(True, Type("bool", shape))
    for axis in range(first, last + 1):
        if axis in place_of:
            place = b.broadcast(place_of[axis], shape=shape, axes=tuple(range(rank)))
        else:
            place = b.iota(axis=rank + between.index(axis), shape=shape, dtype="int64")
        width = b.spread(b.apply("size", size=x.shape[axis], dtype="int64"), shape)
        if axis in place_of:  # outside of its own axis it may be a place of the joined one
            there = b.apply("ge", place, b.fill(0, place.type))
            there = b.apply("and", there, b.lt(place, width))
            inside = b.apply("and", inside, there)
        flat = b.add(b.mul(flat, width), place)
    flat = b.select(inside, flat, b.fill(-1, flat.type))
    joined = (*x.shape[:first], product(x.shape[first : last + 1]), *x.shape[last + 1 :])
    found: Node = b.gather(b.reshape(x, shape=joined), flat, axis=first)
    return found


def _place(b: Builder, index: Node, array: _Array, extent: Dim) -> Node:
    """Indices into an axis as int64, counted from the front where they lie in it."""
    if array.places is None:
        found: Node = b.cast(counted(b, index, extent), dtype="int64")
        return found
    if isinstance(extent, int):
        return b.constant(from_the_front(array.places, extent), "int64")
    return from_end(b, b.constant(array.places, "int64"), extent)

"""NumPy's indexing with arrays: x[i, j] for pairs of indices, x[:, i], and masks that are fixed.

What a mask that is computed would choose has no size before the call, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, product
from ..location import user_location
from ..variables.applying import apply
from ..variables.numbers import refuse_masked
from ..variables.variable import Variable, shape_text
from .broadcasting import align
from .places import as_index, expect_integers, fixed_value, from_the_front, gather_fixed
from .structure import index_by

MASKED = (
    "expects indices of dtype int32 or int64, not a mask of bools, whose choice has no known size: "
    "use dg.where(mask, x, 0.0), which keeps the shape"
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
    """The elements of x at indices among which there are arrays, side by side.

    Indices that are fixed may count from the end; those of an observed variable are checked before
    a step; computed ones outside give NaN (0 for integers).
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
        first = _first_of_group(full)
        _expect_masks_fit(full, node.shape)
        plain = tuple(slice(None) if isinstance(item, _Array) else item for item in full)
        value = index_by(b, node, plain)
        place = sum(not _is_integer(item) for item in full[:first])
        if len(arrays) == 1:
            return _gather(b, value, indices[0], arrays[0], place)
        return _gather_together(b, value, indices, arrays, place)

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


def _is_integer(item: Any) -> bool:
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


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


def _first_of_group(full: Sequence[Any]) -> int:
    """Where arrays and integers begin; TypeRuleError unless they stand side by side."""
    group = [i for i, item in enumerate(full) if isinstance(item, _Array) or _is_integer(item)]
    if group[-1] - group[0] + 1 != len(group):
        raise TypeRuleError(
            "expects arrays of indices and integers side by side, not apart: index in two steps, "
            "or move the axes with dg.transpose first"
        )
    return group[0]


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
    return b.gather(x, b.apply("in_range", index, low=0, high=x.shape[axis]), axis=axis)


def _gather_together(
    b: Builder, x: Node, indices: Sequence[Node], arrays: Sequence[_Array], axis: int
) -> Node:
    """One element for each tuple of indices: of the axes as one, at the place that they say."""
    extents = x.shape[axis : axis + len(indices)]
    places, inside = [], []
    for index, array, extent in zip(indices, arrays, extents, strict=True):
        if array.places is not None and isinstance(extent, int):
            places.append(b.constant(from_the_front(array.places, extent), "int64"))
            continue
        limit = b.spread(b.apply("size", size=extent, dtype="int64"), index.shape)
        if array.places is None:
            checked = b.cast(b.apply("in_range", index, low=0, high=extent), dtype="int64")
        else:
            known = b.constant(array.places, "int64")
            checked = b.select(b.constant(array.places < 0, "bool"), b.add(known, limit), known)
        places.append(checked)
        low = b.apply("ge", checked, b.fill(0, checked.type))
        inside.append(b.apply("and", low, b.lt(checked, limit)))
    flat, *others = align(b, places)
    for other, extent in zip(others, extents[1:], strict=True):
        width = b.spread(b.apply("size", size=extent, dtype="int64"), flat.shape)
        flat = b.add(b.mul(flat, width), other)
    for mask in inside:  # an index outside of its own axis may be a place of the joined one
        spread = align(b, [mask, flat])[0]
        flat = b.select(spread, flat, b.fill(-1, flat.type))
    rest = x.shape[axis + len(extents) :]
    joined = b.reshape(x, shape=(*x.shape[:axis], product(extents), *rest))
    return b.gather(joined, flat, axis=axis)

"""Shared weights: elements of one variable in several places, and parameters that are one.

A shared weight is never stored twice if strides can say where its elements are: `share` draws
views wherever the index goes through u in even steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..errors import DiagramError, DtypeError, ShapeError
from ..location import user_location
from ..operations.broadcasting import as_variables
from ..operations.places import Places, fixed_value, from_the_front
from ..variables.applying import apply
from ..variables.block_base import BlockBase
from ..variables.dependencies import resolve_ties
from ..variables.kinds import Connection, connect_to
from ..variables.numbers import refuse_masked
from ..variables.variable import Variable, mark_read, shape_text, source_text

Axes = list[tuple[int, int]]
"""Extents and strides (1 or more), the largest stride first."""


def share(u: Any, index: Any) -> Variable:
    """The Y-branch of a shared weight: w = u[index], as NumPy has it.

    Every element of u is in w as often as its place is in the index, and its gradient is the sum
    over these places.  Where the index is an offset and a stride for each of its axes (0 where
    elements repeat), as for weights that are the same at all positions, for slices, transposes and
    Toeplitz matrices, w is a view of u; otherwise it is a gather.

    Args:
        u: a variable of shape (n, *rest).
        index: integers that are fixed: an array, a list, or a variable of `dg.constant`; negative
            ones count from the end.

    Returns:
        A variable of shape (*index.shape, *rest).

    Raises:
        ShapeError: an index out of range; u without a first axis, or with one of a named size.
        DtypeError: an index that is not of integers.
        DiagramError: a variable index that is no constant: `dg.take` chooses by those.
    """
    places = _fixed(index)

    def rule(b: Builder, u: Node) -> Node:
        if not u.shape or not isinstance(u.shape[0], int):
            raise TypeRuleError("expects a first axis of fixed size")
        if places.dtype.kind not in "iu":
            raise DtypeRuleError(
                f"expects integers as its index, not {places.dtype}: give the places of elements"
            )
        return _shared(b, u, from_the_front(places, u.shape[0]))

    result: Variable = apply("share", rule, as_variables(u), as_stored=True)
    return result


def _fixed(index: Any) -> npt.NDArray[Any]:
    """The array of an index that never changes."""
    if not isinstance(index, Variable):
        refuse_masked(f"share ({user_location()}) expects integers as its index", index)
        array = np.asarray(index)
        return array if array.size or isinstance(index, np.ndarray) else array.astype(np.int64)
    value = fixed_value(index)
    if value is None:
        raise DiagramError(
            f"share ({user_location()}) expects an index that is fixed, got "
            f"{source_text(index)}: choose by a variable with dg.take"
        )
    return value


def _shared(b: Builder, u: Node, places: Places) -> Node:
    """The elements (or rows) of u at places within its first axis."""
    rest = u.shape[1:]
    shape = (*places.shape, *rest)
    if places.size == 0:
        return b.reshape(_slice(b, u, 0, 0, 0, 1), shape=shape)
    found = _even_steps(places)
    if found is None:
        return b.gather(u, b.constant(places, "int32"), axis=0)
    start, strides = found
    moving = sorted((a for a, s in enumerate(strides) if s), key=lambda a: -abs(strides[a]))
    start += sum((places.shape[a] - 1) * strides[a] for a in moving if strides[a] < 0)
    w = _slice_axis(b, u, 0, start, [(places.shape[a], abs(strides[a])) for a in moving])
    w = b.flip(w, axes=tuple(i for i, a in enumerate(moving) if strides[a] < 0))
    trailing = range(len(moving), w.type.rank)
    w = b.transpose(w, axes=(*(moving.index(a) for a in sorted(moving)), *trailing))
    kept = (*sorted(moving), *range(places.ndim, len(shape)))
    return b.broadcast(w, shape=shape, axes=kept)


def _even_steps(places: Places) -> tuple[int, list[int]] | None:
    """The offset and strides with which an index goes through an axis; None if there are none."""
    first = places.flat[0]
    strides = [
        int(places.take(1, axis).flat[0] - first) if extent > 1 else 0
        for axis, extent in enumerate(places.shape)
    ]
    even = np.asarray(first)
    lines: tuple[Places, ...] = np.indices(places.shape, sparse=True)
    for line, stride in zip(lines, strides, strict=True):
        even = even + line * stride
    return (int(first), strides) if np.array_equal(places, even) else None


def _slice_axis(b: Builder, x: Node, axis: int, start: int, axes: Axes) -> Node:
    """One axis as several, which go through its elements in steps from `start` on.

    Steps that do not meet are blocks (a reshape, whose gradient is one); others are windows.
    """
    if not axes:
        one = _slice(b, x, axis, start, start + 1, 1)
        return b.reshape(one, shape=(*x.shape[:axis], *x.shape[axis + 1 :]))
    extent, (count, stride), inner = x.shape[axis], axes[0], axes[1:]
    assert isinstance(extent, int)
    if not inner:
        return _slice(b, x, axis, start, start + (count - 1) * stride + 1, stride)
    reach = 1 + sum((n - 1) * s for n, s in inner)
    low = min(start, extent - count * stride)
    if low >= 0 and start - low + reach <= stride:
        blocks = _slice(b, x, axis, low, low + count * stride, 1)
        shape = (*x.shape[:axis], count, stride, *x.shape[axis + 1 :])
        return _slice_axis(b, b.reshape(blocks, shape=shape), axis + 1, start - low, inner)
    line = _slice(b, x, axis, start, start + (count - 1) * stride + reach, 1)
    windows = b.apply("windows", line, axis=axis, size=reach, stride=stride, dilation=1)
    return _slice_axis(b, windows, axis + 1, 0, inner)


def _slice(b: Builder, x: Node, axis: int, start: int, stop: int, step: int) -> Node:
    """A slice along one axis."""
    rank = x.type.rank
    whole: Node = b.slice(
        x,
        start=tuple(start if a == axis else 0 for a in range(rank)),
        stop=tuple(stop if a == axis else n for a, n in enumerate(x.shape)),
        step=tuple(step if a == axis else 1 for a in range(rank)),
    )
    return whole


def note_free(parameters: Iterable[Variable], subject: str) -> None:
    """Remember that parameters are free in a diagram, so that it is too late to tie them."""
    for item in parameters:
        item.free_in = item.free_in or subject


def tie(first: Variable, *others: Variable) -> None:
    """From now on the parameters `others` are `first`: one variable with one name.

        dg.tie(encoder.weight, decoder.weight)

    A step changes it once, by the sum of the gradients from everywhere, and a file holds it once,
    under the name of `first`.  The lists of parameters of all blocks that hold one of them name
    `first` itself.  What `init` said for the others no longer counts.

    Args:
        first: any variable: a parameter, or what computes the others from now on.
        *others: parameters, of the shape and dtype of `first`, that no diagram has yet.

    Raises:
        TypeError: something else than two or more variables.
        DiagramError: what cannot be tied: it is no parameter, tied or bound already, the same as
            `first`, given twice, or free in a diagram.
        ShapeError, DtypeError: a parameter of another shape or dtype.
        CycleError: when the diagram is built, where `first` is computed from one of the others.
    """
    subject = f"tie ({user_location()})"
    for item in (first, *others):
        if not isinstance(item, Variable):
            raise TypeError(f"{subject} expects variables, got {type(item).__name__}")
    if not others:
        raise TypeError(f"{subject} expects two or more variables, got {source_text(first)} alone")
    same = resolve_ties(first)
    for number, item in enumerate(others):
        _expect_free(subject, item)
        if item is same or item in set(others[:number]):
            got = f"{source_text(item)} twice"
            raise DiagramError(f"{subject} expects different parameters, got {got}")
        if not first.mistakes and item.type != first.type:
            kind = ShapeError if item.shape != first.shape else DtypeError
            raise kind(
                f"{subject} expects {first.dtype} {shape_text(first.shape)} like "
                f"{source_text(first)}, got {item.dtype} {shape_text(item.shape)} from "
                f"{source_text(item)}"
            )
    for item in others:
        item.kind, item.mistakes = "computed", first.mistakes
        item.producer = connect_to(item, first)
    mark_read([first])


def _expect_free(subject: str, item: Variable) -> None:
    """DiagramError unless it is a parameter that can be tied to another variable."""
    if item.kind != "parameter":
        maker = item.producer
        more = f", tied already ({maker.where})" if isinstance(maker, Connection) else ""
        raise DiagramError(
            f"{subject} expects parameters after the first variable, got {source_text(item)}{more}"
        )
    if item.bound_to is not None:
        raise DiagramError(
            f"{subject} expects parameters that are free, got {source_text(item)}, which is bound "
            f"to {source_text(item.bound_to)}: tie them before dg.bind"
        )
    if item.free_in is not None:
        raise DiagramError(
            f"{subject} expects parameters that no diagram has yet, got {source_text(item)} of "
            f"{item.free_in}: tie them before the diagram is built"
        )


def tied_names(
    variables: Iterable[Variable], names: Mapping[Variable, str], roots: Mapping[BlockBase, str]
) -> dict[str, str]:
    """The names that tied parameters would have, and those that they have instead.

    Args:
        variables: those of a diagram.
        names: what it calls those that are free.
        roots: what it calls its outermost blocks.
    """
    found = {}
    for item in variables:
        free = resolve_ties(item)
        if free is not item and free in names and item.owner is not None:
            path = item.owner._path(roots)
            found[f"{path}/{item.name}"] = names[free]
    return found

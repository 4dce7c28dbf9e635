"""Quantiles of the elements along an axis, and where numbers stand among sorted ones."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.primitives.sorting import take_along
from ...arguments import flag, number, one_of
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text
from ..broadcasting import as_variables, one_dtype, spread_to
from ..structure import normal_axis


def quantile(x: Any, q: float, axis: int | None = None, keepdims: bool = False) -> Variable:
    """The number below which the share q of the elements lies, as NumPy's: linear between two.

    It is at q (n - 1) among the n sorted elements.  The gradient goes to the two beside it, by
    their distance, and to one alone where they are equal.

    Args:
        x: floats of one axis or more.
        q: a number from 0 to 1.
        axis: along which; None for all elements.
        keepdims: whether axes that are gone stay, with one element.

    Returns:
        Of x's dtype; NaN of no elements, and where one of them is NaN.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no such axis.
        TypeError, ValueError: a q that is no number from 0 to 1.
    """
    return _quantile("quantile", x, number("quantile", "q", q, least=0, most=1), axis, keepdims)


def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
    """The element in the middle of the sorted ones, or the mean of two: `quantile` of 1/2."""
    return _quantile("median", x, 0.5, axis, keepdims)


def _quantile(label: str, x: Any, q: float, axis: int | None, keepdims: bool) -> Variable:
    keepdims = flag(label, "keepdims", keepdims)

    def rule(b: Builder, x: Node) -> Node:
        if not x.type.is_float:
            raise DtypeRuleError(f"expects floats, not {x.dtype}: convert with .astype(dg.float32)")
        place = 0 if axis is None else normal_axis(axis, x.type.rank)
        line = b.reshape(x, shape=(x.type.count,)) if axis is None else x
        found = _between(b, line, q, place)
        if not keepdims:
            return found
        kept = tuple(1 if axis is None or i == place else n for i, n in enumerate(x.shape))
        wide: Node = b.reshape(found, shape=kept)
        return wide

    result: Variable = apply(label, rule, as_variables(x))
    return result


def _between(b: Builder, x: Node, q: float, axis: int) -> Node:
    """At q (n - 1) among the sorted; a place before the first, of none, is NaN, as `gather` is."""
    order = b.argsort(x, axis=axis, descending=False)
    rising = take_along(b, x, order, axis)
    one = b.constant(1.0, "float64")
    last = b.sub(b.apply("size", size=x.shape[axis], dtype="float64"), one)
    place = b.mul(b.constant(q, "float64"), last)
    low, high, greatest = (
        b.gather(rising, b.cast(at, dtype="int64"), axis=axis)
        for at in (b.floor(place), b.ceil(place), last)
    )
    share = b.cast(b.sub(place, b.floor(place)), dtype=x.dtype)
    between = b.add(low, b.mul(b.sub(high, low), b.spread(share, low.shape)))
    found = b.select(b.eq(low, high), low, between)
    chosen: Node = b.select(b.ne(greatest, greatest), greatest, found)
    return chosen


def searchsorted(x: Any, values: Any, side: str = "left") -> Variable:
    """The places (int64) where values go into a sorted vector so that it stays sorted, as NumPy's.

    Each value is compared with each element, which takes their product of steps.

    Args:
        x: rising numbers, of one axis; a NaN counts as the greatest.
        values: of x's dtype, of any shape, which is that of the result.
        side: "left" of the elements that equal a value, or "right" of them.

    Raises:
        DtypeError, ShapeError: when the diagram is built: two dtypes, an x of other axes.
        TypeError, ValueError: another side.
    """
    left = one_of("searchsorted", "side", side, ("left", "right")) == "left"

    def rule(b: Builder, x: Node, values: Node) -> Node:
        one_dtype((x, values))
        if x.type.rank != 1:
            raise TypeRuleError(f"expects sorted numbers of one axis, not {shape_text(x.shape)}")
        rank = values.type.rank
        shape = (*values.shape, x.shape[0])
        x = spread_to(b, x, shape)
        values = b.broadcast(values, shape=shape, axes=tuple(range(rank)))
        if left:
            before = b.apply("or", b.lt(x, values), _only_second_is_nan(b, x, values))
        else:
            before = b.apply("or", b.le(x, values), b.ne(values, values))
        found: Node = b.reduce_sum(b.cast(before, dtype="int64"), axes=(rank,))
        return found

    result: Variable = apply("searchsorted", rule, as_variables(x, values))
    return result


def _only_second_is_nan(b: Builder, x: Node, y: Node) -> Node:
    found: Node = b.apply("and", b.eq(x, x), b.ne(y, y))
    return found

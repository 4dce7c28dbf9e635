"""Variables that are made from sizes alone: coordinates, one number everywhere, a size itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, Size, ceil_divide, named
from ..arguments import integer, number, wrong
from ..location import user_location
from ..variables.applying import apply
from ..variables.constants import constant
from ..variables.kinds import Number
from ..variables.numbers import in_dtype, number_array
from ..variables.variable import DTYPES, Shape, Variable, shape_of
from ..variables.weak import of_dtype


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Variable:
    """start, start + step, ... up to and without `stop`, as NumPy's; `arange(n)` is 0, ... n - 1.

    Args:
        start: the first; where it stands alone, it is `stop`, and the first is 0.
        stop: where the numbers end.
        step: from each to the next; not 0.
        dtype: for integers int32 by default, or the dtype of the integers that they meet; for
            floats float32, or the float dtype of what they meet.

    `start` and `stop` may be sizes or their names, with a `step` that is an integer; then `stop`
    must not come before `start`, which is checked when the sizes are known.

    Raises:
        DtypeError: numbers that the dtype does not hold.
        TypeError, ValueError: what is no number or size, a step of 0, sizes beside fractions.
    """
    subject = f"arange ({user_location()})"
    if isinstance(stop, str) and stop in DTYPES:
        raise wrong(subject, f'a size or a number to stop at: write dtype="{stop}"', stop)
    first, end = (0, start) if stop is None else (start, stop)
    if any(isinstance(item, (float, np.floating)) for item in (first, end, step)):
        return _even(subject, first, end, step, dtype)
    step = integer(subject, "step", step)
    if step == 0:
        raise wrong(subject, "a step other than 0", step, ValueError)
    low, high = _place(subject, first), _place(subject, end)
    ends = (low, high) if step > 0 else (high, low)
    count = ceil_divide(ends[1] - ends[0], abs(step))
    count = max(count, 0) if isinstance(count, int) else count

    def draw(name: str) -> Variable:
        if isinstance(low, int) and isinstance(count, int) and count:
            in_dtype(subject, np.asarray([low, low + (count - 1) * step]), name)

        def rule(b: Builder) -> Node:
            if low == 0 and step == 1:
                return b.iota(axis=0, shape=(count,), dtype=name)
            place = b.iota(axis=0, shape=(count,), dtype="int64")
            origin = b.spread(b.size(size=low, dtype="int64"), place.shape)
            return b.cast(b.add(b.mul(place, b.fill(step, place.type)), origin), dtype=name)

        result: Variable = apply("arange", rule, [])
        return result

    return of_dtype(draw, dtype, "int32", "i")


def _place(subject: str, value: Any) -> Dim:
    """A number or a size, with its name as a symbol."""
    if isinstance(value, Size):
        return value
    if isinstance(value, str) and value.isidentifier():
        return named(value)
    return integer(subject, "start and stop", value)


def _even(subject: str, start: Any, stop: Any, step: Any, dtype: Any) -> Variable:
    """Floats in even steps."""
    names = ("start", "stop", "step")
    first, end, by = (
        number(subject, name, value) for name, value in zip(names, (start, stop, step), strict=True)
    )
    if by == 0:
        raise wrong(subject, "a step other than 0", step, ValueError)
    values = np.arange(first, end, by)
    return of_dtype(lambda name: constant(in_dtype(subject, values, name), name), dtype, "float32")


def fill(value: Any, shape: Shape, dtype: Any = None) -> Variable:
    """`value` in every element of `shape`, which may have named sizes.

    float32 by default, or the float dtype of what it meets; DtypeError for a number that the dtype
    cannot hold.
    """
    extents = shape_of(shape)
    subject = f"fill ({user_location()})"
    if isinstance(value, Variable):
        raise wrong(subject, "a number: dg.broadcast_to spreads a variable", value)
    array = number_array(subject, value)

    def draw(name: str) -> Variable:
        known = in_dtype(subject, array, name)
        result: Variable = apply(
            f"fill {value}",
            lambda b: b.spread(b.constant(known, name), extents),
            [],
            kind=Number,
            shown=str(value),
        )
        return result

    return of_dtype(draw, dtype, "float32")


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

    return of_dtype(draw, dtype, "float32", "fi")

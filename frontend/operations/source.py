"""Variables that are made from sizes alone: coordinates, one number everywhere, a size itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import wrong
from ..location import user_location
from ..variables.applying import apply
from ..variables.kinds import Number
from ..variables.numbers import in_dtype, number_array
from ..variables.variable import Shape, Variable, shape_of
from ..variables.weak import of_dtype


def arange(size: Any, dtype: Any = None) -> Variable:
    """0, 1, ... size - 1; the size may be a name.

    int32 by default, or the dtype of the integers that it meets; DtypeError if it cannot hold them.
    """
    shape = shape_of((size,))
    subject = f"arange ({user_location()})"

    def draw(name: str) -> Variable:
        if isinstance(shape[0], int) and shape[0]:
            in_dtype(subject, np.asarray(shape[0] - 1), name)
        result: Variable = apply(
            "arange", lambda b: b.apply("iota", axis=0, shape=shape, dtype=name), []
        )
        return result

    return of_dtype(draw, dtype, "int32", "i")


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

"""What the rows of the table share: shapes, kinds of rows, and functions that NumPy lacks."""

import math
from typing import Any

import numpy as np

from .operation import Array, Operation, Shapes

ONE: tuple[Shapes, ...] = (
    ((),), ((1,),), ((0,),), ((31,),), ((7, 13),), ((5, 0),), ((17, 1, 3),),
)  # fmt: skip
TWO: tuple[Shapes, ...] = (
    ((), ()), ((7, 13), (7, 13)), ((7, 13), (13,)), ((7, 1), (1, 13)), ((), (7,)), ((17,), ()),
    ((0, 3), (3,)), ((2, 1, 5), (3, 1)), ((1,), (1, 1)),
)  # fmt: skip
AXES: tuple[Shapes, ...] = (((7, 13),), ((1, 31),), ((17, 1),), ((3, 5, 2),))
EMPTY: tuple[Shapes, ...] = (*AXES, ((0, 5),), ((5, 0),))
MATRIX = ("M", "N")
PAIR = (MATRIX, ("N",))

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def mean(x: Array, axis: Any = None, keep: bool = False) -> Array:
    """The mean; NaN of nothing, without a warning."""
    total = np.asarray(np.sum(x, axis, keepdims=keep))
    return np.asarray(total / np.sum(np.ones_like(x), axis, keepdims=keep))


def one(name: str, ours: Any, numpys: Any, **options: Any) -> Operation:
    """An elementwise function of one operand."""
    return Operation(name, ours, numpys, ONE, named=(MATRIX,), **options)


def two(name: str, ours: Any, numpys: Any, **options: Any) -> Operation:
    """An elementwise function of two operands that broadcast."""
    return Operation(name, ours, numpys, TWO, named=PAIR, **options)


def axes(name: str, ours: Any, numpys: Any, **options: Any) -> Operation:
    """A function along axes."""
    options = {"shapes": EMPTY, "named": (MATRIX,), **options}
    return Operation(name, ours, numpys, **options)


def moved(name: str, function: Any, *shapes: Any, ours: Any = None, **options: Any) -> Operation:
    """Elements elsewhere: a function that is written alike for variables and arrays."""
    found = tuple(s if s and isinstance(s[0], tuple) else (s,) for s in shapes)
    options = {"kinds": "fiub", **options}
    return Operation(name, ours or function, function, found, **options)

"""Arrays of one number, of the coordinates of a grid, and of even steps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import flag, integer, number, one_of, wrong
from ...location import user_location
from ...variables.applying import apply
from ...variables.constants import constant
from ...variables.numbers import in_dtype, number_array
from ...variables.variable import Shape, Variable, dtype_name, shape_of
from ...variables.weak import of_dtype
from ..broadcasting import as_variables
from ..source import fill
from ..structure import broadcast_to, reshape


def zeros(shape: Shape, dtype: Any = None) -> Variable:
    """0 in every element of a shape, which may have named sizes; dtype as of `fill`."""
    return fill(0.0, shape, dtype)


def ones(shape: Shape, dtype: Any = None) -> Variable:
    """1 in every element of a shape, which may have named sizes; dtype as of `fill`."""
    return fill(1.0, shape, dtype)


def full(shape: Shape, value: Any, dtype: Any = None) -> Variable:
    """A number in every element of a shape: `fill`, with NumPy's order of arguments."""
    return fill(value, shape, dtype)


def zeros_like(x: Any, dtype: Any = None) -> Variable:
    """0 in every element, of x's shape, and of its dtype or another; nothing else of x counts."""
    return _like("zeros_like", x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Variable:
    """1 in every element, of x's shape, and of its dtype or another; nothing else of x counts."""
    return _like("ones_like", x, 1, dtype)


def full_like(x: Any, value: Any, dtype: Any = None) -> Variable:
    """A number in every element, of x's shape, and of its dtype or another, which must hold it."""
    return _like("full_like", x, value, dtype)


def _like(label: str, x: Any, value: Any, dtype: Any) -> Variable:
    subject = f"{label} ({user_location()})"
    if isinstance(value, Variable):
        raise wrong(subject, "a number: dg.broadcast_to spreads a variable", value)
    array = number_array(subject, value)
    if array.ndim:
        raise wrong(subject, "one number", value)
    name = None if dtype is None else dtype_name(dtype, subject)

    def rule(b: Builder, node: Node) -> Node:
        kind = node.dtype if name is None else name
        return b.fill(in_dtype(subject, array, kind), node.type.with_dtype(kind))

    result: Variable = apply(label, rule, as_variables(x), as_stored=True)
    return result


def eye(rows: Any, columns: Any = None, k: int = 0, dtype: Any = None) -> Variable:
    """1 on a diagonal and 0 elsewhere, as NumPy's.

    Args:
        rows: how many: an integer or the name of a size.
        columns: likewise; as many as rows by default.
        k: which diagonal: 0 for the main one, above it 1, 2, ..., below it -1, -2, ...
        dtype: by default float32, or the float dtype of what it meets.
    """
    shape = shape_of((rows, rows if columns is None else columns))
    k = integer("eye", "k", k)

    def draw(name: str) -> Variable:
        def rule(b: Builder) -> Node:
            row, column = (b.apply("iota", axis=i, shape=shape, dtype="int64") for i in range(2))
            found: Node = b.cast(b.eq(column, b.add(row, b.fill(k, row.type))), dtype=name)
            return found

        result: Variable = apply("eye", rule, [])
        return result

    return of_dtype(draw, dtype, "float32")


def linspace(
    start: float, stop: float, count: int, endpoint: bool = True, dtype: Any = None
) -> Variable:
    """Numbers in even steps from one to another, as NumPy's.

    Args:
        start: the first.
        stop: the last, or, without `endpoint`, where one more step would lead.
        count: how many.
        endpoint: whether `stop` is one of them.
        dtype: by default float32, or the float dtype of what it meets.
    """
    start, stop = number("linspace", "start", start), number("linspace", "stop", stop)
    count = integer("linspace", "count", count, 0, 2**31 - 1)
    endpoint = flag("linspace", "endpoint", endpoint)
    steps = np.linspace(start, stop, count, endpoint)
    return of_dtype(lambda name: constant(steps.astype(name), name), dtype, "float32")


def meshgrid(*parts: Any, indexing: Literal["xy", "ij"] = "xy") -> list[Variable]:
    """The coordinates of a grid, as NumPy's: each of the lines repeated along all others.

    Args:
        parts: lines (n,) or numbers, of any dtypes; with more axes, their elements in order.
        indexing: "ij" for results (n0, n1, ...); "xy" for (n1, n0, ...), as in pictures.

    Raises:
        TypeError, ValueError: another indexing.
    """
    indexing = one_of("meshgrid", "indexing", indexing, ("xy", "ij"))
    lines = [reshape(as_variables(part)[0], -1) for part in parts]
    order = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        order[:2] = [1, 0]
    shape = [line.shape[0] for line in lines]
    whole = tuple(shape[i] for i in order)
    found = []
    for i, line in enumerate(lines):
        place = order.index(i)
        ones = (1,) * (len(lines) - place - 1)
        found.append(broadcast_to(reshape(line, (*line.shape, *ones)), whole))
    return found

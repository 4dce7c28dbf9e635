"""Reductions over axes, which leave the shape, and the running sum, which keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, ceil_divide, product
from .batch import along, shift_axes
from .record import Array, Attrs, Builder, Infer, Primitive, Reference
from .summation import running_sum, sum_over


def kept_axes(rank: int, axes: Sequence[int]) -> tuple[int, ...]:
    """The axes that a reduction over `axes` leaves."""
    return tuple(axis for axis in range(rank) if axis not in axes)


def _reduced(types: Sequence[Type], attrs: Attrs) -> Type:
    axes, rank = attrs["axes"], types[0].rank
    if list(axes) != sorted(set(axes)) or not all(0 <= axis < rank for axis in axes):
        raise TypeRuleError(f"expected rising axes below {rank}, got {axes}")
    return types[0].with_shape(types[0].shape[axis] for axis in kept_axes(rank, axes))


def _sum(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].dtype == "bool":
        raise DtypeRuleError("expected numbers to add, got bool: cast it first")
    return _reduced(types, attrs)


def _extremum(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].dtype == "bool":
        raise DtypeRuleError("expected numbers to compare, got bool: cast it first")
    return _reduced(types, attrs)


def _index(types: Sequence[Type], attrs: Attrs) -> Type:
    return _extremum(types, attrs).with_dtype("int64")


def _cumsum(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].dtype == "bool":
        raise DtypeRuleError("expected numbers to add, got bool: cast it first")
    if not 0 <= attrs["axis"] < types[0].rank:
        raise TypeRuleError(f"expected an axis below {types[0].rank}")
    return types[0]


def extremum_of_none(dtype: str, least: bool) -> float:
    """What the least or the greatest of no elements is: the other end of the numbers."""
    if dtype.startswith("float"):
        return np.inf if least else -np.inf
    limits = np.iinfo(dtype)
    return limits.max if least else limits.min


def _extremum_value(function: Callable[..., Any], least: bool) -> Reference:
    def rule(result: Type, attrs: Attrs, x: Array) -> Array:
        start = extremum_of_none(x.dtype.name, least)
        return np.asarray(function(x, axis=attrs["axes"], initial=start), dtype=x.dtype)

    return rule


def _extremum_index(function: Callable[..., Any]) -> Reference:
    def rule(result: Type, attrs: Attrs, x: Array) -> Array:
        (axis,) = attrs["axes"]
        if x.shape[axis] == 0:
            return np.zeros(result.extents, np.int64)
        return np.asarray(function(x, axis=axis), dtype=np.int64)

    return rule


def _reference_cumsum(result: Type, attrs: Attrs, x: Array) -> Array:
    axis = attrs["axis"]
    if attrs["reverse"]:
        return np.flip(running_sum(np.flip(x, axis), axis), axis)
    return running_sum(x, axis)


def _spread(b: Builder, n: Node, value: Node) -> Node:
    """A value of the reduced shape, repeated over the operand's shape."""
    x = n.inputs[0]
    return b.broadcast(value, shape=x.shape, axes=kept_axes(x.type.rank, n.attrs["axes"]))


def _extremum_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Shared evenly among the elements that reach the extremum."""
    x, axes = n.inputs[0], n.attrs["axes"]
    ones = b.cast(b.eq(x, _spread(b, n, n)), dtype=g.dtype)
    shares = b.div(g, b.reduce_sum(ones, axes=axes))
    return (b.mul(ones, _spread(b, n, shares)),)


def _reduction(name: str, infer: Infer, reference: Reference, vjp: Any) -> Primitive:
    shifted = along(lambda attrs, n: {"axes": shift_axes(attrs["axes"])})
    return Primitive(
        name=name,
        kind="reduction",
        infer=infer,
        reference=reference,
        vjp=vjp,
        flops=1,
        batch=shifted,
    )


BLOCK = 64
"""Terms that are added one after another in a long sum; rows of one element of a `block_sum`."""


def block_count(shape: Sequence[Dim]) -> Dim:
    """The blocks of rows of an array: all axes but the last number its rows."""
    return ceil_divide(product(shape[:-1]), BLOCK)


def _block_sum(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].rank < 2 or types[0].dtype == "bool":
        raise TypeRuleError(f"expected rows of numbers, {types[0]}")
    return types[0].with_shape((block_count(types[0].shape), types[0].shape[-1]))


def _reference_block_sum(result: Type, attrs: Attrs, x: Array) -> Array:
    rows = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
    out = np.zeros(result.extents, x.dtype)
    np.add.at(out, np.arange(len(rows)) // BLOCK, rows)
    return out


def _block_sum_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """Zeros complete the last block of every element."""
    (x,) = operands
    extent, columns, count = x.shape[0], x.shape[-1], n.shape[0]
    rows = b.reshape(x, shape=(extent, product(x.shape[1:-1]), columns))
    shape = (extent, count * BLOCK, columns)
    padded = b.pad(rows, low=(0, 0, 0), inner=(1, 1, 1), shape=shape)
    blocks = b.reshape(padded, shape=(extent, count, BLOCK, columns))
    found: Node = b.reduce_sum(blocks, axes=(2,))
    return found


STRETCH = 1024
"""Elements that one element of a `stretch_sum` adds up."""


def _stretch_sum(types: Sequence[Type], attrs: Attrs) -> Type:
    if types[0].rank != 1 or types[0].dtype == "bool":
        raise TypeRuleError(f"expected a line, got {types[0]}")
    return types[0].with_shape((ceil_divide(types[0].shape[0], STRETCH),))


def _reference_stretch_sum(result: Type, attrs: Attrs, x: Array) -> Array:
    out = np.zeros(result.extents, x.dtype)
    np.add.at(out, np.arange(len(x)) // STRETCH, x)
    return out


def _stretch_sum_batch(
    b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]
) -> Node:
    """Zeros complete the last stretch of every element."""
    (x,) = operands
    extent, count = x.shape[0], n.shape[0]
    padded = b.pad(x, low=(0, 0), inner=(1, 1), shape=(extent, count * STRETCH))
    stretches = b.reshape(padded, shape=(extent, count, STRETCH))
    found: Node = b.reduce_sum(stretches, axes=(2,))
    return found


PRIMITIVES = (
    _reduction(
        "reduce_sum",
        _sum,
        lambda result, attrs, x: sum_over(x, attrs["axes"]),
        lambda b, n, g: (_spread(b, n, g),),
    ),
    # Sums of the columns over blocks of BLOCK rows: made by `split_reductions` alone.
    Primitive(
        name="block_sum",
        kind="reduction",
        infer=_block_sum,
        reference=_reference_block_sum,
        flops=1,
        batch=_block_sum_batch,
    ),
    # Sums of stretches of STRETCH elements of a line: made by `split_reductions` alone.
    Primitive(
        name="stretch_sum",
        kind="reduction",
        infer=_stretch_sum,
        reference=_reference_stretch_sum,
        flops=1,
        batch=_stretch_sum_batch,
    ),
    _reduction("reduce_max", _extremum, _extremum_value(np.max, False), _extremum_vjp),
    _reduction("reduce_min", _extremum, _extremum_value(np.min, True), _extremum_vjp),
    # The index of the first greatest (least) element; over no elements, 0.
    _reduction("argmax", _index, _extremum_index(np.argmax), None),
    _reduction("argmin", _index, _extremum_index(np.argmin), None),
    Primitive(
        name="cumsum",
        kind="movement",
        infer=_cumsum,
        reference=_reference_cumsum,
        vjp=lambda b, n, g: (b.cumsum(g, axis=n.attrs["axis"], reverse=not n.attrs["reverse"]),),
        flops=1,
        batch=along(lambda attrs, n: {"axis": attrs["axis"] + 1}),
    ),
)

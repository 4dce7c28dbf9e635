"""Pooling: one number for each window along some axes, and how derivatives find their way back.

    max_pool(x)            the greatest element of each window
    max_code(x)            the number of the tap that it is
    pool_spread(g, code)   each g at the tap that its code names, added up where windows overlap
    pool_take(x, code)     the element that the code names: the adjoint of pool_spread
    sum_pool(x)            the sum of each window
    sum_spread(g)          each g at all taps of its window, added up: the adjoint of sum_pool

The derivative of a maximum is a pool_spread by its code, so every order closes.

Window i along an axis has the taps i * stride + t * dilation - low, for t below `size`.  There are
`low` places before the elements of an axis and `high` behind them, into which windows may reach;
both are less than the reach of one.  They count as nothing: to a maximum they are minus infinity,
and no code names them; to a sum they are 0.  Taps are numbered row by row, the last of `axes`
fastest.  Of several greatest ones the first counts, and a NaN is greater than any number.  The
code of a window without any element is -1, and names nothing.

`axes`, `size`, `stride`, `dilation`, `low` and `high` have an entry for each axis that is pooled; a
size may be named where it is all of its axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, floor_divide, product
from .batch import along, shift_axes
from .record import Array, Attrs, Builder, Primitive
from .summation import Total, sum_over

POOLS = ("max_pool", "max_code", "pool_spread", "pool_take", "sum_pool", "sum_spread")
SPREADS = ("pool_spread", "sum_spread")
"""Those that go from windows to elements."""

SHARED = ("axes", "size", "stride", "dilation", "low", "high")
"""The attributes that all of them have."""


@dataclass(frozen=True, slots=True)
class PooledAxis:
    """An axis of `extent` elements, and its windows."""

    axis: int
    extent: Dim
    size: Dim
    stride: int
    dilation: int
    low: int
    high: int

    @property
    def reach(self) -> Dim:
        """The elements from the first tap of a window to its last."""
        return (self.size - 1) * self.dilation + 1

    @property
    def whole(self) -> Dim:
        """The elements, with the places before and behind them."""
        return self.extent + (self.low + self.high)

    @property
    def count(self) -> Dim:
        """The windows."""
        return floor_divide(self.whole - self.reach, self.stride) + 1


def pooled_axes(node: Node) -> tuple[PooledAxis, ...]:
    """The axes of a pool, in the order of its attributes."""
    if node.op in SPREADS:
        return _axes(node.attrs["extents"], node.attrs)
    return _axes([node.inputs[0].shape[axis] for axis in node.attrs["axes"]], node.attrs)


def pool_positions(extent: Dim, size: Dim, stride: int, dilation: int, low: int, high: int) -> Dim:
    """How many windows there are along an axis; TypeRuleError where they do not make sense."""
    axis = PooledAxis(0, extent, size, stride, dilation, low, high)
    _check(axis)
    return axis.count


def _axes(extents: Sequence[Dim], attrs: Attrs) -> tuple[PooledAxis, ...]:
    numbers = (attrs[name] for name in ("size", "stride", "dilation", "low", "high"))
    rows = zip(attrs["axes"], extents, *numbers, strict=True)
    return tuple(PooledAxis(*row) for row in rows)


def _check(axis: PooledAxis) -> None:
    least = min(axis.stride, axis.dilation, axis.size if isinstance(axis.size, int) else 1)
    if least < 1:
        raise TypeRuleError(
            f"expected size, stride and dilation of 1 or more, got {axis.size}, {axis.stride}, "
            f"{axis.dilation}"
        )
    reach = axis.reach
    if not isinstance(reach, int):
        if axis.size != axis.extent or axis.low or axis.high or axis.dilation != 1:
            raise TypeRuleError(f"expected a named size to be all of an axis, got {axis.size}")
        return
    if not (0 <= axis.low < reach and 0 <= axis.high < reach):
        raise TypeRuleError(
            f"expected padding of 0 or more and less than the {reach} elements that a window "
            f"reaches over, got {axis.low} before and {axis.high} behind"
        )
    if isinstance(axis.whole, int) and axis.whole < reach:
        padded = f" with {axis.low} before and {axis.high} behind" if axis.low or axis.high else ""
        raise TypeRuleError(
            f"expected {reach} or more elements for a window, got {axis.extent}{padded}"
        )


def _checked(x: Type, attrs: Attrs) -> tuple[PooledAxis, ...]:
    """The axes of a pool over x."""
    axes = attrs["axes"]
    if not axes or len(set(axes)) != len(axes) or not all(0 <= axis < x.rank for axis in axes):
        raise TypeRuleError(f"expected axes below {x.rank}, each once, got {axes}")
    if any(len(attrs[name]) != len(axes) for name in SHARED):
        raise TypeRuleError(f"expected {len(axes)} numbers of each kind, got {dict(attrs)}")
    if not x.is_float:
        raise DtypeRuleError(f"expected floats, got {x.dtype}")
    found = _axes([x.shape[axis] for axis in axes], attrs)
    for item in found:
        _check(item)
    return found


def _pooled(x: Type, attrs: Attrs) -> Type:
    shape = list(x.shape)
    for item in _checked(x, attrs):
        shape[item.axis] = item.count
    return x.with_shape(shape)


def _code(types: Sequence[Type], attrs: Attrs) -> Type:
    return _pooled(types[0], attrs).with_dtype("int32")


def _take(types: Sequence[Type], attrs: Attrs) -> Type:
    x, code = types
    if code != _code([x], attrs):
        raise TypeRuleError(f"expected codes {_code([x], attrs)}, got {code}")
    return _pooled(x, attrs)


def _spread(types: Sequence[Type], attrs: Attrs) -> Type:
    g = types[0]
    shape = list(g.shape)
    for axis, extent in zip(attrs["axes"], attrs["extents"], strict=True):
        if not 0 <= axis < len(shape):
            raise TypeRuleError(f"expected axes below {len(shape)}, each once, got {attrs['axes']}")
        shape[axis] = extent
    x = g.with_shape(shape)
    if _pooled(x, attrs) != g:
        raise TypeRuleError(f"expected {_pooled(x, attrs)} for {x}, got {g}")
    if len(types) > 1 and types[1] != g.with_dtype("int32"):
        raise TypeRuleError(f"expected codes {g.with_dtype('int32')}, got {types[1]}")
    return x


def _taps(x: Array, axes: Sequence[PooledAxis], outside: Any) -> Array:
    """The elements of all windows: the axes of taps come last, as many as are pooled."""
    widths = [(0, 0)] * x.ndim
    for item in axes:
        widths[item.axis] = (item.low, item.high)
    padded = np.pad(x, widths, constant_values=outside)
    reaches: Any = tuple(item.reach for item in axes)
    numbers = tuple(item.axis for item in axes)
    every = np.lib.stride_tricks.sliding_window_view(padded, reaches, numbers)
    key = [slice(None)] * x.ndim + [slice(None, None, item.dilation) for item in axes]
    for item in axes:
        key[item.axis] = slice(None, None, item.stride)
    return np.asarray(every[tuple(key)])


def _reference_max(result: Type, attrs: Attrs, x: Array) -> Array:
    axes = _axes([x.shape[axis] for axis in attrs["axes"]], attrs)
    last = tuple(range(x.ndim, x.ndim + len(axes)))
    return np.asarray(np.max(_taps(x, axes, -np.inf), axis=last, initial=-np.inf), dtype=x.dtype)


def _reference_code(result: Type, attrs: Attrs, x: Array) -> Array:
    axes = _axes([x.shape[axis] for axis in attrs["axes"]], attrs)
    taps, inside = _taps(x, axes, -np.inf), _taps(np.ones_like(x, bool), axes, False)
    lines = (*result.extents, prod(taps.shape[x.ndim :]))
    taps, inside = taps.reshape(lines), inside.reshape(lines)
    greatest = np.max(taps, axis=-1, initial=-np.inf, keepdims=True)
    found = ((taps == greatest) | np.isnan(taps)) & inside
    if lines[-1] == 0:
        return np.full(result.extents, -1, np.int32)
    return np.where(found.any(-1), found.argmax(-1), -1).astype(np.int32)


def _reference_take(result: Type, attrs: Attrs, x: Array, code: Array) -> Array:
    axes = _axes([x.shape[axis] for axis in attrs["axes"]], attrs)
    taps = _taps(x, axes, 0)
    lines = taps.reshape(*result.extents, prod(taps.shape[x.ndim :]))
    if lines.shape[-1] == 0:
        return np.zeros(result.extents, x.dtype)
    taken = np.take_along_axis(lines, np.maximum(code, 0)[..., None], -1)[..., 0]
    return np.where(code >= 0, taken, np.zeros((), x.dtype))


def _reference_sum(result: Type, attrs: Attrs, x: Array) -> Array:
    axes = _axes([x.shape[axis] for axis in attrs["axes"]], attrs)
    return sum_over(_taps(x, axes, 0), range(x.ndim, x.ndim + len(axes)))


def _reference_spread(result: Type, attrs: Attrs, g: Array, code: Array | None = None) -> Array:
    axes = _axes(attrs["extents"], attrs)
    shape, kept = list(g.shape), [slice(None)] * g.ndim
    for item in axes:
        assert isinstance(item.extent, int)
        shape[item.axis] = item.extent + item.low + item.high
        kept[item.axis] = slice(item.low, item.low + item.extent)
    total = Total(np.zeros(shape, g.dtype))
    for number, tap in enumerate(np.ndindex(*attrs["size"])):
        places = [slice(None)] * g.ndim
        for item, t in zip(axes, tap, strict=True):
            begin = t * item.dilation
            stop = begin + (g.shape[item.axis] - 1) * item.stride + 1
            places[item.axis] = slice(begin, stop, item.stride)
        zero = np.zeros((), g.dtype)
        total.add(g if code is None else np.where(code == number, g, zero), tuple(places))
    return total.value()[tuple(kept)]


def _shared(n: Node) -> dict[str, Any]:
    return {name: n.attrs[name] for name in SHARED}


def _with_extents(n: Node) -> dict[str, Any]:
    """The attributes of what goes back to the elements of the node's operand."""
    extents = tuple(n.inputs[0].shape[axis] for axis in n.attrs["axes"])
    return {**_shared(n), "extents": extents}


def _max_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    code = b.max_code(n.inputs[0], **_shared(n))
    return (b.pool_spread(g, code, **_with_extents(n)),)


def pool_flops(node: Node) -> Dim:
    """A comparison or an addition for each element of each window."""
    if node.op == "pool_take":
        return 0
    windows = node.inputs[0].type.count if node.op in SPREADS else node.type.count
    return windows if node.op == "pool_spread" else windows * product(node.attrs["size"])


_batch = along(lambda attrs, n: {"axes": shift_axes(attrs["axes"])})

PRIMITIVES = (
    Primitive(
        name="max_pool",
        kind="movement",
        infer=lambda types, attrs: _pooled(types[0], attrs),
        reference=_reference_max,
        vjp=_max_vjp,
        batch=_batch,
    ),
    Primitive(
        name="max_code",
        kind="movement",
        infer=_code,
        reference=_reference_code,
        batch=_batch,
    ),
    Primitive(
        name="pool_spread",
        kind="movement",
        infer=_spread,
        reference=_reference_spread,
        vjp=lambda b, n, g: (b.pool_take(g, n.inputs[1], **_shared(n)), None),
        batch=_batch,
    ),
    Primitive(
        name="pool_take",
        kind="movement",
        infer=_take,
        reference=_reference_take,
        vjp=lambda b, n, g: (b.pool_spread(g, n.inputs[1], **_with_extents(n)), None),
        batch=_batch,
    ),
    Primitive(
        name="sum_pool",
        kind="movement",
        infer=lambda types, attrs: _pooled(types[0], attrs),
        reference=_reference_sum,
        vjp=lambda b, n, g: (b.sum_spread(g, **_with_extents(n)),),
        batch=_batch,
    ),
    Primitive(
        name="sum_spread",
        kind="movement",
        infer=_spread,
        reference=_reference_spread,
        vjp=lambda b, n, g: (b.sum_pool(g, **_shared(n)),),
        batch=_batch,
    ),
)

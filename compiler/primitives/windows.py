"""Windows along an axis, as a view of overlapping pieces, and the adjoint that adds them up.

An axis of n elements becomes one of positions and, right behind it, one of taps:

    windows(x)[.., i, t, ..] = x[.., i * stride + t * dilation, ..]

A window reaches over dilation * (size - 1) + 1 elements; there is a position wherever one fits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, floor_divide
from .batch import along
from .record import Array, Attrs, Builder, Primitive
from .summation import Total


def window_reach(size: int, dilation: int) -> int:
    """The elements from the first tap of a window to its last."""
    return dilation * (size - 1) + 1


def reach_of(node: Node) -> tuple[Dim, int]:
    """The elements along the axis of a `windows` or `overlap_add`, and the reach of a window."""
    cut, whole = (node, node.inputs[0]) if node.op == "windows" else (node.inputs[0], node)
    axis = node.attrs["axis"]
    size = cut.shape[axis + 1]
    assert isinstance(size, int)
    return whole.shape[axis], window_reach(size, node.attrs["dilation"])


def tiles(node: Node) -> bool:
    """Whether the windows of a `windows` or `overlap_add` have each element once, in its order.

    An axis with a name may turn out to be shorter than a window, which a reshape would not tell.
    """
    axis, (extent, reach) = node.attrs["axis"], reach_of(node)
    count, size = (node if node.op == "windows" else node.inputs[0]).shape[axis : axis + 2]
    apart = node.attrs["stride"]
    exact = isinstance(extent, int) and reach == size and count * reach == extent
    return exact and (count == 1 or apart == size)


def _windows(types: Sequence[Type], attrs: Attrs) -> Type:
    shape, axis = types[0].shape, attrs["axis"]
    size, stride, dilation = attrs["size"], attrs["stride"], attrs["dilation"]
    if not 0 <= axis < len(shape):
        raise TypeRuleError(f"expected an axis below {len(shape)}, got {axis}")
    if min(size, stride, dilation) < 1:
        raise TypeRuleError(
            f"expected size, stride and dilation of 1 or more, got {size}, {stride}, {dilation}"
        )
    extent, reach = shape[axis], window_reach(size, dilation)
    if isinstance(extent, int) and extent < reach:
        raise TypeRuleError(f"expected {reach} or more elements on axis {axis}, got {extent}")
    count = floor_divide(extent - reach, stride) + 1
    return types[0].with_shape((*shape[:axis], count, size, *shape[axis + 1 :]))


def _overlap_add(types: Sequence[Type], attrs: Attrs) -> Type:
    shape, axis, extent = types[0].shape, attrs["axis"], attrs["extent"]
    if types[0].dtype == "bool":
        raise DtypeRuleError("expected numbers to add, got bool")
    if not 0 <= axis < len(shape) - 1 or not isinstance(shape[axis + 1], int):
        raise TypeRuleError(f"expected taps behind axis {axis}, got {types[0]}")
    whole = types[0].with_shape((*shape[:axis], extent, *shape[axis + 2 :]))
    cut = _windows([whole], {**attrs, "size": shape[axis + 1]})
    if cut != types[0]:
        raise TypeRuleError(f"expected windows {cut} of {extent} elements, got {types[0]}")
    return whole


def _reference_windows(result: Type, attrs: Attrs, x: Array) -> Array:
    axis, stride, dilation = attrs["axis"], attrs["stride"], attrs["dilation"]
    reach = window_reach(attrs["size"], dilation)
    every = np.lib.stride_tricks.sliding_window_view(x, reach, axis)
    chosen = np.moveaxis(every, -1, axis + 1)
    key = (*(slice(None),) * axis, slice(None, None, stride), slice(None, None, dilation))
    return np.asarray(chosen[key])


def _reference_overlap_add(result: Type, attrs: Attrs, x: Array) -> Array:
    axis, stride, dilation = attrs["axis"], attrs["stride"], attrs["dilation"]
    total = Total(np.zeros(result.extents, x.dtype))
    count, size = x.shape[axis : axis + 2]
    before = (slice(None),) * axis
    for tap in range(size):
        start = tap * dilation
        places = slice(start, start + (count - 1) * stride + 1, stride)
        total.add(x[(*before, slice(None), tap)], (*before, places))
    return total.value()


def _windows_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, stride, dilation = n.attrs["axis"], n.attrs["stride"], n.attrs["dilation"]
    extent = n.inputs[0].shape[axis]
    return (b.overlap_add(g, axis=axis, stride=stride, dilation=dilation, extent=extent),)


def _overlap_add_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, stride, dilation = n.attrs["axis"], n.attrs["stride"], n.attrs["dilation"]
    size = n.inputs[0].shape[axis + 1]
    return (b.windows(g, axis=axis, size=size, stride=stride, dilation=dilation),)


_batch = along(lambda attrs, n: {"axis": attrs["axis"] + 1})

PRIMITIVES = (
    Primitive(
        name="windows",
        kind="view",
        infer=_windows,
        reference=_reference_windows,
        vjp=_windows_vjp,
        batch=_batch,
    ),
    # Zeros of `extent` elements along `axis`, with each tap added where its window has it.
    Primitive(
        name="overlap_add",
        kind="movement",
        infer=_overlap_add,
        reference=_reference_overlap_add,
        vjp=_overlap_add_vjp,
        flops=1,
        batch=_batch,
    ),
)

"""Structural primitives: where elements lie, never what they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, floor_divide
from .batch import along, elementwise, shift_axes
from .record import Array, Attrs, Builder, Primitive


def _reshape(types: Sequence[Type], attrs: Attrs) -> Type:
    result = types[0].with_shape(attrs["shape"])
    if result.count != types[0].count:
        raise TypeRuleError(
            f"expected a shape of {types[0].count} elements, got {result} from {types[0]}"
        )
    return result


def _transpose(types: Sequence[Type], attrs: Attrs) -> Type:
    axes = attrs["axes"]
    if sorted(axes) != list(range(types[0].rank)):
        raise TypeRuleError(f"expected a permutation of {types[0].rank} axes, got {axes}")
    return types[0].with_shape(types[0].shape[axis] for axis in axes)


def _broadcast(types: Sequence[Type], attrs: Attrs) -> Type:
    shape, axes = attrs["shape"], attrs["axes"]
    if len(axes) != types[0].rank or list(axes) != sorted(set(axes)):
        raise TypeRuleError(f"expected {types[0].rank} rising axes, got {axes}")
    for axis, extent in zip(axes, types[0].shape, strict=True):
        if shape[axis] != extent:
            raise TypeRuleError(f"expected {shape[axis]} elements on axis {axis}, got {extent}")
    return types[0].with_shape(shape)


def _slice(types: Sequence[Type], attrs: Attrs) -> Type:
    for start, stop, step, extent in zip(
        attrs["start"], attrs["stop"], attrs["step"], types[0].shape, strict=True
    ):
        numbers = all(isinstance(n, int) for n in (start, stop, extent))
        if step < 1 or (numbers and not 0 <= start <= stop <= extent):
            raise TypeRuleError(
                f"expected 0 <= start <= stop <= {extent}, got {start}:{stop}:{step}"
            )
    return types[0].with_shape(slice_extents(attrs))


def slice_extents(attrs: Attrs) -> tuple[Dim, ...]:
    """The extents that a slice keeps."""
    return tuple(
        floor_divide(stop - start + (step - 1), step)
        for start, stop, step in zip(attrs["start"], attrs["stop"], attrs["step"], strict=True)
    )


def _pad(types: Sequence[Type], attrs: Attrs) -> Type:
    shape = []
    for extent, low, inner, result in zip(
        types[0].shape, attrs["low"], attrs["inner"], attrs["shape"], strict=True
    ):
        least = low + inner * (extent - 1) + 1 if extent != 0 else low
        spare = result - least
        if (isinstance(low, int) and low < 0) or (isinstance(spare, int) and spare < 0):
            raise TypeRuleError(
                f"expected {low} of 0 or more, and at least {least} elements, got {result}"
            )
        shape.append(result)
    return types[0].with_shape(shape)


def _concatenate(types: Sequence[Type], attrs: Attrs) -> Type:
    axis, first = attrs["axis"], types[0]
    total: Dim = 0
    for item in types:
        rest = item.shape[:axis] + item.shape[axis + 1 :]
        if item.dtype != first.dtype or rest != first.shape[:axis] + first.shape[axis + 1 :]:
            raise TypeRuleError(
                f"expected parts that differ along axis {axis} alone, got {first} and {item}"
            )
        total = total + item.shape[axis]
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _same(types: Sequence[Type], attrs: Attrs) -> Type:
    return types[0]


def _slices(attrs: Attrs) -> tuple[slice, ...]:
    return tuple(map(slice, attrs["start"], attrs["stop"], attrs["step"]))


def _reference_broadcast(result: Type, attrs: Attrs, x: Array) -> Array:
    shape = [1] * result.rank
    for axis, extent in zip(attrs["axes"], x.shape, strict=True):
        shape[axis] = extent
    return np.broadcast_to(x.reshape(shape), result.extents)


def _reference_pad(result: Type, attrs: Attrs, x: Array) -> Array:
    out = np.zeros(result.extents, x.dtype)
    places = tuple(
        slice(low, low + inner * (extent - 1) + 1 if extent else low, inner)
        for low, inner, extent in zip(attrs["low"], attrs["inner"], x.shape, strict=True)
    )
    out[places] = x
    return out


def _broadcast_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    new = tuple(axis for axis in range(n.type.rank) if axis not in n.attrs["axes"])
    return (b.reduce_sum(g, axes=new) if new else g,)


def _transpose_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axes = n.attrs["axes"]
    return (b.transpose(g, axes=tuple(axes.index(axis) for axis in range(len(axes)))),)


def _slice_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    start, step = n.attrs["start"], n.attrs["step"]
    return (b.pad(g, low=start, inner=step, shape=n.inputs[0].shape),)


def _pad_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    low, inner = n.attrs["low"], n.attrs["inner"]
    extents = n.inputs[0].shape
    stop = tuple(
        start + step * (extent - 1) + 1 if extent != 0 else start
        for start, step, extent in zip(low, inner, extents, strict=True)
    )
    return (b.slice(g, start=low, stop=stop, step=inner),)


def _concatenate_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    axis, parts = n.attrs["axis"], []
    begin: Dim = 0
    for item in n.inputs:
        end = begin + item.shape[axis]
        parts.append(b.slice_axis(g, axis, begin, end))
        begin = end
    return tuple(parts)


PRIMITIVES = (
    Primitive(
        name="reshape",
        kind="view",
        infer=_reshape,
        reference=lambda result, attrs, x: x.reshape(result.extents),
        vjp=lambda b, n, g: (b.reshape(g, shape=n.inputs[0].shape),),
        batch=along(lambda attrs, n: {"shape": (n, *attrs["shape"])}),
    ),
    Primitive(
        name="transpose",
        kind="view",
        infer=_transpose,
        reference=lambda result, attrs, x: x.transpose(attrs["axes"]),
        vjp=_transpose_vjp,
        batch=along(lambda attrs, n: {"axes": (0, *shift_axes(attrs["axes"]))}),
    ),
    # Axis i of the operand becomes axis axes[i] of the result; the other axes are new.
    Primitive(
        name="broadcast",
        kind="view",
        infer=_broadcast,
        reference=_reference_broadcast,
        vjp=_broadcast_vjp,
        batch=along(
            lambda attrs, n: {
                "shape": (n, *attrs["shape"]),
                "axes": (0, *shift_axes(attrs["axes"])),
            }
        ),
    ),
    # start:stop:step on every axis, steps positive.
    Primitive(
        name="slice",
        kind="view",
        infer=_slice,
        reference=lambda r, attrs, x: x[_slices(attrs)],
        vjp=_slice_vjp,
        batch=along(
            lambda attrs, n: {
                "start": (0, *attrs["start"]),
                "stop": (n, *attrs["stop"]),
                "step": (1, *attrs["step"]),
            }
        ),
    ),
    Primitive(
        name="flip",
        kind="view",
        infer=_same,
        reference=lambda result, attrs, x: np.flip(x, attrs["axes"]),
        vjp=lambda b, n, g: (b.flip(g, axes=n.attrs["axes"]),),
        batch=along(lambda attrs, n: {"axes": shift_axes(attrs["axes"])}),
    ),
    # Zeros of `shape` with the operand at low, low + inner, low + 2 inner, ... on every axis.
    Primitive(
        name="pad",
        kind="movement",
        infer=_pad,
        reference=_reference_pad,
        vjp=_pad_vjp,
        batch=along(
            lambda attrs, n: {
                "low": (0, *attrs["low"]),
                "inner": (1, *attrs["inner"]),
                "shape": (n, *attrs["shape"]),
            }
        ),
        stored=True,
    ),
    Primitive(
        name="concatenate",
        kind="movement",
        infer=_concatenate,
        reference=lambda result, attrs, *parts: np.concatenate(parts, attrs["axis"]),
        vjp=_concatenate_vjp,
        batch=along(lambda attrs, n: {"axis": attrs["axis"] + 1}),
        stored=True,
    ),
    # The value in memory of its own, row-major: made by `fuse` where a view will not do.
    Primitive(
        name="copy",
        kind="elementwise",
        infer=_same,
        reference=lambda result, attrs, x: x,
        vjp=lambda b, n, g: (g,),
        emit="{0}",
        batch=elementwise,
        stored=True,
    ),
)

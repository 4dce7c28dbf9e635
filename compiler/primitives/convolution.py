"""Convolution in N dimensions: one trilinear form, and its three derivatives as primitives.

    T(x, w, g) = the sum over n, i, k, c, j of
                 x[n, i * stride + k * dilation - low, c] * w[k, c, j] * g[n, i, j]

    conv(x, w)          dT/dg: what nets call convolution, the cross-correlation of x with w
    conv_input(g, w)    dT/dx: the transposed convolution
    conv_weight(x, g)   dT/dw

so the derivatives of each are the other two, and every order closes.  i, k and stride stand for one
number along each axis of space.  Channels come last, as the kernels want them:

    x    (N, *space, C); elements outside of it, up to `low` before it and `high` behind it, are 0
    w    (*taps, C / groups, J)
    g    (N, *positions, J)

    positions = (space + low + high - dilation * (taps - 1) - 1) // stride + 1

With groups, channels and results fall into as many neighbouring parts, each on its own.
(LeCun et al., Backpropagation applied to handwritten zip code recognition, 1989; Dumoulin and
Visin, A guide to convolution arithmetic for deep learning, 2016.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as every
from typing import Any

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, exact_divide, floor_divide, product
from .record import Array, Attrs, Builder, Primitive
from .summation import Total
from .windows import window_reach

SHARED = ("stride", "dilation", "low", "high", "groups")
"""The attributes that all three have: a number for each axis of space, and one for the groups."""


def shared_attrs(attrs: Attrs) -> dict[str, Any]:
    """The attributes that a convolution has in common with its derivatives."""
    return {name: attrs[name] for name in SHARED}


def conv_positions(extent: Dim, taps: int, stride: int, dilation: int, low: Dim, high: Dim) -> Dim:
    """How many windows of so many taps there are along an axis of `extent` elements.

    TypeRuleError if a window is known not to fit.
    """
    whole, reach = extent + low + high, window_reach(taps, dilation)
    if isinstance(whole, int) and whole < reach:
        apart = f" {dilation} apart" if dilation > 1 else ""
        padded = f" with {low} before them and {high} behind them" if low or high else ""
        raise TypeRuleError(
            f"expected {reach} or more elements for a window of {taps} taps{apart}, got "
            f"{extent}{padded}"
        )
    return floor_divide(whole - reach, stride) + 1


def _checked(types: Sequence[Type], attrs: Attrs) -> int:
    """The number of axes of space, of operands and attributes that go together."""
    first, second = types
    if first.dtype != second.dtype or not first.is_float:
        raise DtypeRuleError(f"expected two floats, got {first}, {second}")
    space = first.rank - 2
    if space < 1 or second.rank != first.rank:
        raise TypeRuleError(f"expected operands of one rank of 3 or more, got {first}, {second}")
    for name in ("stride", "dilation", "low", "high"):
        least = 1 if name in ("stride", "dilation") else 0
        numbers = attrs[name]
        if len(numbers) != space or min(numbers) < least:
            raise TypeRuleError(f"expected {space} times {name} of {least} or more, got {numbers}")
    return space


def _positions(space: Sequence[Dim], taps: Sequence[Dim], attrs: Attrs) -> tuple[Dim, ...]:
    found = []
    for axis, (extent, size) in enumerate(zip(space, taps, strict=True)):
        if not isinstance(size, int) or size < 1:
            raise TypeRuleError(f"expected windows of 1 tap or more, got {size}")
        numbers = (attrs[name][axis] for name in ("stride", "dilation", "low", "high"))
        found.append(conv_positions(extent, size, *numbers))
    return tuple(found)


def _share(channels: Dim, groups: Dim) -> Dim:
    """The channels of one group."""
    each = exact_divide(channels, groups)
    if each is None:
        raise TypeRuleError(f"expected channels in {groups} equal groups, got {channels}")
    return each


def _conv(types: Sequence[Type], attrs: Attrs) -> Type:
    x, w = types
    _checked(types, attrs)
    each = _share(x.shape[-1], attrs["groups"])
    if w.shape[-2] != each:
        raise TypeRuleError(f"expected weights of {each} channels, got {w.shape[-2]}")
    _share(w.shape[-1], attrs["groups"])
    places = _positions(x.shape[1:-1], w.shape[:-2], attrs)
    return x.with_shape((x.shape[0], *places, w.shape[-1]))


def _conv_input(types: Sequence[Type], attrs: Attrs) -> Type:
    g, w = types
    _checked(types, attrs)
    _share(g.shape[-1], attrs["groups"])
    x = g.with_shape((g.shape[0], *attrs["extents"], w.shape[-2] * attrs["groups"]))
    if _conv([x, w], attrs) != g:
        raise TypeRuleError(f"expected {_conv([x, w], attrs)} for an input {x}, got {g}")
    return x


def _conv_weight(types: Sequence[Type], attrs: Attrs) -> Type:
    x, g = types
    _checked(types, attrs)
    each = _share(x.shape[-1], attrs["groups"])
    w = x.with_shape((*attrs["taps"], each, g.shape[-1]))
    if _conv([x, w], attrs) != g:
        raise TypeRuleError(f"expected {_conv([x, w], attrs)} for weights {w}, got {g}")
    return w


class _Reference:
    """The three in NumPy: a product of matrices for each tap, on arrays with an axis of groups."""

    def __init__(self, attrs: Attrs, x: tuple[int, ...], w: tuple[int, ...]) -> None:
        self.attrs, self.groups = attrs, attrs["groups"]
        self.space, self.taps = x[1:-1], w[:-2]
        sides = zip(attrs["low"], attrs["high"], strict=True)
        self.sides = ((0, 0), *sides, (0, 0))
        self.places = _positions(self.space, self.taps, attrs)

    def tap(self, number: Sequence[int]) -> tuple[slice, ...]:
        """Where in the padded input one tap of all windows lies."""
        steps = zip(number, self.places, self.attrs["stride"], self.attrs["dilation"], strict=True)
        return (
            slice(None),
            *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in steps),
        )

    def numbers(self) -> Any:
        """The taps."""
        return every(*map(range, self.taps))

    def grouped(self, x: Array) -> Array:
        """The last axis as one of groups and one of channels."""
        return x.reshape(*x.shape[:-1], self.groups, x.shape[-1] // max(1, self.groups))

    def padded(self, x: Array) -> Array:
        """The input with its zeros."""
        return self.grouped(np.pad(x, self.sides))


def _reference_conv(result: Type, attrs: Attrs, x: Array, w: Array) -> Array:
    if 0 in result.extents:
        return np.zeros(result.extents, result.dtype)
    work = _Reference(attrs, x.shape, w.shape)
    padded, weights = work.padded(x), work.grouped(w)
    shape = (*result.extents[:-1], work.groups, weights.shape[-1])
    total = Total(np.zeros(shape, result.dtype))
    for number in work.numbers():
        total.add(np.einsum("n...gc,cgj->n...gj", padded[work.tap(number)], weights[number]))
    return total.value().reshape(result.extents)


def _reference_conv_input(result: Type, attrs: Attrs, g: Array, w: Array) -> Array:
    if 0 in result.extents:
        return np.zeros(result.extents, result.dtype)
    work = _Reference(attrs, result.extents, w.shape)
    above, weights = work.grouped(g), work.grouped(w)
    sides = zip(result.extents, work.sides, strict=True)
    whole = [extent + low + high for extent, (low, high) in sides]
    shape = (*whole[:-1], work.groups, weights.shape[-3])
    total = Total(np.zeros(shape, result.dtype))
    for number in work.numbers():
        total.add(np.einsum("n...gj,cgj->n...gc", above, weights[number]), work.tap(number))
    inner = [
        slice(low, low + extent)
        for extent, (low, _) in zip(result.extents[:-1], work.sides[:-1], strict=True)
    ]
    return total.value()[tuple(inner)].reshape(result.extents)


def _reference_conv_weight(result: Type, attrs: Attrs, x: Array, g: Array) -> Array:
    if 0 in result.extents:
        return np.zeros(result.extents, result.dtype)
    work = _Reference(attrs, x.shape, result.extents)
    padded, above = work.padded(x), work.grouped(g)
    shape = (*result.extents[:-1], work.groups, above.shape[-1])
    total = Total(np.zeros(shape, result.dtype))
    for image in range(len(x)):
        lines = above[image].reshape(-1, *above.shape[-2:])
        for number in work.numbers():
            seen = padded[work.tap(number)][image]
            seen = seen.reshape(len(lines), *seen.shape[-2:])
            total.add(np.einsum("pgc,pgj->cgj", seen, lines), number)
    return total.value().reshape(result.extents)


def _conv_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    (x, w), attrs = n.inputs, shared_attrs(n.attrs)
    return (
        b.conv_input(g, w, extents=x.shape[1:-1], **attrs),
        b.conv_weight(x, g, taps=w.shape[:-2], **attrs),
    )


def _conv_input_vjp(b: Builder, n: Node, u: Node) -> tuple[Node | None, ...]:
    (g, w), attrs = n.inputs, shared_attrs(n.attrs)
    return b.conv(u, w, **attrs), b.conv_weight(u, g, taps=w.shape[:-2], **attrs)


def _conv_weight_vjp(b: Builder, n: Node, v: Node) -> tuple[Node | None, ...]:
    (x, g), attrs = n.inputs, shared_attrs(n.attrs)
    return b.conv_input(g, v, extents=x.shape[1:-1], **attrs), b.conv(x, v, **attrs)


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """One convolution of all elements.

    Where an axis of the form has no other operand, the new axis joins that one: images where the
    weights are the same for all, channels of weights where the images are.  Where both operands
    have the new axis, each element is so many groups more.
    """
    groups, attrs = n.attrs["groups"], dict(n.attrs)
    extent = next(x.shape[0] for x, has in zip(operands, batched, strict=True) if has)
    if all(batched):
        inputs = [_lead_into(b, x, -1, 1) for x in operands]
        result = b.apply(n.op, *inputs, **{**attrs, "groups": extent * groups})
        return _lead_out(b, result, -1, extent, 1)
    which = batched.index(True)
    inputs = list(operands)
    axis, parts, out_axis, out_parts = _joined_axes(n.op, which, groups)
    inputs[which] = _lead_into(b, operands[which], axis, parts)
    result = b.apply(n.op, *inputs, **attrs)
    return _lead_out(b, result, out_axis, extent, out_parts)


def _joined_axes(op: str, which: int, groups: Dim) -> tuple[int, Dim, int, Dim]:
    """The axis of an operand that the new axis joins, and that of the result it comes out of.

    Each with the number of parts of that axis before which it does not go.
    """
    if op == "conv":
        return (0, 1, 0, 1) if which == 0 else (-1, groups, -1, groups)
    if op == "conv_input":
        return (0, 1, 0, 1) if which == 0 else (-2, 1, -1, groups)
    return (-1, groups, -2, 1) if which == 0 else (-1, groups, -1, groups)


def _lead_into(b: Builder, x: Node, axis: int, parts: Dim) -> Node:
    """The leading axis in another, behind its parts: (B, .., P * c, ..) -> (.., P * B * c, ..)."""
    lead, *rest = x.shape
    axis %= len(rest)
    each = _share(rest[axis], parts)
    split = b.reshape(x, shape=(lead, *rest[:axis], parts, each, *rest[axis + 1 :]))
    order = (*range(1, axis + 2), 0, *range(axis + 2, len(rest) + 2))
    turned = b.transpose(split, axes=order)
    return b.reshape(turned, shape=(*rest[:axis], parts * lead * each, *rest[axis + 1 :]))


def _lead_out(b: Builder, x: Node, axis: int, lead: Dim, parts: Dim) -> Node:
    """The inverse of `_lead_into`."""
    axis %= x.type.rank
    shape = x.shape
    each = _share(shape[axis], parts * lead)
    split = b.reshape(x, shape=(*shape[:axis], parts, lead, each, *shape[axis + 1 :]))
    order = (axis + 1, *range(axis + 1), *range(axis + 2, x.type.rank + 2))
    turned = b.transpose(split, axes=order)
    return b.reshape(turned, shape=(lead, *shape[:axis], parts * each, *shape[axis + 1 :]))


def results_and_weights(node: Node) -> tuple[Node, Node]:
    """What stands for g and for w in the form: an operand, or the node itself."""
    if node.op == "conv":
        return node, node.inputs[1]
    return (node.inputs[0], node.inputs[1]) if node.op == "conv_input" else (node.inputs[1], node)


def convolution_flops(node: Node) -> Dim:
    """Multiplications and additions: two for each product, those with padding too."""
    results, weights = results_and_weights(node)
    return results.type.count * product(weights.shape[:-1]) * 2


def summed_terms(node: Node) -> Dim:
    """About how many products an element of the result is the sum of."""
    results, weights = results_and_weights(node)
    if node.op == "conv_weight":
        return product(results.shape[:-1])
    return product(weights.shape[:-1])


def reaches(node: Node) -> list[tuple[Dim, int]]:
    """For each axis of space, the elements of x with its padding, and the reach of a window."""
    _, weights = results_and_weights(node)
    space = node.attrs["extents"] if node.op == "conv_input" else node.inputs[0].shape[1:-1]
    attrs = node.attrs
    sides = zip(space, attrs["low"], attrs["high"], strict=True)
    wholes = [extent + low + high for extent, low, high in sides]
    windows = zip(weights.shape[:-2], attrs["dilation"], strict=True)
    sizes = [window_reach(taps, apart) for taps, apart in windows if isinstance(taps, int)]
    return list(zip(wholes, sizes, strict=True))


CONVOLUTIONS = ("conv", "conv_input", "conv_weight")
"""The names of the three."""


PRIMITIVES = tuple(
    Primitive(
        name=name, kind="contraction", infer=infer, reference=reference, vjp=vjp, batch=_batch
    )
    for name, infer, reference, vjp in (
        ("conv", _conv, _reference_conv, _conv_vjp),
        ("conv_input", _conv_input, _reference_conv_input, _conv_input_vjp),
        ("conv_weight", _conv_weight, _reference_conv_weight, _conv_weight_vjp),
    )
)

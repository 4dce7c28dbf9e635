"""Elements around an array: a number, the element at the edge, mirrored ones, or a circle."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...arguments import integer, items, one_of, wrong
from ...location import user_location
from ...variables.applying import apply
from ...variables.numbers import in_dtype, number_array
from ...variables.variable import Variable
from ..broadcasting import as_variables

Mode = Literal["constant", "edge", "reflect", "wrap"]
MODES: tuple[Mode, ...] = ("constant", "edge", "reflect", "wrap")


def pad(x: Any, widths: Any, mode: Mode = "constant", value: Any = 0) -> Variable:
    """Elements before and after those of each axis, as NumPy's pad.

    Args:
        x: of any shape and dtype.
        widths: ((before, after), ...), a pair for each axis; ((before, after),), or one integer,
            for all axes.  A negative one takes elements away at its end, as in PyTorch, from what
            the others give.
        mode: "constant" for a number; "edge" for the element at the end; "reflect" for the elements
            mirrored at the one at the end, which is not repeated; "wrap" for those of the other
            end.  The last three need an element to repeat on each axis that is padded.
        value: the number, one that x's dtype holds.

    Returns:
        Of x's dtype, each axis longer (shorter) by its widths.  An element has the gradients of all
        places that it went to.

    Raises:
        ShapeError: when the diagram is built: another number of pairs than axes, more elements
            taken away than there are, no element to repeat.
        DtypeError: a number that the dtype does not hold.
        TypeError, ValueError: widths, a mode or a value that are none.
    """
    subject = f"pad ({user_location()})"
    mode = one_of("pad", "mode", mode, MODES)
    pairs = _pairs(subject, widths)
    if isinstance(value, Variable):
        raise wrong(subject, "a number to pad with", value)
    number = number_array(subject, value)
    if number.ndim:
        raise wrong(subject, "one number to pad with", value)

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        all_pairs = (
            pairs * rank if len(pairs) == 1 and not isinstance(widths, (list, tuple)) else pairs
        )
        if len(all_pairs) != rank:
            raise TypeRuleError(f"expects {rank} pairs of widths, not {len(all_pairs)}")
        cut = [(max(-low, 0), max(-high, 0)) for low, high in all_pairs]
        return _cropped(
            b, padded(b, node, [(max(low, 0), max(high, 0)) for low, high in all_pairs]), cut
        )

    def padded(b: Builder, node: Node, all_pairs: list[tuple[int, int]]) -> Node:
        rank = node.type.rank
        if mode != "constant":
            for axis, (low, high) in enumerate(all_pairs):
                node = _repeated(b, node, axis, low, high, mode) if low or high else node
            return node
        known = in_dtype(subject, number, node.dtype)
        if known.any():
            for axis, (low, high) in enumerate(all_pairs):
                node = _framed(b, node, axis, low, high, known)
            return node
        shape = tuple(n + low + high for n, (low, high) in zip(node.shape, all_pairs, strict=True))
        before = tuple(low for low, _ in all_pairs)
        return b.pad(node, low=before, inner=(1,) * rank, shape=shape)

    result: Variable = apply("pad", rule, as_variables(x), as_stored=True)
    return result


def _pairs(subject: str, widths: Any) -> list[tuple[int, int]]:
    if isinstance(widths, (int, np.integer)) and not isinstance(widths, bool):
        return [(integer("pad", "widths", widths),) * 2]
    pairs = [
        items("pad", "each of the widths", pair, "two integers")
        for pair in items("pad", "widths", widths, "pairs of integers")
    ]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{subject} expects two integers for each axis, got {pairs}")
    return [(integer("pad", "widths", low), integer("pad", "widths", high)) for low, high in pairs]


def _cropped(b: Builder, x: Node, cut: list[tuple[int, int]]) -> Node:
    """Without so many elements at the ends of each axis."""
    for axis, (low, high) in enumerate(cut):
        extent = x.shape[axis]
        if isinstance(extent, int) and low + high > extent:
            raise TypeRuleError(
                f"expects to take at most {extent} elements away from axis {axis}, not {low + high}"
            )
        x = b.slice_axis(x, axis, low, extent - high) if low or high else x
    return x


def _framed(b: Builder, x: Node, axis: int, low: int, high: int, number: Any) -> Node:
    """A number before and after the elements of an axis."""

    def frame(width: int) -> Node:
        shape = tuple(width if i == axis else n for i, n in enumerate(x.shape))
        return b.fill(number, x.type.with_shape(shape))

    found: Node = b.concatenate(frame(low), x, frame(high), axis=axis)
    return found


def _repeated(b: Builder, x: Node, axis: int, low: int, high: int, mode: str) -> Node:
    """The elements of an axis, from which it takes those around it too."""
    extent = x.shape[axis]
    if extent == 0:
        raise TypeRuleError(f"expects an element to repeat on axis {axis}, not 0 elements")
    if isinstance(extent, int):
        places = np.pad(np.arange(extent), (low, high), mode)  # type: ignore[call-overload]
        found: Node = b.gather(x, b.constant(places, "int64"), axis=axis)
        return found
    found = b.gather(x, _places(b, extent, low, high, mode), axis=axis)
    return found


def _places(b: Builder, extent: Dim, low: int, high: int, mode: str) -> Node:
    """Which elements of an axis whose size has a name."""
    count = b.apply("iota", axis=0, shape=(extent + low + high,), dtype="int64")
    size = b.spread(b.apply("size", size=extent, dtype="int64"), count.shape)
    one, zero = b.fill(1, count.type), b.fill(0, count.type)
    last, place = b.sub(size, one), b.sub(count, b.fill(low, count.type))
    if mode == "edge":
        return b.minimum(b.maximum(place, zero), last)
    if mode == "wrap":
        return remainder_of(b, place, size)
    period = b.maximum(b.add(last, last), one)
    turn = remainder_of(b, place, period)
    return b.minimum(turn, b.sub(period, turn))


def remainder_of(b: Builder, x: Node, y: Node) -> Node:
    """What is left of integers that float64 holds, divided by positive ones: in [0, y)."""
    wide = [b.cast(item, dtype="float64") for item in (x, y)]
    quotient = b.cast(b.floor(b.div(*wide)), dtype=x.dtype)
    found: Node = b.sub(x, b.mul(quotient, y))
    return found

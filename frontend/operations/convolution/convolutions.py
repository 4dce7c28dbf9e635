"""Convolutions in N dimensions as nets have them: channels before space, PyTorch's weights.

The primitives have channels last (`compiler/primitives/convolution.py`): each operation here is one
of them between transposes, which the compiler moves and removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim, product
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text
from ..broadcasting import as_variables, one_dtype
from .paddings import Numbers, Padding, for_axes, sides
from .sizes import SpreadAxis, Windows


def correlate(
    x: Any,
    w: Any,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Variable:
    """What nets call convolution: every window of x times the same weights, the cross-correlation.

        y[.., o, i] = the sum over c, k of  w[o, c, k] * x[.., c, i * stride + k * dilation - low]

    where i, k, stride, dilation and low stand for one number along each axis of space, and what x
    does not have is 0.  x of shape (..., C, *space) and w of (J, C / groups, *taps) give
    (..., J, *positions), of the sizes that `dg.conv_shape` tells; w has two axes more than space
    has, so that one function serves for lines, images and volumes.  With groups, channels and
    results fall into as many neighbouring parts, each on its own; groups = C is a depthwise
    convolution.  PyTorch's `conv1d`, `conv2d` and `conv3d` (Dumoulin and Visin, A guide to
    convolution arithmetic for deep learning, 2016).

    Args:
        x: a variable or array of floats; sizes of space may have names.
        w: the weights, of the same dtype; J, C and taps are numbers.
        stride: how far apart windows begin, one number or one for each axis of space.
        padding: zeros around x: a number, one for each axis, a pair (before, behind) for each
            axis, or a word.  "valid" is none; "full" has every window that sees an element of x;
            "same" keeps the size, for stride 1 (PyTorch's); "same_strided" gives
            ceil(n / stride) positions (TensorFlow's).  Where the zeros of a word are odd in
            number, there is one more behind.
        dilation: how far apart the taps of a window are, likewise (*a trous*, "skip").
        groups: parts of the channels.

    Raises:
        ShapeError: a window that does not fit, other channels than the weights', channels or
            results that do not fall into groups.
        DtypeError: no floats, or two dtypes.
        TypeError, ValueError: numbers that are none, too small, or too many.
    """
    return _correlated("correlate", x, w, stride, padding, dilation, groups, flipped=False)


def convolve(
    x: Any,
    w: Any,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Variable:
    """The convolution of the definition, whose kernel runs backwards: y_i = sum_j w_j x_(i-j).

    It is `dg.correlate` with the weights flipped along each axis of taps, in shapes and arguments
    the same.  Along an axis of n elements with a kernel of k <= n taps, padding "full", "same" and
    "valid" give the elements of `numpy.convolve` of these modes ("same" has the odd zero before);
    JAX's and PyTorch's convolutions of nets are `dg.correlate`.

    Args:
        x: a variable or array of floats, as for `dg.correlate`.
        w: the weights.
        stride: how far apart windows begin.
        padding: zeros around x.
        dilation: how far apart the taps of a window are.
        groups: parts of the channels.

    Raises:
        ShapeError, DtypeError, TypeError, ValueError: as `dg.correlate`.
    """
    return _correlated("convolve", x, w, stride, padding, dilation, groups, flipped=True)


def _correlated(
    label: str,
    x: Any,
    w: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    flipped: bool,
) -> Variable:
    given = Windows.of(label, stride, padding, dilation, groups)

    def rule(b: Builder, x: Node, w: Node) -> Node:
        space = _space(x, w)
        taps = _taps(w)
        steps, apart = given.steps(space)
        around = sides(given.padding, x.shape[-space:], taps, steps, apart, turned=flipped)
        _expect_channels(given.groups, x.shape[-space - 1], w.shape[1], w.shape[0])
        if flipped:
            w = b.flip(w, axes=tuple(range(2, w.type.rank)))
        weights = b.transpose(w, axes=(*range(2, w.type.rank), 1, 0))
        y = b.conv(_channels_last(b, x, space), weights, **_attrs(steps, apart, around, given))
        return _channels_first(b, y, x.shape[: -space - 1])

    result: Variable = apply(label, rule, as_variables(x, w))
    return result


def conv_transpose(
    x: Any,
    w: Any,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Variable:
    """The transposed convolution: each element of x sends its weights to the window it came from.

        y[.., o, i * stride + k * dilation - low]  +=  w[c, o, k] * x[.., c, i]

    It is the derivative of `dg.correlate` by its input, which goes from positions back to space: x
    of shape (..., C, *positions) and w of (C, J / groups, *taps) give (..., J, *space), with

        space = (positions - 1) * stride + reach - low - high + output_padding

    and reach = dilation * (taps - 1) + 1 (`dg.conv_shape` with `transposed=True`).  With a stride,
    several sizes of space have the same positions; `output_padding` says how many elements more
    there are at the end.  PyTorch's `conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d`.

    Args:
        x: a variable or array of floats; positions may have names.
        w: the weights, of the same dtype; all sizes are numbers.
        stride: how far apart the windows lie that neighbours send to, one number or one for each
            axis of space.
        padding: what is cut off before and behind, as the padding of the `dg.correlate` that goes
            the other way; "same" keeps the size, for stride 1; "same_strided" gives
            positions * stride.
        output_padding: elements more behind, below the stride or the dilation.
        dilation: how far apart the taps are.
        groups: parts of the channels.

    Raises:
        ShapeError: other channels than the weights', channels that do not fall into groups, no
            element left by the padding, an output padding that is too large.
        DtypeError: no floats, or two dtypes.
        TypeError, ValueError: numbers that are none, too small, or too many.
    """
    label = "conv_transpose"
    given = Windows.of(label, stride, padding, dilation, groups)
    more = for_axes(label, "output_padding", output_padding, least=0)

    def rule(b: Builder, x: Node, w: Node) -> Node:
        space = _space(x, w)
        channels, results = x.shape[-space - 1], w.shape[1] * given.groups
        if channels != w.shape[0]:
            raise TypeRuleError(f"expects {w.shape[0]} channels like the weights, not {channels}")
        _expect_groups(given.groups, channels, "channels")
        places = SpreadAxis.along(given, more, x.shape[-space:], _taps(w))
        weights = b.transpose(w, axes=(*range(2, w.type.rank), 1, 0))
        steps, apart = given.steps(space)
        around = [item.around for item in places]
        y = b.conv_input(
            _channels_last(b, x, space),
            weights,
            extents=tuple(item.reached for item in places),
            **_attrs(steps, apart, around, given),
        )
        if any(item.beyond for item in places):
            high = (0, *(item.beyond for item in places), 0)
            shape = tuple(n + item for n, item in zip(y.shape, high, strict=True))
            y = b.pad(y, low=(0,) * len(high), inner=(1,) * len(high), shape=shape)
        assert y.shape[-1] == results
        return _channels_first(b, y, x.shape[: -space - 1])

    result: Variable = apply(label, rule, as_variables(x, w))
    return result


def add_to_channels(y: Variable, bias: Variable, space: int) -> Variable:
    """A number for each channel added to y of shape (..., channels, *space), drawn as one sum."""

    def rule(b: Builder, y: Node, bias: Node) -> Node:
        one_dtype((y, bias))
        spread_out = b.broadcast(bias, shape=y.shape, axes=(y.type.rank - space - 1,))
        return b.add(y, spread_out)

    result: Variable = apply("add", rule, (y, bias))
    return result


def _space(x: Node, w: Node) -> int:
    """The number of axes of space, of operands that go together."""
    one_dtype((x, w))
    if not x.type.is_float:
        raise DtypeRuleError(f"expects floats, not {x.dtype}")
    space = w.type.rank - 2
    if space < 1:
        raise TypeRuleError(
            f"expects weights of three or more axes, two of channels and then taps, not "
            f"{shape_text(w.shape)}"
        )
    if x.type.rank < space + 1:
        raise TypeRuleError(
            f"expects (..., channels, and {space} of space) as weights of {w.type.rank} axes have "
            f"it, not {shape_text(x.shape)}"
        )
    return space


def _taps(w: Node) -> tuple[int, ...]:
    found = []
    for extent in w.shape[2:]:
        if not isinstance(extent, int) or extent < 1:
            raise TypeRuleError(f"expects windows of 1 tap or more, not {shape_text(w.shape[2:])}")
        found.append(extent)
    return tuple(found)


def _expect_channels(groups: int, channels: Dim, each: Dim, results: Dim) -> None:
    _expect_groups(groups, channels, "channels")
    _expect_groups(groups, results, "results")
    if channels != each * groups:
        among = f", {each} in each of {groups} groups" if groups > 1 else ""
        raise TypeRuleError(
            f"expects {each * groups} channels like the weights{among}, not {channels}"
        )


def _expect_groups(groups: int, count: Dim, what: str) -> None:
    if groups > 1 and (not isinstance(count, int) or count % groups):
        raise TypeRuleError(f"expects {what} in {groups} equal groups, not {count}")


def _attrs(
    stride: Sequence[int],
    dilation: Sequence[int],
    around: Sequence[tuple[int, int]],
    given: Windows,
) -> dict[str, Any]:
    low, high = zip(*around, strict=True)
    return {
        "stride": tuple(stride), "dilation": tuple(dilation), "low": low, "high": high,
        "groups": given.groups,
    }  # fmt: skip


def _channels_last(b: Builder, x: Node, space: int) -> Node:
    """(..., C, *space) -> (N, *space, C)."""
    if x.type.rank != space + 2:
        x = b.reshape(x, shape=(product(x.shape[: -space - 1]), *x.shape[-space - 1 :]))
    return b.transpose(x, axes=(0, *range(2, space + 2), 1))


def _channels_first(b: Builder, y: Node, before: Sequence[Dim]) -> Node:
    """(N, *space, J) -> (..., J, *space)."""
    rank = y.type.rank
    y = b.transpose(y, axes=(0, rank - 1, *range(1, rank - 1)))
    return y if len(before) == 1 else b.reshape(y, shape=(*before, *y.shape[1:]))

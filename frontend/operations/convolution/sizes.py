"""How windows lie along axes of space, and the sizes that follow from it: `conv_shape`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.primitives.convolution import conv_positions
from ....compiler.primitives.windows import window_reach
from ....compiler.sizes import Dim, Size
from ...arguments import flag, integer, wrong
from ...errors import ShapeError
from ...location import user_location
from ...variables.variable import shape_of
from .paddings import Numbers, Padding, for_axes, padding_of, sides, spread


@dataclass(frozen=True)
class Windows:
    """How windows lie, as the user says it, for any number of axes of space."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    groups: int

    @staticmethod
    def of(what: str, stride: Any, padding: Any, dilation: Any, groups: Any) -> Windows:
        """Checked arguments; TypeError or ValueError."""
        return Windows(
            for_axes(what, "stride", stride),
            for_axes(what, "dilation", dilation),
            padding_of(what, padding),
            integer(what, "groups", groups, least=1),
        )

    def steps(self, space: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Stride and dilation of so many axes."""
        return spread("stride", self.stride, space), spread("dilation", self.dilation, space)


@dataclass(frozen=True)
class SpreadAxis:
    """An axis of a transposed convolution.

    around   zeros before and behind in the convolution that it is the transpose of
    reached  the elements that windows reach, and up to stride - 1 more
    beyond   zeros behind those
    """

    around: tuple[int, int]
    reached: Dim
    beyond: int

    @property
    def extent(self) -> Dim:
        """All elements."""
        return self.reached + self.beyond

    @staticmethod
    def along(
        given: Windows, more: tuple[int, ...], positions: Sequence[Dim], taps: Sequence[int]
    ) -> list[SpreadAxis]:
        """Each axis of space."""
        steps, apart = given.steps(len(taps))
        behind = spread("output_padding", more, len(taps))
        found = []
        if given.padding == "same_strided":
            reach = [window_reach(k, d) for k, d in zip(taps, apart, strict=True)]
            total = [max(0, r - s) for r, s in zip(reach, steps, strict=True)]
            around: Sequence[tuple[int, int]] = [(n // 2, n - n // 2) for n in total]
            missing = [max(0, s - r) for r, s in zip(reach, steps, strict=True)]
            behind = tuple(n + m for n, m in zip(behind, missing, strict=True))
        else:
            around = sides(given.padding, positions, taps, steps, apart)
        every = zip(positions, taps, steps, apart, behind, around, strict=True)
        for count, k, s, d, extra, (low, high) in every:
            if extra >= max(s, d):
                raise TypeRuleError(
                    f"expects output_padding below the stride {s} or the dilation {d}, not {extra}"
                )
            cut = min(high, extra)
            high, extra = high - cut, extra - cut
            inside = min(extra, s - 1)
            reached = (count - 1) * s + window_reach(k, d) - low - high + inside
            if count == 0 or (isinstance(reached, int) and reached < 0):
                cut_off = f" for a padding of {low} and {high}" if low or high else ""
                raise TypeRuleError(f"expects more positions{cut_off}, not {count}")
            found.append(SpreadAxis((low, high), reached, extra - inside))
        return found


def conv_shape(
    size: int | str | Size | Sequence[int | str | Size],
    kernel: Numbers,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    output_padding: Numbers = 0,
    transposed: bool = False,
) -> tuple[Dim, ...]:
    """The sizes of space that a convolution gives: how many windows there are along each axis.

        positions = (size + low + high - dilation * (kernel - 1) - 1) // stride + 1

    or, for a transposed convolution, of positions the space

        space = (size - 1) * stride - low - high + dilation * (kernel - 1) + 1 + output_padding

    It holds for `dg.correlate`, `dg.convolve`, `dg.conv_transpose` and the blocks that are made of
    them, for `dg.LocallyConnected2d`, and, without padding, for `dg.windows`:

        dg.conv_shape(28, 5, padding=2)              (28,)
        dg.conv_shape((32, 32), 3, stride=2)         (15, 15)
        dg.conv_shape(("T",), 3)                     (T - 2,)
        dg.conv_shape(14, 2, 2, transposed=True)     (28,)

    Args:
        size: of each axis of space, numbers or names.
        kernel: taps along each axis, or one number for all.
        stride: how far apart windows begin, as for `dg.correlate`.
        padding: zeros, as for `dg.correlate`, or what is cut off, as for `dg.conv_transpose`.
        dilation: how far apart the taps of a window are.
        output_padding: as for `dg.conv_transpose`.
        transposed: whether the sizes are those of `dg.conv_transpose`.

    Raises:
        ShapeError: a window that does not fit, or as many numbers as there are no axes.
        TypeError, ValueError: numbers that are none or too small, another word for the padding.
    """
    label = "conv_shape"
    extents = shape_of(size if isinstance(size, (list, tuple)) else (size,))
    given = Windows.of(label, stride, padding, dilation, 1)
    taps = for_axes(label, "kernel", kernel)
    more = for_axes(label, "output_padding", output_padding, least=0)
    transposed = flag("conv_shape", "transposed", transposed)
    if not transposed and any(more):
        expected = "output_padding of 0 without transposed=True"
        raise wrong(label, expected, output_padding, ValueError)
    try:
        taps = spread("kernel", taps, len(extents))
        if transposed:
            return tuple(item.extent for item in SpreadAxis.along(given, more, extents, taps))
        steps, apart = given.steps(len(extents))
        around = sides(given.padding, extents, taps, steps, apart)
        numbers = zip(extents, taps, steps, apart, around, strict=True)
        return tuple(conv_positions(n, k, s, d, low, high) for n, k, s, d, (low, high) in numbers)
    except TypeRuleError as error:
        text = str(error).replace("expected ", "expects ", 1)
        raise ShapeError(f"{label} ({user_location()}) {text}") from None

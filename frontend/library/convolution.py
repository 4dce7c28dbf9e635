"""Convolutional layers and transposed ones, around `dg.correlate` and `dg.conv_transpose`."""

from __future__ import annotations

from typing import Any

from ...compiler.dtypes import computed
from ...compiler.errors import TypeRuleError
from ..arguments import integer
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.convolution.convolutions import add_to_channels, conv_transpose, correlate
from ..operations.convolution.paddings import Numbers, Padding, for_axes, padding_of, spread
from ..operations.elementwise import as_operands
from ..variables.variable import Variable, dtype_name, shape_text, source_text
from . import init
from .torch_names import Stored, TorchNamed


class _Convolution(TorchNamed):
    """What the layers share: their sizes, a weight, a bias, and PyTorch's names for both."""

    space = 0

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Numbers,
        stride: Numbers,
        padding: Padding,
        dilation: Numbers,
        groups: int,
        dtype: Any,
        name: str | None,
    ) -> None:
        self.name = name
        place = self._place()
        self.in_channels = integer(place, "in_channels", in_channels, least=1)
        self.out_channels = integer(place, "out_channels", out_channels, least=1)
        self.kernel = self._each("kernel", for_axes(place, "kernel", kernel))
        self.stride = self._each("stride", for_axes(place, "stride", stride))
        found = padding_of(place, padding)
        self.padding: Any = found if isinstance(found, str) else self._each("padding", found)
        self.dilation = self._each("dilation", for_axes(place, "dilation", dilation))
        self.groups = integer(place, "groups", groups, least=1)
        for word, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % self.groups:
                raise ValueError(f"{place} expects {word} in {groups} equal groups, got {channels}")
        self.dtype = dtype_name(dtype)

    weight: Variable
    bias: Variable | None

    def _each(self, name: str, numbers: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return spread(name, numbers, self.space)
        except TypeRuleError:
            raise ValueError(
                f"{self._place()} expects {name} to be one number or {self.space}, got {numbers}"
            ) from None

    def _hold_both(
        self,
        weight: Variable | None,
        shape: tuple[int, ...],
        start: Any,
        bias: bool | Variable,
        bias_init: Any,
    ) -> None:
        self._hold("weight", weight, shape, start, self.dtype)
        self._hold("bias", bias, (self.out_channels,), bias_init, self.dtype)

    def _checked(self, x: Variable) -> Variable:
        """What the layer is applied to; ShapeError or DtypeError."""
        (x,) = as_operands(x)
        if x.ndim <= self.space or x.shape[-self.space - 1] != self.in_channels:
            axes = ", ".join("DHW"[-self.space :] if self.space > 1 else "L")
            raise ShapeError(
                f"{self._place()} expects (..., {self.in_channels}, {axes}), got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{self._place()} expects {self.dtype} like its weight, got {x.dtype} from "
                f'{source_text(x)}: convert it with .astype("{self.dtype}")'
            )
        return x

    def _shifted(self, y: Variable) -> Variable:
        """With the bias of each map."""
        return y if self.bias is None else add_to_channels(y, self.bias, self.space)

    def _place(self) -> str:
        return f"{self._describe()} ({user_location()})"

    def _details(self) -> str:
        parts = ["×".join(map(str, self.kernel))]
        numbers = [("stride", self.stride, 1), ("dilation", self.dilation, 1)]
        parts += [f"{name} {_short(item)}" for name, item, plain in numbers if {*item} != {plain}]
        around = self.padding if isinstance(self.padding, str) else _short(self.padding)
        if around not in ("0", "valid"):
            parts.insert(2 if parts[1:] and parts[1].startswith("stride") else 1,
                         f"padding {around}")  # fmt: skip
        if self.groups > 1:
            parts.append(f"{self.groups} groups")
        return ", ".join(parts)

    def _torch(self) -> dict[str, Stored]:
        held = {"weight": self.weight, "bias": self.bias}
        return {key: Stored((item,)) for key, item in held.items() if item is not None}


def _short(numbers: tuple[Any, ...]) -> str:
    """Numbers of axes, in as few words as there are: "2", "2×1", "(1, 0)×(2, 3)"."""
    each = [
        str(item[0]) if isinstance(item, tuple) and item[0] == item[1] else str(item)
        for item in numbers
    ]
    return each[0] if len({*each}) == 1 else "×".join(each)


class _Conv(_Convolution):
    """A convolution in the sense of nets, the cross-correlation; `space` axes of space."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Numbers,
        stride: Numbers = 1,
        padding: Padding = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool | Variable = True,
        weight: Variable | None = None,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(in_channels, out_channels, kernel, stride, padding, dilation, groups, dtype, name)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel)
        start = init.with_layout(weight_init, "oi" + "k" * self.space, self.groups)
        self._hold_both(weight, shape, start, bias, bias_init)

    def forward(self, x: Variable) -> Variable:
        """(..., in_channels, *space) -> (..., out_channels, *positions)."""
        y = correlate(
            self._checked(x), self.weight, self.stride, self.padding, self.dilation, self.groups
        )
        return self._shifted(y)


class Conv1d(_Conv):
    """A convolution of lines, in the sense of nets: `dg.correlate` plus a bias.

    Applied to x of shape (..., in_channels, L) it gives (..., out_channels, positions).  All as in
    `Conv2d`, with one axis of space; a kernel and the like are a number.
    """

    space = 1


class Conv2d(_Conv):
    """A convolution of images, in the sense of nets: `dg.correlate` plus a bias.

        y[.., o, i, j] = bias[o] + the sum over c, k, l of
                         weight[o, c, k, l] * x[.., c, row, column]
        row = i * stride + k * dilation - padding, column = j * stride + l * dilation - padding

    Applied to x of shape (..., in_channels, H, W) it gives (..., out_channels, OH, OW), the sizes
    that `dg.conv_shape((H, W), kernel, stride, padding, dilation)` tells.  Every product is a link,
    those with the zeros of the padding too; a net of such layers shares their weights over all
    positions.  PyTorch's `Conv2d`, and its layout of weights.

    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition,
    1998.

    Args:
        in_channels: maps of x.
        out_channels: maps of the result.
        kernel: taps of a window, down and across, or one number for both.
        stride: how far apart windows begin, likewise.
        padding: zeros around x: a number, one for each axis, a pair (before, behind) for each
            axis, or "valid", "same", "same_strided", "full", see `dg.correlate`.
        dilation: how far apart the taps of a window are, down and across, or one number.
        groups: neighbouring parts of the maps, each seen by as many of the results; in_channels
            for a depthwise convolution.
        bias: whether to add a parameter of shape (out_channels,); or any variable in its place.
        weight: any variable of shape (out_channels, in_channels / groups, *kernel) in place of a
            parameter: one that other blocks share, or one that a network computes.
        weight_init: the weight's initialiser, as for `dg.parameter`; its layout is "oikk", and
            each group is counted for itself. By default LeCun's uniform.
        bias_init: the bias's; zeros by default.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError: a weight or bias of another shape; when applied, other channels, or a window
            that does not fit.
        DtypeError: a weight, bias or x of another dtype.
        TypeError, ValueError: numbers that are none, too small or too many, channels that do not
            fall into groups, or another word for the padding.
    """

    space = 2


class Conv3d(_Conv):
    """A convolution of volumes, in the sense of nets: `dg.correlate` plus a bias.

    Applied to x of shape (..., in_channels, D, H, W) it gives (..., out_channels, OD, OH, OW).  All
    as in `Conv2d`, with three axes of space.
    """

    space = 3


class _ConvTranspose(_Convolution):
    """A transposed convolution; `space` axes of space."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Numbers,
        stride: Numbers = 1,
        padding: Padding = 0,
        output_padding: Numbers = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool | Variable = True,
        weight: Variable | None = None,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(in_channels, out_channels, kernel, stride, padding, dilation, groups, dtype, name)
        more = for_axes(self._place(), "output_padding", output_padding, least=0)
        self.output_padding = self._each("output_padding", more)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel)
        start = init.with_layout(weight_init, "io" + "k" * self.space, self.groups)
        self._hold_both(weight, shape, start, bias, bias_init)

    def forward(self, x: Variable) -> Variable:
        """(..., in_channels, *positions) -> (..., out_channels, *space)."""
        y = conv_transpose(
            self._checked(x), self.weight, self.stride, self.padding, self.output_padding,
            self.dilation, self.groups,
        )  # fmt: skip
        return self._shifted(y)

    def _details(self) -> str:
        more = f", output padding {_short(self.output_padding)}" if any(self.output_padding) else ""
        return super()._details() + more


class ConvTranspose1d(_ConvTranspose):
    """A transposed convolution of lines: `dg.conv_transpose` plus a bias.

    Applied to x of shape (..., in_channels, L) it gives (..., out_channels, OL).  All as in
    `ConvTranspose2d`, with one axis of space.
    """

    space = 1


class ConvTranspose2d(_ConvTranspose):
    """A transposed convolution of images: `dg.conv_transpose` plus a bias.

    Applied to x of shape (..., in_channels, H, W) it gives (..., out_channels, OH, OW), where
    OH = (H - 1) * stride + dilation * (KH - 1) + 1 - 2 * padding + output_padding, and OW likewise
    (`dg.conv_shape` with `transposed=True`).  It is linear, the transpose of the `Conv2d` of the
    same numbers from OH, OW to H, W.  PyTorch's `ConvTranspose2d`, and its layout of weights.

    Zeiler, Krishnan, Taylor and Fergus, Deconvolutional networks, 2010.

    Args:
        in_channels: maps of x.
        out_channels: maps of the result.
        kernel: taps of a window, down and across, or one number for both.
        stride: how far apart the windows lie that neighbours send to, likewise.
        padding: what is cut off before and behind, as for `dg.conv_transpose`.
        output_padding: elements more behind, likewise, below the stride or the dilation.
        dilation: how far apart the taps are, likewise.
        groups: neighbouring parts of the maps, each sent to as many of the results.
        bias: whether to add a parameter of shape (out_channels,); or any variable in its place.
        weight: any variable of shape (in_channels, out_channels / groups, *kernel) in place of a
            parameter.
        weight_init: the weight's initialiser, as for `dg.parameter`; its layout is "iokk", and
            each group is counted for itself. By default LeCun's uniform.
        bias_init: the bias's; zeros by default.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError: a weight or bias of another shape; when applied, other channels, or no element
            that is left.
        DtypeError: a weight, bias or x of another dtype.
        TypeError, ValueError: numbers that are none, too small or too many, channels that do not
            fall into groups, or another word for the padding.
    """

    space = 2


class ConvTranspose3d(_ConvTranspose):
    """A transposed convolution of volumes: `dg.conv_transpose` plus a bias.

    Applied to x of shape (..., in_channels, D, H, W) it gives (..., out_channels, OD, OH, OW).  All
    as in `ConvTranspose2d`, with three axes of space.
    """

    space = 3

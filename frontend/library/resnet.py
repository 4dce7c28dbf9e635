"""The blocks of residual nets: a few convolutions with batch norms, and a way around them."""

from __future__ import annotations

from typing import Any, Literal

from ..arguments import flag, integer, one_of
from ..drawing.blocks import Block
from ..drawing.chains import Chain
from ..location import user_location
from ..operations.elementwise import as_operands
from ..operations.moving.padding import pad
from ..variables.variable import Variable
from .convolution import Conv2d
from .functions.rectifiers import relu
from .normalisation import BatchNorm

Shortcut = Literal["projection", "pad"]


class Shrink(Block):
    """Every `stride`-th pixel, and channels of zeros behind: a shortcut without parameters.

    Applied to x of shape (N, C, H, W) it gives (N, C + more, ceil(H / stride), ceil(W / stride)).
    It is option A of He et al., Deep residual learning for image recognition, 2016.

    Args:
        stride: how far apart the pixels are.
        more: how many channels there are behind.
        name: as for every block.
    """

    def __init__(self, stride: int, more: int, name: str | None = None) -> None:
        self.name = name
        self.stride = integer("Shrink", "stride", stride, least=1)
        self.more = integer("Shrink", "more", more, least=0)

    def forward(self, x: Any) -> Variable:
        """(N, C, H, W) -> (N, C + more, ...)."""
        (x,) = as_operands(x)
        pixels = x[:, :, :: self.stride, :: self.stride]
        result: Variable = pad(pixels, ((0, 0), (0, self.more), (0, 0), (0, 0)))
        return result


class _ResidualBlock(Block):
    """What both share: layers with their norms, and the way around."""

    def _set(
        self,
        channels: tuple[int, ...],
        kernels: tuple[int, ...],
        strides: tuple[int, ...],
        preactivation: bool,
        shortcut: Shortcut,
        dtype: Any,
        name: str | None,
    ) -> None:
        self.name = name
        what, first, last = type(self).__name__, channels[0], channels[-1]
        for place, count in zip(("in_channels", *["channels"] * 3), channels, strict=False):
            integer(what, place, count, least=1)
        stride = 1
        for each in strides:
            stride *= integer(what, "stride", each, least=1)
        self.preactivation = flag(what, "preactivation", preactivation)
        kind = one_of(what, "shortcut", shortcut, ("projection", "pad"))
        layers = list(zip(channels, channels[1:], kernels, strides, strict=False))
        self.convolutions = [
            Conv2d(a, b, k, stride=s, padding=k // 2, bias=False, dtype=dtype)
            for a, b, k, s in layers
        ]
        widths = channels[:-1] if self.preactivation else channels[1:]
        self.norms = [BatchNorm(width, dtype=dtype) for width in widths]
        self.shortcut: Block | None = None
        if stride == 1 and first == last:
            return
        if kind == "pad":
            if last < first:
                raise ValueError(
                    f"{what} ({user_location()}) expects shortcut='projection' for fewer channels "
                    f"than there were, got {last} after {first}"
                )
            self.shortcut = Shrink(stride, last - first)
            return
        across = Conv2d(first, last, 1, stride=stride, bias=False, dtype=dtype)
        normed = [] if self.preactivation else [BatchNorm(last, dtype=dtype)]
        self.shortcut = Chain(across, *normed)

    def forward(self, x: Any) -> Variable:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        (x,) = as_operands(x)
        return self._before(x) if self.preactivation else self._behind(x)

    def _behind(self, x: Variable) -> Variable:
        """Convolution, norm, ReLU; the last ReLU behind the sum."""
        y = x
        for number, (layer, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(layer(relu(y) if number else y))
        around = x if self.shortcut is None else self.shortcut(x)
        result: Variable = relu(y + around)
        return result

    def _before(self, x: Variable) -> Variable:
        """Norm, ReLU, convolution: nothing but the sum lies on the way around."""
        y, around = x, x
        for number, (layer, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = relu(norm(y))
            if number == 0 and self.shortcut is not None:
                around = self.shortcut(y)
            y = layer(y)
        return y + around


class BasicBlock(_ResidualBlock):
    """Two convolutions of 3x3 with batch norms, and what goes around them.

        relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))          or, with preactivation,
        conv(relu(norm(conv(relu(norm(x)))))) + shortcut(x)

    Applied to x of shape (N, in_channels, H, W) it gives (N, channels, ceil(H / stride),
    ceil(W / stride)).  Where that is the shape of x, the shortcut is x itself.

    He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016; Identity mappings in
    deep residual networks, 2016.

    Args:
        in_channels: of x.
        channels: of the result.
        stride: of the first convolution.
        preactivation: norm and ReLU before each convolution instead of behind it; then a shortcut
            that is no identity begins behind the first ReLU.
        shortcut: where shapes differ, "projection" for a convolution of 1x1 (option B of the first
            paper) with a norm, or "pad" for channels of zeros (option A).
        dtype: of the parameters.
        name: as for every block.

    Raises:
        ValueError: numbers below 1, or another word; fewer channels with "pad".
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        preactivation: bool = False,
        shortcut: Shortcut = "projection",
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        sizes = (in_channels, channels, channels)
        self._set(sizes, (3, 3), (stride, 1), preactivation, shortcut, dtype, name)


class Bottleneck(_ResidualBlock):
    """Convolutions of 1x1, 3x3 and 1x1 with batch norms, the middle ones of fewer channels.

    As `BasicBlock`, for deep nets: a quarter of the channels between the first and the last.
    Applied to x of shape (N, in_channels, H, W) it gives (N, channels, ceil(H / stride),
    ceil(W / stride)).

    Args:
        in_channels: of x.
        channels: of the result.
        stride: of the convolution of 3x3.
        inner: the channels between; by default a quarter of the result's.
        preactivation, shortcut, dtype, name: as for `BasicBlock`.

    Raises:
        ValueError: as for `BasicBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        inner: int | None = None,
        preactivation: bool = False,
        shortcut: Shortcut = "projection",
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        narrow = max(1, channels // 4) if inner is None else inner
        sizes = (in_channels, narrow, narrow, channels)
        self._set(sizes, (1, 3, 1), (1, stride, 1), preactivation, shortcut, dtype, name)

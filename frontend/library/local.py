"""Locally connected layers: every output sees a window of the input, with weights of its own."""

from __future__ import annotations

import operator
import string
from typing import Any, Literal

from ...compiler.dtypes import computed
from ..arguments import wrong
from ..drawing.blocks import Block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.contractions import einsum
from ..operations.elementwise import as_operands
from ..operations.moving.padding import pad
from ..operations.structure import transpose
from ..operations.windows import windows
from ..variables.variable import Variable, dtype_name, shape_text, source_text
from . import init

Pair = int | tuple[int, int]


class LocallyConnected2d(Block):
    """Windows of an image, each with a weight of its own for every output map.

        y[.., o, i, j] = bias[o, i, j] + the sum over c, k, l of
                         weight[o, i, j, c, k, l] * x[.., c, i * stride + k, j * stride + l]

    Applied to x of shape (..., in_channels, H, W) it gives (..., out_channels, OH, OW), where
    OH = (H + 2 * padding - KH) // stride + 1, and OW likewise.  With a weight that is the same at
    all positions (i, j), this is a convolution, in the sense of cross-correlation.  Every product
    is a connection, those with the zeros of the padding too.

    LeCun, Generalization and network design strategies, 1989.

    Args:
        in_channels: maps of x.
        out_channels: maps of the result.
        in_size: (H, W) of x, or one number for both.
        kernel: (KH, KW) of a window, or one number for both.
        stride: how far apart windows begin, down and across, or one number for both.
        padding: zeros on each side, above and below and left and right, or one number for both.
        bias: "unit" for one of each output, (out_channels, OH, OW); "map" for one of each map,
            (out_channels,); False for none; or any variable of one of these shapes.
        weight: any variable of shape (out_channels, OH, OW, in_channels, KH, KW) in place of a
            parameter: one that other blocks share, or one that a network computes.
        weight_init: the weight's initialiser, as for `dg.parameter`; its layout is "onnikk": the
            inputs of an output are those of its window. By default LeCun's uniform.
        bias_init: the bias's; zeros by default.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Attributes:
        out_size: (OH, OW).

    Raises:
        ShapeError: a window that is larger than the padded input, a weight or bias of another
            shape; when applied, other channels or another size.
        DtypeError: a weight, bias or x of another dtype.
        ValueError: numbers below 1, a padding below 0, or another word for the bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        in_size: Pair,
        kernel: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: Literal["unit", "map", False] | Variable = "unit",
        weight: Variable | None = None,
        weight_init: Any = None,
        bias_init: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.in_channels = self._count("in_channels", in_channels)
        self.out_channels = self._count("out_channels", out_channels)
        self.in_size = self._pair("in_size", in_size)
        self.kernel = self._pair("kernel", kernel)
        self.stride = self._pair("stride", stride)
        self.padding = self._pair("padding", padding, least=0)
        self.dtype = dtype_name(dtype)
        self.out_size = self._positions()
        shape = (out_channels, *self.out_size, in_channels, *self.kernel)
        start = init.with_layout(weight_init, "onnikk")
        self._hold("weight", weight, shape, start, self.dtype)
        if isinstance(bias, Variable):
            by_map = not bias.mistakes and bias.ndim == 1
        elif bias is False or (isinstance(bias, str) and bias in ("unit", "map")):
            by_map = bias == "map"
        else:
            kinds = '"unit", "map", False or a variable'
            raise wrong(self._place(), f"bias to be {kinds}", bias, ValueError)
        given = bias if isinstance(bias, Variable) else bias is not False
        each = (out_channels,) if by_map else (out_channels, *self.out_size)
        self._hold("bias", given, each, init.zeros if bias_init is None else bias_init, self.dtype)

    weight: Variable
    bias: Variable | None

    def forward(self, x: Variable) -> Variable:
        """(..., in_channels, H, W) -> (..., out_channels, OH, OW)."""
        (x,) = as_operands(x)
        wanted = (self.in_channels, *self.in_size)
        if x.shape[-3:] != wanted:
            raise ShapeError(
                f"{self._place()} expects (..., {shape_text(wanted)[1:]}, got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{self._place()} expects {self.dtype} images like its weight, got {x.dtype} from "
                f'{source_text(x)}: convert one with .astype("{self.dtype}")'
            )
        if self.padding != (0, 0):
            x = pad(x, [(0, 0)] * (x.ndim - 2) + [(width, width) for width in self.padding])
        before = string.ascii_uppercase[: x.ndim - 3]
        seen = windows(x, self.kernel, self.stride)
        # Positions last: their neighbours, not a window's, lie side by side on the way back.
        seen = transpose(seen, (*range(x.ndim - 2), -2, -1, -4, -3))
        y = einsum(f"{before}cklij,oijckl->{before}oij", seen, self.weight)
        if self.bias is None:
            return y
        return y + (self.bias[:, None, None] if self.bias.ndim == 1 else self.bias)

    def _positions(self) -> tuple[int, int]:
        found = []
        for size, taps, stride, padding in zip(
            self.in_size, self.kernel, self.stride, self.padding, strict=True
        ):
            if size + 2 * padding < taps:
                padded = f" padded by {shape_text(self.padding)}" if any(self.padding) else ""
                raise ShapeError(
                    f"{self._place()} expects a kernel that fits into its input, got a kernel of "
                    f"{shape_text(self.kernel)} for an input of {shape_text(self.in_size)}{padded}"
                )
            found.append((size + 2 * padding - taps) // stride + 1)
        return found[0], found[1]

    def _place(self) -> str:
        return f"{self._describe()} ({user_location()})"

    def _count(self, name: str, value: Any, least: int = 1) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{self._place()} expects {name} to be whole, got {value!r}") from None
        if number < least:
            raise ValueError(f"{self._place()} expects {name} of {least} or more, got {value}")
        return number

    def _pair(self, name: str, value: Any, least: int = 1) -> tuple[int, int]:
        both = value if isinstance(value, (tuple, list)) else (value, value)
        if len(both) != 2:
            raise ValueError(f"{self._place()} expects {name} to be one number or two, got {value}")
        return self._count(name, both[0], least), self._count(name, both[1], least)

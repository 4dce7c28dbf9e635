"""Pools as blocks, and those that are made of other operations."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..arguments import flag, number
from ..drawing.blocks import Block, block
from ..operations import pooling, reductions
from ..operations.elementwise import (
    absolute,
    as_operands,
    equal,
    exp,
    greater,
    less_equal,
    log,
    logical_and,
    power,
    stop_gradient,
    where,
)
from ..operations.pool_windows import (
    Numbers,
    Padding,
    Pooling,
    Size,
    adaptive_sizes,
    numbers_text,
)
from ..variables.variable import Variable


@block
def lp_pool(
    x: Variable,
    p: float,
    size: Size,
    stride: Numbers | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Variable:
    """The p-norm of each window of maps, (sum |x| ** p) ** (1 / p); of zeros it is 0, with slope 0.

    With p = 1 it is the sum of magnitudes, and the greater p is, the nearer it comes to the
    greatest.  (PyTorch's has x ** p, without the magnitude, and no padding.  Sermanet, Chintala and
    LeCun, Convolutional neural networks applied to house numbers digit classification, 2012.)

    Args:
        x: see `max_pool`.
        p: 1 or more.
        size: see `max_pool`.
        stride: likewise.
        padding: likewise; it adds nothing.
        ceil_mode: likewise.

    Raises:
        ValueError: a p below 1; else as for `max_pool`.
    """
    p = number("lp_pool", "p", p, least=1)
    return _norm(x, p, Pooling("lp_pool", size, stride, padding, 1, ceil_mode))


def _norm(x: Any, p: float, pool: Pooling) -> Variable:
    (x,) = as_operands(x)
    total = pooling.total(power(x if p == 2 else absolute(x), p), pool)
    nothing = equal(total, 0.0)
    return where(nothing, 0.0, power(where(nothing, 1.0, total), 1 / p))


@block
def logsumexp_pool(
    x: Variable,
    size: Size,
    b: float = 1.0,
    mean: bool = False,
    stride: Numbers | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Variable:
    """log(sum exp(b * x)) / b of each window of maps, without overflow: a soft maximum.

    With `mean`, the mean is taken in place of the sum: then it lies between the mean, for b near 0,
    and the maximum, for a large one.  The gradient is the softmax of b * x in its window.  Of a
    window of nothing but -inf it is -inf, with the gradient 0.  (Pinheiro and Collobert, From
    image-level to pixel-level labeling with convolutional networks, 2015.)

    Args:
        x: see `max_pool`.
        size: likewise.
        b: above 0.
        mean: whether the sum is divided by the number of elements.
        stride: see `max_pool`.
        padding: likewise; it is no part of a window.
        ceil_mode: likewise.

    Raises:
        ValueError: a b of 0 or less; else as for `max_pool`.
    """
    b, mean = number("logsumexp_pool", "b", b, above=0), flag("logsumexp_pool", "mean", mean)
    return _soft(x, b, mean, Pooling("logsumexp_pool", size, stride, padding, 1, ceil_mode))


def _soft(x: Any, b: float, mean: bool, pool: Pooling) -> Variable:
    (x,) = as_operands(x)
    top = stop_gradient(pooling.greatest(x, pool))
    top = where(logical_and(greater(top, -math.inf), top < math.inf), top, 0.0)
    taps = pooling.taps(x, pool)
    total = reductions.sum(exp(b * (taps - top)), axis=range(taps.ndim - x.ndim))
    if mean:
        total = total / pooling.count(x, pool)
    nothing = less_equal(total, 0.0)
    return top + where(nothing, -math.inf, log(where(nothing, 1.0, total)) / b)


class _Pool(Block):
    """What the blocks share: windows along the last `space` axes, and what a picture says.

    Attributes:
        pool: the windows.
    """

    space: ClassVar[int]
    kind: ClassVar[str]

    pool: Pooling

    def _windows(
        self,
        name: str | None,
        size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
    ) -> None:
        self.name = name
        what = type(self).__name__
        self.pool = Pooling(what, size, stride, padding, dilation, ceil_mode, self.space)

    @property
    def symbol(self) -> str:
        """What its bullet says: "max-pool 2"; nothing where the block has a name of its own."""
        whole = self.pool.sizes is None
        text = f"global {self.kind}" if whole else f"{self.kind} {self.pool.size_text}"
        return "" if self.name else text

    def _details(self) -> str:
        return ", ".join(filter(None, [str(self.pool), *self._options()]))

    def _options(self) -> list[str]:
        return []


class MaxPool2d(_Pool):
    """`dg.max_pool` of images: the greatest element of each window.

    Applied to x of shape (..., H, W) it gives (..., OH, OW): see `dg.pool_shape`.

    Args:
        size, stride, padding, dilation, ceil_mode: see `dg.max_pool`; one number, or one for each
            of the axes.
        name: as for every block.

    Raises:
        TypeError, ValueError: as for `dg.max_pool`; what it says of x, when applied.
    """

    space = 2
    kind = "max-pool"

    def __init__(
        self,
        size: Size,
        stride: Numbers | None = None,
        padding: Padding = 0,
        dilation: Numbers = 1,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self._windows(name, size, stride, padding, dilation, ceil_mode)

    def forward(self, x: Variable) -> Variable:
        """(..., *maps) -> (..., *windows)."""
        return pooling.greatest(x, self.pool)


class MaxPool1d(MaxPool2d):
    """`MaxPool2d` of sequences: (..., n) -> (..., windows)."""

    space = 1


class MaxPool3d(MaxPool2d):
    """`MaxPool2d` of volumes: (..., D, H, W) -> (..., OD, OH, OW)."""

    space = 3


class AvgPool2d(_Pool):
    """`dg.avg_pool` of images: the mean of each window.

    Applied to x of shape (..., H, W) it gives (..., OH, OW): see `dg.pool_shape`.

    Args:
        size, stride, padding, ceil_mode, count_include_pad: see `dg.avg_pool`; one number, or one
            for each of the axes.
        name: as for every block.

    Raises:
        TypeError, ValueError: as for `dg.avg_pool`; what it says of x, when applied.
    """

    space = 2
    kind = "avg-pool"

    def __init__(
        self,
        size: Size,
        stride: Numbers | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        name: str | None = None,
    ) -> None:
        self._windows(name, size, stride, padding, 1, ceil_mode)
        self.count_include_pad = flag(type(self).__name__, "count_include_pad", count_include_pad)

    def forward(self, x: Variable) -> Variable:
        """(..., *maps) -> (..., *windows)."""
        return pooling.mean(x, self.pool, self.count_include_pad)


class AvgPool1d(AvgPool2d):
    """`AvgPool2d` of sequences: (..., n) -> (..., windows)."""

    space = 1


class AvgPool3d(AvgPool2d):
    """`AvgPool2d` of volumes: (..., D, H, W) -> (..., OD, OH, OW)."""

    space = 3


class LpPool2d(_Pool):
    """`dg.lp_pool` of images: the p-norm of each window.

    Applied to x of shape (..., H, W) it gives (..., OH, OW): see `dg.pool_shape`.

    Args:
        p: 1 or more, before the size as in PyTorch.
        size, stride, padding, ceil_mode: see `dg.max_pool`; one number, or one for each of the
            axes.
        name: as for every block.

    Raises:
        TypeError, ValueError: as for `dg.lp_pool`; what it says of x, when applied.
    """

    space = 2
    kind = "Lp-pool"

    def __init__(
        self,
        p: float,
        size: Size,
        stride: Numbers | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self._windows(name, size, stride, padding, 1, ceil_mode)
        self.p = number(type(self).__name__, "p", p, least=1)

    def _options(self) -> list[str]:
        return [f"p {self.p:g}"]

    def forward(self, x: Variable) -> Variable:
        """(..., *maps) -> (..., *windows)."""
        return _norm(x, self.p, self.pool)


class LpPool1d(LpPool2d):
    """`LpPool2d` of sequences: (..., n) -> (..., windows)."""

    space = 1


class LpPool3d(LpPool2d):
    """`LpPool2d` of volumes: (..., D, H, W) -> (..., OD, OH, OW)."""

    space = 3


class LogSumExpPool2d(_Pool):
    """`dg.logsumexp_pool` of images: a soft maximum of each window.

    Applied to x of shape (..., H, W) it gives (..., OH, OW): see `dg.pool_shape`.

    Args:
        size, stride, padding, ceil_mode: see `dg.max_pool`; one number, or one for each of the
            axes.
        b: above 0; the greater, the nearer to the maximum.
        mean: whether the mean of exp(b * x) is taken in place of the sum.
        name: as for every block.

    Raises:
        TypeError, ValueError: as for `dg.logsumexp_pool`; what it says of x, when applied.
    """

    space = 2
    kind = "log-sum-exp-pool"

    def __init__(
        self,
        size: Size,
        b: float = 1.0,
        mean: bool = False,
        stride: Numbers | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self._windows(name, size, stride, padding, 1, ceil_mode)
        self.b = number(type(self).__name__, "b", b, above=0)
        self.mean = flag(type(self).__name__, "mean", mean)

    @property
    def symbol(self) -> str:
        """What its bullet says: "log-mean-exp-pool 2" with the mean."""
        return super().symbol.replace("sum", "mean") if self.mean else super().symbol

    def _options(self) -> list[str]:
        return [f"b {self.b:g}", "mean" if self.mean else ""]

    def forward(self, x: Variable) -> Variable:
        """(..., *maps) -> (..., *windows)."""
        return _soft(x, self.b, self.mean, self.pool)


class LogSumExpPool1d(LogSumExpPool2d):
    """`LogSumExpPool2d` of sequences: (..., n) -> (..., windows)."""

    space = 1


class LogSumExpPool3d(LogSumExpPool2d):
    """`LogSumExpPool2d` of volumes: (..., D, H, W) -> (..., OD, OH, OW)."""

    space = 3


class AdaptiveAvgPool2d(Block):
    """`dg.adaptive_avg_pool` of images: the means of so many windows, whatever the image's size.

    Applied to x of shape (..., H, W), of known sizes, it gives (..., *size).

    Args:
        size: windows along each axis, one number for all or one for each.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers below 1, or not as many as axes; when applied as for
            `dg.adaptive_avg_pool`.
    """

    space: ClassVar[int] = 2

    def __init__(self, size: Numbers, name: str | None = None) -> None:
        self.name = name
        self.size = adaptive_sizes(type(self).__name__, size, self.space)

    @property
    def symbol(self) -> str:
        """What its bullet says: "avg-pool to 2"; nothing where the block has a name of its own."""
        return "" if self.name else f"avg-pool to {numbers_text(self.size)}"

    def _details(self) -> str:
        return "to " + "×".join(map(str, self.size))

    def forward(self, x: Variable) -> Variable:
        """(..., *maps) -> (..., *size)."""
        return pooling.adaptive_avg_pool(x, self.size)


class AdaptiveAvgPool1d(AdaptiveAvgPool2d):
    """`AdaptiveAvgPool2d` of sequences: (..., n) -> (..., size)."""

    space = 1


class AdaptiveAvgPool3d(AdaptiveAvgPool2d):
    """`AdaptiveAvgPool2d` of volumes: (..., D, H, W) -> (..., *size)."""

    space = 3

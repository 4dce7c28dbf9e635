"""Normalisation: activations of mean 0 and variance 1, over a batch, a layer or groups of channels.

All have the channels on axis 1, behind the samples, but for `LayerNorm` and `RMSNorm`, which are
of the last axes.  A variance is the mean of squared distances from the mean, never the difference
of two moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.dtypes import computed
from ...compiler.sizes import Dim, product
from ..arguments import flag, integer, number, wrong
from ..drawing.states import state, update_average
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.elementwise import as_operands, maximum, rsqrt, where
from ..operations.mode import training
from ..operations.reductions import mean
from ..operations.source import size
from ..operations.structure import reshape
from ..variables.variable import Variable, dtype_name, parameter, shape_text, source_text
from .torch_names import Stored, TorchNamed


def _standard(x: Variable, axes: Sequence[int], epsilon: float) -> Variable:
    """(x - mean) / sqrt(variance + epsilon), over some axes."""
    centred = x - mean(x, axes, keepdims=True)
    spread = mean(centred * centred, axes, keepdims=True)
    result: Variable = centred * rsqrt(spread + epsilon)
    return result


class _Norm(TorchNamed):
    """What the blocks share: a weight and a bias of one shape, and what x must be."""

    shape: tuple[int, ...]
    weight: Variable | None
    bias: Variable | None

    def _set(
        self, shape: tuple[int, ...], epsilon: Any, affine: Any, bias: Any, dtype: Any, name: Any
    ) -> None:
        self.name = name
        self.shape = shape
        self.epsilon = number(self._place(), "epsilon", epsilon, least=0)
        self.dtype = dtype_name(dtype)
        affine, bias = flag(self._place(), "affine", affine), flag(self._place(), "bias", bias)
        self.weight = parameter("weight", shape, 1.0, self.dtype) if affine else None
        self.bias = parameter("bias", shape, 0.0, self.dtype) if affine and bias else None

    def _place(self) -> str:
        return f"{self._describe()} ({user_location()})"

    def _checked(self, x: Any) -> Variable:
        (x,) = as_operands(x)
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{self._place()} expects {self.dtype}, got {x.dtype} from {source_text(x)}: "
                f'convert it with .astype("{self.dtype}"), or make the block with '
                f'dtype="{x.dtype}"'
            )
        found: Variable = x
        return found

    def _affine(self, x: Variable, shape: tuple[int, ...]) -> Variable:
        """X * weight + bias, both in a shape that broadcasts."""
        if self.weight is not None:
            x = x * reshape(self.weight, shape)
        return x if self.bias is None else x + reshape(self.bias, shape)

    def _torch(self) -> dict[str, Stored]:
        """The parameters and averages, which have PyTorch's names."""
        names = ("weight", "bias", "running_mean", "running_var")
        held = {name: getattr(self, name, None) for name in names}
        return {name: Stored((item,)) for name, item in held.items() if item is not None}


class _ChannelNorm(_Norm):
    """What those of channels share: x has (N, channels, ...)."""

    channels: int

    def _channels(self, x: Any) -> Variable:
        x = self._checked(x)
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ShapeError(
                f"{self._place()} expects (N, {self.channels}, ...), got {shape_text(x.shape)} "
                f"from {source_text(x)}"
            )
        found: Variable = x
        return found

    def _aside(self, x: Variable) -> tuple[int, ...]:
        """The shape of one number for each channel beside x: (1, channels, 1, ...)."""
        return (1, self.channels, *[1] * (x.ndim - 2))


class BatchNorm(_ChannelNorm):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted.

        y = (x - mean) / sqrt(variance + epsilon) * weight + bias

    Applied to x of shape (N, channels, ...) it gives the same.  A training step takes mean and
    variance over N and all axes of space, and their gradient with it; it also moves the averages
    that a run takes in their place (`dg.training()`), the states `running_mean` and `running_var`:

        running = (1 - momentum) * running + momentum * batch

    from 0 and 1 on, with the variance of n elements as the sum of squares over n - 1.  All as
    PyTorch's BatchNorm1d, 2d and 3d have it, with their names.  Where a batch has one element for
    each channel, y is the bias, and running_var stays what it is.  Of several applications in one
    diagram the last one moves the averages.  Where each sample has weights of its own (`dg.bind`),
    each is normalised by itself, and the averages follow the mean over samples.

    Ioffe and Szegedy, Batch normalization: accelerating deep network training by reducing internal
    covariate shift, 2015.

    Args:
        channels: the size of axis 1.
        epsilon: is added to the variance.
        momentum: the part of the batch in the averages, from 0 to 1.
        affine: whether there are a weight and a bias of shape (channels,), at first 1 and 0.
        averages: whether there are averages. Without, a run takes the statistics of its batch too,
            and the block can stand in a loop.
        dtype: of parameters and averages, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none, or out of their range.
        ShapeError: when applied to another number of channels.
        DtypeError: the same for the dtype.
        DiagramError: with averages, in a loop.
    """

    def __init__(
        self,
        channels: int,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        averages: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.channels = integer("BatchNorm", "channels", channels, least=1)
        self._set((self.channels,), epsilon, affine, True, dtype, name)
        self.momentum = number(self._place(), "momentum", momentum, least=0, most=1)
        self.averages = flag(self._place(), "averages", averages)
        if self.averages:
            self.running_mean = state("running_mean", self.shape, 0.0, self.dtype)
            self.running_var = state("running_var", self.shape, 1.0, self.dtype)

    def forward(self, x: Variable) -> Variable:
        """(N, channels, ...) -> (N, channels, ...)."""
        x = self._channels(x)
        axes = (0, *range(2, x.ndim))
        centre = mean(x, axes, keepdims=True)
        distance = x - centre
        spread = mean(distance * distance, axes, keepdims=True)
        if self.averages:
            self._move(reshape(centre, self.shape), reshape(spread, self.shape),
                       product(x.shape[axis] for axis in axes))  # fmt: skip
            aside, now = self._aside(x), training()
            centre = where(now, centre, reshape(self.running_mean, aside))
            spread = where(now, spread, reshape(self.running_var, aside))
        # One number for each channel that the differences are multiplied with: one pass each way.
        scale = rsqrt(spread + self.epsilon)
        if self.weight is not None:
            scale = scale * reshape(self.weight, self._aside(x))
        y: Variable = (x - centre) * scale
        return y if self.bias is None else y + reshape(self.bias, self._aside(x))

    def _move(self, centre: Variable, spread: Variable, count: Dim) -> None:
        n = size(count, self.dtype)
        unbiased = where(n > 1.0, spread * (n / maximum(n - 1.0, 1.0)), self.running_var)
        for kept, found in ((self.running_mean, centre), (self.running_var, unbiased)):
            update_average(kept, (1 - self.momentum) * kept + self.momentum * found)


class GroupNorm(_ChannelNorm):
    """Each sample's channels in groups, of mean 0 and variance 1 each, then scaled and shifted.

    Applied to x of shape (N, channels, ...) it gives the same; a step and a run are alike.
    PyTorch's GroupNorm.  (Wu and He, Group normalization, 2018.)

    Args:
        groups: how many, of channels that stand side by side.
        channels: the size of axis 1, a multiple of `groups`.
        epsilon: is added to the variance.
        affine: whether there are a weight and a bias of shape (channels,), at first 1 and 0.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none or out of their range; channels that do not
            fall into groups.
        ShapeError, DtypeError: when applied to another number of channels, or another dtype.
    """

    def __init__(
        self,
        groups: int,
        channels: int,
        epsilon: float = 1e-5,
        affine: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.groups = integer("GroupNorm", "groups", groups, least=1)
        self.channels = integer("GroupNorm", "channels", channels, least=1)
        self._set((self.channels,), epsilon, affine, True, dtype, name)
        if self.channels % self.groups:
            expected = f"channels to be a multiple of the {self.groups} groups"
            raise wrong(self._place(), expected, channels, ValueError)

    def forward(self, x: Variable) -> Variable:
        """(N, channels, ...) -> (N, channels, ...)."""
        x = self._channels(x)
        parts = (x.shape[0], self.groups, self.channels // self.groups, *x.shape[2:])
        grouped = reshape(x, parts)
        normal = _standard(grouped, range(2, grouped.ndim), self.epsilon)
        return self._affine(reshape(normal, x.shape), self._aside(x))


class InstanceNorm(_ChannelNorm):
    """Each map with mean 0 and variance 1 over its axes of space, for each sample and channel.

    Applied to x of shape (N, channels, ...) it gives the same; a step and a run are alike.
    PyTorch's InstanceNorm1d, 2d and 3d.  (Ulyanov, Vedaldi and Lempitsky, Instance normalization:
    the missing ingredient for fast stylization, 2016.)

    Args:
        channels: the size of axis 1.
        epsilon: is added to the variance.
        affine: whether there are a weight and a bias of shape (channels,), at first 1 and 0.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none or out of their range.
        ShapeError, DtypeError: when applied to what has no axis of space, or another number of
            channels, or another dtype.
    """

    def __init__(
        self,
        channels: int,
        epsilon: float = 1e-5,
        affine: bool = False,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.channels = integer("InstanceNorm", "channels", channels, least=1)
        self._set((self.channels,), epsilon, affine, True, dtype, name)

    def forward(self, x: Variable) -> Variable:
        """(N, channels, ...) -> (N, channels, ...)."""
        x = self._channels(x)
        if x.ndim < 3:
            raise ShapeError(
                f"{self._place()} expects maps with axes of space, got {shape_text(x.shape)} from "
                f"{source_text(x)}"
            )
        return self._affine(_standard(x, range(2, x.ndim), self.epsilon), self._aside(x))


class _LayerNorm(_Norm):
    """What those of the last axes share."""

    def _last(self, x: Any) -> Variable:
        x = self._checked(x)
        if x.shape[max(0, x.ndim - len(self.shape)) :] != self.shape:
            raise ShapeError(
                f"{self._place()} expects (..., {', '.join(map(str, self.shape))}), got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        found: Variable = x
        return found

    def _axes(self, x: Variable) -> range:
        return range(x.ndim - len(self.shape), x.ndim)

    def _extents(self, shape: Any) -> tuple[int, ...]:
        what, given = type(self).__name__, shape if isinstance(shape, (list, tuple)) else [shape]
        found = tuple(integer(what, "shape", item, least=1) for item in given)
        if not found:
            raise wrong(what, "shape to have an axis or more", shape, ValueError)
        return found


class LayerNorm(_LayerNorm):
    """The last axes with mean 0 and variance 1, then scaled and shifted, element by element.

    Applied to x of shape (..., *shape) it gives the same; a step and a run are alike.  PyTorch's
    LayerNorm.  (Ba, Kiros and Hinton, Layer normalization, 2016.)

    Args:
        shape: the size of the last axis, or the sizes of the last ones.
        epsilon: is added to the variance.
        affine: whether there are a weight and a bias of that shape, at first 1 and 0.
        bias: whether there is a bias beside the weight.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none or out of their range.
        ShapeError, DtypeError: when applied to other last axes, or another dtype.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        epsilon: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(self._extents(shape), epsilon, affine, bias, dtype, name)

    def forward(self, x: Variable) -> Variable:
        """(..., *shape) -> (..., *shape)."""
        x = self._last(x)
        return self._affine(_standard(x, self._axes(x), self.epsilon), self.shape)


class RMSNorm(_LayerNorm):
    """The last axes divided by their root mean square, then scaled element by element.

    Applied to x of shape (..., *shape) it gives the same; a step and a run are alike.  PyTorch's
    RMSNorm.  (Zhang and Sennrich, Root mean square layer normalization, 2019.)

    Args:
        shape: the size of the last axis, or the sizes of the last ones.
        epsilon: is added to the mean square.
        affine: whether there is a weight of that shape, at first 1.
        dtype: of the weight, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none or out of their range.
        ShapeError, DtypeError: when applied to other last axes, or another dtype.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        epsilon: float = 1e-5,
        affine: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(self._extents(shape), epsilon, affine, False, dtype, name)

    def forward(self, x: Variable) -> Variable:
        """(..., *shape) -> (..., *shape)."""
        x = self._last(x)
        square = mean(x * x, self._axes(x), keepdims=True)
        return self._affine(x * rsqrt(square + self.epsilon), self.shape)

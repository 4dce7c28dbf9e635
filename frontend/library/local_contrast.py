"""Local contrast normalisation: what lies around an element, subtracted and divided away."""

from __future__ import annotations

import numpy as np

from ..arguments import integer, number
from ..drawing.blocks import Block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations.convolution.convolutions import correlate
from ..operations.elementwise import as_operands, astype, maximum, sqrt, where
from ..operations.reductions import mean
from ..operations.source import fill
from ..variables.constants import constant
from ..variables.variable import Variable, shape_text, source_text


class _Local(Block):
    """What both share: Gaussian weights over a window and all maps, of sum 1."""

    def __init__(self, size: int = 9, sigma: float | None = None, name: str | None = None) -> None:
        self.name = name
        place = f"{self._describe()} ({user_location()})"
        self.size = integer(place, "size", size, least=1)
        if self.size % 2 == 0:
            raise ValueError(f"{place} expects an odd size, whose window has a middle, got {size}")
        self.sigma = self.size / 4 if sigma is None else number(place, "sigma", sigma, above=0)

    def _checked(self, x: Variable) -> Variable:
        (x,) = as_operands(x)
        place = f"{self._describe()} ({user_location()})"
        if x.ndim != 4:
            raise ShapeError(
                f"{place} expects (N, C, H, W), got {shape_text(x.shape)} from {source_text(x)}"
            )
        if not x.type.is_float:
            raise DtypeError(
                f"{place} expects floats, got {x.dtype} from {source_text(x)}: convert it with "
                '.astype("float32")'
            )
        return x

    def _around(self, x: Variable) -> Variable:
        """The weighted mean of what lies around each place, over all maps: (N, 1, H, W)."""
        total = self._smooth(mean(x, axis=1, keepdims=True))
        inside = self._smooth(astype(fill(1.0, (1, 1, *x.shape[2:])), x.dtype))
        return total / inside

    def _smooth(self, x: Variable) -> Variable:
        half = self.size // 2
        places = np.arange(-half, half + 1)
        weights = np.exp(-(places**2) / (2 * self.sigma**2))
        weights /= weights.sum()
        down = constant(weights.reshape(1, 1, -1, 1), x.dtype)
        along = constant(weights.reshape(1, 1, 1, -1), x.dtype)
        return correlate(correlate(x, down, padding="same"), along, padding="same")


class SubtractiveNorm(_Local):
    """Each element less the weighted mean of what lies around it, over all maps.

        v[n, c, i, j] = x[n, c, i, j] - sum over d, p, q of w[p, q] x[n, d, i + p, j + q] / C

    The weights w are a Gaussian over a window of size x size places, and sum to 1.  At the border
    they are those of the places that the image has, scaled to sum to 1: a constant image gives 0
    everywhere.  Applied to x of shape (N, C, H, W) it gives the same.

    Jarrett, Kavukcuoglu, Ranzato and LeCun, What is the best multi-stage architecture for object
    recognition?, 2009.

    Args:
        size: of the window along H and W, odd.
        sigma: the standard deviation of the Gaussian, in places; by default size / 4.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none, or out of their range.
        ShapeError, DtypeError: when applied to other than four axes, or to no floats.
    """

    def forward(self, x: Variable) -> Variable:
        """(N, C, H, W) -> (N, C, H, W)."""
        x = self._checked(x)
        return x - self._around(x)


class DivisiveNorm(_Local):
    """Each element divided by the standard deviation of what lies around it, over all maps.

        y[n, c, i, j] = v[n, c, i, j] / max(mean of sigma[n], sigma[n, i, j])
        sigma[n, i, j] = sqrt(sum over d, p, q of w[p, q] v[n, d, i + p, j + q]^2 / C)

    with the weights and the border of `SubtractiveNorm`, of which it takes the result; the mean is
    over the places of the image.  An image of zeros stays one, with the gradient 0.  Applied to v
    of shape (N, C, H, W) it gives the same.

    Jarrett, Kavukcuoglu, Ranzato and LeCun, What is the best multi-stage architecture for object
    recognition?, 2009.

    Args:
        size: of the window along H and W, odd.
        sigma: the standard deviation of the Gaussian, in places; by default size / 4.
        name: as for every block.

    Raises:
        TypeError, ValueError: numbers that are none, or out of their range.
        ShapeError, DtypeError: when applied to other than four axes, or to no floats.
    """

    def forward(self, x: Variable) -> Variable:
        """(N, C, H, W) -> (N, C, H, W)."""
        x = self._checked(x)
        square = self._around(x * x)
        some = square > 0.0
        sigma = where(some, sqrt(where(some, square, 1.0)), 0.0)
        most = maximum(mean(sigma, axis=(2, 3), keepdims=True), sigma)
        return x / where(most > 0.0, most, 1.0)

"""What all transforms of images share: the check of a batch, pairs of numbers, and ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arguments import instance, integer, number, shown, wrong
from ...errors import InputError
from ...keywords import guarded
from ...location import user_location
from ...sealed import Sealed
from ...variables.variable import shape_text

Array = npt.NDArray[Any]
Transform = Callable[[Array, "np.random.Generator"], Array]
"""From a batch and a generator to another batch of the same dtype, the samples in their order."""
Range = float | tuple[float, float]


class ImageTransform(Sealed):
    """A change of images that draws anew for each of them; it is called with a batch of them.

    Two are equal that are made with the same settings, and none changes its own.
    """

    def __init_subclass__(cls) -> None:
        if "__init__" in vars(cls):
            cls.__init__ = guarded(cls.__init__, cls.__name__)  # type: ignore[method-assign]

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        """The changed images, as a new array.

        Args:
            images: float32 or float64 (N, C, H, W), strided or read-only as it may be.
            rng: where the draws come from; the same state gives the same bits.

        Returns:
            An array of the same dtype, and of the same shape unless the class says another.

        Raises:
            InputError: images of another dtype or number of axes, or of extents that the class
                does not take.
            TypeError: no generator of NumPy.
        """
        what = type(self).__name__
        if not isinstance(images, np.ndarray):
            raise wrong(what, "images as an array float32 or float64 (N, C, H, W)", images)
        if images.dtype not in (np.float32, np.float64) or images.ndim != 4:
            remedy = ""
            if images.dtype == np.uint8:
                remedy = ": convert them once, as images.astype(np.float32) / 255"
            elif images.ndim == 3:
                remedy = ": images[:, np.newaxis] has one channel"
            raise InputError(
                f"{what} ({user_location()}) expects images float32 or float64 (N, C, H, W), got "
                f"{images.dtype} {shape_text(images.shape)}{remedy}"
            )
        instance(what, "rng", rng, np.random.Generator, "np.random.default_rng(seed)")
        return self.change(images, rng)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """What a call does with images that have been checked."""
        raise NotImplementedError

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: item for name, item in vars(self).items() if not name.startswith("_")}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageTransform) or type(other) is not type(self):
            return NotImplemented
        return self._settings == other._settings

    def __hash__(self) -> int:
        return hash((type(self), *self._settings.values()))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={item!r}" for name, item in self._settings.items())
        return f"{type(self).__name__}({settings})"


def each(values: npt.ArrayLike) -> Array:
    """One number for each image (N,) as (N, 1, 1, 1)."""
    return np.asarray(values)[:, np.newaxis, np.newaxis, np.newaxis]


def two_integers(what: str, name: str, value: Any, least: int) -> tuple[int, int]:
    """Two integers, for rows and columns; one stands for both."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise wrong(what, f"{name} to be an integer or two, (vertical, horizontal)", value)
        return integer(what, name, value[0], least), integer(what, name, value[1], least)
    found = integer(what, name, value, least)
    return found, found


def two_numbers(what: str, name: str, value: Any, least: float) -> tuple[float, float]:
    """Two numbers, for rows and columns; one stands for both."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise wrong(what, f"{name} to be a number or two, (vertical, horizontal)", value)
        return (
            number(what, name, value[0], least=least),
            number(what, name, value[1], least=least),
        )
    found = number(what, name, value, least=least)
    return found, found


def interval(
    what: str, name: str, value: Any, least: float | None = None, above: float | None = None
) -> tuple[float, float]:
    """The least and the greatest number of a range to draw from."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise wrong(what, f"{name} to be a range (least, greatest)", value)
    low = number(what, name, value[0], least=least, above=above)
    high = number(what, name, value[1], least=least, above=above)
    if low > high:
        text = f"{name} to be a range (least, greatest), the least first"
        raise ValueError(f"{what} ({user_location()}) expects {text}, got ({low:g}, {high:g})")
    return low, high


def around(what: str, name: str, value: Any, centre: float) -> tuple[float, float]:
    """The range from centre - value to centre + value, or the one that is given.

    Around 1 it holds factors, which are not negative.
    """
    least = 0.0 if centre else None
    if isinstance(value, (tuple, list)):
        return interval(what, name, value, least)
    reach = number(what, name, value, least=0)
    low = centre - reach
    return low if least is None else max(least, low), centre + reach


def probability(what: str, value: Any) -> float:
    """A number from 0 to 1."""
    return number(what, "p", value, least=0, most=1)


def listed(value: Any) -> str:
    """A transform in a message: what it was made with, or a function's name."""
    if isinstance(value, ImageTransform):
        return repr(value)
    return str(getattr(value, "__name__", None) or shown(value))

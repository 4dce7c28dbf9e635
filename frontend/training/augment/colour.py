"""Transforms that change values where they are: colours, blur, and rectangles that are erased."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...arguments import integer, items, number, wrong
from ...errors import InputError
from ...location import user_location
from ...variables.variable import shape_text
from .images import Array, ImageTransform, Range, around, each, interval, probability
from .native import jittered, separable

_TRIES = 10
"""How many rectangles are drawn for an image, of which the first that fits is erased."""


class ColorJitter(ImageTransform):
    """The brightness, then the contrast, then the saturation of each image times random factors.

    Each is a blend, factor * image + (1 - factor) * other, and what is beyond the limits becomes
    the limit.  The other is black, the mean of the image's grey, and the image in grey (of red,
    green and blue by Recommendation ITU-R BT.601).  (N, 3, H, W) is red, green and blue; in
    (N, 1, H, W), which is grey, the saturation changes nothing.

    Args:
        brightness: the factor is drawn from 1 - brightness (0 if that is less) to 1 + brightness,
            or from (least, greatest).
        contrast: the same.
        saturation: the same.
        limits: the values of black and white; None for no limits, where black is 0.

    Raises:
        TypeError, ValueError: a number of another type or out of its range.  When it is called,
            InputError for images of another number of channels.
    """

    def __init__(
        self,
        brightness: Range = 0.0,
        contrast: Range = 0.0,
        saturation: Range = 0.0,
        limits: tuple[float, float] | None = (0.0, 1.0),
    ) -> None:
        what = "ColorJitter"
        self.brightness = around(what, "brightness", brightness, 1.0)
        self.contrast = around(what, "contrast", contrast, 1.0)
        self.saturation = around(what, "saturation", saturation, 1.0)
        self.limits = None if limits is None else interval(what, "limits", limits)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Three draws for each image."""
        if images.shape[1] not in (1, 3):
            raise InputError(
                f"ColorJitter ({user_location()}) expects images (N, 1, H, W) or (N, 3, H, W), got "
                f"{shape_text(images.shape)}"
            )
        ranges = (self.brightness, self.contrast, self.saturation)
        factors = np.stack([rng.uniform(*item, len(images)) for item in ranges], axis=1)
        if not images.size:
            return images.copy()
        if self.limits is None:
            return jittered(images, factors, 0.0, -math.inf, math.inf)
        return jittered(images, factors, self.limits[0], *self.limits)


class GaussianBlur(ImageTransform):
    """Each image blurred with a Gaussian of a random width.

    The kernel is exp(-t^2 / (2 sigma^2)) at the integers, its sum 1, along rows and columns; behind
    its edges an image is mirrored about the pixel at the edge.

    Args:
        kernel: how many pixels it reaches over, an odd number.
        sigma: its standard deviation in pixels, or (least, greatest) to draw it from.

    Raises:
        TypeError, ValueError: a kernel that is even, a sigma of 0 or less.
    """

    def __init__(self, kernel: int, sigma: Range = (0.1, 2.0)) -> None:
        what = "GaussianBlur"
        self.kernel = integer(what, "kernel", kernel, 1)
        if self.kernel % 2 == 0:
            raise wrong(what, "kernel to be an odd number", kernel, ValueError)
        if not isinstance(sigma, (tuple, list)):
            sigma = (sigma, sigma)
        self.sigma = interval(what, "sigma", sigma, above=0)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """One draw for each image; columns first, then rows."""
        sigma = rng.uniform(*self.sigma, len(images))
        if not images.size:
            return images.copy()
        reach = self.kernel // 2
        distance = np.arange(-reach, reach + 1)
        with np.errstate(over="ignore", under="ignore"):
            weights = np.exp(-0.5 * (distance / sigma[:, np.newaxis]) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)
        margins = ((0, 0), (0, 0), (reach, reach), (reach, reach))
        return separable(np.pad(images, margins, mode="reflect"), weights)


class RandomErasing(ImageTransform):
    """In some images, a rectangle of random size and place with one value.

    Zhong, Zheng, Kang, Li, Yang, Random erasing data augmentation, 2017.  Of ten rectangles that
    are drawn for an image, the first that fits into it is erased; where none does, nothing is.

    Args:
        p: how likely a rectangle is erased.
        scale: (least, greatest) area, in parts of the image's.
        ratio: (least, greatest) height divided by width; its logarithm is uniform.
        value: what is put there: a number, or one for each channel.

    Raises:
        TypeError, ValueError: a number of another type or out of its range.  When it is called,
            InputError for images of another number of channels than `value` has.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | Sequence[float] = 0.0,
    ) -> None:
        what = "RandomErasing"
        self.p = probability(what, p)
        self.scale = interval(what, "scale", scale, least=0)
        number(what, "scale", self.scale[1], most=1)
        self.ratio = interval(what, "ratio", ratio, above=0)
        self.value: float | tuple[float, ...]
        if isinstance(value, (tuple, list)):
            each_value = items(what, "value", value, "numbers")
            self.value = tuple(number(what, "value", item) for item in each_value)
        else:
            self.value = number(what, "value", value)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """The same number of draws for each image, whatever is erased."""
        count, channels, rows, columns = images.shape
        if isinstance(self.value, tuple) and len(self.value) != channels:
            raise InputError(
                f"RandomErasing ({user_location()}) expects images of {len(self.value)} channels, "
                f"as many as value has, got {shape_text(images.shape)}"
            )
        chosen = rng.random(count) < self.p
        area = rng.uniform(*self.scale, (count, _TRIES)) * rows * columns
        least, greatest = map(math.log, self.ratio)
        ratio = np.exp(rng.uniform(least, greatest, (count, _TRIES)))
        heights, widths = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (heights <= rows) & (widths <= columns)
        first = np.arange(count), fits.argmax(axis=1)
        chosen &= fits[first]
        height, width = heights[first], widths[first]
        top = np.floor(rng.random(count) * (rows - height + 1))
        left = np.floor(rng.random(count) * (columns - width + 1))
        y, x = np.arange(rows)[:, np.newaxis], np.arange(columns)
        there = (y >= each(top)) & (y < each(top + height)) & (x >= each(left))
        there &= (x < each(left + width)) & each(chosen)
        value = np.reshape(self.value, (-1, 1, 1)).astype(images.dtype)
        changed = images.copy()
        np.copyto(changed, value, where=there)
        return changed

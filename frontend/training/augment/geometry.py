"""Transforms that move pixels: crops, flips, affine maps."""

from __future__ import annotations

import numpy as np

from ...arguments import number, one_of
from ...errors import InputError
from ...location import user_location
from ...variables.variable import shape_text
from .images import (
    Array,
    ImageTransform,
    Range,
    around,
    probability,
    two_integers,
    two_numbers,
)
from .native import sampled

MODES = ("constant", "edge", "reflect")


class RandomCrop(ImageTransform):
    """A part of each image, at a random place: (N, C, H, W) becomes (N, C, *size).

    Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks,
    2012; with padding, He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2015.

    Args:
        size: rows and columns of the part, or one number for both.
        padding: rows above and below, columns left and right, that are added first.
        mode: what is in them: "constant" (`fill`), "edge" (the pixel at the edge) or "reflect" (the
            image, mirrored about the pixel at the edge).
        fill: the value for "constant".

    Raises:
        TypeError, ValueError: a number of another type or out of its range, another mode.  When it
            is called, InputError for images that are smaller than the part, with their padding.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, int] = 0,
        mode: str = "constant",
        fill: float = 0.0,
    ) -> None:
        what = "RandomCrop"
        self.size = two_integers(what, "size", size, 1)
        self.padding = two_integers(what, "padding", padding, 0)
        self.mode = one_of(what, "mode", mode, MODES)
        self.fill = number(what, "fill", fill)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Every part equally likely, from all pixels of the padded image."""
        (above, left), (height, width) = self.padding, self.size
        rows, columns = images.shape[2] + 2 * above, images.shape[3] + 2 * left
        hollow = self.mode != "constant" and 0 in images.shape[2:]
        if height > rows or width > columns or hollow:
            raise InputError(
                f"RandomCrop ({user_location()}) expects images that hold {height}x{width} pixels, "
                f"got {shape_text(images.shape)} and padding {self.padding}: "
                f"{'no pixels to repeat' if hollow else f'{rows}x{columns} pixels'}"
            )
        if any(self.padding):
            margins = ((0, 0), (0, 0), (above, above), (left, left))
            if self.mode == "constant":
                images = np.pad(images, margins, constant_values=self.fill)
            else:
                images = np.pad(images, margins, mode=self.mode)  # type: ignore[call-overload]
        count = len(images)
        top = rng.integers(0, rows - height + 1, count)
        start = rng.integers(0, columns - width + 1, count)
        parts = np.lib.stride_tricks.sliding_window_view(images, self.size, axis=(2, 3))
        chosen: Array = parts[np.arange(count), :, top, start]
        return chosen


class RandomFlip(ImageTransform):
    """Some images mirrored.

    Args:
        direction: "horizontal" (left becomes right) or "vertical" (top becomes bottom).
        p: how likely an image is mirrored.

    Raises:
        TypeError, ValueError: another direction, a number that is no probability.
    """

    def __init__(self, direction: str = "horizontal", p: float = 0.5) -> None:
        self.direction = one_of("RandomFlip", "direction", direction, tuple(_AXES))
        self.p = probability("RandomFlip", p)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """One draw for each image."""
        chosen = rng.random(len(images)) < self.p
        changed = images.copy()
        changed[chosen] = np.flip(images[chosen], _AXES[self.direction])
        return changed


_AXES = {"horizontal": 3, "vertical": 2}


class RandomAffine(ImageTransform):
    """Each image sheared, scaled, turned about its centre, and moved: read bilinearly.

    The shape stays.  A pixel is the mixture of the four around the place that it comes from, of
    which those outside of the image are `fill`.

    Args:
        degrees: how far to turn, counter-clockwise: from -degrees to degrees, or (least, greatest).
        translate: how far to move up or down, in parts of the height, and left or right, in parts
            of the width; (vertical, horizontal), or one number for both.
        scale: the factor of the size: from 1 - scale to 1 + scale, or (least, greatest).
        shear: the angle in degrees by which columns lean, to the right below the centre: from
            -shear to shear, or (least, greatest).
        fill: the value of pixels outside.

    Raises:
        TypeError, ValueError: a number of another type or out of its range: a factor of 0 or less,
            a shear of 90 degrees or more.
    """

    def __init__(
        self,
        degrees: Range = 0.0,
        translate: Range = 0.0,
        scale: Range = 0.0,
        shear: Range = 0.0,
        fill: float = 0.0,
    ) -> None:
        what = "RandomAffine"
        self.degrees = around(what, "degrees", degrees, 0.0)
        self.translate = two_numbers(what, "translate", translate, 0.0)
        self.scale = around(what, "scale", scale, 1.0)
        number(what, "scale", self.scale[0], above=0)
        self.shear = around(what, "shear", shear, 0.0)
        for angle in self.shear:
            number(what, "shear", angle, above=-90, below=90)
        self.fill = number(what, "fill", fill)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """The map is drawn forwards and read backwards: from a pixel to where it comes from."""
        count, _, rows, columns = images.shape
        angle = np.deg2rad(rng.uniform(*self.degrees, count))
        down = rng.uniform(-self.translate[0], self.translate[0], count) * rows
        right = rng.uniform(-self.translate[1], self.translate[1], count) * columns
        factor = rng.uniform(*self.scale, count)
        lean = np.tan(np.deg2rad(rng.uniform(*self.shear, count)))
        if not images.size:
            return images.copy()
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        y, x = (rows - 1) / 2, (columns - 1) / 2
        of_row = cosine, sine
        of_column = -sine - lean * cosine, cosine - lean * sine
        places = [
            part
            for (by_y, by_x), centre in ((of_row, y), (of_column, x))
            for part in (by_y, by_x, centre - by_y * (y + down) - by_x * (x + right))
        ]
        return sampled(images, np.stack(places, axis=1), self.fill)

"""Transforms made of transforms, one's own functions among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arguments import function, items, shown
from ...errors import InputError
from ...location import user_location
from .images import Array, ImageTransform, Transform, listed, probability

_EXAMPLE = "a transform of dg.augment or a function of (images, rng)"


class Compose(ImageTransform):
    """One transform after another.

    Args:
        transforms: those of `dg.augment`, or functions of a batch and a generator, in their order.

    Raises:
        TypeError: something else than a list of them.  When it is called, InputError for one that
            gives no array.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        given = items("Compose", "transforms", transforms, "transforms")
        self.transforms = tuple(_checked("Compose", item) for item in given)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Each takes its draws from the one generator, after the one before."""
        changed: Any = images
        for item in self.transforms:
            changed = item(changed, rng)
            if not isinstance(changed, np.ndarray):
                raise InputError(
                    f"Compose ({user_location()}) expects of {listed(item)} an array, got "
                    f"{shown(changed)}"
                )
        result: Array = images.copy() if changed is images else changed
        return result


class RandomApply(ImageTransform):
    """A transform of some of the images; the others stay as they are.

    Args:
        transform: one of `dg.augment`, or a function of a batch and a generator, which keeps the
            shape.
        p: how likely an image is changed.

    Raises:
        TypeError, ValueError: no function, a number that is no probability.  When it is called,
            InputError for a transform that gives an array of another shape or dtype, or none.
    """

    def __init__(self, transform: Transform, p: float = 0.5) -> None:
        self.transform = _checked("RandomApply", transform)
        self.p = probability("RandomApply", p)

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """First which images, one draw for each; then the transform sees those alone."""
        places = np.flatnonzero(rng.random(len(images)) < self.p)
        changed = images.copy()
        if not places.size:
            return changed
        part = images[places]
        found: Any = self.transform(part, rng)
        fits = isinstance(found, np.ndarray) and found.shape == part.shape
        if not fits or found.dtype != part.dtype:
            raise InputError(
                f"RandomApply ({user_location()}) expects of {listed(self.transform)} "
                f"{shown(part)}, got {shown(found)}"
            )
        changed[places] = found
        return changed


def _checked(what: str, transform: Transform) -> Transform:
    return function(what, "each transform", transform, _EXAMPLE)

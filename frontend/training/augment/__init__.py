"""Augmentation: seeded random changes of mini-batches of images, for `fit(augment=...)`.

A transform is a function `(images, rng) -> images` of a batch (N, C, H, W) and a generator of
NumPy; those here are frozen objects that draw anew for each image of the batch.
"""

from .colour import ColorJitter, GaussianBlur, RandomErasing
from .composing import Compose, RandomApply
from .geometry import RandomAffine, RandomCrop, RandomFlip

__all__ = [
    "ColorJitter",
    "Compose",
    "GaussianBlur",
    "RandomAffine",
    "RandomApply",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
]

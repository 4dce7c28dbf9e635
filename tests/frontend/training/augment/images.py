"""Images and generators for the tests of augmentation."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def images(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    """Random values in [0, 1)."""
    return np.random.default_rng(seed).random(shape).astype(dtype)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)

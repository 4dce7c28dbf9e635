"""The nearest of some points: a model whose output is the place of a minimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...arguments import wrong
from ...drawing.blocks import Block, block
from ...drawing.states import memory
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.reductions import argmin
from ...operations.reductions import sum as total
from ...operations.structure import expand_dims
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from .features import features


@block
def squared_distances(x: Variable, points: Variable) -> Variable:
    """||x - w_k||²: of x (..., D) and points (K, D), the distances (..., K).

    Of the differences themselves, and not |x|² - 2 x w + |w|², which loses its digits where the
    points are far from 0.
    """
    difference = expand_dims(x, -2) - points
    return total(difference * difference, axis=-1)


Held = Callable[[str, tuple[int, ...], Any, str], Variable]


def hold_points(block: Block, name: str, given: Any, dtype: str, make: Held) -> None:
    """Let an attribute be points (K, D), one or more, made to begin as an array is given.

    A variable in its place is not adopted: it keeps its name.
    """
    subject = f"{block._describe()} ({user_location()})"
    if isinstance(given, Variable):
        shape = given.shape
        if given.dtype != dtype and not given.mistakes:
            raise DtypeError(
                f"{subject} expects {name} of dtype {dtype}, got {given.dtype} from "
                f'{source_text(given)}: convert it with .astype("{dtype}"), or make the block with '
                f'dtype="{given.dtype}"'
            )
    else:
        try:
            array = np.asarray(given)
        except ValueError:  # lists of several lengths
            array = np.asarray(None)
        if array.dtype.kind not in "iuf":
            raise wrong(subject, f"{name} to be an array of numbers or a variable", given)
        if not np.isfinite(array).all():
            raise ValueError(f"{subject} expects finite {name}, got NaN or infinity among them")
        shape = extents = array.shape
    if len(shape) != 2 or shape[0] == 0:
        raise ShapeError(
            f"{subject} expects {name} of shape (K, D), one or more, got {shape_text(shape)}"
        )
    if isinstance(given, Variable):
        object.__setattr__(block, name, given)
    else:
        setattr(block, name, make(name, extents, array.astype(dtype), dtype))


class NearestNeighbor(Block):
    """The number of the nearest of some points: y = argmin_k ||x - w_k||².

    Applied to x of shape (..., D) it gives int64 of shape (...): the first of the nearest, where
    several are.  With `dg.take(labels, y)` it is the classifier of Fix and Hodges (Discriminatory
    analysis, nonparametric discrimination, 1951) and of Cover and Hart (Nearest neighbor pattern
    classification, 1967), for one neighbour; no gradient comes through it.

        nearest = dg.NearestNeighbor(digits)   # (1000, 64)
        label = dg.take(labels, nearest(x))

    Args:
        points: an array (K, D), which the program holds as the state `points`: files have it, and
            no optimizer changes it; or a variable (K, D) that is used instead.
        dtype: of the points, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError: points of another shape, or none; when applied, another number of features.
        TypeError, ValueError: no numbers, or no finite ones.
        DtypeError: a variable of another dtype; when applied, features of another.
    """

    points: Variable

    def __init__(self, points: Any, dtype: Any = "float32", name: str | None = None) -> None:
        self.name = name
        self.dtype = dtype_name(dtype)
        hold_points(self, "points", points, self.dtype, memory)

    def forward(self, x: Variable) -> Variable:
        """(..., D) -> (...)."""
        x = features(self, x, self.points.shape[1], self.dtype)
        return argmin(squared_distances(x, self.points), axis=-1)

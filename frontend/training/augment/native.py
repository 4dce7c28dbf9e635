"""What computes much for every pixel, drawn as diagrams and compiled once for each dtype.

Sizes have names: no batch compiles anything but the first of its kind, and what was compiled is
found again in the cache.  The bits do not depend on threads, nor on the other images of a batch.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...drawing.drawing import Drawing
from ...operations.elementwise import floor, logical_and, maximum, minimum, where
from ...operations.indexing import gather
from ...operations.reductions import mean
from ...operations.source import arange, size
from ...programs.running import Running
from ...variables.variable import Variable, observed

Array = npt.NDArray[Any]
GREY = (0.299, 0.587, 0.114)
"""The luma of red, green and blue, by Recommendation ITU-R BT.601."""


def separable(images: Array, weights: Array) -> Array:
    """Each image correlated with one row of weights, down its columns and along its rows.

    Args:
        images: (N, C, H + K - 1, W + K - 1), the margins being there.
        weights: (N, K).

    Returns:
        (N, C, H, W).
    """
    return _run(_separable, images, (weights.shape[1],), weights=weights)


def sampled(images: Array, places: Array, fill: float) -> Array:
    """Each image at the places that an affine map gives, between pixels bilinearly.

    Args:
        images: (N, C, H, W).
        places: (N, 6): for row y and column x of the result, element 0 * y + 1 * x + 2 is the row
            to read at, and 3 * y + 4 * x + 5 the column.
        fill: the value of pixels outside.

    Returns:
        (N, C, H, W).
    """
    return _run(_sampled, images, places=places, fill=fill)


def jittered(images: Array, factors: Array, black: float, low: float, high: float) -> Array:
    """Each image brighter, then of another contrast, then of another saturation.

    Args:
        images: (N, 1, H, W), or (N, 3, H, W) for red, green and blue.
        factors: (N, 3).
        black: the value that a brightness of 0 leaves.
        low: the least value of the result.
        high: the greatest.

    Returns:
        (N, C, H, W).
    """
    limits = {"black": black, "low": low, "high": high}
    return _run(_jittered, images, (images.shape[1],), factors=factors, **limits)


def _run(
    draw: Callable[..., Variable], images: Array, settings: tuple[int, ...] = (), **inputs: Any
) -> Array:
    given = {name: np.asarray(value, images.dtype) for name, value in inputs.items()}
    program = _program(draw, images.dtype.name, settings)
    return program.run(images=images, **given)["images"]


@functools.cache
def _program(draw: Callable[..., Variable], dtype: str, settings: tuple[int, ...]) -> Running:
    drawing = Drawing(draw.__name__.strip("_"), {"images": draw(dtype, *settings)}, None, None)
    return Running(drawing, None, "cpu", None, 0, None, 1)


def _separable(dtype: str, taps: int) -> Variable:
    images = observed("images", ("N", "C", "H", "W"), dtype)
    weights = observed("weights", ("N", taps), dtype)
    _, _, rows, columns = images.shape
    weight = [weights[:, tap].reshape((-1, 1, 1, 1)) for tap in range(taps)]

    def end(extent: Any, tap: int) -> Any:
        return extent - (taps - 1 - tap)

    down = [images[:, :, tap : end(rows, tap)] * weight[tap] for tap in range(taps)]
    found = functools.reduce(operator.add, down)
    along = [found[..., tap : end(columns, tap)] * weight[tap] for tap in range(taps)]
    return functools.reduce(operator.add, along)


def _sampled(dtype: str) -> Variable:
    images = observed("images", ("N", "C", "H", "W"), dtype)
    places, fill = observed("places", ("N", 6), dtype), observed("fill", (), dtype)
    count, channels, rows, columns = images.shape
    below, right = size(rows, dtype), size(columns, dtype)
    part = [places[:, i].reshape((count, 1, 1)) for i in range(6)]
    y, x = arange(rows, dtype=dtype).reshape((rows, 1)), arange(columns, dtype=dtype)
    # Between pixels at -1 and behind the last all is `fill`: no place need lie farther out.
    row = maximum(minimum(part[0] * y + part[1] * x + part[2], below), -1.0)
    column = maximum(minimum(part[3] * y + part[4] * x + part[5], right), -1.0)
    top, left = floor(row), floor(column)
    down, along = row - top, column - left
    # Channels in front: one index serves all of them.
    pixels = images.transpose(1, 0, 2, 3).reshape((channels, count * rows * columns))
    first = arange(count, dtype="int64").reshape((count, 1, 1)) * size(rows * columns, "int64")
    found = []
    for y, upper in ((top, 1.0 - down), (top + 1.0, down)):
        for x, lower in ((left, 1.0 - along), (left + 1.0, along)):
            there = logical_and(logical_and(y >= 0.0, y < below), logical_and(x >= 0.0, x < right))
            place = first + y.astype("int64") * size(columns, "int64") + x.astype("int64")
            pixel = gather(pixels, where(there, place, 0), axis=1)
            found.append(where(there, pixel, fill) * (upper * lower))
    return functools.reduce(operator.add, found).transpose(1, 0, 2, 3)


def _jittered(dtype: str, channels: int) -> Variable:
    images = observed("images", ("N", channels, "H", "W"), dtype)
    factors = observed("factors", ("N", 3), dtype)
    black, low, high = (observed(name, (), dtype) for name in ("black", "low", "high"))
    brightness, contrast, saturation = (factors[:, i].reshape((-1, 1, 1, 1)) for i in range(3))

    def grey(value: Variable) -> Variable:
        if channels == 1:
            return value
        shares = [value[:, i : i + 1] * share for i, share in enumerate(GREY)]
        return functools.reduce(operator.add, shares)

    def blend(value: Variable, other: Variable, factor: Variable) -> Variable:
        return maximum(minimum(value * factor + other * (1.0 - factor), high), low)

    bright = blend(images, black, brightness)
    strong = blend(bright, mean(grey(bright), axis=(1, 2, 3), keepdims=True), contrast)
    return blend(strong, grey(strong), saturation)

"""Random convolutions of images and what is near them, each value beside a NumPy formula for it.

The formulas go tap by tap, over slices of a padded array; nothing here knows of windows or tables.
"""

from __future__ import annotations

from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np

import diagrad as dg

from ...engine import Array
from .drawn_views import Drawing, laid


def drawn_convolution(seed: int) -> Drawing:
    """A convolution, its gradients, what follows it, and channels brought last."""
    draw = Random(seed)
    d = Drawing(draw, draw.choice(["float32", "float64"]))
    space = draw.choice([1, 2, 2, 3])
    taps, stride, dilation = (
        tuple(draw.choice(choices) for _ in range(space))
        for choices in ([1, 2, 3, 3, 5] if space < 3 else [1, 2, 3], [1, 1, 2, 3], [1, 1, 2])
    )
    sides = [(draw.choice([0, 1, 2]), draw.choice([0, 1, 2])) for _ in range(space)]
    extents = tuple(
        max(1, apart * (n - 1) + 1 - sum(pair)) + draw.choice([0, 1, 4, 9])
        for n, apart, pair in zip(taps, dilation, sides, strict=True)
    )
    groups, images = draw.choice([1, 1, 1, 2, 16]), draw.choice([0, 1, 2, 3])
    channels, results = draw.choice([1, 2, 3, 16, 17]), draw.choice([1, 2, 3, 16, 33])
    if groups > 2:
        channels, results = 1, draw.choice([1, 2])
    x = d.floats(images, groups * channels, *extents)
    w = d.floats(groups * results, channels, *taps)
    around = np.pad(x.value, [(0, 0), (0, 0), *sides])
    places = {tap: _places(around.shape[2:], taps, tap, stride, dilation) for tap in _all(taps)}
    weights = w.value.reshape(groups, results, channels, *taps)

    def parts(array: Array) -> Array:
        """Channels or results in their groups."""
        return array.reshape(images, groups, array.shape[1] // groups, *array.shape[2:])

    value = sum(
        np.einsum("goc,ngc...->ngo...", _at(weights, tap), parts(_at(around, place)))
        for tap, place in places.items()
    )
    assert isinstance(value, np.ndarray)
    value = value.reshape(images, groups * results, *value.shape[3:])
    y = dg.correlate(x.variable, w.variable, stride, sides, dilation, groups)
    if draw.random() < 0.5:
        d.give(y, value)
    else:
        d.give(dg.tanh(y * 0.1) + 1.0, np.tanh(value * 0.1) + 1)
    last = (0, *range(2, space + 2), 1)
    d.give(dg.transpose(x.variable, last), x.value.transpose(last))
    d.give(dg.pad(dg.exp(x.variable), [(0, 0), (0, 0), *sides]),
           np.pad(np.exp(x.value), [(0, 0), (0, 0), *sides]))  # fmt: skip
    slope = d.numbers.normal(size=value.shape).astype(d.dtype)
    given = laid(d, slope) if draw.random() < 0.5 else d.observe(slope).variable
    by_x, by_w = dg.gradient(dg.sum(y * given), [x.variable, w.variable])
    back: Any = np.zeros_like(around)
    of_w: Any = np.zeros_like(weights)
    above = parts(slope.astype(np.float64))
    for tap, place in places.items():
        seen = parts(_at(around, place))
        size = prod(above.shape[3:])
        flat = [a.reshape(*a.shape[:3], size) for a in (above, seen)]
        of_w[(..., *tap)] = np.einsum("ngop,ngcp->goc", *flat)
        one = np.einsum("goc,ngo...->ngc...", _at(weights, tap), above)
        back[(..., *place)] += one.reshape(images, groups * channels, *one.shape[3:])
    inside = tuple(slice(low, low + n) for (low, _), n in zip(sides, extents, strict=True))
    d.give(by_x, back[(..., *inside)])
    d.give(by_w, of_w.reshape(w.shape))
    return d


def _at(array: Array, last: tuple[Any, ...]) -> Array:
    """The elements at one place along the last axes."""
    return np.asarray(array[(..., *last)])


def _all(taps: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*map(range, taps)))


def _places(
    whole: tuple[int, ...],
    taps: tuple[int, ...],
    tap: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[slice, ...]:
    """Where one tap of all windows lies in a padded array."""
    found = []
    for n, size, t, step, apart in zip(whole, taps, tap, stride, dilation, strict=True):
        count = (n - apart * (size - 1) - 1) // step + 1
        found.append(slice(t * apart, t * apart + (count - 1) * step + 1, step))
    return tuple(found)

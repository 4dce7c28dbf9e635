"""The same elements in other shapes and places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import diagrad as dg

from .arrays import Array, alike, draw

Axis = int | tuple[int, ...] | None


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Any:
    """One behind the other; without an axis, all elements of each."""
    cast = alike(arrays)
    return draw(
        lambda *v: (
            dg.concatenate([dg.reshape(x, -1) for x in cast(v)], 0)
            if axis is None
            else dg.concatenate(cast(v), axis)
        ),
        *arrays,
    )


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Any:
    """Beside one another, along a new axis."""
    cast = alike(arrays)
    return draw(lambda *v: dg.stack(cast(v), axis), *arrays)


def unstack(x: Array, /, *, axis: int = 0) -> Any:
    """Its parts along an axis."""
    return tuple(draw(lambda v: dg.unstack(v, axis), x))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Any:
    """In a shape."""
    return draw(lambda v: dg.broadcast_to(v, tuple(shape)), x)


def broadcast_arrays(*arrays: Array) -> Any:
    """All in the shape that they come to beside one another."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return tuple(broadcast_to(array, shape) for array in arrays)


def expand_dims(x: Array, /, axis: Any = 0) -> Any:
    """With a new axis, or some."""
    return draw(lambda v: dg.expand_dims(v, axis), x)


def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Any:
    """Without an axis of one element, or some."""
    return draw(lambda v: dg.squeeze(v, axis), x)


def flip(x: Array, /, *, axis: Axis = None) -> Any:
    """From the end."""
    return draw(lambda v: dg.flip(v, axis), x)


def moveaxis(x: Array, source: Any, destination: Any, /) -> Any:
    """With axes elsewhere."""
    return draw(lambda v: dg.moveaxis(v, source, destination), x)


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Any:
    """With its axes in another order."""
    return draw(lambda v: dg.transpose(v, axes), x)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """The same elements in a shape."""
    return draw(lambda v: dg.reshape(v, tuple(shape)), x)


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Any:
    """Each element so many times; the numbers are known when the expression is drawn."""
    counts = np.asarray(repeats).tolist()
    return draw(lambda v: dg.repeat(v, counts, axis), x)


def roll(x: Array, /, shift: Any, *, axis: Axis = None) -> Any:
    """Moved along axes, what leaves at the end comes in at the front."""
    return draw(lambda v: dg.roll(v, shift, axis), x)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Any:
    """Side by side."""
    return draw(lambda v: dg.tile(v, repetitions), x)

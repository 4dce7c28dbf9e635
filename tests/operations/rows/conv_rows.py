"""The rows of the table for convolutions, written by hand: a sum over windows, tap by tap."""

import math
from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation, Shapes

Numbers = int | tuple[int, ...]
Sides = int | tuple[tuple[int, int], ...]


def _each(value: Numbers, space: int) -> tuple[int, ...]:
    return (value,) * space if isinstance(value, int) else value


def _sides(value: Sides, space: int) -> tuple[tuple[int, int], ...]:
    return ((value, value),) * space if isinstance(value, int) else value


def _behind(keys: Iterable[Any]) -> Any:
    """An index of the last axes."""
    return (..., *keys)


def correlate(
    x: Array,
    w: Array,
    stride: Numbers = 1,
    padding: Sides = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """The definition, of x (..., C, *space) and w (J, C / groups, *taps)."""
    space = w.ndim - 2
    steps, apart = _each(stride, space), _each(dilation, space)
    before = x.shape[: -space - 1]
    x = np.pad(x, [(0, 0)] * (x.ndim - space) + list(_sides(padding, space)))
    x = x.reshape(math.prod(before), groups, w.shape[1], *x.shape[-space:])
    results = len(w)
    w = w.reshape(groups, results // groups, *w.shape[1:])
    reach = [d * (k - 1) + 1 for k, d in zip(w.shape[3:], apart, strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(x.shape[3:], reach, steps, strict=True)]
    y = np.zeros((len(x), *w.shape[:2], *counts), x.dtype)
    for tap in product(*map(range, w.shape[3:])):
        every = zip(tap, counts, steps, apart, strict=True)
        key = _behind(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in every)
        y += np.einsum("ngc...,goc->ngo...", x[key], w[_behind(tap)])
    return y.reshape(*before, results, *counts)


def convolve(x: Array, w: Array, **options: Any) -> Array:
    """The definition with a kernel that runs backwards."""
    return correlate(x, np.flip(w, tuple(range(2, w.ndim))), **options)


def conv_transpose(
    x: Array,
    w: Array,
    stride: Numbers = 1,
    padding: Sides = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """The definition, of x (N, C, *positions) and w (C, J / groups, *taps)."""
    space = w.ndim - 2
    steps, apart = _each(stride, space), _each(dilation, space)
    x = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
    w = w.reshape(groups, x.shape[2], *w.shape[1:])
    counts, taps = x.shape[3:], w.shape[3:]
    every = zip(counts, steps, apart, taps, strict=True)
    whole = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in every]
    more = [n + extra for n, extra in zip(whole, _each(output_padding, space), strict=True)]
    y = np.zeros((len(x), groups, w.shape[2], *more), x.dtype)
    for tap in product(*map(range, taps)):
        places = zip(tap, counts, steps, apart, strict=True)
        key = _behind(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in places)
        y[key] += np.einsum("ngc...,gco->ngo...", x, w[_behind(tap)])
    around = zip(more, _sides(padding, space), strict=True)
    kept: Array = y[_behind(slice(low, n - high) for n, (low, high) in around)]
    return kept.reshape(len(x), groups * w.shape[2], *kept.shape[3:])


def _row(
    name: str, *shapes: Shapes, named: Shapes | None = None, theirs: Any = None, **options: Any
) -> Operation:
    """A row of one of the three; `theirs` are NumPy's options where they are others."""
    public = name.split()[0]
    ours = getattr(dg, public)
    numpys: dict[str, Any] = {
        "correlate": correlate,
        "convolve": convolve,
        "conv_transpose": conv_transpose,
    }
    definition, known = numpys[public], options if theirs is None else {**options, **theirs}
    return Operation(
        name,
        lambda x, w: ours(x, w, **options),
        lambda x, w: definition(x, w, **known),
        shapes,
        named=named,
    )


CONVOLUTIONS = [
    _row("correlate", ((2, 3, 9), (4, 3, 3)), ((3, 2, 7, 5), (3, 2, 3, 2)), ((1, 1, 1), (1, 1, 1)),
         ((0, 2, 5), (3, 2, 2)), ((2, 2, 3, 4, 5), (3, 2, 2, 3, 1)), ((5, 7), (2, 5, 3)),
         ((2, 3, 2, 8), (3, 2, 3)), ((2, 1, 10, 10), (6, 1, 5, 5)), ((3, 17, 6), (33, 17, 2)),
         named=(("M", 2, 18), (3, 2, 4))),
    _row("correlate padded", ((2, 3, 6, 5), (4, 3, 3, 3)), ((2, 2, 1, 1), (2, 2, 3, 3)),
         padding=((2, 1), (1, 2)), named=(("M", 2, 4, "N"), (3, 2, 3, 1))),
    _row("correlate strided", ((2, 3, 7, 9), (4, 3, 2, 3)), ((2, 2, 6, 16), (3, 2, 3, 7)),
         stride=(2, 3), padding=1, named=(("M", 2, 9, "N"), (3, 2, 2, 3))),
    _row("correlate dilated", ((2, 3, 7, 9), (4, 3, 2, 3)), dilation=(3, 2), padding=((0, 1),) * 2),
    _row("correlate all", ((3, 6, 11), (8, 3, 3)), ((2, 10, 13), (14, 5, 2)), stride=4, dilation=2,
         padding=((1, 3),), groups=2, named=(("M", 4, 23), (6, 2, 3))),
    _row("correlate depthwise", ((2, 5, 6, 4), (5, 1, 3, 3)), ((2, 5, 4, 4), (15, 1, 2, 2)),
         groups=5, padding=1),
    _row("correlate far", ((2, 3, 16), (2, 3, 1)), ((2, 3, 16), (2, 3, 2)), stride=5),
    _row("correlate all padding", ((2, 3, 4), (2, 3, 1)), ((2, 3, 0), (2, 3, 2)), padding=1),
    _row("correlate same", ((2, 3, 5, 6), (4, 3, 2, 5)), padding="same",
         theirs={"padding": ((0, 1), (2, 2))}, named=(("M", 3, 5, "N"), (4, 3, 2, 5))),
    _row("correlate same strided", ((2, 3, 7, 6), (4, 3, 3, 4)), padding="same_strided", stride=2,
         theirs={"padding": ((1, 1), (1, 1))}),
    _row("correlate full", ((2, 3, 4), (4, 3, 3)), padding="full", theirs={"padding": 2}),
    _row("convolve", ((2, 3, 9), (4, 3, 4)), ((2, 2, 5, 6), (2, 2, 3, 2)), padding=1,
         named=(("M", 3, "N"), (4, 3, 3))),
    _row("convolve same", ((2, 3, 9), (4, 3, 4)), padding="same", theirs={"padding": ((2, 1),)}),
    _row("convolve full", ((2, 3, 5, 4), (4, 3, 2, 3)), padding="full",
         theirs={"padding": ((1, 1), (2, 2))}),
    _row("conv_transpose", ((2, 3, 5), (3, 4, 3)), ((2, 3, 4, 2), (3, 2, 3, 2)),
         ((0, 2, 3), (2, 3, 2)), ((2, 2, 2, 3, 1), (2, 3, 2, 1, 3)),
         named=(("M", 3, 11), (3, 2, 4))),
    _row("conv_transpose strided", ((2, 3, 5, 4), (3, 2, 5, 3)), ((2, 3, 4, 1), (3, 2, 2, 3)),
         stride=3, padding=1, output_padding=(2, 1), named=(("M", 3, 4, "N"), (3, 2, 3, 3))),
    _row("conv_transpose all", ((3, 6, 5), (6, 4, 3)), stride=2, dilation=3, padding=((1, 4),),
         output_padding=1, groups=3),
    _row("conv_transpose beyond", ((2, 3, 5), (3, 4, 2)), dilation=3, output_padding=2),
    _row("conv_transpose same strided", ((2, 3, 5, 4), (3, 2, 4, 2)), stride=3,
         padding="same_strided", theirs={"padding": ((0, 1), (0, 0)), "output_padding": (0, 1)}),
]  # fmt: skip

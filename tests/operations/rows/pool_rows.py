"""The rows of the table for pools."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import moved

Pair = tuple[int, int]


def pooled(
    x: Array,
    of: Callable[[Array], Any],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[Pair, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    ceil: bool = False,
) -> Array:
    """A function of the elements of each window along the last axes."""
    space = len(size)
    sides, apart = padding or ((0, 0),) * space, dilation or (1,) * space
    extents, counts = x.shape[-space:], []
    for n, k, s, (low, high), d in zip(extents, size, stride, sides, apart, strict=True):
        starts = range(-low, n if ceil else n + high - d * (k - 1), s)
        whole = [i for i in starts if i + d * (k - 1) < n + high]
        counts.append([*starts][: len(whole) + ceil * (whole[-1] + d * (k - 1) + 1 < n + high)])
    out = np.zeros((*x.shape[:-space], *map(len, counts)), x.dtype)
    for place in np.ndindex(*out.shape):
        first = [c[i] for c, i in zip(counts, place[-space:], strict=True)]
        taps = [[i + d * t for t in range(k)] for i, k, d in zip(first, size, apart, strict=True)]
        found = [
            x[(*place[:-space], *at)]
            for at in product(*taps)
            if all(0 <= i < n for i, n in zip(at, extents, strict=True))
        ]
        out[place] = of(np.array(found))
    return out


def cubed_slope(pool: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The gradient of the sum of a pool's cubes: it has derivatives of every order."""
    return lambda x: dg.gradient(dg.sum(pool(x) ** 3), x)


def curve(pool: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The gradient of the sum of squares of that gradient."""
    return lambda x: dg.gradient(dg.sum(cubed_slope(pool)(x) ** 2), x)


def max_slope(x: Array) -> Array:
    """That gradient for the maximum of windows of 3, 2 apart, along the last axis."""
    out = np.zeros_like(x)
    for place in np.ndindex(*x.shape[:-1], (x.shape[-1] - 3) // 2 + 1):
        line = x[place[:-1]][2 * place[-1] : 2 * place[-1] + 3]
        at = 2 * place[-1] + int(line.argmax())
        out[(*place[:-1], at)] += 3 * line.max() ** 2
    return out


def max_curve(x: Array) -> Array:
    """The gradient of the sum of squares of `max_slope`."""
    out, slope = np.zeros_like(x), max_slope(x)
    for place in np.ndindex(*x.shape[:-1], (x.shape[-1] - 3) // 2 + 1):
        line = x[place[:-1]][2 * place[-1] : 2 * place[-1] + 3]
        at = (*place[:-1], 2 * place[-1] + int(line.argmax()))
        out[at] += 2 * slope[at] * 6 * line.max()
    return out


def mean_slope(x: Array) -> Array:
    """That gradient for the mean of windows of 3, 2 apart, along the last axis."""
    out = np.zeros_like(x)
    for place in np.ndindex(*x.shape[:-1], (x.shape[-1] - 3) // 2 + 1):
        line = x[place[:-1]][2 * place[-1] : 2 * place[-1] + 3]
        out[place[:-1]][2 * place[-1] : 2 * place[-1] + 3] += line.mean() ** 2
    return out


def row(name: str, numpys: Any, *shapes: Any, ours: Any, **options: Any) -> Operation:
    return moved(name, numpys, *shapes, ours=ours, kinds="f", **options)


def softly(b: float, mean: bool) -> Callable[[Array], Any]:
    reduced = np.mean if mean else np.sum
    return lambda x: np.log(reduced(np.exp(b * x))) / b


POOLS = [
    row("max_pool", lambda x: pooled(x, np.max, (2, 2), (2, 2)), (2, 3, 4, 6), (1, 1, 5, 3),
        (0, 2, 4, 4), ours=lambda x: dg.max_pool(x, 2), named=(("M", 3, 4, 6),)),
    row("max_pool padded", lambda x: pooled(x, np.max, (3, 3), (2, 2), ((1, 1), (1, 1))),
        (1, 2, 5, 6), (1, 1, 1, 1), ours=lambda x: dg.max_pool(x, 3, 2, 1),
        named=((1, "N", 5, 2),)),
    row("max_pool ceil", lambda x: pooled(x, np.max, (3,), (2,), ((1, 0),), ceil=True),
        (2, 7), (3, 6), (8,), ours=lambda x: dg.max_pool(x, (3,), 2, [(1, 0)], ceil_mode=True)),
    row("max_pool dilated", lambda x: pooled(x, np.max, (2, 3), (1, 2), ((1, 1), (0, 0)), (3, 2)),
        (3, 6, 7), ours=lambda x: dg.max_pool(x, (2, 3), (1, 2), (1, 0), (3, 2))),
    row("max_pool global", lambda x: x.max((2, 3), keepdims=True), (2, 3, 4, 5),
        ours=lambda x: dg.max_pool(x, "global"), named=((2, 3, 4, 5),)),
    row("max_pool volumes", lambda x: pooled(x, np.max, (2, 1, 2), (1, 2, 2)), (2, 1, 3, 3, 4),
        ours=lambda x: dg.max_pool(x, (2, 1, 2), (1, 2, 2))),
    row("max_pool many", lambda x: pooled(x, np.max, (5, 4), (1, 1)), (2, 6, 7),
        ours=lambda x: dg.max_pool(x, (5, 4), 1)),
    row("max_pool slope", max_slope, (2, 9), (12,),
        ours=cubed_slope(lambda x: dg.max_pool(x, (3,), 2))),
    row("max_pool curve", max_curve, (2, 9), (12,),
        ours=curve(lambda x: dg.max_pool(x, (3,), 2))),
    row("avg_pool", lambda x: pooled(x, np.mean, (2, 2), (2, 2)), (2, 3, 4, 6), (1, 1, 5, 3),
        ours=lambda x: dg.avg_pool(x, 2), named=(("M", 3, 4, 6),)),
    row("avg_pool with zeros",
        lambda x: pooled(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), np.mean, (3, 3), (2, 2)),
        (1, 2, 5, 6), ours=lambda x: dg.avg_pool(x, 3, 2, 1), named=((1, "N", 5, 2),)),
    row("avg_pool without zeros",
        lambda x: pooled(x, np.mean, (3, 3), (2, 2), ((1, 1), (1, 1)), ceil=True),
        (1, 2, 5, 6), ours=lambda x: dg.avg_pool(x, 3, 2, 1, True, False)),
    row("avg_pool global", lambda x: x.mean((2,), keepdims=True), (2, 3, 4),
        ours=lambda x: dg.avg_pool(x, "global"), named=((2, 3, 4),)),
    row("avg_pool slope", mean_slope, (2, 9), (12,),
        ours=cubed_slope(lambda x: dg.avg_pool(x, (3,), 2))),
    row("adaptive_avg_pool", lambda x: pooled(x, np.mean, (2, 3), (1, 2)), (1, 2, 3, 5),
        ours=lambda x: dg.adaptive_avg_pool(x, 2), named=(("M", 2, 3, 5),)),
    row("adaptive_avg_pool even", lambda x: pooled(x, np.mean, (2,), (2,)), (3, 8),
        ours=lambda x: dg.adaptive_avg_pool(x, (4,))),
    row("adaptive_avg_pool uneven",
        lambda x: np.stack([x[:, :3].mean(1), x[:, 2:5].mean(1), x[:, 4:].mean(1)], 1), (2, 7),
        ours=lambda x: dg.adaptive_avg_pool(x, (3,))),
    row("lp_pool", lambda x: pooled(x, lambda e: np.sum(e**2) ** 0.5, (2, 2), (2, 2)),
        (2, 3, 4, 6), ours=lambda x: dg.lp_pool(x, 2, 2), named=(("M", 3, 4, 6),)),
    row("lp_pool 3",
        lambda x: pooled(x, lambda e: np.sum(abs(e) ** 3) ** (1 / 3), (3,), (2,), ((1, 1),)),
        (2, 7), ours=lambda x: dg.lp_pool(x, 3, (3,), 2, 1)),
    row("logsumexp_pool", lambda x: pooled(x, softly(1, False), (2, 2), (2, 2)), (2, 3, 4, 6),
        ours=lambda x: dg.logsumexp_pool(x, 2), named=(("M", 3, 4, 6),)),
    row("logsumexp_pool mean",
        lambda x: pooled(x, softly(3, True), (3,), (2,), ((1, 1),), ceil=True), (2, 8),
        ours=lambda x: dg.logsumexp_pool(x, (3,), 3.0, True, 2, 1, True)),
]  # fmt: skip

"""Long sums in NumPy, for the reference target: off by a few roundings for each doubling of terms.

`np.sum` adds pairwise along an axis that lies contiguously, and one after another along any other;
`np.cumsum`, `np.add.at` and `np.einsum` always add one after another.  What is here adds pairwise,
in blocks, or keeps what additions round away, whatever the axis and the order in memory are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .record import Array

TOGETHER = 16
"""Terms of a running sum that are added one after another: six times as many for ten million."""


def sum_over(x: Array, axes: Sequence[int]) -> Array:
    """The sum over some axes: pairwise, along an axis made contiguous."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = np.transpose(x, (*kept, *axes))
    lines = moved.reshape(*moved.shape[: len(kept)], int(np.prod(moved.shape[len(kept) :])))
    return np.asarray(np.sum(np.ascontiguousarray(lines), axis=-1, dtype=x.dtype))


def running_sum(x: Array, axis: int) -> Array:
    """The sums of all beginnings along an axis: within blocks, after the running sum of blocks."""
    lines = np.moveaxis(x, axis, -1)
    count = lines.shape[-1]
    if count <= TOGETHER:
        return np.cumsum(x, axis, dtype=x.dtype)
    blocks = -(-count // TOGETHER)
    filled = np.zeros((*lines.shape[:-1], blocks * TOGETHER), x.dtype)
    filled[..., :count] = lines
    filled = filled.reshape(*lines.shape[:-1], blocks, TOGETHER)
    np.cumsum(filled, -1, out=filled)
    before = running_sum(filled[..., -1], -1)
    filled[..., 1:, :] += before[..., :-1, None]
    return np.moveaxis(filled.reshape(*lines.shape[:-1], -1)[..., :count], -1, axis)


def add_at(out: Array, axis: int, index: Array, updates: Array) -> None:
    """Add to the elements of `out` at the places `index` of an axis: pairwise for each place."""
    order = np.argsort(index, kind="stable")
    places, starts = np.unique(index[order], return_index=True)
    if len(places):
        lines = np.ascontiguousarray(np.moveaxis(updates, axis, -1)[..., order])
        sums = np.add.reduceat(lines, starts, axis=-1, dtype=out.dtype)
        np.moveaxis(out, axis, -1)[..., places] += sums


class Total:
    """A sum to which values are added one after another, and what the additions have lost.

    `emission.compensation` says how, and what becomes of infinities.
    """

    def __init__(self, zeros: Array) -> None:
        self.total, self.lost = zeros, np.zeros_like(zeros)

    def add(self, value: Array, key: Any = ()) -> None:
        """Add a value to the part of the sum that `key` selects."""
        if not np.issubdtype(self.total.dtype, np.floating):
            self.total[key] += value
            return
        old = self.total[key]
        more = value + self.lost[key]
        new = old + more
        self.lost[key] = np.where(np.isfinite(new), more - (new - old), 0)
        self.total[key] = new  # last: `old` may be a view of it

    def value(self) -> Array:
        """The sum."""
        return self.total + self.lost

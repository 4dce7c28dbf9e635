"""The rows of the table for windows along axes."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import diagrad as dg

from .operation import Array, Operation
from .rows import MATRIX, moved


def cut(x: Array, sizes: Any, strides: Any, dilations: Any, axes: Any) -> Array:
    """Windows as NumPy has them, and of these every `strides`-th, with every `dilations`-th tap."""
    reach = tuple(d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True))
    every = sliding_window_view(x, reach, axes)
    keys = [slice(None)] * x.ndim + [slice(None, None, d) for d in dilations]
    for axis, stride in zip(axes, strides, strict=True):
        keys[axis % x.ndim] = slice(None, None, stride)
    return every[tuple(keys)]


def windows(name: str, *options: Any, shapes: Any, named: Any = None) -> Operation:
    """Windows of sizes, strides and dilations along axes."""
    return moved(
        f"windows {name}", lambda x: cut(x, *options), *shapes, named=named,
        ours=lambda x: dg.windows(x, *options),
    )  # fmt: skip


def _padded(x: Any) -> Any:
    return dg.pad(x, [(0, 0), (2, 1)])


WINDOWS = [
    moved("windows", lambda x: sliding_window_view(x, 3, -1), (7,), (3,), (5, 31), (2, 3, 4),
          (0, 5), ours=lambda x: dg.windows(x, 3), named=(("M", 4),)),
    moved("windows two axes", lambda x: sliding_window_view(x, (2, 3), (-2, -1)), (7, 13),
          (2, 3, 5), (2, 1, 2, 3), ours=lambda x: dg.windows(x, (2, 3)), named=(("M", 2, 5),)),
    moved("windows square", lambda x: sliding_window_view(x, (2, 2), (0, 2)), (3, 2, 19),
          ours=lambda x: dg.windows(x, 2, axis=(0, 2))),
    moved("windows padded", lambda x: cut(np.pad(x, [(0, 0), (2, 1)]), (3,), (2,), (1,), (1,)),
          (3, 1), (5, 33), ours=lambda x: dg.windows(_padded(x), 3, 2), named=(MATRIX,)),
    moved("windows turned", lambda x: sliding_window_view(x.T[::-1], 3, 0)[1:], (17, 5),
          ours=lambda x: dg.windows(x.T[::-1], 3, axis=0)[1:]),
    moved("windows power", lambda x: cut(x, (4,), (3,), (2,), (0,)) ** 2, (19,), (9, 2, 3),
          ours=lambda x: dg.windows(x, 4, 3, 2, axis=0) ** 2, kinds="f"),
    moved("windows power many", lambda x: sliding_window_view(x, 2, -1)[:, ::2] ** 2, (66, 7),
          ours=lambda x: dg.windows(x, 2, 2) ** 2, kinds="f"),
    moved("windows power wide", lambda x: cut(x, (3,), (2,), (1,), (0,)) ** 2, (8, 67),
          ours=lambda x: dg.windows(x, 3, 2, axis=0) ** 2, kinds="f"),
    windows("strided", (3,), (2,), (1,), (0,), shapes=((8,), (37, 3), (7, 2, 17)),
            named=((7, "N"),)),
    windows("dilated", (3,), (1,), (4,), (1,), shapes=((3, 9), (2, 41), (2, 11, 5))),
    windows("apart", (2,), (5,), (2,), (-1,), shapes=((14,), (3, 40)), named=(("M", 9),)),
    windows("side by side", (3, 2), (3, 2), (1, 1), (0, 1), shapes=((9, 4), (3, 2, 5))),
    windows("of one", (1,), (1,), (7,), (-1,), shapes=((5,), (0, 2), (3, 17)), named=(MATRIX,)),
    windows("two axes turned", (3, 2), (1, 2), (2, 3), (2, 0), shapes=((6, 3, 21),)),
]  # fmt: skip

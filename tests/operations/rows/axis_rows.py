"""The rows of the table for operations along axes: reductions, running sums, softmax."""

from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array
from .rows import AXES, axes, mean, softmax


def _end(x: Array, sign: int) -> Any:
    """What an extremum of nothing is."""
    if x.dtype.kind == "f":
        return sign * np.inf
    if x.dtype.kind == "b":
        return sign > 0
    return np.iinfo(x.dtype).max if sign > 0 else np.iinfo(x.dtype).min


def _summed(x: Array) -> Any:
    """The dtype of a sum: that of the terms, and int64 for a count of bools."""
    return np.int64 if x.dtype.kind == "b" else x.dtype


MANY = AXES[:1] + AXES[3:]
"""Shapes without an axis of one element, over which nothing is spread."""


ROWS = [
    row
    for axis in (-1, 0)
    for row in (
        axes(f"softmax {axis}", lambda x, a=axis: dg.softmax(x, a),
             lambda x, a=axis: softmax(x, a),
             shapes=AXES, named=(("M", 5),) if axis else None),
        axes(f"log_softmax {axis}", lambda x, a=axis: dg.log_softmax(x, a),
             lambda x, a=axis: np.log(softmax(x, a)),
             shapes=AXES, named=(("M", 5),) if axis else None),
        axes(f"logsumexp {axis}", lambda x, a=axis: dg.logsumexp(x, a),
             lambda x, a=axis: np.log(np.exp(x).sum(a)),
             shapes=AXES, named=(("M", 5),) if axis else None),
    )
]  # fmt: skip
REDUCTIONS = [
    row
    for text, axis, keep in (
        ("", None, False), ("0", 0, False), ("-1", -1, False), ("1", 1, False),
        ("(0,1)", (0, 1), False), ("(0,-1) kept", (0, -1), True), ("1 kept", 1, True),
    )
    for row in (
        axes(f"sum {text}".strip(), lambda x, a=axis, k=keep: dg.sum(x, a, k),
             lambda x, a=axis, k=keep: np.sum(x, a, _summed(x), keepdims=k), kinds="fiub"),
        axes(f"mean {text}".strip(), lambda x, a=axis, k=keep: dg.mean(x, a, k),
             lambda x, a=axis, k=keep: mean(x, a, k), shapes=AXES),
        axes(f"variance {text}".strip(), lambda x, a=axis, k=keep: dg.variance(x, a, k),
             lambda x, a=axis, k=keep: mean((x - mean(x, a, True)) ** 2, a, k), shapes=AXES),
        axes(f"variance corrected {text}".strip(),
             lambda x, a=axis, k=keep: dg.variance(x, a, k, correction=0.5),
             lambda x, a=axis, k=keep: np.var(x, a, ddof=0.5, keepdims=k), shapes=AXES, named=None),
        axes(f"std {text}".strip(), lambda x, a=axis, k=keep: dg.std(x, a, k),
             lambda x, a=axis, k=keep: np.std(x, a, keepdims=k), shapes=MANY, named=None),
        axes(f"any {text}".strip(), lambda x, a=axis, k=keep: dg.any(x, a, k),
             lambda x, a=axis, k=keep: np.any(x, a, keepdims=k), kinds="fiub",
             domains=("level",), smooth=False),
        axes(f"all {text}".strip(), lambda x, a=axis, k=keep: dg.all(x, a, k),
             lambda x, a=axis, k=keep: np.all(x, a, keepdims=k), kinds="fiub",
             domains=("level",), smooth=False),
        axes(f"count_nonzero {text}".strip(), lambda x, a=axis, k=keep: dg.count_nonzero(x, a, k),
             lambda x, a=axis, k=keep: np.count_nonzero(x, a, keepdims=k), kinds="fiub",
             domains=("level",), smooth=False, dtype="int64"),
        axes(f"max {text}".strip(), lambda x, a=axis, k=keep: dg.max(x, a, k),
             lambda x, a=axis, k=keep: np.max(x, a, keepdims=k, initial=_end(x, -1)),
             kinds="fiub", shapes=AXES),
        axes(f"min {text}".strip(), lambda x, a=axis, k=keep: dg.min(x, a, k),
             lambda x, a=axis, k=keep: np.min(x, a, keepdims=k, initial=_end(x, 1)),
             kinds="fiub", shapes=AXES),
    )
]  # fmt: skip
INDICES = [
    row
    for text, axis in (("", None), ("0", 0), ("-1", -1), ("1", 1))
    for row in (
        axes(f"argmax {text}".strip(), lambda x, a=axis: dg.argmax(x, a),
             lambda x, a=axis: np.argmax(x, a), kinds="fiub", shapes=AXES, named=None,
             smooth=False),
        axes(f"argmin {text}".strip(), lambda x, a=axis: dg.argmin(x, a),
             lambda x, a=axis: np.argmin(x, a), kinds="fiub", shapes=AXES, named=None,
             smooth=False),
        axes(f"argmax {text} ties", lambda x, a=axis: dg.argmax(x, a),
             lambda x, a=axis: np.argmax(x, a), kinds="fiub", shapes=AXES,
             domains=("level",), named=None, smooth=False),
        axes(f"argmin {text} ties", lambda x, a=axis: dg.argmin(x, a),
             lambda x, a=axis: np.argmin(x, a), kinds="fiub", shapes=AXES,
             domains=("level",), named=None, smooth=False),
    )
]  # fmt: skip
SUMS = [
    row
    for axis in (-1, 0, 1)
    for row in (
        axes(f"cumsum {axis}", lambda x, a=axis: dg.cumsum(x, a),
             lambda x, a=axis: np.cumsum(x, a, x.dtype), kinds="fiu"),
        axes(f"cumsum {axis} reverse", lambda x, a=axis: dg.cumsum(x, a, reverse=True),
             lambda x, a=axis: np.flip(np.cumsum(np.flip(x, a), a, x.dtype), a), kinds="fiu"),
    )
]  # fmt: skip

"""The rows of the table for what is made, repeated, rolled, padded, and for parts of matrices."""

import math
from typing import Any

import numpy as np

import diagrad as dg

from .rows import MATRIX, moved


def _padded(x: Any, mode: Any, widths: Any = (1, 2)) -> Any:
    return np.pad(x, [widths] * x.ndim, mode) if x.ndim else x


REPEATED = [
    moved("tile", lambda x: np.tile(x, 3), (), (7,), (2, 5), (0, 3),
          ours=lambda x: dg.tile(x, 3), named=(MATRIX,)),
    moved("tile axes", lambda x: np.tile(x, (2, 1, 3)), (5,), (2, 5), (2, 3, 4),
          ours=lambda x: dg.tile(x, (2, 1, 3)), named=(MATRIX,)),
    moved("tile nothing", lambda x: np.tile(x, (0, 2)), (2, 3), ours=lambda x: dg.tile(x, (0, 2))),
    moved("repeat", lambda x: np.repeat(x, 3), (), (7,), (2, 5), (0, 3),
          ours=lambda x: dg.repeat(x, 3), named=(MATRIX,)),
    moved("repeat axis", lambda x: np.repeat(x, 2, -2), (2, 5), (2, 3, 4), (0, 3),
          ours=lambda x: x.repeat(2, -2), named=(MATRIX,)),
    moved("roll", lambda x: np.roll(x, 3), (), (7,), (2, 5), (0, 3),
          ours=lambda x: dg.roll(x, 3)),
    moved("roll axis", lambda x: np.roll(x, -9, 1), (2, 5), (2, 3, 4), (2, 0),
          ours=lambda x: dg.roll(x, -9, 1), named=(MATRIX,)),
    moved("roll axes", lambda x: np.roll(x, (1, -2), (0, -1)), (2, 5), (2, 3, 4),
          ours=lambda x: dg.roll(x, (1, -2), (0, -1)), named=(MATRIX,)),
    moved("pad edge", lambda x: _padded(x, "edge"), (), (7,), (2, 1, 3),
          ours=lambda x: dg.pad(x, [(1, 2)] * x.ndim, "edge")),
    moved("pad edge named", lambda x: np.pad(x, ((0, 0), (2, 3)), "edge"), (2, 1), (4, 5),
          ours=lambda x: dg.pad(x, ((0, 0), (2, 3)), "edge"), named=(("M", 3),)),
    moved("pad reflect", lambda x: _padded(x, "reflect"), (), (7,), (2, 1, 3),
          ours=lambda x: dg.pad(x, [(1, 2)] * x.ndim, "reflect")),
    moved("pad wrap", lambda x: _padded(x, "wrap"), (), (7,), (2, 1, 3),
          ours=lambda x: dg.pad(x, [(1, 2)] * x.ndim, "wrap")),
    moved("pad number", lambda x: np.pad(x, 2, constant_values=True), (7,), (2, 0, 3),
          ours=lambda x: dg.pad(x, 2, value=1), named=(MATRIX,)),
]  # fmt: skip
PARTS = [
    moved("flatten end",
          lambda x: x.reshape((x.shape[0], math.prod(x.shape[1:3]), x.shape[3])), (2, 3, 5, 4),
          ours=lambda x: dg.flatten(x, 1, 2), named=(("M", 2, "N", 3),)),
    moved("moveaxis", lambda x: np.moveaxis(x, 0, -1), (7, 13), (2, 3, 5), (0, 3),
          ours=lambda x: dg.moveaxis(x, 0, -1), named=(MATRIX,)),
    moved("moveaxis axes", lambda x: np.moveaxis(x, (0, 2), (1, 0)), (2, 3, 5), (2, 3, 1, 4),
          ours=lambda x: dg.moveaxis(x, (0, 2), (1, 0)), named=(("M", 3, "N"),)),
    moved("unstack", lambda x: x[1], (3,), (2, 5), ours=lambda x: dg.unstack(x)[1],
          named=((3, "N"),)),
    moved("unstack axis", lambda x: x[:, -1], (3, 4), (2, 5, 3),
          ours=lambda x: dg.unstack(x, 1)[-1], named=(("M", 4),)),
    moved("split sizes", lambda x: np.split(x, [2, 3], 1)[2], (3, 7), (2, 4, 3),
          ours=lambda x: dg.split(x, [2, 1, -1], 1)[2]),
    moved("split named", lambda x: x[1 : 1 + x.shape[0] - 3], (7,), (9, 2),
          ours=lambda x: dg.split(x, [1, -1, 2])[1]),
    moved("tril", np.tril, (5, 5), (2, 3, 5), (0, 3), ours=dg.tril, named=(("M", 3, "N"),)),
    moved("tril 1", lambda x: np.tril(x, 1), (5, 4), ours=lambda x: dg.tril(x, 1)),
    moved("triu", np.triu, (5, 5), (2, 5, 3), ours=dg.triu, named=(("M", 3, "N"),)),
    moved("triu -1", lambda x: np.triu(x, -1), (5, 4), ours=lambda x: dg.triu(x, -1)),
    moved("diagonal", np.diagonal, (5, 5), (5, 3), (3, 5, 2), (0, 3), ours=dg.diagonal,
          named=(("N", "N", "M"),)),
    moved("diagonal 1", lambda x: np.diagonal(x, 1, -1, 0), (5, 5), (5, 3), (3, 5, 2),
          ours=lambda x: dg.diagonal(x, 1, -1, 0)),
    moved("diagonal -2", lambda x: np.diagonal(x, -2), (5, 5), (2, 3), (3, 5),
          ours=lambda x: dg.diagonal(x, -2)),
    moved("trace", lambda x: np.trace(x, dtype=x.dtype), (5, 5), (5, 3), (3, 5, 2), ours=dg.trace,
          kinds="fiu", named=(("N", "N", "M"),)),
    moved("zeros_like", np.zeros_like, (), (2, 3), (0,), ours=dg.zeros_like, smooth=False,
          named=(MATRIX,)),
    moved("ones_like", np.ones_like, (2, 3), ours=dg.ones_like, smooth=False),
    moved("full_like", lambda x: np.full_like(x, 1), (2, 3), ours=lambda x: dg.full_like(x, 1),
          smooth=False),
    moved("meshgrid", lambda x, y: np.stack(np.meshgrid(x, y)), ((3,), (5,)), ((), (2,)),
          ours=lambda x, y: dg.stack(dg.meshgrid(x, y)), named=(("M",), ("N",))),
    moved("meshgrid ij", lambda *v: np.stack(np.meshgrid(*v, indexing="ij")),
          ((3,), (5,), (2,)), ours=lambda *v: dg.stack(dg.meshgrid(*v, indexing="ij"))),
]  # fmt: skip
MADE = [
    moved("eye", lambda x: x + np.eye(len(x), x.shape[1], dtype=x.dtype), (5, 5), (2, 3),
          ours=lambda x: x + dg.eye(*x.shape), kinds="f", named=(MATRIX,)),
    moved("eye 1", lambda x: x * np.eye(len(x), x.shape[1], 1), (5, 5), (2, 3),
          ours=lambda x: x * dg.eye(x.shape[0], x.shape[1], 1), kinds="f"),
    moved("zeros", lambda x: x + 0, (2, 3), ours=lambda x: x + dg.zeros(x.shape), kinds="f",
          named=(MATRIX,)),
    moved("ones", lambda x: x + 1, (2, 3), ours=lambda x: x + dg.ones(x.shape), kinds="f",
          named=(MATRIX,)),
    moved("full", lambda x: x + 0.1, (2, 3), ours=lambda x: x + dg.full(x.shape, 0.1), kinds="f",
          named=(MATRIX,)),
    moved("linspace", lambda x: x * np.linspace(-1, 2, 5), (3, 5), ((5,)),
          ours=lambda x: x * dg.linspace(-1, 2, 5), kinds="f"),
    moved("linspace open", lambda x: x * np.linspace(0, 1, 4, endpoint=False), (4,),
          ours=lambda x: x * dg.linspace(0, 1, 4, endpoint=False), kinds="f"),
]  # fmt: skip

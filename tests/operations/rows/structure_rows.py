"""The rows of the table for operations that say where elements lie."""

import math

import numpy as np

import diagrad as dg

from .rows import MATRIX, moved

MOVES = [
    moved("reshape", lambda x: x.reshape((13, 7)), (7, 13), ours=lambda x: dg.reshape(x, (13, 7))),
    moved("reshape -1", lambda x: x.reshape((2, -1)), (2, 31), (4, 3, 7), (2, 0)),
    moved("reshape line", lambda x: x.reshape(-1), (7, 13), (), (0, 3), named=(MATRIX,)),
    moved("reshape ones", lambda x: x.reshape((1, 17, 1)), (17,), (17, 1)),
    moved("reshape turned", lambda x: x.T.reshape(-1), (7, 13), (3, 1, 5), named=(MATRIX,)),
    moved("flatten", lambda x: x.reshape((x.shape[0], math.prod(x.shape[1:]))), (7, 13),
          (2, 3, 5), (1, 0, 1, 1), ours=dg.flatten, named=(("M", 3, "N"),)),
    moved("flatten 0", lambda x: x.reshape(-1), (), (2, 3, 5), ours=lambda x: dg.flatten(x, 0)),
    moved("transpose", np.transpose, (), (7,), (7, 13), (2, 3, 5), (0, 3), ours=dg.transpose,
          named=(MATRIX,)),
    moved("transpose T", lambda x: x.T, (7, 13), (17, 1)),
    moved("transpose axes", lambda x: x.transpose(2, 0, -2), (2, 3, 5), (17, 1, 13),
          named=(("M", 3, "N"),)),
    moved("swapaxes", lambda x: np.swapaxes(x, 0, -1), (7, 13), (2, 3, 5),
          ours=lambda x: dg.swapaxes(x, 0, -1), named=(MATRIX,)),
    moved("expand_dims", lambda x: np.expand_dims(x, -1), (), (7,), (7, 13), (0,),
          ours=lambda x: dg.expand_dims(x, -1), named=(MATRIX,)),
    moved("expand_dims 1", lambda x: np.expand_dims(x, 1), (7,), (7, 13),
          ours=lambda x: dg.expand_dims(x, 1)),
    moved("squeeze", np.squeeze, (1, 7, 1), (1,), (7, 13), ours=dg.squeeze),
    moved("squeeze axis", lambda x: np.squeeze(x, (0, -1)), (1, 7, 1), (1, 1, 3, 1),
          ours=lambda x: dg.squeeze(x, (0, -1)), named=((1, "M", 1),)),
    moved("broadcast_to", lambda x: np.broadcast_to(x, (5, 7, 13)), (7, 13), (13,), (1,), (),
          (7, 1), (5, 1, 1), ours=lambda x: dg.broadcast_to(x, (5, 7, 13))),
    moved("flip", np.flip, (), (7,), (7, 13), (0, 3), ours=dg.flip, named=(MATRIX,)),
    moved("flip 0", lambda x: np.flip(x, 0), (31,), (7, 13), (2, 3, 5),
          ours=lambda x: dg.flip(x, 0), named=(MATRIX,)),
    moved("flip (0,2)", lambda x: np.flip(x, (0, 2)), (2, 3, 5), (1, 3, 17),
          ours=lambda x: dg.flip(x, (0, 2))),
    moved("concatenate", lambda *v: np.concatenate(v), ((3,), (0,), (4,)), ((7, 5), (1, 5)),
          ((2, 3),), ((0, 3), (0, 3)), ours=lambda *v: dg.concatenate(v),
          named=(MATRIX, (3, "N"))),
    moved("concatenate 1", lambda *v: np.concatenate(v, 1), ((7, 5), (7, 13), (7, 1)),
          ((2, 3, 5), (2, 1, 5)), ((0, 1), (0, 2)), ours=lambda *v: dg.concatenate(v, 1),
          named=(("M", 2), ("M", 3))),
    moved("concatenate turned", lambda x, y: np.concatenate([x.T, y[::-1, 1:]], -1),
          ((5, 7), (7, 4)), ours=lambda x, y: dg.concatenate([x.T, y[::-1, 1:]], -1)),
    moved("stack", lambda *v: np.stack(v), ((7,), (7,)), ((), (), ()), ((2, 3), (2, 3)),
          ((0,), (0,)), ours=lambda *v: dg.stack(v), named=(MATRIX, MATRIX)),
    moved("stack 1", lambda *v: np.stack(v, 1), ((7, 13), (7, 13)), ((7,), (7,), (7,)),
          ours=lambda *v: dg.stack(v, 1)),
    moved("stack -1", lambda *v: np.stack(v, -1), ((7, 13), (7, 13)), ((2, 3, 5), (2, 3, 5)),
          ours=lambda *v: dg.stack(v, -1), named=(MATRIX, MATRIX)),
    moved("split", lambda x: np.split(x, 3)[1], (3,), (9, 7), (0, 2),
          ours=lambda x: dg.split(x, 3)[1]),
    moved("split 1", lambda x: np.split(x, 2, 1)[1], (7, 26), (2, 4, 3),
          ours=lambda x: dg.split(x, 2, 1)[1], named=(("M", 6),)),
    moved("pad", lambda x: np.pad(x, [(1, 2)] * x.ndim) if x.ndim else x, (), (7,), (7, 13),
          (2, 1, 5), (0, 3), ours=lambda x: dg.pad(x, [(1, 2)] * x.ndim), named=(MATRIX,)),
    moved("pad one", lambda x: np.pad(x, [(0, 0), (3, 0)]), (7, 13), (7, 0), (0, 7),
          ours=lambda x: dg.pad(x, [(0, 0), (3, 0)]), named=(MATRIX,)),
    moved("pad nothing", lambda x: x, (7, 13), ours=lambda x: dg.pad(x, [(0, 0), (0, 0)])),
]  # fmt: skip
INDEXING = [
    moved(f"getitem {text}", function, *shapes, **options)
    for text, function, shapes, options in (
        ("[1]", lambda x: x[1], ((7,), (2, 3)), {"named": ((2, "N"),)}),
        ("[-1]", lambda x: x[-1], ((7, 13), (1,)), {}),
        ("[2:5]", lambda x: x[2:5], ((7,), (5, 3), (2, 3)), {}),
        ("[1:]", lambda x: x[1:], ((7, 13), (1, 3)), {"named": ((3, "N"),)}),
        ("[:-1]", lambda x: x[..., :-1], ((7, 13),), {"named": (("M", 4),)}),
        ("[::2]", lambda x: x[::2], ((7, 13), (0,), (1,), (2, 3)), {"named": (MATRIX,)}),
        ("[1::3]", lambda x: x[:, 1::3], ((7, 13), (2, 5, 3)), {"named": (("M", 5),)}),
        ("[::-1]", lambda x: x[::-1], ((7, 13), (0,)), {"named": (MATRIX,)}),
        ("[-2::-3]", lambda x: x[-2::-3], ((17, 3), (7,)), {}),
        ("[5:1:-2]", lambda x: x[..., 5:1:-2], ((3, 7), (3, 3)), {}),
        ("[2:2]", lambda x: x[2:2], ((7, 3),), {}),
        ("[...,0]", lambda x: x[..., 0], ((7, 13), (2, 3, 5)), {"named": (("M", 2),)}),
        ("[:,None]", lambda x: x[:, None], ((7,), (7, 13)), {"named": (MATRIX,)}),
        ("[None,1,...,::2]", lambda x: x[None, 1, ..., ::2], ((7, 13), (2, 3, 5, 7)), {}),
        ("[()]", lambda x: x[()], ((), (7,)), {}),
        ("[1][2]", lambda x: x[1][2], ((2, 3, 5), (7, 13)), {}),
        ("[::2].T", lambda x: x[::2].T[::-1, 1:], ((7, 13), (17, 3)), {}),
        ("[list]", lambda x: x[[2, 0, 2, 1]], ((7,), (3, 5)), {"named": ((3, "N"),)}),
    )
]

"""The rows of the table for matrix products."""

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import MATRIX


def logmatmulexp(x: Array, y: Array) -> Array:
    each = x[..., :, :, None] + y[..., None, :, :]
    return np.asarray(np.logaddexp.reduce(each, axis=-2, initial=-np.inf))


PRODUCTS = [
    Operation("matmul", dg.matmul, np.matmul,
              (((7,), (7,)), ((13, 7), (7,)), ((7,), (7, 13)), ((13, 7), (7, 17)), ((1, 7), (7, 1)),
               ((7, 1), (1, 13)), ((0, 3), (3, 5)), ((5, 0), (0, 3)), ((3, 0), (0,)), ((0,), (0,)),
               ((2, 3, 5), (5, 7)), ((2, 3, 5), (5,)), ((5,), (2, 5, 7)), ((2, 3, 5), (2, 5, 7)),
               ((1, 3, 5), (2, 5, 7)), ((3, 5), (2, 5, 7)), ((2, 1, 3, 5), (4, 5, 7)),
               ((0, 3, 5), (0, 5, 7))),
              named=(("M", 3, "N"), ("N", 5))),
    Operation("matmul large", dg.matmul, np.matmul, (((200, 150), (150, 140)),), smooth=False),
    Operation("matmul operator", lambda x, y: x @ y, np.matmul, (((13, 7), (7, 17)),),
              named=(("M", 3), (3, "N"))),
    Operation("matmul turned", lambda x, y: x.T @ y[::-1].T, lambda x, y: x.T @ y[::-1].T,
              (((7, 13), (17, 7)), ((7, 1), (17, 7))), named=(("N", "M"), (3, "N"))),
    Operation("logmatmulexp", dg.logmatmulexp, logmatmulexp,
              (((7, 5), (5, 13)), ((1, 7), (7, 1)), ((7, 1), (1, 17)), ((0, 3), (3, 5)),
               ((5, 0), (0, 3)), ((3, 5), (5, 0)), ((2, 3, 5), (5, 7)), ((3, 5), (2, 5, 7)),
               ((2, 1, 3, 5), (4, 5, 7)), ((0, 3, 5), (0, 5, 7))),
              named=(("M", 3, "N"), ("N", 5))),
    Operation("logmatmulexp turned", lambda x, y: dg.logmatmulexp(x.T, y[::-1].T),
              lambda x, y: logmatmulexp(x.T, y[::-1].T), (((7, 13), (17, 7)), ((7, 1), (17, 7))),
              named=(("N", "M"), (3, "N"))),
    Operation("logmatmulexp far", lambda x, y: dg.logmatmulexp(100.0 * x, 100.0 * y),
              lambda x, y: logmatmulexp(100 * x, 100 * y), (((7, 5), (5, 19)),), smooth=False),
] + [
    Operation(f"einsum {text}", lambda *v, t=text: dg.einsum(t, *v),
              lambda *v, t=text: np.einsum(t, *v), shapes, named=named)
    for text, shapes, named in (
        ("ij,jk->ik", (((7, 13), (13, 5)),), (("M", 3), (3, "N"))),
        ("ij,kj->ki", (((7, 13), (5, 13)),), (("M", 3), ("N", 3))),
        ("ji,jk->ik", (((7, 13), (7, 5)), ((1, 13), (1, 5))), (("M", "N"), ("M", 3))),
        ("ij,ij->", (((7, 13), (7, 13)), ((0, 3), (0, 3))), (MATRIX, MATRIX)),
        ("ij,ij->i", (((7, 13), (7, 13)),), (MATRIX, MATRIX)),
        ("ij,ij->ji", (((7, 13), (7, 13)),), None),
        ("ij,ji->", (((7, 13), (13, 7)),), (("M", "N"), ("N", "M"))),
        ("i,j->ij", (((7,), (13,)), ((1,), (5,))), (("M",), ("N",))),
        ("i,j->", (((7,), (13,)),), None),
        ("ij,k->i", (((7, 13), (3,)),), None),
        ("ij,->ij", (((7, 13), ()),), None),
        (",->", (((), ()),), None),
        ("bij,bjk->bik", (((3, 7, 5), (3, 5, 2)),), (("M", 3, "N"), ("M", "N", 2))),
        ("bij,bjk->kbi", (((3, 7, 5), (3, 5, 2)),), None),
        ("bihd,bjhd->bhij", (((2, 3, 4, 5), (2, 7, 4, 5)),), (("M", 3, 2, 5), ("M", 4, 2, 5))),
        ("bhij,bjhd->bihd", (((2, 4, 3, 7), (2, 7, 4, 5)),), None),
        ("abc,cbd->ad", (((3, 5, 7), (7, 5, 2)),), (("M", 5, "N"), ("N", 5, 2))),
        ("abc,bcd->ad", (((3, 5, 7), (5, 7, 2)),), None),
        ("ij,jk,kl->il", (((7, 5), (5, 3), (3, 13)),), (("M", 5), (5, 3), (3, "N"))),
        ("ij,ij,ij->j", (((7, 5), (7, 5), (7, 5)),), None),
        ("ij->ji", (((7, 13),),), (MATRIX,)),
        ("ijk->k", (((2, 3, 5),),), None),
        ("ij->", (((7, 13),), ((0, 2),)), None),
    )
]  # fmt: skip

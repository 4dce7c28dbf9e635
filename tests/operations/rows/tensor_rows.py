"""The rows of the table for products of arrays, subscripts that are not written out, and norms."""

import math
from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import MATRIX, axes

TENSORS = [
    Operation("outer", dg.outer, np.outer, (((7,), (5,)), ((2, 3), (4,)), ((), (0,))), kinds="fiu",
              named=(("M",), ("N",))),
    Operation("inner", dg.inner, np.inner,
              (((7,), (7,)), ((2, 3), (4, 3)), ((), (2, 3)), ((2, 3, 5), (5,)), ((2, 0), (3, 0))),
              kinds="fiu", named=(("M", 3), ("N", 3))),
    Operation("vecdot", dg.vecdot, lambda x, y: np.sum(x * y, -1, x.dtype),
              (((7,), (7,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((2, 0), (2, 0))), kinds="fiu",
              named=(("M", "N"), ("N",))),
    Operation("vecdot 0", lambda x, y: dg.vecdot(x, y, -2),
              lambda x, y: np.sum(x * y, -2, x.dtype), (((3, 2), (3, 2)),), kinds="fiu"),
    Operation("cross", dg.cross, np.cross,
              (((3,), (3,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((0, 3), (0, 3))), kinds="fi",
              named=(("M", 3), ("M", 3))),
    Operation("cross 0", lambda x, y: dg.cross(x, y, 0), lambda x, y: np.cross(x, y, axis=0),
              (((3, 5), (3, 5)),), kinds="fi", named=((3, "N"), (3, "N"))),
    Operation("kron", dg.kron, np.kron,
              (((7,), (5,)), ((2, 3), (4, 1)), ((3,), (2, 2)), ((), (2,)), ((0, 2), (2, 3))),
              kinds="fiu", named=(MATRIX, ("N", 2))),
    Operation("tensordot", dg.tensordot, np.tensordot,
              (((2, 3, 5), (3, 5, 4)), ((3, 5), (3, 5)), ((0, 3, 5), (3, 5))), kinds="fiub",
              named=(("M", 3, "N"), (3, "N", 2))),
    Operation("tensordot 0", lambda x, y: dg.tensordot(x, y, 0),
              lambda x, y: np.tensordot(x, y, 0), (((2, 3), (5,)),)),
    Operation("tensordot axes", lambda x, y: dg.tensordot(x, y, ((0, -1), (2, 0))),
              lambda x, y: np.tensordot(x, y, ((0, -1), (2, 0))), (((2, 3, 5), (5, 4, 2)),),
              kinds="fiub"),
    Operation("tensordot axis", lambda x, y: dg.tensordot(x, y, (1, -1)),
              lambda x, y: np.tensordot(x, y, (1, -1)), (((2, 3), (5, 3)),)),
] + [
    Operation(f"einsum {text}", lambda *v, t=text: dg.einsum(t, *v),
              lambda *v, t=text: np.einsum(t, *v), shapes, kinds="fiu", named=named)
    for text, shapes, named in (
        ("ij,jk", (((7, 13), (13, 5)),), (("M", 3), (3, "N"))),
        ("ba", (((7, 13),),), (MATRIX,)),
        ("i,i", (((7,), (7,)),), None),
        ("ii", (((5, 5),), ((0, 0),)), (("N", "N"),)),
        ("ii->i", (((5, 5),),), (("N", "N"),)),
        ("iij->ji", (((5, 5, 3),),), None),
        ("iii", (((4, 4, 4),),), None),
        ("iij,jk->ik", (((4, 4, 3), (3, 2)),), None),
        ("...ij,...jk->...ik", (((3, 7, 5), (3, 5, 2)), ((3, 7, 5), (5, 2)),
                                ((4, 1, 2, 5), (3, 5, 2)), ((7, 5), (5, 2))),
         (("M", 2, "N"), ("M", "N", 3))),
        ("...ij,jk", (((3, 7, 5), (5, 2)),), None),
        ("i...->...", (((3, 7, 5),), ((4,),)), None),
        ("...", (((3, 2),), ((),)), None),
        ("i...,...i->...i", (((3, 7), (7, 3)), ((3, 1), (5, 3))), None),
    )
]  # fmt: skip
NORMS = [
    row
    for text, axis, keep in (("", None, False), ("-1", -1, False), ("0 kept", 0, True))
    for order in (None, 1, 2, 3, 2.5, math.inf, -math.inf, 0)
    if axis is not None or order is None
    for row in (
        axes(f"norm {order} {text}".strip(),
             lambda x, o=order, a=axis, k=keep: dg.norm(x, o, a, k),
             lambda x, o=order, a=axis, k=keep: np.linalg.norm(x, o, a, k),
             shapes=(((7, 13),), ((3, 5, 2),)), smooth=order != 0,
             named=None if order == -math.inf else (MATRIX,)),
    )
] + [
    axes(f"norm matrix {order} {axis}", lambda x, o=order, a=axis: dg.norm(x, o, a),
         lambda x, o=order, a=axis: np.linalg.norm(x, o, a), shapes=(((7, 13),), ((3, 5, 2),)),
         named=None)
    for order in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    for axis in ((0, 1), (-1, 0))
]  # fmt: skip


def _multiplied(x: Array) -> Any:
    """The dtype of a product: that of the factors, and int64 of bools."""
    return np.int64 if x.dtype.kind == "b" else x.dtype


RUNNING = [
    row
    for axis in (-1, 0)
    for row in (
        axes(f"cumprod {axis}", lambda x, a=axis: dg.cumprod(x, a),
             lambda x, a=axis: np.cumprod(x, a, x.dtype), kinds="fiu"),
        axes(f"cumprod {axis} reverse", lambda x, a=axis: dg.cumprod(x, a, reverse=True),
             lambda x, a=axis: np.flip(np.cumprod(np.flip(x, a), a, x.dtype), a)),
        axes(f"diff {axis}", lambda x, a=axis: dg.diff(x, 1, a),
             lambda x, a=axis: np.diff(x, 1, a), kinds="fiu",
             named=(("M", 4) if axis else (4, "N"),)),
        axes(f"diff 3 {axis}", lambda x, a=axis: dg.diff(x, 3, a),
             lambda x, a=axis: np.diff(x, 3, a), kinds="fi", named=None),
        axes(f"logcumsumexp {axis}", lambda x, a=axis: dg.logcumsumexp(x, a),
             lambda x, a=axis: np.logaddexp.accumulate(x, a)),
    )
] + [
    axes(f"prod {text}".strip(), lambda x, a=axis, k=keep: dg.prod(x, a, k),
         lambda x, a=axis, k=keep: np.prod(x, a, _multiplied(x), keepdims=k),
         kinds="fiub", domains=("positive",),
         named=(MATRIX,) if isinstance(axis, int) else None)  # all are too many for float32
    for text, axis, keep in (("", None, False), ("0", 0, False), ("-1", -1, False),
                             ("(0,-1) kept", (0, -1), True))
]  # fmt: skip
EXCLUSIVE = [
    row
    for axis in (-1, 0)
    for row in (
        axes(f"cumsum {axis} exclusive", lambda x, a=axis: dg.cumsum(x, a, exclusive=True),
             lambda x, a=axis: np.cumsum(x, a, x.dtype) - x, kinds="iu"),
        axes(f"cumsum {axis} reverse exclusive",
             lambda x, a=axis: dg.cumsum(x, a, reverse=True, exclusive=True),
             lambda x, a=axis: np.flip(np.cumsum(np.flip(x, a), a, x.dtype), a) - x, kinds="fiu"),
    )
]  # fmt: skip

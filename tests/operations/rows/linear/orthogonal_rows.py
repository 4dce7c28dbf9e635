"""The rows of the table for factors with orthonormal columns, but for the signs of vectors."""

from typing import Any

import numpy as np

import diagrad as dg

from ..operation import Array, Operation

SQUARE = (((5, 5),), ((17, 17),), ((1, 1),), ((3, 2, 4, 4),), ((0, 3, 3),), ((0, 0),))
MATRICES = (
    ((7, 3),), ((4, 9),), ((5, 5),), ((1, 1),), ((3, 1),), ((2, 5, 3),), ((0, 4, 2),), ((3, 0),),
    ((0, 3),), ((33, 17),),
)  # fmt: skip


def _symmetric(a: Array) -> Array:
    return np.asarray((a + a.swapaxes(-1, -2)) / 2)


def _eigh(a: Array) -> Array:
    values, vectors = np.linalg.eigh(_symmetric(a))
    return np.concatenate([values[..., None, :], vectors * vectors], -2)


def _our_eigh(a: Any) -> Any:
    values, vectors = dg.eigh(a)
    return dg.concatenate([values[..., None, :], vectors * vectors], -2)


def _svd(a: Array) -> Array:
    """Values; vectors by the products of which the sign is the same."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([s[..., None, :], u * u, np.swapaxes(vh * vh, -1, -2)], -2)


def _our_svd(a: Any) -> Any:
    u, s, vh = dg.svd(a)
    return dg.concatenate([s[..., None, :], u * u, (vh * vh).mT], -2)


def _qr(a: Array, first: bool) -> Array:
    q, r = np.linalg.qr(a)
    sign = np.where(np.diagonal(r, 0, -2, -1) < 0, -1.0, 1.0)
    return np.asarray(q * sign[..., None, :] if first else r * sign[..., None])


def _lstsq(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.pinv(a) @ b)


ORTHOGONAL = [
    Operation("qr q", lambda a: dg.qr(a)[0], lambda a: _qr(a, True), MATRICES,
              named=(("M", 4, 4),)),
    Operation("qr r", lambda a: dg.qr(a)[1], lambda a: _qr(a, False), MATRICES,
              named=(("M", 4, 4),)),
    Operation("qr turned", lambda a: dg.qr(a.mT[..., ::-1])[1],
              lambda a: _qr(np.swapaxes(a, -1, -2)[..., ::-1], False), (((3, 7),), ((2, 3, 5),))),
    Operation("lstsq", dg.lstsq, _lstsq,
              (((7, 3), (7, 2)), ((4, 6), (4, 1)), ((5, 5), (5, 2)), ((3, 6, 2), (6, 3)),
               ((6, 2), (3, 6, 1)), ((7, 3), (7,)), ((3, 0), (3, 2)), ((0, 4, 2), (0, 4, 1))),
              named=(("M", 6, 3), ("M", 6, 2))),
    Operation("eigh", _our_eigh, _eigh, SQUARE, named=(("M", 4, 4),)),
    Operation("eigvalsh", dg.eigvalsh, lambda a: np.linalg.eigvalsh(_symmetric(a)), SQUARE,
              named=(("N", "N"),)),
    Operation("svd", _our_svd, _svd, MATRICES, named=(("M", 4, 4),)),
    Operation("svdvals", dg.svdvals, lambda a: np.linalg.svd(a, compute_uv=False), MATRICES,
              named=(("M", 4, 4),)),
    Operation("pinv", dg.pinv, np.linalg.pinv, MATRICES, named=(("M", 5, 3),)),
    Operation("matrix_rank", dg.matrix_rank, np.linalg.matrix_rank,
              (((4, 3),), ((2, 5, 5),), ((0, 3),)), smooth=False, named=(("M", 5, 3),)),
]  # fmt: skip

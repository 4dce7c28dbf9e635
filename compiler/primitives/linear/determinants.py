"""Determinants, by elimination with partial pivoting.

    det(a)        [..., n, n]  ->  [...]       the product of pivots, signed by their order
    slogdet(a)    [..., n, n]  ->  [..., 2]    its sign, and the logarithm of its absolute value

A singular matrix in whose elimination no pivot is left has the determinant 0, the sign 0 and the
logarithm minus infinity; its derivatives are NaN, since the inverse is.  So is what comes of NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graph import Node, Type
from ...sizes import Dim, floor_divide, product
from ..record import Array, Attrs, Builder, Primitive
from .matrices import expect_square, for_each, identity_like, over_matrices, transposed


def _infer_det(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    expect_square(a)
    return a.with_shape(a.shape[:-2])


def _infer_slogdet(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    expect_square(a)
    return a.with_shape((*a.shape[:-2], 2))


def _det(result: Type, attrs: Attrs, a: Array) -> Array:
    return _nan_of_nan(a, np.asarray(np.linalg.det(a), a.dtype))


def _slogdet(result: Type, attrs: Attrs, a: Array) -> Array:
    found = np.stack(np.linalg.slogdet(a), axis=-1).astype(a.dtype)
    return np.moveaxis(_nan_of_nan(a, np.moveaxis(found, -1, 0)), 0, -1)


def _nan_of_nan(a: Array, found: Array) -> Array:
    """NaN for a matrix that has one; LAPACK leaves out what a 0 is multiplied with."""
    return np.where(np.isnan(a).any((-2, -1)), np.asarray(np.nan, a.dtype), found)


def _inverse_turned(b: Builder, a: Node, factor: Node) -> tuple[Node | None, ...]:
    """The transposed inverse of each matrix times a number of its own."""
    right = b.mul(identity_like(b, a), over_matrices(b, factor, a))
    return (b.solve(transposed(b, a), right),)


def _vjp_det(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The determinant times the transposed inverse (Giles, 2008, 2.2.4)."""
    return _inverse_turned(b, n.inputs[0], b.mul(g, n))


def _vjp_slogdet(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The transposed inverse; the sign has the derivative 0."""
    rank = n.type.rank
    logs = b.reshape(b.slice_axis(g, rank - 1, 1, 2), shape=n.shape[:-1])
    return _inverse_turned(b, n.inputs[0], logs)


def det_flops(node: Node) -> Dim:
    """Multiplications and additions of an elimination, 2 n^3 / 3."""
    *lead, rows, _ = node.inputs[0].shape
    return floor_divide(rows * rows * rows * product(lead) * 2, 3)


def det_work(node: Node) -> Dim:
    """An estimate, in operations on one element: in small matrices most is the search of pivots."""
    *lead, rows, _ = node.inputs[0].shape
    return floor_divide(det_flops(node), 8) + product(lead) * rows * (rows * 10 + 200)


PRIMITIVES = (
    Primitive(
        name="det",
        kind="contraction",
        infer=_infer_det,
        reference=_det,
        vjp=_vjp_det,
        batch=for_each,
    ),
    Primitive(
        name="slogdet",
        kind="contraction",
        infer=_infer_slogdet,
        reference=_slogdet,
        vjp=_vjp_slogdet,
        batch=for_each,
    ),
)

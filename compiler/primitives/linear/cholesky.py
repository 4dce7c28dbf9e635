"""The factor of Cholesky: the lower triangular l with l l' = (a + a') / 2.

    a [..., n, n]   ->   l [..., n, n]       its diagonal is positive

A matrix that is not positive definite, or not finite, gives NaN in the triangle, and
disturbs no other matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...graph import Node, Type
from ...sizes import Dim, floor_divide, product
from ..record import Array, Attrs, Builder, Primitive
from .matrices import expect_square, for_each, multiply, transposed, triangle


def _infer(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    expect_square(a)
    return a


def _reference(result: Type, attrs: Attrs, a: Array) -> Array:
    even = a * a.dtype.type(0.5)
    even = even + np.swapaxes(even, -1, -2)
    try:
        found = np.linalg.cholesky(even)
        bad = ~np.isfinite(found).all((-2, -1), keepdims=True)
        return np.tril(np.where(bad, np.asarray(np.nan, a.dtype), found))
    except np.linalg.LinAlgError:
        if a.ndim == 2:
            return np.tril(np.full_like(a, np.nan))
        return np.stack([_reference(result, attrs, matrix) for matrix in a])


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The symmetric part of l^-t P(l' g) l^-1, P the lower triangle with half of its diagonal.

    (Murray, Differentiation of the Cholesky decomposition, 2016, equation 10.)
    """
    upper = transposed(b, n)
    inner = triangle(b, multiply(b, upper, g), lower=True, diagonal=0.5)
    for _ in range(2):
        solved = b.triangular_solve(upper, inner, lower=False, unit_diagonal=False)
        inner = transposed(b, solved)
    return (b.scale(b.add(inner, transposed(b, inner)), 0.5),)


def cholesky_flops(node: Node) -> Dim:
    """Multiplications and additions, n^3 / 3."""
    *lead, rows, _ = node.shape
    return floor_divide(rows * rows * rows * product(lead), 3)


def cholesky_work(node: Node) -> Dim:
    """An estimate, in operations on one element."""
    *lead, rows, _ = node.shape
    return floor_divide(cholesky_flops(node), 24) + product(lead) * rows * (rows * 2 + 40)


PRIMITIVES = (
    Primitive(
        name="cholesky",
        kind="contraction",
        infer=_infer,
        reference=_reference,
        vjp=_vjp,
        batch=for_each,
    ),
)

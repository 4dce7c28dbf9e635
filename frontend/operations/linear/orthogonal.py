"""Factors with orthonormal columns: qr, eigh and svd, and what they solve."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.linear.matrices import multiply, over_matrices, transposed
from ....compiler.primitives.linear.orthogonal import (
    eigh_factors,
    qr_factors,
    rows_of,
    svd_factors,
)
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...arguments import number
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables, broadcast_shape, one_dtype, spread_to


def qr(a: Any) -> tuple[Variable, Variable]:
    """Factors q, with orthonormal columns, and r, upper triangular, with a = q @ r.

    As NumPy's `linalg.qr`, reduced, but for signs: the diagonal of r is not negative, so that of
    matrices of full rank there is one q and one r.  By Householder's reflections (Golub and Van
    Loan, Matrix Computations, 5.2).  The gradient is that of Walter and Lehmann (2010); it is not
    finite, or NaN, where r is singular.

    Args:
        a: matrices (..., m, n), float32 or float64.  Where m or n has a name and they differ, m
            counts as no less than n.

    Returns:
        q (..., m, k) and r (..., k, n), where k is the lesser of m and n.  Of a matrix with
        elements that are not finite all is NaN.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no matrices.
    """

    def rule(b: Builder, a: Node) -> tuple[Node, ...]:
        _expect_matrices(a)
        return _qr(b, a)

    found: tuple[Variable, Variable] = apply("qr", rule, as_variables(a), 2)
    return found


def lstsq(a: Any, b: Any) -> Variable:
    """The x for which the squares of a @ x - b have the least sum: `numpy.linalg.lstsq(a, b)[0]`.

    By q and r of a, where it has full column rank; of a matrix with more columns than rows, and
    full row rank, the x with the least length, by q and r of its transpose.  Where the rank is not
    full, elements are not finite, or of no meaning: `pinv(a) @ b` has the x of least length there.

    Args:
        a: matrices (..., m, n), float32 or float64.  Where m or n has a name and they differ, m
            counts as no less than n.
        b: matrices (..., m, k), whose leading axes broadcast with a's; or one vector (m,), for
            which x has a's leading axes and n elements.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats or two dtypes, no matrices, or
            `b` has another number of rows than `a`.
    """

    def rule(builder: Builder, a: Node, b: Node) -> Node:
        one_dtype((a, b))
        _expect_matrices(a)
        if b.type.rank == 0:
            raise TypeRuleError("expects a vector or matrices on the right, not a number")
        vector = b.type.rank == 1
        right = builder.reshape(b, shape=(*b.shape, 1)) if vector else b
        if right.shape[-2] != a.shape[-2]:
            raise TypeRuleError(
                f"expects as many rows on the right as the matrix has, not {right.shape[-2]} and "
                f"{a.shape[-2]}"
            )
        lead = broadcast_shape([a.shape[:-2], right.shape[:-2]])
        left, right = (spread_to(builder, x, (*lead, *x.shape[-2:])) for x in (a, right))
        found = _lstsq(builder, left, right)
        return builder.reshape(found, shape=found.shape[:-1]) if vector else found

    result: Variable = apply("lstsq", rule, as_variables(a, b))
    return result


def eigh(a: Any) -> tuple[Variable, Variable]:
    """The eigenvalues and eigenvectors of symmetric matrices: a @ v = v * w.

    As NumPy's `linalg.eigh`, but of (a + a') / 2, which is a where a is symmetric.  Cyclic
    rotations of Jacobi (Golub and Van Loan, Matrix Computations, 8.5): accurate, and slower than
    NumPy's for large matrices.  The sign of a vector is not stated.

    The gradient (Giles, 2008) takes 1 / (w[j] - w[i]) as 0 where two values are equal, which here
    are those no farther apart than n epsilons of the greatest |w|.  So it is right for what does
    not depend on the choice of vectors, as long as each has its own value.  It is symmetric.

    Args:
        a: square matrices (..., n, n), float32 or float64.

    Returns:
        w (..., n), rising, and v (..., n, n), in whose columns the vectors are, orthonormal.  Of a
        matrix with elements that are not finite all is NaN.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no square matrices.
    """

    def rule(b: Builder, a: Node) -> tuple[Node, ...]:
        values, vectors = _eigh(b, a)
        return _line(b, values), vectors

    found: tuple[Variable, Variable] = apply("eigh", rule, as_variables(a), 2)
    return found


def eigvalsh(a: Any) -> Variable:
    """The eigenvalues of symmetric matrices, rising: the first result of `eigh`."""
    result: Variable = apply("eigvalsh", lambda b, a: _line(b, _eigh(b, a)[0]), as_variables(a))
    return result


def svd(a: Any) -> tuple[Variable, Variable, Variable]:
    """The singular values and vectors: a = u @ (s[:, None] * vh), u and vh' orthonormal columns.

    As NumPy's `linalg.svd`, reduced (full_matrices=False).  One-sided rotations of Jacobi
    (Hestenes, 1958; Golub and Van Loan, Matrix Computations, 8.6.3): accurate for small values,
    too, and slower than NumPy's for large matrices.  The sign of a pair of vectors is not stated.

    The gradient (Townsend, 2016) takes 1 / (s[j] - s[i]) as 0 where two values are equal, and 1 / s
    where s is 0, which here is: within n epsilons of the greatest s.  So it is right for what does
    not depend on the choice of vectors, as long as each has its own value.

    Args:
        a: matrices (..., m, n), float32 or float64.  Where m or n has a name and they differ, m
            counts as no less than n.

    Returns:
        u (..., m, k), s (..., k), falling, and vh (..., k, n), where k is the lesser of m and n.
        Of a matrix with elements that are not finite all is NaN.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no matrices.
    """

    def rule(b: Builder, a: Node) -> tuple[Node, ...]:
        _expect_matrices(a)
        values, u, v = _svd(b, a)
        return u, _line(b, values), transposed(b, v)

    found: tuple[Variable, Variable, Variable] = apply("svd", rule, as_variables(a), 3)
    return found


def svdvals(a: Any) -> Variable:
    """The singular values of matrices, falling: those of `svd`, as is their gradient."""
    result: Variable = apply("svdvals", singular_values, as_variables(a))
    return result


def matrix_rank(a: Any, rtol: float | None = None) -> Variable:
    """How many singular values are greater than `rtol` times the greatest; int64, (...).

    As NumPy's `linalg.matrix_rank`.

    Args:
        a: as of `svd`.
        rtol: a number of 0 or more; by default the dtype's epsilon times the greater size.

    Raises:
        DtypeError, ShapeError: as of `svd`.
        TypeError, ValueError: an `rtol` that is no number of 0 or more.
    """
    least = _tolerance("matrix_rank", rtol)

    def rule(b: Builder, a: Node) -> Node:
        _expect_matrices(a)
        kept = b.cast(_kept(b, _svd(b, a)[0], a, least), dtype="int64")
        count: Node = b.reduce_sum(kept, axes=(a.type.rank - 2, a.type.rank - 1))
        return count

    result: Variable = apply("matrix_rank", rule, as_variables(a))
    return result


def pinv(a: Any, rtol: float | None = None) -> Variable:
    """The pseudo-inverse of Moore and Penrose of matrices (..., m, n): (..., n, m).

    As NumPy's `linalg.pinv`: of an `svd`, where values up to `rtol` times the greatest count as 0.
    The gradient is that of matrices that keep their rank (Golub and Pereyra, 1973), whatever
    values are equal.  For matrices of full rank `lstsq(a, b)` is faster than `pinv(a) @ b`.

    Args:
        a: as of `svd`.
        rtol: a number of 0 or more; by default the dtype's epsilon times the greater size.

    Raises:
        DtypeError, ShapeError: as of `svd`.
        TypeError, ValueError: an `rtol` that is no number of 0 or more.
    """
    least = _tolerance("pinv", rtol)

    def rule(b: Builder, a: Node) -> Node:
        _expect_matrices(a)
        values, u, v = _svd(b, a)
        kept = _kept(b, values, a, least)
        one, none = b.fill(1, values.type), b.fill(0, values.type)
        each = b.select(kept, b.div(one, b.select(kept, values, one)), none)
        # NaN, which is not kept, stays.
        each = b.select(b.ne(values, values), values, each)
        rank = a.type.rank
        scale = b.broadcast(_line(b, each), shape=v.shape, axes=(*range(rank - 2), rank - 1))
        value = multiply(b, b.mul(v, scale), transposed(b, u))
        found: Node = b.pinv(value, transposed(b, a))
        return found

    result: Variable = apply("pinv", rule, as_variables(a))
    return result


def _tolerance(label: str, rtol: float | None) -> float | None:
    return None if rtol is None else number(label, "rtol", rtol, least=0)


def singular_values(b: Builder, a: Node) -> Node:
    """The singular values of a node's matrices, on the last axis."""
    _expect_matrices(a)
    return _line(b, _svd(b, a)[0])


def _kept(b: Builder, values: Node, a: Node, rtol: float | None) -> Node:
    """Which singular values (..., 1, k) of matrices are not taken for 0."""
    axes = (values.type.rank - 2, values.type.rank - 1)
    greatest = b.reduce_max(values, axes=axes)
    least = b.scale(greatest, float(np.finfo(a.dtype).eps) if rtol is None else rtol)
    if rtol is None:
        rows, columns = (b.apply("size", size=n, dtype=a.dtype) for n in a.shape[-2:])
        least = b.mul(least, b.spread(b.maximum(rows, columns), least.shape))
    return b.apply("gt", values, over_matrices(b, least, values))


def _expect_matrices(a: Node) -> None:
    if not a.type.is_float:
        raise DtypeRuleError("expects floats")
    if a.type.rank < 2:
        raise TypeRuleError("expects matrices (..., m, n)")


def _line(b: Builder, row: Node) -> Node:
    """A row (..., 1, n) as (..., n)."""
    line: Node = b.reshape(row, shape=(*row.shape[:-2], row.shape[-1]))
    return line


def _eigh(b: Builder, a: Node) -> list[Node]:
    if not a.type.is_float:
        raise DtypeRuleError("expects floats")
    if a.type.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeRuleError("expects square matrices (..., n, n)")
    half = b.scale(a, 0.5)
    return eigh_factors(b, b.eigh(b.add(half, transposed(b, half))))


def _is_wide(a: Node) -> bool:
    rows, columns = a.shape[-2:]
    return isinstance(rows, int) and isinstance(columns, int) and rows < columns


def _tall(b: Builder, a: Node) -> Node:
    """Matrices with no fewer rows than columns: where that is not known, zeros are below."""
    *lead, rows, columns = a.shape
    if rows == columns or (isinstance(rows, int) and isinstance(columns, int)):
        return a
    zeros = b.fill(0, a.type.with_shape((*lead, columns, columns)))
    found: Node = b.concatenate(a, zeros, axis=a.type.rank - 2)
    return found


def _top(b: Builder, x: Node, rows: Dim) -> Node:
    return x if x.shape[-2] == rows else rows_of(b, x, rows)[0]


def _qr(b: Builder, a: Node) -> tuple[Node, Node]:
    *_, rows, columns = a.shape
    if not _is_wide(a):
        q, r = qr_factors(b, b.qr(_tall(b, a)))
        return _top(b, q, rows), r
    last = a.type.rank - 1
    q, r = qr_factors(b, b.qr(b.slice_axis(a, last, 0, rows)))
    rest = multiply(b, transposed(b, q), b.slice_axis(a, last, rows, columns))
    return q, b.concatenate(r, rest, axis=last)


def _lstsq(b: Builder, a: Node, right: Node) -> Node:
    if _is_wide(a):
        q, r = _qr(b, transposed(b, a))
        turned = transposed(b, r)
        inner = b.triangular_solve(turned, right, lower=True, unit_diagonal=False)
        return multiply(b, q, inner)
    q, r = _qr(b, a)
    turned = multiply(b, transposed(b, q), right)
    found: Node = b.triangular_solve(r, turned, lower=False, unit_diagonal=False)
    return found


def _svd(b: Builder, a: Node) -> list[Node]:
    """The values, a row, and u and v."""
    if _is_wide(a):
        values, v, u = _svd(b, transposed(b, a))
        return [values, u, v]
    values, u, v = svd_factors(b, b.svd(_tall(b, a)))
    return [values, _top(b, u, a.shape[-2]), v]

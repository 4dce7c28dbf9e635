"""Determinants of matrices, plain and as sign and logarithm."""

from __future__ import annotations

from typing import Any

from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from .matrices import expect_square


def det(a: Any) -> Variable:
    """The determinant of square matrices, as NumPy's `linalg.det`: elimination with pivots.

    Its derivative is the determinant times the transposed inverse (Giles, Collected matrix
    derivative results, 2008).  A singular matrix has the determinant 0, and a derivative of NaN.
    Where a determinant may be too large or too small for a float, take `slogdet`.

    Args:
        a: square matrices, (..., n, n), float32 or float64; of 0 rows, the determinant is 1.

    Raises:
        ShapeError: `a` is not square.
        DtypeError: other dtypes.
    """

    def rule(builder: Builder, a: Node) -> Node:
        expect_square(a)
        found: Node = builder.det(a)
        return found

    result: Variable = apply("det", rule, as_variables(a))
    return result


def slogdet(a: Any) -> tuple[Variable, Variable]:
    """The sign of the determinant, and the logarithm of its absolute value, as NumPy's.

    The logarithm's derivative is the transposed inverse; the sign has the derivative 0.  A singular
    matrix has the sign 0 and the logarithm minus infinity, and a derivative of NaN.

    Args:
        a: square matrices, (..., n, n), float32 or float64.

    Returns:
        sign: -1, 0 or 1 in the dtype of a, with a's leading axes.
        logabsdet: of the same shape; `sign * exp(logabsdet)` is the determinant.

    Raises:
        ShapeError, DtypeError: as for `det`.
    """

    def rule(builder: Builder, a: Node) -> Node:
        expect_square(a)
        found: Node = builder.slogdet(a)
        return found

    both: Variable = apply("slogdet", rule, as_variables(a))
    return both[..., 0], both[..., 1]

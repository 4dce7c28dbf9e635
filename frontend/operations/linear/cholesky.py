"""The factor of Cholesky, and systems of equations with a triangular matrix."""

from __future__ import annotations

from typing import Any

from ....compiler.graph import Node
from ....compiler.primitives.linear.matrices import transposed as turned_over
from ....compiler.primitives.record import Builder
from ...arguments import flag
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from .matrices import expect_square, system


def cholesky(a: Any, *, upper: bool = False) -> Variable:
    """The triangular factor of symmetric, positive definite matrices, as NumPy's.

    `l @ l.mT` is the symmetric part of a, `(a + a.mT) / 2`: a itself where it is symmetric.  The
    derivative is that of this function of all elements of a, a symmetric matrix (Murray,
    Differentiation of the Cholesky decomposition, 2016).

    A matrix that is not positive definite, or not finite, gives NaN in the whole triangle, and
    disturbs no other matrix.

    Args:
        a: square matrices, (..., n, n), float32 or float64.
        upper: the upper factor u, with `u.mT @ u`, instead of the lower one l.

    Raises:
        ShapeError: `a` is not square.
        DtypeError: other dtypes.
    """
    above = flag("cholesky", "upper", upper)

    def rule(builder: Builder, a: Node) -> Node:
        expect_square(a)
        found: Node = builder.cholesky(a)
        return turned_over(builder, found) if above else found

    result: Variable = apply("cholesky", rule, as_variables(a))
    return result


def triangular_solve(
    a: Any, b: Any, *, lower: bool, transposed: bool = False, unit_diagonal: bool = False
) -> Variable:
    """The x with a @ x = b for triangular a, as SciPy's `linalg.solve_triangular`.

    The other triangle of a is not read, and has the derivative 0.  A 0 on the diagonal divides as
    `/` does, which gives infinities and NaN.

    Args:
        a: square matrices, (..., n, n), float32 or float64.
        b: matrices (..., n, k), whose leading axes broadcast with a's; or one vector (n,), for
            which x has a's leading axes and n elements.
        lower: whether the lower triangle of a is read, or else the upper one.
        transposed: a.mT @ x = b instead; `lower` is said of a all the same.
        unit_diagonal: the diagonal is not read but taken to be 1.

    Raises:
        ShapeError: `a` is not square, or `b` has another number of rows.
        DtypeError: other dtypes, or two different ones.
    """
    label = "triangular_solve"
    below, turned = flag(label, "lower", lower), flag(label, "transposed", transposed)
    attrs = {
        "lower": below != turned,
        "unit_diagonal": flag(label, "unit_diagonal", unit_diagonal),
    }

    def rule(builder: Builder, a: Node, b: Node) -> Node:
        if turned and a.type.rank > 1:
            a = turned_over(builder, a)
        return system(builder, a, b, "triangular_solve", attrs)

    result: Variable = apply(label, rule, as_variables(a, b))
    return result

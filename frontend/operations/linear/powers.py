"""Functions of a matrix: whole powers and the exponential."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.linear.matrices import identity_like, multiply
from ....compiler.primitives.record import Builder
from ....compiler.primitives.reduction import kept_axes
from ...arguments import integer
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..contractions import contract
from .matrices import expect_square


def matrix_power(a: Any, n: int) -> Variable:
    """Square matrices to a whole power, as NumPy's `linalg.matrix_power`: by repeated squaring.

    Args:
        a: square matrices, (..., m, m), of any dtype that `@` takes; floats where n < 0.
        n: the power: 0 gives the identity, a negative one that of the inverse, which is NaN where
            a is singular.

    Raises:
        ShapeError: `a` is not square.
        DtypeError: no floats, and a negative power.
        TypeError: a power that is no integer.
    """
    n = integer("matrix_power", "n", n)

    def rule(builder: Builder, a: Node) -> Node:
        if n < 0:
            expect_square(a)
            a = builder.solve(a, identity_like(builder, a))
        elif a.type.rank < 2 or a.shape[-1] != a.shape[-2]:
            raise TypeRuleError("expects square matrices (..., m, m)")
        result, rest = None, abs(n)
        while rest:
            if rest % 2:
                result = a if result is None else _product(builder, result, a)
            rest //= 2
            if rest:
                a = _product(builder, a, a)
        return identity_like(builder, a) if result is None else result

    result: Variable = apply("matrix_power", rule, as_variables(a))
    return result


def _product(b: Builder, x: Node, y: Node) -> Node:
    """The product of each two matrices, of any dtype that `@` takes."""
    lead = ascii_lowercase[: x.type.rank - 2]
    return contract(b, x, y, f"{lead}IK", f"{lead}KJ", f"{lead}IJ")


PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
    129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0,
    960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
"""The coefficients of the Pade approximant of degree 13."""

RADIUS = 5.371920351148152
"""The norm up to which that one is as exact as float64 is."""


def expm(a: Any, *, max_squarings: int = 16) -> Variable:
    """The exponential of square matrices, as SciPy's `linalg.expm`: scaling and squaring.

    A matrix is halved until its 1-norm is at most 5.37, the Pade approximant of degree 13 is taken,
    and squared as often (Higham, The scaling and squaring method for the matrix exponential
    revisited, 2005).  How often depends on the matrix; all `max_squarings` are computed, and those
    that a matrix does not need are left out of it.

    Args:
        a: square matrices, (..., n, n), float32 or float64.
        max_squarings: how many there may be: a matrix whose norm is above 5.37 * 2**max_squarings,
            3.5e5 by default, gives NaN.  Fewer take less time.

    Raises:
        ShapeError: `a` is not square.
        DtypeError: other dtypes.
        TypeError, ValueError: `max_squarings` is no integer from 0 to 100.
    """
    most = integer("expm", "max_squarings", max_squarings, 0, 100)

    def rule(builder: Builder, a: Node) -> Node:
        expect_square(a)
        return _expm(builder, a, most)

    result: Variable = apply("expm", rule, as_variables(a))
    return result


def _expm(b: Builder, a: Node, most: int) -> Node:
    rank = a.type.rank
    size = b.abs(a)
    norm = b.reduce_max(b.reduce_sum(size, axes=(rank - 2,)), axes=(rank - 2,))

    def above(halvings: int) -> Node:
        """Where a matrix still has a norm above the radius after so many halvings."""
        return b.gt(norm, b.fill(RADIUS * 2.0**halvings, norm.type))

    def wide(x: Node) -> Node:
        """What is known for a matrix, for each of its elements."""
        return b.broadcast(x, shape=a.shape, axes=kept_axes(rank, (rank - 2, rank - 1)))

    scale = b.fill(1, norm.type)
    for k in range(most):
        scale = b.select(above(k), b.scale(scale, 0.5), scale)
    x = _pade(b, b.mul(a, wide(scale)))
    for k in range(most):
        x = b.select(wide(above(k)), multiply(b, x, x), x)
    return b.select(wide(above(most)), b.fill(float("nan"), x.type), x)


def _pade(b: Builder, a: Node) -> Node:
    """The solution of (v - u) x = v + u, u the odd and v the even part of the approximant."""
    one = identity_like(b, a)
    second = multiply(b, a, a)
    fourth = multiply(b, second, second)
    sixth = multiply(b, second, fourth)

    def part(odd: int) -> Node:
        """The even powers with every second coefficient."""
        c = [each / PADE[0] for each in PADE[odd::2]]
        high = _sum(b, zip((second, fourth, sixth), c[4:], strict=True))
        low = _sum(b, zip((one, second, fourth, sixth), c[:4], strict=True))
        return b.add(multiply(b, sixth, high), low)

    u, v = multiply(b, a, part(1)), part(0)
    return b.solve(b.sub(v, u), b.add(v, u))


def _sum(b: Builder, terms: Any) -> Node:
    total = None
    for node, factor in terms:
        each = b.scale(node, factor)
        total = each if total is None else b.add(total, each)
    assert total is not None
    return total

"""Factors with orthonormal columns, packed into one result, row over row.

    qr      a [..., m, n], m >= n       ->  [..., m + n, n]        q; r, upper triangular
    eigh    a [..., n, n], symmetric    ->  [..., 1 + n, n]        values, rising; vectors
    svd     a [..., m, n], m >= n       ->  [..., 1 + m + n, n]    values, falling; u; v

with a = q r, a = v diag(values) v' and a = u diag(values) v'.  The diagonal of r is not negative.
Vectors are columns.  Elements that are not finite make NaN of all of their matrix.

    pinv    value [..., n, m], a' [..., n, m]  ->  the value, which an svd gave, with the derivative
                                                   of a pseudo-inverse (see `composed`)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import DtypeRuleError, TypeRuleError
from ...graph import Node, Type
from ...sizes import Dim, floor_divide, product
from ..batch import elementwise
from ..record import Array, Attrs, Builder, Primitive
from .matrices import compared, expect_square, multiply, over_matrices, transposed

SWEEPS = 30
"""Times that Jacobi's rotations go through all pairs at most; 6 to 10 are usual."""


def _expect_tall(a: Type) -> None:
    if not a.is_float:
        raise DtypeRuleError(f"expected floats, got {a}")
    if a.rank < 2:
        raise TypeRuleError(f"expected matrices, got {a}")
    rows, columns = a.shape[-2:]
    if isinstance(rows, int) and isinstance(columns, int) and rows < columns:
        raise TypeRuleError(f"expected no more columns than rows, got {a}")


def _infer_qr(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    _expect_tall(a)
    *lead, rows, columns = a.shape
    return a.with_shape((*lead, rows + columns, columns))


def _infer_eigh(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    expect_square(a)
    *lead, rows, columns = a.shape
    return a.with_shape((*lead, rows + 1, columns))


def _infer_svd(types: Sequence[Type], attrs: Attrs) -> Type:
    (a,) = types
    _expect_tall(a)
    *lead, rows, columns = a.shape
    return a.with_shape((*lead, rows + columns + 1, columns))


def _packed(result: Type, a: Array, factors: Sequence[Array]) -> Array:
    found = np.concatenate(factors, -2).astype(result.dtype)
    finite = np.isfinite(a).all((-2, -1), keepdims=True)
    return np.where(finite, found, np.asarray(np.nan, found.dtype))


def _finite(a: Array) -> Array:
    return np.where(np.isfinite(a).all((-2, -1), keepdims=True), a, np.zeros_like(a))


def _qr(result: Type, attrs: Attrs, a: Array) -> Array:
    q, r = np.linalg.qr(_finite(a))
    sign = np.where(np.diagonal(r, 0, -2, -1) < 0, -1, 1)
    return _packed(result, a, (q * sign[..., None, :], r * sign[..., None]))


def _eigh(result: Type, attrs: Attrs, a: Array) -> Array:
    values, vectors = np.linalg.eigh(_finite(a))
    return _packed(result, a, (values[..., None, :], vectors))


def _svd(result: Type, attrs: Attrs, a: Array) -> Array:
    u, values, vh = np.linalg.svd(_finite(a), full_matrices=False)
    return _packed(result, a, (values[..., None, :], u, np.swapaxes(vh, -1, -2)))


def rows_of(b: Builder, packed: Node, *counts: Dim) -> list[Node]:
    """The rows of a packed result, so many at a time."""
    start: Dim = 0
    found = []
    for count in counts:
        found.append(b.slice_axis(packed, packed.type.rank - 2, start, start + count))
        start = start + count
    return found


def qr_factors(b: Builder, packed: Node) -> list[Node]:
    """Q and r."""
    *_, rows, columns = packed.shape
    return rows_of(b, packed, rows - columns, columns)


def eigh_factors(b: Builder, packed: Node) -> list[Node]:
    """The values, a row, and the vectors."""
    return rows_of(b, packed, 1, packed.shape[-1])


def svd_factors(b: Builder, packed: Node) -> list[Node]:
    """The values, a row, and u and v."""
    *_, rows, columns = packed.shape
    return rows_of(b, packed, 1, rows - columns - 1, columns)


def _beside(b: Builder, row: Node, like: Node) -> Node:
    """A row of numbers [..., 1, n], repeated as every row of matrices."""
    line = b.reshape(row, shape=(*row.shape[:-2], row.shape[-1]))
    rank = like.type.rank
    wide: Node = b.broadcast(line, shape=like.shape, axes=(*range(rank - 2), rank - 1))
    return wide


def negligible(b: Builder, values: Node, like: Node) -> Node:
    """N times the dtype's epsilon times the largest of the values [..., 1, n], in all elements."""
    largest = b.reduce_max(b.abs(values), axes=(values.type.rank - 2, values.type.rank - 1))
    epsilon = b.scale(largest, float(np.finfo(values.dtype).eps))
    count = b.apply("size", size=values.shape[-1], dtype=values.dtype)
    return over_matrices(b, b.mul(epsilon, b.spread(count, epsilon.shape)), like)


def _over(b: Builder, value: Node, absent: Node) -> Node:
    """The reciprocals, 0 where they are absent."""
    one = b.fill(1, value.type)
    return b.zeros_where(absent, b.div(one, b.select(absent, one, value)))


def _vjp_qr(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Of Walter and Lehmann, On evaluating higher-order derivatives of QR decomposition, 2010."""
    (q, r), (of_q, of_r) = qr_factors(b, n), qr_factors(b, g)
    m = b.sub(multiply(b, r, transposed(b, of_r)), multiply(b, transposed(b, of_q), q))
    symmetric = b.select(compared(b, "ge", m.type), m, transposed(b, m))
    right = b.add(of_q, multiply(b, q, symmetric))
    found = b.triangular_solve(r, transposed(b, right), lower=False, unit_diagonal=False)
    return (transposed(b, found),)


def _vjp_eigh(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Of Giles, Collected matrix derivative results, 3.1; 1 / (l_j - l_i) is 0 where equal."""
    (values, v), (of_values, of_v) = eigh_factors(b, n), eigh_factors(b, g)
    across = _beside(b, values, v)
    apart = b.sub(across, transposed(b, across))
    absent = b.le(b.abs(apart), negligible(b, values, v))
    inner = b.mul(_over(b, apart, absent), multiply(b, transposed(b, v), of_v))
    diagonal = b.select(compared(b, "eq", v.type), _beside(b, of_values, v), inner)
    return (multiply(b, multiply(b, v, diagonal), transposed(b, v)),)


def _vjp_svd(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Of Townsend, Differentiating the singular value decomposition, 2016.

    1 / (s_j - s_i) is 0 where they are equal, and 1 / s where s is 0.
    """
    (s, u, v), (of_s, of_u, of_v) = svd_factors(b, n), svd_factors(b, g)
    across = _beside(b, s, v)
    down, least = transposed(b, across), negligible(b, s, v)
    apart, both = b.sub(across, down), b.add(across, down)
    absent = b.le(b.abs(apart), least)
    reciprocal = _over(b, b.mul(apart, both), absent)

    def turning(x: Node, of_x: Node) -> Node:
        inner = multiply(b, transposed(b, x), of_x)
        found: Node = b.mul(reciprocal, b.sub(inner, transposed(b, inner)))
        return found

    inner = b.add(b.mul(turning(u, of_u), across), b.mul(down, turning(v, of_v)))
    inner = b.select(compared(b, "eq", v.type), _beside(b, of_s, v), inner)
    total = multiply(b, u, inner)
    if u.shape[-2] != u.shape[-1]:
        outside = b.sub(of_u, multiply(b, u, multiply(b, transposed(b, u), of_u)))
        wide = _beside(b, s, u)
        none = b.le(wide, negligible(b, s, u))
        total = b.add(total, b.mul(outside, _over(b, wide, none)))
    return (multiply(b, total, transposed(b, v)),)


def _vjp_pinv(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """Of Golub and Pereyra, The differentiation of pseudo-inverses, 1973, 4.12; for constant rank.

    For x and the transposed operand: x x' g (1 - a x)' + (1 - x a)' g x' x - x g' x.
    """
    turned = n.inputs[1]
    a, back, across = transposed(b, turned), transposed(b, n), transposed(b, g)

    def left(x: Node) -> Node:
        """(1 - x a) x: what is not in the rows of a."""
        found: Node = b.sub(x, multiply(b, n, multiply(b, a, x)))
        return found

    def right(x: Node) -> Node:
        """The same of x (1 - a x), what is not in its columns."""
        found: Node = b.sub(x, multiply(b, multiply(b, x, a), n))
        return found

    first = right(multiply(b, multiply(b, n, back), g))
    second = left(multiply(b, g, multiply(b, back, n)))
    third = multiply(b, multiply(b, n, across), n)
    return None, b.sub(b.add(first, second), third)


def qr_flops(node: Node) -> Dim:
    """Multiplications and additions: r, and as many for q."""
    *lead, rows, columns = node.inputs[0].shape
    return product(lead) * rows * columns * columns * 4


def qr_work(node: Node) -> Dim:
    """An estimate, in operations on one element."""
    *lead, _, columns = node.inputs[0].shape
    return floor_divide(qr_flops(node), 8) + product(lead) * columns * (columns * 20 + 100)


def jacobi_flops(node: Node) -> Dim:
    """Multiplications and additions of eight sweeps through all pairs of columns."""
    *lead, rows, columns = node.inputs[0].shape
    return product(lead) * columns * columns * rows * 48


def jacobi_work(node: Node) -> Dim:
    """An estimate, in operations on one element."""
    *lead, _, columns = node.inputs[0].shape
    return floor_divide(jacobi_flops(node), 8) + product(lead) * columns * columns * 400


_FACTORS = (
    ("qr", _infer_qr, _qr, _vjp_qr),
    ("eigh", _infer_eigh, _eigh, _vjp_eigh),
    ("svd", _infer_svd, _svd, _vjp_svd),
)
PRIMITIVES = (
    *(
        Primitive(
            name=name, kind="contraction", infer=infer, reference=rule, vjp=vjp, batch=elementwise
        )
        for name, infer, rule, vjp in _FACTORS
    ),
    Primitive(
        name="pinv",
        kind="elementwise",
        infer=lambda types, attrs: types[0],
        reference=lambda result, attrs, value, turned: value,
        vjp=_vjp_pinv,
        emit="{0}",
        batch=elementwise,
    ),
)

"""Products of vectors and matrices, and the extension for linear algebra."""

from __future__ import annotations

from typing import Any, NamedTuple

import diagrad as dg

from .arrays import Array, draw, draw_alike
from .over_axes import reduced

Axis = int | tuple[int, ...] | None


def matrix_transpose(x: Array, /) -> Any:
    """Matrices, each turned."""
    return x.mT


def matmul(x1: Array, x2: Array, /) -> Any:
    """Of matrices."""
    return draw_alike(dg.matmul, x1, x2)


def tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Any:
    """Over pairs of axes."""
    return draw_alike(lambda a, b: dg.tensordot(a, b, axes), x1, x2)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Any:
    """Of vectors along an axis."""
    return draw_alike(lambda a, b: dg.vecdot(a, b, axis), x1, x2)


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Any:
    """Of vectors of three elements along an axis."""
    return draw_alike(lambda a, b: dg.cross(a, b, axis), x1, x2)


def outer(x1: Array, x2: Array, /) -> Any:
    """Of two vectors."""
    return draw_alike(dg.outer, x1, x2)


def diagonal(x: Array, /, *, offset: int = 0) -> Any:
    """Of matrices."""
    return draw(lambda v: dg.diagonal(v, offset, -2, -1), x)


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Of matrices."""
    return reduced(x, lambda v: dg.trace(v, offset, -2, -1), dtype)


def solve(x1: Array, x2: Array, /) -> Any:
    """Linear equations."""
    return draw_alike(dg.solve, x1, x2)


def inv(x: Array, /) -> Any:
    """Of matrices."""
    return draw(dg.inverse, x)


def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Over axes, of all elements by default."""

    def drawn(v: Any) -> Any:
        axes = (
            tuple(range(v.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        )
        if len(axes) == 1:
            return dg.norm(v, ord, axes[0], keepdims)
        places = [place % v.ndim for place in axes]
        rest = [place for place in range(v.ndim) if place not in places]
        line = dg.reshape(dg.transpose(v, (*rest, *places)), (*(v.shape[i] for i in rest), -1))
        found = dg.norm(line, ord, -1)
        kept = tuple(1 if i in places else n for i, n in enumerate(v.shape))
        return dg.reshape(found, kept) if keepdims else found

    return draw(drawn, x)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Of matrices."""
    return draw(lambda v: dg.norm(v, ord, (-2, -1), keepdims), x)


class QRResult(NamedTuple):
    """Of `qr`."""

    Q: Any
    R: Any


class EighResult(NamedTuple):
    """Of `eigh`."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """Of `svd`."""

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """Of `slogdet`."""

    sign: Any
    logabsdet: Any


def cholesky(x: Array, /, *, upper: bool = False) -> Any:
    """The triangle whose square is a matrix."""
    return draw(lambda v: dg.cholesky(v, upper=upper), x)


def det(x: Array, /) -> Any:
    """The determinant."""
    return draw(dg.det, x)


def slogdet(x: Array, /) -> SlogdetResult:
    """The sign and the logarithm of the determinant."""
    return SlogdetResult(*draw(dg.slogdet, x))


def eigh(x: Array, /) -> EighResult:
    """Eigenvalues and eigenvectors of symmetric matrices."""
    return EighResult(*draw(dg.eigh, x))


def eigvalsh(x: Array, /) -> Any:
    """Eigenvalues of symmetric matrices."""
    return draw(dg.eigvalsh, x)


def matrix_power(x: Array, n: int, /) -> Any:
    """A power of matrices."""
    return draw(lambda v: dg.matrix_power(v, n), x)


def matrix_rank(x: Array, /, *, rtol: Any = None) -> Any:
    """How many singular values are not nearly 0."""
    return draw(lambda v: dg.matrix_rank(v, _one(rtol)).astype("int64"), x)


def _one(rtol: Any) -> Any:
    """A tolerance as a number."""
    return float(rtol) if isinstance(rtol, Array) else rtol


def pinv(x: Array, /, *, rtol: Any = None) -> Any:
    """The pseudoinverse."""
    return draw(lambda v: dg.pinv(v, _one(rtol)), x)


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """An orthonormal basis of the columns, and the columns in it."""
    if mode != "reduced":
        raise NotImplementedError("the complete basis is not here")
    return QRResult(*draw(dg.qr, x))


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """Singular values and vectors; all of them where there are as many as rows and columns."""
    if full_matrices and x.shape[-2] != x.shape[-1]:
        raise NotImplementedError("the complete bases are not here")
    return SVDResult(*draw(dg.svd, x))


def svdvals(x: Array, /) -> Any:
    """Singular values."""
    return draw(dg.svdvals, x)

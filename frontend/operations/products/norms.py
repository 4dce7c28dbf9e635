"""Lengths of vectors, and norms of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError, TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.functions.formula import Formula, sqrt, where
from ....compiler.primitives.record import Builder
from ...arguments import flag, wrong
from ...location import user_location
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..linear.orthogonal import singular_values
from ..reductions import Axis
from ..structure import normal_axes, normal_axis


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The norm of vectors along an axis, or of matrices along two; as NumPy's linalg.norm.

    Args:
        x: floats.
        ord: of vectors None or 2 for the length, 1, inf (the greatest |x|), -inf (the least), 0
            (how many are not 0), or another number p for the sum of |x| ** p to the power 1 / p; of
            matrices None or "fro" for the root of all squares, 1 and -1 for the greatest and least
            sum of a column, inf and -inf for those of a row; 2, -2 and "nuc" for the greatest and
            least singular value and the sum of them (`svdvals`).
        axis: one axis, or the two of rows and columns; by default all, as one vector where there is
            no `ord`.
        keepdims: whether axes that are gone stay, with one element.

    Returns:
        Of x's dtype.  Where the norm is 0, the gradient is 0 (of a p below 1, NaN), as in PyTorch;
        that of an extremum is shared evenly.  Singular values of 0 have one gradient of many.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no floats, no such axes, or an `ord` that
            matrices do not have.
        TypeError, ValueError: an `ord` that is neither a number nor "fro" or "nuc".
    """
    subject = f"norm ({user_location()})"
    keepdims = flag("norm", "keepdims", keepdims)
    known = ord is None or (isinstance(ord, str) and ord in ("fro", "nuc"))
    plain = isinstance(ord, (int, float, np.integer, np.floating)) and not isinstance(ord, bool)
    if not known and (not plain or math.isnan(ord)):
        kind = ValueError if plain or isinstance(ord, str) else TypeError
        raise wrong(subject, 'ord to be a number, inf, -inf, "fro", "nuc" or None', ord, kind)

    def rule(b: Builder, node: Node) -> Node:
        if not node.type.is_float:
            raise DtypeRuleError("expects floats: convert with .astype(dg.float32)")
        rank = node.type.rank
        if isinstance(axis, (list, tuple)) and len(axis) == 2:
            axes = tuple(normal_axis(item, rank) for item in axis)  # rows, then columns
            if axes[0] == axes[1]:
                raise TypeRuleError(f"expects each axis once, not {tuple(axis)}")
        else:
            axes = normal_axes(axis, rank)
        if ord is None or len(axes) == 1:
            if isinstance(ord, str):
                raise TypeRuleError(f'expects the two axes of matrices for "{ord}", not one')
            found = _of_vectors(Formula(b, node), 2.0 if ord is None else float(ord), axes)
        elif len(axes) == 2:
            found = _of_matrices(Formula(b, node), ord, axes)
        else:
            raise TypeRuleError(f"expects an ord for one axis or two, not {len(axes)}: give axis")
        if not keepdims:
            return found.node
        kept = tuple(1 if i in axes else n for i, n in enumerate(node.shape))
        shaped: Node = b.reshape(found.node, shape=kept)
        return shaped

    result: Variable = apply("norm", rule, as_variables(x))
    return result


def _reduced(op: str, x: Formula, axes: tuple[int, ...]) -> Formula:
    return x.like(x.b.apply(op, x.node, axes=tuple(sorted(axes))))


def _extreme(x: Formula, order: float, axes: tuple[int, ...]) -> Formula:
    """The greatest of numbers that are not negative, 0 of none; or the least, infinite of none."""
    if order < 0:
        return _reduced("reduce_min", x, axes)
    greatest = _reduced("reduce_max", x, axes)
    return greatest.largest(greatest.number(0))


def _of_vectors(x: Formula, order: float, axes: tuple[int, ...]) -> Formula:
    if order == 2:
        return _with_level_zero(_reduced("reduce_sum", x * x, axes), sqrt)
    if math.isinf(order):
        return _extreme(abs(x), order, axes)
    if order == 0:
        some = x.like(x.b.ne(x.node, x.number(0).node))
        return _reduced("reduce_sum", x.like(x.b.cast(some.node, dtype=x.node.dtype)), axes)
    if order == 1:
        return _reduced("reduce_sum", abs(x), axes)
    total = _reduced("reduce_sum", abs(x) ** order, axes)
    return _with_level_zero(total, lambda total: total ** (1 / order))


def _with_level_zero(total: Formula, root: Any) -> Formula:
    """A root of a sum, and 0 where it is 0, with the derivative 0."""
    none = total.equals(0)
    return where(none, 0, root(where(none, 1, total)))


def _of_matrices(x: Formula, order: Any, axes: tuple[int, ...]) -> Formula:
    if order == "fro":
        return _of_vectors(x, 2.0, axes)
    rows, columns = axes
    if order == "nuc" or abs(order) == 2:
        rest = tuple(i for i in range(x.node.type.rank) if i not in axes)
        turned = x.b.transpose(x.node, axes=(*rest, rows, columns))
        values = x.like(singular_values(x.b, turned))
        last = (len(rest),)
        if order == "nuc":
            return _reduced("reduce_sum", values, last)
        return _extreme(values, order, last)
    if abs(order) not in (1, math.inf):
        raise TypeRuleError(
            f'expects "fro", "nuc", 1, -1, 2, -2, inf or -inf for matrices, not {order}: give one '
            "axis for vectors"
        )
    along, over = (rows, columns) if abs(order) == 1 else (columns, rows)
    sums = _reduced("reduce_sum", abs(x), (along,))
    return _extreme(sums, order, (over - (over > along),))

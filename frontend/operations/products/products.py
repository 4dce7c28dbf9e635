"""Inner, outer, tensor and Kronecker products."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...arguments import integer, items
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import align, as_variables, one_dtype
from ..contractions import contract
from ..elementwise import multiply
from ..reductions import sum
from ..structure import normal_axis, reshape


def outer(x: Any, y: Any) -> Variable:
    """Every product of an element of x and one of y, (m, n) of m and n elements; as NumPy's."""
    x, y = as_variables(x, y)
    return multiply(reshape(x, (-1, 1)), reshape(y, -1))


def vecdot(x: Any, y: Any, axis: int = -1) -> Variable:
    """The sum of products along an axis that both have, the others broadcast.

    Args:
        x: numbers, (..., n, ...).
        y: numbers of the same dtype.
        axis: counted in what x and y broadcast to.

    Raises:
        ShapeError, DtypeError: when the diagram is built: shapes or dtypes that do not fit.
    """
    return sum(multiply(x, y), axis)


def cross(x: Any, y: Any, axis: int = -1) -> Variable:
    """The vector product along an axis of three elements, the others broadcast.

    Args:
        x: numbers, (..., 3, ...).
        y: numbers of the same dtype.
        axis: counted in what x and y broadcast to.

    Raises:
        ShapeError, DtypeError: when the diagram is built: other than three elements, shapes or
            dtypes that do not fit.
    """

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        x, y = align(b, nodes)
        place = normal_axis(axis, x.type.rank)
        behind = x.type.rank - place
        if any(node.shape[-behind:][:1] != (3,) or node.type.rank < behind for node in nodes):
            raise TypeRuleError(f"expects three elements along axis {axis}")

        def from_the(first: int, node: Node) -> Node:
            """The elements first, first + 1, ... in the round."""
            return b.concatenate(
                b.slice_axis(node, place, first, 3),
                b.slice_axis(node, place, 0, first),
                axis=place,
            )

        return b.sub(b.mul(from_the(1, x), from_the(2, y)), b.mul(from_the(2, x), from_the(1, y)))

    result: Variable = apply("cross", rule, as_variables(x, y))
    return result


def inner(x: Any, y: Any) -> Variable:
    """Sums of products over the last axes, for all pairs of the others; a product of numbers.

    (..., m, n) and (..., k, n) give (..., m, ..., k), as NumPy's inner.

    Raises:
        ShapeError, DtypeError: when the diagram is built: other last axes, two dtypes.
    """
    x, y = as_variables(x, y)
    if any(not item.mistakes and item.ndim == 0 for item in (x, y)):
        return multiply(x, y)
    return _contracted("inner", x, y, ([-1], [-1]))


def tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """Sums of products over some axes of both, for all pairs of the others; as NumPy's.

    Args:
        x: of floats, integers or bools, as for `matmul`.
        y: of the same dtype.
        axes: how many of the last axes of x go with the first ones of y; or a pair of an axis or
            axes of x and those of y.

    Returns:
        The other axes of x, then those of y.

    Raises:
        ShapeError, DtypeError: when the diagram is built: no such axes, other sizes, two dtypes.
        TypeError, ValueError: axes that are no integers.
    """
    if isinstance(axes, (int, np.integer)) and not isinstance(axes, bool):
        count = integer("tensordot", "axes", axes, 0)
        pairs: Any = (list(range(-count, 0)), list(range(count)))
    else:
        pairs = items("tensordot", "axes", axes, "two axes, or lists of axes")
        if len(pairs) != 2:
            raise ValueError(f"tensordot expects axes of x and axes of y, got {len(pairs)} items")
        pairs = [
            [item]
            if isinstance(item, (int, np.integer))
            else items("tensordot", "axes", item, "axes")
            for item in pairs
        ]
    x, y = as_variables(x, y)
    return _contracted("tensordot", x, y, pairs)


def _listed(axes: Any) -> list[Any]:
    single = isinstance(axes, (int, np.integer))
    return [axes] if single else items("tensordot", "axes", axes, "axes")


def _contracted(label: str, x: Variable, y: Variable, axes: Any) -> Variable:
    def rule(b: Builder, x: Node, y: Node) -> Node:
        one_dtype((x, y))
        first, second = (
            [normal_axis(axis, node.type.rank) for axis in given]
            for given, node in zip(axes, (x, y), strict=True)
        )
        if len(first) != len(second) or any(len({*a}) != len(a) for a in (first, second)):
            raise TypeRuleError(
                f"expects as many axes of both, each once, not {first} and {second}"
            )
        for one, two in zip(first, second, strict=True):
            if x.shape[one] != y.shape[two]:
                raise TypeRuleError(
                    f"expects axes of one size to sum over, not {x.shape[one]} and {y.shape[two]}"
                )
        letters = string.ascii_letters
        left = letters[: x.type.rank]
        shared = {two: left[one] for one, two in zip(first, second, strict=True)}
        rest = letters[x.type.rank :]
        right = "".join(shared.get(i, rest[i]) for i in range(y.type.rank))
        out = "".join(c for c in left + right if c not in shared.values())
        return contract(b, x, y, left, right, out)

    result: Variable = apply(label, rule, [x, y])
    return result


def kron(x: Any, y: Any) -> Variable:
    """The Kronecker product: every element of x times the whole of y, in x's places; as NumPy's.

    Args:
        x: numbers, of any shape.
        y: of the same dtype; the one with fewer axes has new ones in front.

    Returns:
        Along each axis as many elements as both have, multiply.
    """

    def rule(b: Builder, x: Node, y: Node) -> Node:
        one_dtype((x, y))
        rank = max(x.type.rank, y.type.rank)
        first, second = ((1,) * (rank - node.type.rank) + node.shape for node in (x, y))
        both = tuple(n for pair in zip(first, second, strict=True) for n in pair)
        spread = [
            b.broadcast(b.reshape(node, shape=shape), shape=both, axes=tuple(range(i, 2 * rank, 2)))
            for i, (node, shape) in enumerate(((x, first), (y, second)))
        ]
        joined = tuple(m * n for m, n in zip(first, second, strict=True))
        found: Node = b.reshape(b.mul(*spread), shape=joined)
        return found

    result: Variable = apply("kron", rule, as_variables(x, y))
    return result

"""Elements in their order, and the greatest of them."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.primitives.sorting import take_along
from ...arguments import flag, integer
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..structure import normal_axis


def argsort(x: Any, axis: int = -1, descending: bool = False) -> Variable:
    """The indices (int64) that sort the elements along an axis, as NumPy's stable `argsort`.

    Of equal elements the one with the lowest index comes first, rising or falling; a NaN counts as
    the greatest, as in `dg.argmax`, so that it is last, and first where `descending`.

    Args:
        x: numbers or bools with one axis or more.
        axis: along which they are sorted.
        descending: the greatest first.

    Raises:
        ShapeError: when the diagram is built: an axis that x does not have.
        TypeError: a `descending` that is no bool.
    """
    descending = flag("argsort", "descending", descending)

    def rule(b: Builder, x: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        order: Node = b.argsort(x, axis=place, descending=descending)
        return order

    result: Variable = apply("argsort", rule, as_variables(x))
    return result


def sort(x: Any, axis: int = -1, descending: bool = False) -> Variable:
    """The elements along an axis in their order; arguments, order and errors as of `argsort`.

    The gradient of an element goes where it came from.
    """
    descending = flag("sort", "descending", descending)

    def rule(b: Builder, x: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        return take_along(b, x, b.argsort(x, axis=place, descending=descending), place)

    result: Variable = apply("sort", rule, as_variables(x))
    return result


def topk(x: Any, k: int, axis: int = -1, descending: bool = True) -> tuple[Variable, Variable]:
    """The k greatest elements along an axis, the greatest first, and their indices (int64).

    Order, ties and NaN are those of `argsort`: the first index is that of `dg.argmax`.  The
    gradient of an element goes where it came from; no gradient goes through the choice.

    Args:
        x: numbers or bools with one axis or more.
        k: how many, 0 or more, and at most as many as there are along the axis.
        axis: along which they are chosen.
        descending: False for the k least, the least first.

    Raises:
        TypeError, ValueError: a k that is no integer, or is negative.
        ShapeError: when the diagram is built: an axis that x does not have, or one with fewer than
            k elements.  Where its size is a name, a call with fewer is an InputError.
    """
    k = integer("topk", "k", k, 0)
    descending = flag("topk", "descending", descending)

    def rule(b: Builder, x: Node) -> tuple[Node, Node]:
        place = normal_axis(axis, x.type.rank)
        extent = x.shape[place]
        if isinstance(extent, int) and k > extent:
            raise TypeRuleError(
                f"expects k of at most {extent}, the extent of axis {place}, not {k}"
            )
        order = b.argsort(x, axis=place, descending=descending)
        first = b.slice_axis(order, place, 0, k)
        return take_along(b, x, first, place), first

    values, indices = apply("topk", rule, as_variables(x), 2)
    return values, indices

"""Products over axes; running products, and running sums of exponentials, along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Graph, Node
from ....compiler.primitives.functions.composed import compose
from ....compiler.primitives.functions.formula import Formula
from ....compiler.primitives.record import Builder
from ....compiler.sizes import product
from ...arguments import flag
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables
from ..masking import as_dtype, only, operands, stored, wanted_dtype
from ..reductions import Axis
from ..structure import normal_axes, normal_axis

Combine = Callable[[Builder, Node, Node], Node]


def prod(
    x: Any, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None, where: Any = None
) -> Variable:
    """The product over axes (all by default); 1 over no elements.

    The gradient of an element is the product of all others, zeros among them too.  Over axes of
    fixed sizes halves are multiplied, so that it is off by a few roundings for each doubling of the
    elements; over one whose size has a name, one after another.

    Args:
        x: numbers or bools.
        axis: over which.
        keepdims: whether axes that are gone stay, with one element.
        dtype: in which numbers are multiplied.  By default x's own, integers wrapping around; of
            bools and of integers of a storage dtype it is int64.
        where: bools that broadcast to x's shape; only elements where they are true count.

    Raises:
        ShapeError: when the diagram is built: no such axis.
        TypeError: a `keepdims` that is no bool.
    """
    keepdims, name = flag("prod", "keepdims", keepdims), wanted_dtype("prod", dtype)

    def rule(b: Builder, node: Node, *mask: Node) -> Node:
        node = only(b, as_dtype(b, node, name), mask, 1)
        axes = normal_axes(axis, node.type.rank)
        rest = tuple(i for i in range(node.type.rank) if i not in axes)
        turned = b.transpose(node, axes=(*axes, *rest))
        shape = tuple(node.shape[i] for i in rest)
        found = _product(b, b.reshape(turned, shape=(product(node.shape[i] for i in axes), *shape)))
        found = stored(b, found, name)
        if not keepdims:
            return found
        kept = tuple(1 if i in axes else n for i, n in enumerate(node.shape))
        shaped: Node = b.reshape(found, shape=kept)
        return shaped

    result: Variable = apply("prod", rule, operands(x, where), as_stored=True)
    return result


def _product(b: Builder, rows: Node) -> Node:
    """The product over the first axis."""
    count, rest = rows.shape[0], rows.shape[1:]
    if not isinstance(count, int):
        return _scanned(b, _times, rows, 1, result="last")
    if count == 0:
        return b.fill(1, rows.type.with_shape(rest))
    while count > 1:
        half = count // 2
        pairs = b.mul(b.slice_axis(rows, 0, 0, half), b.slice_axis(rows, 0, half, 2 * half))
        odd = b.slice_axis(rows, 0, 2 * half, count)
        rows = b.concatenate(pairs, odd, axis=0) if count % 2 else pairs
        count -= half
    found: Node = b.reshape(rows, shape=rest)
    return found


def cumprod(x: Any, axis: int = -1, reverse: bool = False, *, dtype: Any = None) -> Variable:
    """Running products along an axis, one after another.

    Args:
        x: numbers of one axis or more, or bools.
        axis: along which.
        reverse: from the end: element i is the product of those from i on.
        dtype: in which numbers are multiplied; as of `prod`.

    Raises:
        ShapeError: when the diagram is built: no such axis.
        TypeError: a `reverse` that is no bool.
    """
    name = wanted_dtype("cumprod", dtype)

    def convert(b: Builder, node: Node) -> Node:
        node = as_dtype(b, node, name)
        if node.dtype == "bool":
            raise DtypeRuleError("expects numbers to multiply, not bool: ask for another dtype")
        return node

    return _running("cumprod", x, axis, reverse, _times, 1, convert, name)


def logcumsumexp(x: Any, axis: int = -1, reverse: bool = False) -> Variable:
    """The logarithms of running sums of exponentials along an axis, without overflow.

    Of floats, whose dtype stays; arguments and errors as of `cumprod`.
    """

    def rule(b: Builder, total: Node, item: Node) -> Node:
        return compose("logaddexp", Formula(b, total), Formula(b, item)).node

    return _running("logcumsumexp", x, axis, reverse, rule, -np.inf, _floats)


def _floats(b: Builder, node: Node) -> Node:
    if not node.type.is_float:
        raise DtypeRuleError("expects floats: convert them")
    return node


def _times(b: Builder, total: Node, item: Node) -> Node:
    found: Node = b.mul(total, item)
    return found


def _running(
    label: str,
    x: Any,
    axis: int,
    reverse: bool,
    combine: Combine,
    start: float,
    convert: Callable[[Builder, Node], Node],
    name: str | None = None,
) -> Variable:
    reverse = flag(label, "reverse", reverse)

    def rule(b: Builder, node: Node) -> Node:
        node = convert(b, node)
        place = normal_axis(axis, node.type.rank)
        rest = [i for i in range(node.type.rank) if i != place]
        rows = _scanned(b, combine, b.transpose(node, axes=(place, *rest)), start, reverse)
        back = tuple(range(1, place + 1)), tuple(range(place + 1, node.type.rank))
        return stored(b, b.transpose(rows, axes=(*back[0], 0, *back[1])), name)

    result: Variable = apply(label, rule, as_variables(x), as_stored=True)
    return result


def _scanned(
    b: Builder,
    combine: Combine,
    rows: Node,
    start: float,
    reverse: bool = False,
    result: str = "stack",
) -> Node:
    """What elements along the first axis are combined to: after each of them, or at the end."""
    inside = rows.type.with_shape(rows.shape[1:])
    item = b.input(name="x", type=inside, role="sequence")
    total = b.input(name="total", type=inside, role="carry")
    value = combine(b, total, item)
    body = Graph("running", (item, total), (("value", value),), ((total, value),))
    found: Node = b.loop(
        rows,
        b.fill(start, inside),
        body=body,
        steps=rows.shape[0],
        result=result,
        of="value" if result == "stack" else "total",
        reverse=reverse,
        keep="all",
    )
    return found

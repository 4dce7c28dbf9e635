"""Matrix products of exponentials, in logarithms: those of the algebra of (log-sum-exp, +).

    x [..., m, k], w [..., k, n]
    log_product          total[i, j] = log sum_d exp(x[i, d] + w[d, j])          [..., m, n]
    log_product_left     sum_j g[i, j] exp(x[i, d] + w[d, j] - total[i, j])      [..., m, k]
    log_product_right    sum_i g[i, j] exp(x[i, d] + w[d, j] - total[i, j])      [..., k, n]

The last two are the derivative of the first; theirs is written with all m k n exponentials.  A
total of minus infinity, to which nothing leads, has no part in them.

Each takes a second time what it is a function of, so that a kernel needs no exponentials: as
factors whose product it is, where they have not been cut off by the limits of floats.  It makes the
product, and what did not come out between LEAST and MOST, or as a number, it computes again from x
and w.  So the factors make no difference to the meaning:

    log_product          x, w, exp(x), exp(w)
    log_product_left     x, w, total, g, r, exp(w'), exp(x)        r = g exp(-total), or NaN
    log_product_right    x, w, total, g, exp(x'), r, exp(w)

(The elimination of a variable in a chain is such a product: Rabiner, A tutorial on hidden Markov
models, 1989, whose scaling of each step stands for the logarithms.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, floor_divide, product
from .batch import repeated, turned
from .record import Array, Attrs, Builder, Primitive

LOG_PRODUCTS = ("log_product", "log_product_left", "log_product_right")

LEAST = {"float32": 1e-25, "float64": 1e-280}
MOST = {"float32": 1e30, "float64": 1e300}
"""Sums of products from which nothing is missing but terms of less than their last digit."""


def log_product(b: Builder, x: Node, w: Node) -> Node:
    """The node, with its factors."""
    node: Node = b.apply("log_product", x, w, b.exp(x), b.exp(w))
    return node


def log_product_labels(node: Node) -> list[tuple[int, ...]]:
    """A label for each axis of each operand and of the result, as in a contraction."""
    lead = node.type.rank - 2
    operands = {
        "log_product": ("mk", "kn", "mk", "kn", "mn"),
        "log_product_left": ("mk", "kn", "mn", "mn", "mn", "nk", "mk", "mk"),
        "log_product_right": ("mk", "kn", "mn", "mn", "km", "mn", "kn", "kn"),
    }[node.op]
    return [(*range(lead), *(lead + "mkn".index(letter) for letter in text)) for text in operands]


def _infer(op: str) -> Any:
    def rule(types: Sequence[Type], attrs: Attrs) -> Type:
        x, w, *rest = types
        if not x.is_float or any(item.dtype != x.dtype for item in types):
            raise DtypeRuleError(f"expected floats of one dtype, got {list(types)}")
        if x.rank < 2 or w.rank != x.rank or x.shape[:-2] != w.shape[:-2]:
            raise TypeRuleError(f"expected a matrix for each matrix of {x}, got {w}")
        if x.shape[-1] != w.shape[-2]:
            raise TypeRuleError(f"expected as many columns of {x} as rows of {w}")
        total = x.with_shape((*x.shape[:-1], w.shape[-1]))
        left, right = (item.with_shape(_turned(item.shape)) for item in (w, x))
        wanted, result = {
            "log_product": ([x, w], total),
            "log_product_left": ([total, total, total, left, x], x),
            "log_product_right": ([total, total, right, total, w], w),
        }[op]
        if rest != wanted:
            raise TypeRuleError(f"expected {wanted} behind {x} and {w}, got {rest}")
        return result

    return rule


def _turned(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    return (*shape[:-2], shape[-1], shape[-2])


def _reference(op: str) -> Any:
    """All in float64, and rounded once."""

    def rule(result: Type, attrs: Attrs, x: Array, w: Array, *rest: Array) -> Array:
        with np.errstate(all="ignore"):
            each = x.astype(np.float64)[..., :, :, None] + w.astype(np.float64)[..., None, :, :]
            if op == "log_product":
                top = each.max(axis=-2, initial=-np.inf, keepdims=True)
                top = np.where(np.isfinite(top), top, 0)
                found = np.log(np.exp(each - top).sum(axis=-2)) + top[..., 0, :]
            else:
                total, g = (item.astype(np.float64)[..., :, None, :] for item in rest[:2])
                terms = np.where(total == -np.inf, 0, g * np.exp(each - total))
                found = terms.sum(axis=-1 if op == "log_product_left" else -3)
        return np.asarray(found, dtype=result.dtype)

    return rule


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    x, w, exp_x, exp_w = n.inputs
    least, most = (float(np.log(ends[n.dtype])) for ends in (LEAST, MOST))
    above, below = b.gt(n, b.fill(least, n.type)), b.lt(n, b.fill(most, n.type))
    scaled = b.mul(g, b.exp(b.neg(n)))
    r = b.select(getattr(b, "and")(above, below), scaled, b.fill(np.nan, n.type))
    left = b.apply("log_product_left", x, w, n, g, r, b.exp(_transposed(b, w)), exp_x)
    right = b.apply("log_product_right", x, w, n, g, _transposed(b, exp_x), r, exp_w)
    return left, right, None, None


def _transposed(b: Builder, x: Node) -> Node:
    rank = x.type.rank
    return turned(b, x, (*range(rank - 2), rank - 1, rank - 2))


def _way_back_vjp(b: Builder, n: Node, u: Node) -> tuple[Node | None, ...]:
    """Through all exponentials: [..., m, k, n]."""
    x, w, total, g = n.inputs[:4]
    lead = n.type.rank - 2
    m, k, j = lead, lead + 1, lead + 2
    shape = (*x.shape, w.shape[-1])
    axes = {"mk": (m, k), "kn": (k, j), "mn": (m, j)}

    def spread(item: Node, over: str) -> Node:
        node: Node = b.broadcast(item, shape=shape, axes=(*range(lead), *axes[over]))
        return node

    def summed(item: Node, axis: int) -> Node:
        node: Node = b.reduce_sum(item, axes=(axis,))
        return node

    nothing = b.eq(total, b.fill(-np.inf, total.type))
    scale = b.select(nothing, b.fill(np.inf, total.type), total)
    each = b.exp(b.sub(b.add(spread(x, "mk"), spread(w, "kn")), spread(scale, "mn")))
    over = b.mul(spread(u, "mk" if n.op == "log_product_left" else "kn"), each)
    terms = b.mul(spread(g, "mn"), over)
    into_total = b.neg(summed(terms, k))
    return summed(terms, j), summed(terms, m), into_total, summed(over, k), None, None, None


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    return b.apply(n.op, *repeated(b, operands, batched))


def log_product_terms(node: Node) -> Dim:
    """How many exponentials there are in the definition."""
    x, w = node.inputs[:2]
    return product(x.shape) * w.shape[-1]


def log_product_work(node: Node) -> Dim:
    """An estimate, in operations on one element: of the product alone."""
    return floor_divide(log_product_terms(node), 4) + node.type.count * 10


PRIMITIVES = tuple(
    Primitive(
        name=op,
        kind="contraction",
        infer=_infer(op),
        reference=_reference(op),
        vjp=vjp,
        batch=_batch,
    )
    for op, vjp in zip(LOG_PRODUCTS, (_vjp, _way_back_vjp, _way_back_vjp), strict=True)
)

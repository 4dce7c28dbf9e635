"""Matrix products and einsum, which are contractions of two operands; products in logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.log_product import log_product
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim
from ..arguments import text as text_of
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables, broadcast_shape, one_dtype, spread_to
from .products.subscripts import without_repeats, written_out


def contract(b: Builder, x: Node, y: Node, left: str, right: str, out: str) -> Node:
    """Einsum of two nodes, `left,right->out`; sums over a label of one operand come first.

    Of bools, a product is whether both are true, and a sum whether one is, as in NumPy.
    """
    nodes, labels = [x, y], [left, right]
    for i in range(2):
        alone = [k for k, c in enumerate(labels[i]) if c not in labels[1 - i] and c not in out]
        if alone:
            nodes[i] = total(b, nodes[i], tuple(alone))
            labels[i] = "".join(c for k, c in enumerate(labels[i]) if k not in alone)
    if not x.type.is_float:
        return _contract_integers(b, nodes, labels, out)
    number = {letter: i for i, letter in enumerate(dict.fromkeys(labels[0] + labels[1]))}
    a, c, o = (tuple(number[letter] for letter in text) for text in (*labels, out))
    return b.contract(nodes[0], nodes[1], a=a, b=c, out=o)


def _contract_integers(b: Builder, nodes: list[Node], labels: list[str], out: str) -> Node:
    """Every product, and sums over them: a kernel for matrix products has floats alone."""
    summed = [c for c in labels[0] if c not in out]
    order = out + "".join(summed)
    extents: dict[str, Dim] = {}
    for node, text in zip(nodes, labels, strict=True):
        for letter, extent in zip(text, node.shape, strict=True):
            if extents.setdefault(letter, extent) != extent:
                raise TypeRuleError(f"expects {extents[letter]} elements to sum over, not {extent}")
    shape = tuple(extents[letter] for letter in order)
    spread = []
    for node, text in zip(nodes, labels, strict=True):
        axes = sorted(range(len(text)), key=lambda i, text=text: order.index(text[i]))  # type: ignore[misc]
        turned = b.transpose(node, axes=tuple(axes))
        places = tuple(order.index(text[i]) for i in axes)
        spread.append(b.broadcast(turned, shape=shape, axes=places))
    products = b.apply("and" if nodes[0].dtype == "bool" else "mul", *spread)
    return total(b, products, tuple(range(len(out), len(order)))) if summed else products


def total(b: Builder, x: Node, axes: tuple[int, ...]) -> Node:
    """The sum over axes; of bools, whether one is true."""
    if x.dtype != "bool":
        found: Node = b.reduce_sum(x, axes=axes)
        return found
    most = b.reduce_max(b.cast(x, dtype="int32"), axes=axes)
    return b.gt(most, b.fill(0, most.type))


def matmul(x: Any, y: Any) -> Variable:
    """NumPy's matmul: products of the last two axes, batched over broadcast leading ones.

    Of integers the products and sums wrap around; of bools a product is whether both are true, and
    a sum whether one is.
    """

    def rule(b: Builder, x: Node, y: Node) -> Node:
        one_dtype((x, y))
        if x.type.rank == 0 or y.type.rank == 0:
            raise TypeRuleError("expects vectors or matrices, not numbers: use *")
        inner, outer = x.shape[-1], y.shape[-2] if y.type.rank > 1 else y.shape[-1]
        if inner != outer:
            raise TypeRuleError(
                f"expects as many columns on the left as rows on the right, not {inner} and {outer}"
            )
        left = "k" if x.type.rank == 1 else "mk"
        right = "k" if y.type.rank == 1 else "kn"
        out = left.replace("k", "") + right.replace("k", "")
        if x.type.rank <= 2 and y.type.rank <= 2:
            return contract(b, x, y, left, right, out)
        if y.type.rank <= 2:
            rows = "abcdefgh"[: x.type.rank - 1]
            return contract(b, x, y, rows + "k", right, rows + right.replace("k", ""))
        if x.type.rank == 1:
            batch = "abcdefgh"[: y.type.rank - 2]
            return contract(b, x, y, "k", batch + "kn", batch + "n")
        shape = broadcast_shape([x.shape[:-2], y.shape[:-2]])
        batch = "abcdefgh"[: len(shape)]
        x = spread_to(b, x, (*shape, *x.shape[-2:]))
        y = spread_to(b, y, (*shape, *y.shape[-2:]))
        return contract(b, x, y, batch + "mk", batch + "kn", batch + "mn")

    result: Variable = apply("matmul", rule, as_variables(x, y))
    return result


def logmatmulexp(x: Any, y: Any) -> Variable:
    """log(exp(x) @ exp(y)), without overflow, and without what vanishes in exp.

    The matrix product where sums are log-sum-exps and products are sums: a step of the forward
    algorithm of a hidden Markov model, whose weights y[i, j] lead from state i to state j.  It
    takes the time of a matrix product; only elements of which a float's range does not hold the
    exponentials, even with the greatest taken out of each row of x and each column of y, are
    summed term by term.

    Args:
        x: floats (..., m, k).
        y: floats of the same dtype (..., k, n); leading axes are broadcast.

    Returns:
        (..., m, n); -inf where all k sums x + y are, and where there are none.  The gradient is the
        softmax of these, and 0 where the result is -inf.

    Raises:
        ShapeError: a vector or a number, or another number of rows than columns.
        DtypeError: other dtypes, or two different ones.
    """

    def rule(b: Builder, x: Node, y: Node) -> Node:
        one_dtype((x, y))
        if not x.type.is_float:
            raise DtypeRuleError("expects floats")
        if x.type.rank < 2 or y.type.rank < 2:
            raise TypeRuleError("expects matrices (..., m, k) and (..., k, n)")
        if x.shape[-1] != y.shape[-2]:
            raise TypeRuleError(
                f"expects as many columns on the left as rows on the right, not {x.shape[-1]} and "
                f"{y.shape[-2]}"
            )
        shape = broadcast_shape([x.shape[:-2], y.shape[:-2]])
        x = spread_to(b, x, (*shape, *x.shape[-2:]))
        y = spread_to(b, y, (*shape, *y.shape[-2:]))
        lead, last = range(len(shape)), len(shape) + 1
        tops = _greatest(b, x, last), _greatest(b, y, last - 1)
        kept = (*lead, last - 1), (*lead, last)
        parts = [
            b.sub(item, b.broadcast(top, shape=item.shape, axes=axes))
            for item, top, axes in zip((x, y), tops, kept, strict=True)
        ]
        found = log_product(b, *parts)
        for top, axes in zip(tops, kept, strict=True):
            found = b.add(found, b.broadcast(top, shape=found.shape, axes=axes))
        return found

    result: Variable = apply("logmatmulexp", rule, as_variables(x, y))
    return result


def _greatest(b: Builder, x: Node, axis: int) -> Node:
    """The greatest elements along an axis, 0 where that is infinite; no gradient flows through."""
    top = b.stop_gradient(b.reduce_max(x, axes=(axis,)))
    finite = getattr(b, "and")(
        b.gt(top, b.fill(-np.inf, top.type)), b.lt(top, b.fill(np.inf, top.type))
    )
    found: Node = b.select(finite, top, b.fill(0, top.type))
    return found


def einsum(subscripts: str, *operands: Any) -> Variable:
    """NumPy's einsum of one or more operands: "ij,jk->ik".

    Operands are contracted from left to right.

    Args:
        subscripts: the letters of each operand's axes, and, behind "->", those of the result,
            each once; without it, those that stand once in all, by the alphabet.  A letter that
            stands twice in an operand is its diagonal.  "..." are the axes that are left, which
            broadcast, and come first where the result is not told.
        operands: of one dtype; of bools, a product is whether both are true, and a sum whether one
            is, as for `matmul`.

    Raises:
        ShapeError, DtypeError: when the diagram is built: subscripts that do not fit the operands,
            sizes that differ, two dtypes.
    """
    subscripts = text_of("einsum", "subscripts", subscripts, 'a text such as "ij,jk->ik"')

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        parts, out = written_out(subscripts, nodes)
        pairs = [without_repeats(b, *pair) for pair in zip(nodes, parts, strict=True)]
        value, labels = pairs[0]
        for i, (node, more) in enumerate(pairs[1:], 1):
            later = set(out).union(*(letters for _, letters in pairs[i + 1 :]))
            keep = "".join(dict.fromkeys(c for c in labels + more if c in later))
            last = i == len(nodes) - 1
            value = contract(b, value, node, labels, more, out if last else keep)
            labels = out if last else keep
        alone = tuple(i for i, c in enumerate(labels) if c not in out)
        if alone:
            value = total(b, value, alone)
            labels = "".join(c for c in labels if c in out)
        if labels != out:
            value = b.transpose(value, axes=tuple(labels.index(c) for c in out))
        return value

    result: Variable = apply("einsum", rule, as_variables(*operands))
    return result

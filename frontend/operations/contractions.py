"""Matrix products and einsum: all are one primitive, the contraction of two operands."""

from __future__ import annotations

from typing import Any

from ...compiler.errors import TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..arguments import text as text_of
from ..variables.applying import apply
from ..variables.variable import Variable
from .broadcasting import as_variables, broadcast_shape, one_dtype, spread_to


def contract(b: Builder, x: Node, y: Node, left: str, right: str, out: str) -> Node:
    """Einsum of two nodes, `left,right->out`; sums over a label of one operand come first."""
    nodes, labels = [x, y], [left, right]
    for i in range(2):
        alone = [k for k, c in enumerate(labels[i]) if c not in labels[1 - i] and c not in out]
        if alone:
            nodes[i] = b.reduce_sum(nodes[i], axes=tuple(alone))
            labels[i] = "".join(c for k, c in enumerate(labels[i]) if k not in alone)
    number = {letter: i for i, letter in enumerate(dict.fromkeys(labels[0] + labels[1]))}
    a, c, o = (tuple(number[letter] for letter in text) for text in (*labels, out))
    return b.contract(nodes[0], nodes[1], a=a, b=c, out=o)


def matmul(x: Any, y: Any) -> Variable:
    """NumPy's matmul: products of the last two axes, batched over broadcast leading ones."""

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


def einsum(subscripts: str, *operands: Any) -> Variable:
    """NumPy's einsum of one or more operands, letters only, explicit output: "ij,jk->ik".

    Operands are contracted from left to right. A letter may stand once in an operand.
    """
    subscripts = text_of("einsum", "subscripts", subscripts, 'a text such as "ij,jk->ik"')
    text = subscripts.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    parts = inputs.split(",")

    def rule(b: Builder, *nodes: Node) -> Node:
        _check_subscripts(subscripts, bool(arrow), parts, out, nodes)
        value, labels = nodes[0], parts[0]
        for i, (node, more) in enumerate(zip(nodes[1:], parts[1:], strict=True), 1):
            later = set(out).union(*parts[i + 1 :])
            keep = "".join(dict.fromkeys(c for c in labels + more if c in later))
            last = i == len(nodes) - 1
            value = contract(b, value, node, labels, more, out if last else keep)
            labels = out if last else keep
        alone = tuple(i for i, c in enumerate(labels) if c not in out)
        if alone:
            value = b.reduce_sum(value, axes=alone)
            labels = "".join(c for c in labels if c in out)
        if labels != out:
            value = b.transpose(value, axes=tuple(labels.index(c) for c in out))
        return value

    result: Variable = apply("einsum", rule, as_variables(*operands))
    return result


def _check_subscripts(
    subscripts: str, arrow: bool, parts: list[str], out: str, nodes: tuple[Node, ...]
) -> None:
    one_dtype(nodes)
    example = 'such as "ij,jk->ik"'
    if not arrow or len(parts) != len(nodes):
        raise TypeRuleError(
            f"expects subscripts for {len(nodes)} operands and an output {example}, "
            f"not {subscripts!r}"
        )
    for part, node in zip(parts, nodes, strict=True):
        if (not part.isalpha() and part) or len(set(part)) != len(part):
            raise TypeRuleError(f"expects different letters for an operand, not {part!r}")
        if len(part) != node.type.rank:
            raise TypeRuleError(f"expects {node.type.rank} letters for {node.type}, not {part!r}")
    if len(set(out)) != len(out) or not set(out) <= set("".join(parts)):
        raise TypeRuleError(f"expects output letters out of the operands', each once, not {out!r}")

"""The contraction of two operands: sums of products over shared labels, as in einsum.

Each axis of the operands `a` and `b` and of the result `out` has an integer label.  A label in
both operands but not in the result is summed over; one in all three is a batch axis.  Every
label stands in at least two of the three, once in each; sums over a label of one operand alone
are reductions, and the diagonal is a gather, done before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, product
from .record import Array, Attrs, Builder, Primitive
from .summation import Total


def _infer(types: Sequence[Type], attrs: Attrs) -> Type:
    left, right = types
    a, b, out = attrs["a"], attrs["b"], attrs["out"]
    if left.dtype != right.dtype or not left.is_float:
        raise DtypeRuleError(f"expected two floats, got {left}, {right}")
    if len(a) != left.rank or len(b) != right.rank:
        raise TypeRuleError(
            f"expected a label for each axis of {left} and {right}, got {a} and {b}"
        )
    extents: dict[int, Dim] = {}
    for labels, shape in ((a, left.shape), (b, right.shape)):
        if len(set(labels)) != len(labels):
            raise TypeRuleError(f"expected different labels, got {labels}")
        for label, extent in zip(labels, shape, strict=True):
            if extents.setdefault(label, extent) != extent:
                raise TypeRuleError(f"expected {extents[label]} elements to sum over, got {extent}")
    for label in set(a) | set(b):
        if (label in a) + (label in b) + (label in out) < 2:
            raise TypeRuleError(f"label {label} stands in one operand alone")
    return left.with_shape(extents[label] for label in out)


def _reference(result: Type, attrs: Attrs, a: Array, b: Array) -> Array:
    labels, out = (attrs["a"], attrs["b"]), list(attrs["out"])
    summed = [label for label in labels[0] if label not in out]
    depth = max((*labels[0], *labels[1]), default=-1) + 1
    (a, left), (b, right) = (
        _summed_last(x, own, summed, depth) for x, own in zip((a, b), labels, strict=True)
    )
    # In parts of the summed axis, and with what is rounded away where they are added up.
    total = Total(np.zeros(result.extents, result.dtype))
    for start in range(0, a.shape[-1], PART):
        part = slice(start, start + PART)
        total.add(np.einsum(a[..., part], left, b[..., part], right, out, optimize=True))
    return total.value()


PART = 256
"""Products that the reference adds up as einsum does."""


def _summed_last(
    x: Array, labels: Sequence[int], summed: list[int], depth: int
) -> tuple[Array, list[int]]:
    """An operand whose summed axes are one, the last, labelled `depth`; and its labels."""
    kept = [label for label in labels if label not in summed]
    turned = np.transpose(x, [labels.index(label) for label in (*kept, *summed)])
    rest = int(np.prod(turned.shape[len(kept) :]))
    return turned.reshape(*turned.shape[: len(kept)], rest), [*kept, depth]


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    left, right, out = n.attrs["a"], n.attrs["b"], n.attrs["out"]
    return (
        b.contract(g, n.inputs[1], a=out, b=right, out=left),
        b.contract(n.inputs[0], g, a=left, b=out, out=right),
    )


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    """A label of its own for the new axis, in the operands that have it.

    One that does not is the same for all elements, so that the product stays one product.
    """
    labels = [n.attrs["a"], n.attrs["b"]]
    new = max((*labels[0], *labels[1]), default=-1) + 1
    left, right = ((new, *t) if has else t for t, has in zip(labels, batched, strict=True))
    return b.apply("contract", *operands, a=left, b=right, out=(new, *n.attrs["out"]))


def summed_labels(node: Node) -> tuple[int, ...]:
    """The labels that a contraction sums over, in the order of its first operand."""
    return tuple(label for label in node.attrs["a"] if label not in node.attrs["out"])


def contraction_flops(node: Node) -> Dim:
    """Multiplications and additions: two for each product."""
    extents = dict(zip(node.attrs["a"], node.inputs[0].shape, strict=True))
    return node.type.count * product(extents[label] for label in summed_labels(node)) * 2


PRIMITIVES = (
    Primitive(
        name="contract",
        kind="contraction",
        infer=_infer,
        reference=_reference,
        vjp=_vjp,
        batch=_batch,
    ),
)

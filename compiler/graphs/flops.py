"""Floating-point operations of a node, by the rules that each primitive states.

Exact are contractions (two for each product, so 2mnk for a matrix product), convolutions (products
with the padding too), the products of attention (those of hidden pairs too), sums (one for each
element that is added up) and arithmetic on floats (one for each element).  A system of n equations
with k right-hand sides has 2n^3/3 + 2kn^2, its largest terms.  By convention a comparison, a
selection, a division and a square root count as one too.  An estimate are `exp`, `tanh` and their
like: 10, about what the engine's polynomials take (`Primitive.flops`).
Arithmetic on integers, views and moves count nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..graph import Node
from ..primitives.attention import ATTENTION, attention_flops, kernel_of
from ..primitives.contraction import contraction_flops
from ..primitives.convolution import CONVOLUTIONS, convolution_flops
from ..primitives.linear.counts import LINEAR, linear_flops
from ..primitives.log_product import LOG_PRODUCTS, log_product_terms
from ..primitives.pooling import POOLS, pool_flops
from ..primitives.record import lookup
from ..primitives.scattering import SCATTERS
from ..sizes import Dim


def node_flops(node: Node) -> Dim:
    """The floating-point operations of a node."""
    if node.op == "contract":
        return contraction_flops(node)
    if node.op in CONVOLUTIONS:
        return convolution_flops(node)
    if node.op in ATTENTION:
        return attention_flops([node])
    if node.op in LOG_PRODUCTS:
        return log_product_terms(node) * 2
    if node.op in LINEAR:
        return linear_flops(node)
    if node.op in POOLS:
        return pool_flops(node)
    if not any(item.type.is_float for item in (node, *node.inputs)):
        return 0
    return worked_elements(node) * lookup(node.op).flops


def flops_of(nodes: Iterable[Node]) -> Iterator[tuple[Node, Dim]]:
    """The operations of each of some nodes; what several compute together counts for the first."""
    together: dict[Any, list[Node]] = {}
    for node in nodes:
        if node.op in ATTENTION:
            found = together.setdefault(kernel_of(node), [])
            before = attention_flops(found)
            found.append(node)
            yield node, attention_flops(found) - before
        else:
            yield node, node_flops(node)


def worked_elements(node: Node) -> Dim:
    """The elements that a node goes through: of its own value, or of what it takes in."""
    if node.op in SCATTERS:
        return node.inputs[1].type.count
    takes = lookup(node.op).kind == "reduction" or node.op in ("overlap_add", "first_outside")
    return (node.inputs[0] if takes else node).type.count
